"""A look into a corpus: random articles as text segments, with mentions, names and headings told apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.corpus.building import STAGE


def stats(corpus: str | Path) -> dict[str, Any]:
    """Return the statistics, the most frequent names and the counters of a finished corpus."""
    manifest = runs.read_manifest(corpus, STAGE)
    figures = dict(manifest["statistics"])
    frequent = figures.pop("most frequent names")
    return {
        "statistics": [{"figure": figure, "value": value} for figure, value in figures.items()],
        "frequent_names": frequent,
        "counters": [{"counter": name, "value": value} for name, value in manifest["counters"].items()],
        "problems": manifest["problems"],
    }


def preview(corpus: str | Path, number: int, *, seed: int = 0, limit: int | None = 1200) -> list[dict[str, Any]]:
    """Return `number` random articles as {title, segments}; a segment is {text, kind}, cut after `limit` characters.

    Kinds: text, mention (a link with an entity), name (in the first name language), tag (a link without an entity),
    heading.
    """
    corpus = Path(corpus)
    manifest = runs.read_manifest(corpus, STAGE)
    names = _names(corpus, manifest["config"]["names"])
    parts = sorted((corpus / "articles").glob("part-*.parquet"))
    counts = [pq.ParquetFile(part).metadata.num_rows for part in parts]
    chosen = np.random.default_rng(seed).choice(sum(counts), size=min(number, sum(counts)), replace=False)
    borders = np.cumsum([0, *counts])
    shown = []
    for row in sorted(chosen.tolist()):
        part = int(np.searchsorted(borders, row, side="right")) - 1
        article = pq.read_table(parts[part]).slice(row - int(borders[part]), 1).to_pylist()[0]
        shown.append({"title": _title(article), "segments": _segments(article, names, limit)})
    return shown


def _names(corpus: Path, languages: list[str]) -> dict[int, str]:
    if not languages:
        return {}
    table = pq.read_table(corpus / "names.parquet")
    table = table.filter(pc.equal(table.column("lang"), languages[0]))
    return dict(zip(table.column("entity").to_pylist(), table.column("name").to_pylist(), strict=True))


def _title(article: dict[str, Any]) -> str:
    entity = article["entity"]
    known = "" if entity is None else f" (Q{entity})" if entity > 0 else " (title pair)"
    return f"{article['title']}{known}, page {article['id']}"


def _segments(article: dict[str, Any], names: dict[int, str], limit: int | None) -> list[dict[str, str]]:
    text = article["text"] if limit is None else article["text"][:limit]
    marks = [(link["start"], link["end"], link["entity"]) for link in article["links"]]
    headings = [
        (start, start + len(section["heading"]), "heading")
        for section in article["sections"]
        if section["level"]
        and (start := article["text"].rfind(section["heading"], 0, section["start"])) >= 0
        and not any(start < end and begin < start + len(section["heading"]) for begin, end, _ in marks)
    ]
    segments = []
    position = 0
    for start, end, entity in sorted(marks + headings, key=lambda mark: mark[0]):
        if end > len(text):
            break
        segments.append({"text": text[position:start], "kind": "text"})
        kind = entity if entity == "heading" else "tag" if entity is None else "mention"
        segments.append({"text": text[start:end], "kind": kind})
        if kind == "mention" and entity in names:
            segments.append({"text": f" {names[entity]}", "kind": "name"})
        position = end
    segments.append({"text": text[position:] + ("…" if len(text) < len(article["text"]) else ""), "kind": "text"})
    return [segment for segment in segments if segment["text"]]
