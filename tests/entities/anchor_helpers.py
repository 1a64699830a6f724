"""A corpus folder written by hand: articles as "Rome lies on the [[Tiber]] and [[Rome (city)|Rome]]"."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.config import Config
from lingraft.corpus.schema import ARTICLE, part_name, write_articles
from lingraft.entities.names import NAMES_SCHEMA

_LINK = re.compile(r"\[\[([^\]|]*)(?:\|([^\]]*))?\]\]")


class Written(Config):
    """What a corpus' manifest says of its config."""

    lang: str = "en"
    names: list[str] = ["fr"]


def article(number: int, title: str, wikitext: str, entities: Mapping[str, int], flags: Sequence[str] = ()) -> dict:
    """Return the row of one article."""
    text, links, position = "", [], 0
    for match in _LINK.finditer(wikitext):
        text += wikitext[position : match.start()]
        anchor = match[2] or match[1]
        link = {"start": len(text), "end": len(text) + len(anchor), "target": match[1], "name": None}
        links.append(link | {"entity": entities.get(match[1])})
        text += anchor
        position = match.end()
    text += wikitext[position:]
    sections = [{"start": 0, "end": len(text), "level": 0, "heading": ""}]
    row = {"id": number, "revision": number, "title": title, "lang": "en", "entity": entities.get(title)}
    return row | {"text": text, "sections": sections, "links": links, "flags": list(flags)}


def write_corpus(
    folder: Path, parts: Sequence[Sequence[dict]], names: Mapping[int, str] | None = None, config: Written | None = None
) -> Path:
    """Write articles in parts, and names (entity -> French name), as a finished corpus."""
    config = config or Written()
    with runs.open(folder, "corpus build", config) as run:
        for index, rows in enumerate(parts):
            with run.write(part_name(index)) as path:
                write_articles(path, pa.Table.from_pylist(list(rows), schema=ARTICLE))
        rows = [(entity, "fr", name, "sitelink") for entity, name in sorted((names or {}).items())]
        columns = list(zip(*rows, strict=True)) if rows else [[], [], [], []]
        with run.write("names.parquet") as path:
            pq.write_table(pa.table([pa.array(column) for column in columns], schema=NAMES_SCHEMA), path)
        links = sum(len(row["links"]) for rows in parts for row in rows)
        run.finish({"links": links, "wikitext_links_file": 3, "title_conflicts": 1})
    return folder
