"""How well a corpus's links are aligned: the share that reaches an entity and a name, why the rest does not, samples.

Counts tell what is missing, not what is wrong: for that a seeded sample of links is written with their context, as
`samples.tsv` with an empty column `right` to fill in by hand. One pass over the links without the text, then a second
one over the shards that hold samples. Memory grows with the distinct targets: 25 bytes each.

    lingraft corpus quality out/el --out out/el-quality
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from lingraft import runs
from lingraft.config import Config, InputPath
from lingraft.entities.titles import TitleIndex, title_hashes
from lingraft.errors import LingraftError

STAGE = "corpus quality"
BANDS = (1, 2, 10, 100, 1000, 10_000)
"""Where the bands of frequency begin, in links to a target."""

OUTCOMES = ("named", "no_sitelink", "list", "disambiguation", "no_item", "red_link", "no_entity")
_NAMED, _NO_SITELINK, _LIST, _DISAMBIGUATION, _NO_ITEM, _RED_LINK, _NO_ENTITY = range(len(OUTCOMES))
_COMPACTED_AT = 1 << 22
_ROWS = 1024


class QualityConfig(Config):
    """Which corpus is judged."""

    corpus: InputPath
    """Folder of a finished `corpus build` or `corpus link`."""

    encoded: InputPath | None = None
    """Folder of a finished `augment` of this corpus: tells how many anchors do not fit its tokens."""

    samples: int = Field(50, ge=0)
    """Links on the sheet to read."""

    seed: int = 0
    """Which links they are."""

    context: int = Field(80, ge=0)
    """Characters shown on each side of a sample."""


def quality(config: QualityConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Write quality.json, samples.tsv and the tables of one corpus into the run folder `out`; return quality.json.

    Raises LingraftError for a folder that is not a finished corpus.
    """
    corpus = _Corpus(config.corpus)
    with runs.open(out, STAGE, config, overwrite=overwrite) as run:
        if not run.complete:
            found = _assess(corpus, config)
            for name, rows in found.items():
                kind = {"samples": "examples", "not_links": "counts"}.get(name, "table")
                shown = [_example(row) for row in rows] if name == "samples" else rows
                run.write_table(name, shown, kind=kind, title=_TITLES[name], note=_NOTES.get(name, ""))
            with run.write("samples.tsv") as path:
                _write_sheet(path, found["samples"])
            with run.write("quality.json") as path:
                runs.write_json(path, found)
            run.finish({f"links_{row['outcome']}": row[corpus.languages[0]] for row in found["outcomes"]})
        return runs.read_json(run.path / "quality.json")


_TITLES = {
    "outcomes": "What becomes of the links",
    "bands": "Links by how often their target is linked",
    "not_links": "What was written as a link and is none in the corpus",
    "conflicts": "Sources that disagree",
    "samples": "Links to read",
}
_NOTES = {
    "outcomes": (
        "no_sitelink: an entity without a name in the language. list, disambiguation: the target's page is one, and has"
        " no entity or no name. no_item: a page of this wiki without an entity. red_link: no page of the dump."
    ),
    "samples": "Drawn by chance from all links. The sheet samples.tsv in the run folder has a column to judge them.",
}


def _assess(corpus: "_Corpus", config: QualityConfig) -> dict[str, list[dict[str, Any]]]:
    targets, links_of_parts = _count(corpus)
    return {
        "outcomes": _outcomes(targets, corpus),
        "bands": _bands(targets, corpus),
        "not_links": _not_links(corpus, config.encoded),
        "conflicts": corpus.conflicts,
        "samples": list(_samples(corpus, config, links_of_parts)),
    }


class _Corpus:
    """What of a corpus folder is read here."""

    def __init__(self, path: Path):
        self.path = path
        self.manifest = runs.read_manifest(path)
        self.parts = sorted((path / "articles").glob("part-*.parquet"))
        if not self.parts:
            raise LingraftError(
                f"{path} holds no articles",
                f"It holds a run of '{self.manifest['stage']}'.",
                "Give the folder of a finished `lingraft corpus build`.",
            )
        self.languages: list[str] = self.manifest["config"]["names"] or ["-"]

    @cached_property
    def names(self) -> dict[str, tuple[np.ndarray, pa.Array]]:
        """Language -> entities and their names."""
        table = pq.read_table(self.path / "names.parquet", columns=["entity", "lang", "name"])
        of = {lang: table.filter(pc.equal(table["lang"], lang)).combine_chunks() for lang in self.languages}
        return {lang: (rows["entity"].to_numpy(), rows["name"]) for lang, rows in of.items()}

    @cached_property
    def titles(self) -> TitleIndex | None:
        """The titles of the wiki; None in linked text."""
        path = self.path / "titles.arrow"
        return TitleIndex.open(path) if path.exists() else None

    @cached_property
    def flagged(self) -> dict[str, np.ndarray]:
        """Flag -> sorted hashes of the titles of its pages."""
        titles: dict[str, list[str]] = {"list": [], "disambiguation": []}
        for part in self.parts:
            table = pq.read_table(part, columns=["title", "flags"])
            table = table.filter(pc.greater(pc.list_value_length(table["flags"]), 0))
            for row in table.to_pylist():
                for flag in titles.keys() & set(row["flags"]):
                    titles[flag].append(row["title"])
        return {flag: np.sort(title_hashes(of)) for flag, of in titles.items()}

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        """The conflicts that the build listed, or their numbers where it only counted them."""
        held = runs.read_json(self.path / "tables" / "conflicts.json")
        if held is not None:
            return held["rows"]
        counters = self.manifest["counters"]
        return [{"name": name, "value": counters[name]} for name in sorted(counters) if name.endswith("_conflicts")]


@dataclass
class _Targets:
    """Distinct targets: columns of shape (targets,).

    A title stands here once for each entity that its links have: a link may carry a name in another language, and so
    have an entity that its red title has not.
    """

    hashes: np.ndarray
    links: np.ndarray
    entity: np.ndarray
    """0 where there is none."""
    outcome: np.ndarray
    """What its links are when they have no name: an index into OUTCOMES."""

    @classmethod
    def joined(cls, several: list["_Targets"]) -> "_Targets":
        hashes = np.concatenate([np.empty(0, np.uint64), *(one.hashes for one in several)])
        links = np.concatenate([np.empty(0, np.int64), *(one.links for one in several)])
        entity = np.concatenate([np.empty(0, np.int64), *(one.entity for one in several)])
        outcome = np.concatenate([np.empty(0, np.int8), *(one.outcome for one in several)])
        keys = hashes ^ (entity.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
        links = np.bincount(codes, weights=links, minlength=len(first)).astype(np.int64)
        return cls(hashes[first], links, entity[first], outcome[first])


def _count(corpus: _Corpus) -> tuple[_Targets, list[int]]:
    """Return the targets of all links, and the number of links of each shard."""
    held: list[_Targets] = []
    links_of_parts = []
    size = 0
    for part in corpus.parts:
        num_links = 0
        columns = ["links.list.element.target", "links.list.element.entity"]
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                links = batch["links"].flatten()
                num_links += len(links)
                held.append(_targets(links, corpus))
                size += len(held[-1].links)
                if size > _COMPACTED_AT:
                    held = [_Targets.joined(held)]
                    size = 0
        links_of_parts.append(num_links)
    return _Targets.joined(held), links_of_parts


def _targets(links: pa.StructArray, corpus: _Corpus) -> _Targets:
    pairs = pa.table({"target": links.field("target"), "entity": pc.fill_null(links.field("entity"), 0)})
    counted = pairs.group_by(["target", "entity"]).aggregate([([], "count_all")]).combine_chunks()
    titles, entity = counted["target"].combine_chunks(), counted["entity"].to_numpy()
    hashes = title_hashes(titles)
    return _Targets(hashes, counted["count_all"].to_numpy(), entity, _outcome(corpus, titles, hashes, entity))


def _outcome(corpus: _Corpus, titles: pa.Array, hashes: np.ndarray, entity: np.ndarray) -> np.ndarray:
    if corpus.titles is None:
        return np.where(entity != 0, _NO_SITELINK, _NO_ENTITY).astype(np.int8)
    rows = corpus.titles.find(titles)
    is_page = (rows >= 0) & (corpus.titles.is_page[np.maximum(rows, 0)] > 0) if len(corpus.titles) else rows >= 0
    outcome = np.where(is_page, _NO_ITEM, _RED_LINK)
    outcome[entity != 0] = _NO_SITELINK
    outcome[np.isin(hashes, corpus.flagged["list"])] = _LIST
    outcome[np.isin(hashes, corpus.flagged["disambiguation"])] = _DISAMBIGUATION
    return outcome.astype(np.int8)


def _by_language(targets: _Targets, corpus: _Corpus) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each language with what becomes of the links to each target."""
    for lang in corpus.languages:
        entities = corpus.names[lang][0] if lang in corpus.names else np.empty(0, np.int64)
        named = (targets.entity != 0) & np.isin(targets.entity, entities)
        yield lang, np.where(named, _NAMED, targets.outcome)


def _outcomes(targets: _Targets, corpus: _Corpus) -> list[dict[str, Any]]:
    """Return one row an outcome; the links of each language add up to all."""
    total = max(1, int(targets.links.sum()))
    columns = {
        lang: np.bincount(outcome, weights=targets.links, minlength=len(OUTCOMES)).astype(int)
        for lang, outcome in _by_language(targets, corpus)
    }
    rows = []
    for place, name in enumerate(OUTCOMES):
        row: dict[str, Any] = {"outcome": name}
        for lang, links in columns.items():
            row |= {lang: int(links[place]), f"share {lang}": round(int(links[place]) / total, 4)}
        rows.append(row)
    return rows


def _bands(targets: _Targets, corpus: _Corpus) -> list[dict[str, Any]]:
    """Return one row a band of frequency: a target's entity matters as often as it is linked."""
    titles, codes = np.unique(targets.hashes, return_inverse=True)
    links_of_titles = np.bincount(codes, weights=targets.links, minlength=len(titles))
    band_of_titles = np.searchsorted(BANDS, links_of_titles, side="right") - 1
    band = band_of_titles[codes]
    outcomes = dict(_by_language(targets, corpus))
    rows = []
    for place, first in enumerate(BANDS):
        inside = band == place
        links = int(targets.links[inside].sum())
        if not links:
            continue
        last = f" to {BANDS[place + 1] - 1:,}" if place + 1 < len(BANDS) else " or more"
        with_entity = int(targets.links[inside & (targets.entity != 0)].sum())
        row = {
            "links to the target": "1" if first == 1 else f"{first:,}{last}",
            "targets": int((band_of_titles == place).sum()),
            "links": links,
            "share with entity": round(with_entity / links, 4),
        }
        for lang, outcome in outcomes.items():
            named = int(targets.links[inside & (outcome == _NAMED)].sum())
            row[f"share named {lang}"] = round(named / links, 4)
        rows.append(row)
    return rows


def _not_links(corpus: _Corpus, encoded: Path | None) -> list[dict[str, Any]]:
    """Return links that the build left out, by kind, and the anchors that do not fit the tokens of `encoded`."""
    counters = corpus.manifest["counters"]
    rows = [
        {"name": name.removeprefix("wikitext_"), "value": value}
        for name, value in sorted(counters.items())
        if name.startswith("wikitext_links_")
    ]
    if encoded is not None:
        augmented = runs.read_manifest(encoded, "augment")["counters"]
        rows.append({"name": "off_token_border", "value": augmented["off_token_border"]})
    return rows


def _samples(corpus: _Corpus, config: QualityConfig, links_of_parts: list[int]) -> Iterator[dict[str, Any]]:
    """Yield random links with their context, in the order of the corpus."""
    borders = np.cumsum([0, *links_of_parts])
    size = min(config.samples, int(borders[-1]))
    chosen = np.sort(np.random.default_rng(config.seed).choice(borders[-1], size=size, replace=False)) if size else []
    for place, part in enumerate(corpus.parts):
        here = [int(link - borders[place]) for link in chosen if borders[place] <= link < borders[place + 1]]
        yield from _samples_of(part, here, corpus, config.context) if here else ()


def _samples_of(part: Path, chosen: list[int], corpus: _Corpus, context: int) -> Iterator[dict[str, Any]]:
    """Yield the links of a shard that are `chosen`, by their number in it."""
    first = 0
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=["id", "title", "text", "links"]):
            last = np.cumsum(pc.list_value_length(batch["links"]).to_numpy()) + first
            for number in [number for number in chosen if first <= number < last[-1]]:
                row = int(np.searchsorted(last, number, side="right"))
                page = batch.slice(row, 1).to_pylist()[0]
                link = page["links"][number - (int(last[row - 1]) if row else first)]
                yield _sample(page, link, corpus, context)
            first = int(last[-1]) if len(last) else first


def _sample(page: dict[str, Any], link: dict[str, Any], corpus: _Corpus, context: int) -> dict[str, Any]:
    text, start, end = page["text"], link["start"], link["end"]
    return {
        "page": page["id"],
        "title": page["title"],
        "before": text[max(0, start - context) : start],
        "anchor": text[start:end],
        "after": text[end : end + context],
        "target": link["target"],
        "entity": link["entity"],
        "names": {lang: name for lang in corpus.names if (name := _name(corpus, lang, link["entity"]))},
    }


def _name(corpus: _Corpus, lang: str, entity: int | None) -> str | None:
    entities, names = corpus.names[lang]
    rows = np.flatnonzero(entities == entity) if entity is not None else ()
    return names[int(rows[0])].as_py() if len(rows) else None


def _example(sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as a row of an `examples` table."""
    entity = sample["entity"]
    known = "no entity" if entity is None else f"Q{entity}" if entity > 0 else "title pair"
    segments = [
        {"text": sample["before"], "kind": "text"},
        {"text": sample["anchor"], "kind": "mention"},
        *({"text": f" {name}", "kind": "name"} for name in sample["names"].values()),
        {"text": sample["after"], "kind": "text"},
    ]
    title = f"{sample['title']}: {sample['target']} ({known})"
    return {"title": title, "segments": [segment for segment in segments if segment["text"]]}


def _write_sheet(path: Path, samples: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        sheet.writerow(["right", "page", "title", "before", "anchor", "after", "target", "entity", "names"])
        for sample in samples:
            names = "; ".join(f"{lang}: {name}" for lang, name in sample["names"].items())
            flat = [" ".join(str(sample[key]).split()) for key in ("title", "before", "anchor", "after", "target")]
            sheet.writerow(["", sample["page"], *flat, "" if sample["entity"] is None else sample["entity"], names])
