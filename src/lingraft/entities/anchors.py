"""The anchor statistics of a wiki: how often each anchor text is a link, and to what.

Two passes over a corpus, each shard by itself on its own worker. The first counts links by (anchor, target); anchors
are parted by a hash, so what is merged at a time stays small whatever the wiki's size. The second counts where the
anchors stand in the text without being linked. What lies inside a link is not counted: "York" in a linked "New York"
says nothing about "York".

    anchors.arrow   anchor, linked, occurrences, candidates: list of {target, entity, count}, the most frequent first
    index.arrow     the anchors as a PhraseIndex, numbered by their row in anchors.arrow

Memory: a merge holds some LINKS_A_PARTITION links; writing the index some 60 bytes for each anchor and each of its
beginnings. Source of the method: Mihalcea and Csomai 2007, "Wikify!"; Milne and Witten 2008 (link probability,
commonness).
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from lingraft import engine, runs
from lingraft.config import Config, InputPath, Probability
from lingraft.entities.phrases import MAX_PHRASE, SEPARATOR, PhraseIndex, write_index
from lingraft.errors import LingraftError

STAGE = "corpus anchors"
LINKS_A_PARTITION = 1 << 22
MAX_CANDIDATES = 20
"""Targets kept of an anchor; the counts `linked` and `occurrences` are those of all."""

_LINKS = pa.schema([("anchor", pa.string()), ("target", pa.string()), ("entity", pa.int64()), ("count", pa.int64())])
_CANDIDATE = pa.struct([("target", pa.string()), ("entity", pa.int64()), ("count", pa.int64())])
_ANCHORS = pa.schema([("anchor", pa.large_string()), ("linked", pa.int64()), ("candidates", pa.large_list(_CANDIDATE))])


class AnchorConfig(Config):
    """From what anchors are counted."""

    corpus: InputPath
    """Folder of a finished `corpus build`."""

    min_links: int = Field(1, ge=1)
    """Anchors with fewer links are left out; on a large wiki 2 halves the index."""

    held_out: Probability = 0.0
    """Share of the articles, chosen by a hash of the page id, that is not read: to measure on them."""


def languages(manifest: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the language of a corpus or of its anchors, and the languages of its names, from the manifest."""
    held = manifest if manifest["stage"] == STAGE else manifest["config"]
    return held["lang"], held["names"]


def is_held_out(pages: np.ndarray, share: float) -> np.ndarray:
    """Return which page ids are held out: the same pages for every wiki size and number of workers."""
    mixed = (pages.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return (mixed >> np.uint64(11)).astype(np.float64) / (1 << 53) < share


def build_anchors(
    config: AnchorConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Count the anchors of a corpus into the run folder `out`; return its manifest.

    The bytes do not depend on `workers`. Raises LingraftError for a corpus that is not finished or has no links.
    """
    corpus = runs.read_manifest(config.corpus)
    parts = sorted((config.corpus / "articles").glob("part-*.parquet"))
    workers = workers or engine.default_workers()
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["pyarrow", "numpy"]) as run:
        work = run.path / "work"
        if run.complete:
            shutil.rmtree(work, ignore_errors=True)
            return run.manifest
        partitions = 1 + corpus["counters"]["links"] // LINKS_A_PARTITION
        tally: Counter[str] = Counter()

        def each(step: Any, name: str, shards: list[Any]) -> None:
            tasks = [engine.Task(f"{place:05d}", (place, shard)) for place, shard in enumerate(shards)]
            for counters in engine.run(step, tasks, work / "markers" / name, workers=workers).values():
                tally.update(counters)

        work.mkdir(exist_ok=True)
        with run.timed("links"):
            each(_Collect(work, partitions, config.held_out), "links", parts)
        with run.timed("merge"):
            each(_Merge(work, config.min_links), "merge", list(range(partitions)))
        if not tally["anchors"]:
            raise LingraftError(
                f"{config.corpus} has no anchors to learn from",
                f"{tally['links']:,} links were read, and none is left with {config.min_links} or more uses.",
                "Build the corpus of a larger wiki, or lower min_links.",
            )
        merged = _concatenated(work, partitions)
        with run.timed("index"), run.write("index.arrow") as path:
            write_index(path, _strings(merged["anchor"]))
        with run.timed("occurrences"):
            each(_Occurrences(work, run.path / "index.arrow", config.held_out), "occurrences", parts)
        with run.write("anchors.arrow") as path:
            _write_anchors(path, merged, work, len(parts))
        with run.write("names.parquet") as path:
            link_or_copy(config.corpus / "names.parquet", path)
        counters = dict(sorted(tally.items()))
        rows = [{"name": name, "value": value} for name, value in counters.items()]
        run.write_table("anchors", rows, kind="counts", title="Anchor statistics")
        lang, names = languages(corpus)
        manifest = run.finish(counters, lang=lang, names=names)
        shutil.rmtree(work, ignore_errors=True)
        return manifest


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second place; it is copied where the disk has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@dataclass(frozen=True)
class _Collect:
    """First pass over one shard: links by (anchor, target), a record batch for each partition."""

    work: Path
    partitions: int
    held_out: float

    def __call__(self, given: tuple[int, Path]) -> dict[str, int]:
        index, part = given
        counts: list[Counter[tuple[str, str, int | None]]] = [Counter() for _ in range(self.partitions)]
        tally = Counter(links=0, articles=0, held_out_articles=0, unusable_anchors=0)
        for texts, links in _articles(part, self.held_out, tally):
            for text, of_text in zip(texts, links.to_pylist(), strict=True):
                for link in of_text:
                    anchor = text[link["start"] : link["end"]].strip()
                    if not 0 < len(anchor) <= MAX_PHRASE or SEPARATOR in anchor:
                        tally["unusable_anchors"] += 1
                        continue
                    tally["links"] += 1
                    counts[crc32(anchor.encode()) % self.partitions][anchor, link["target"], link["entity"]] += 1
        with (
            runs.atomic(self.work / f"links-{index:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, _LINKS) as writer,
        ):
            for of_partition in counts:
                rows = [(*key, count) for key, count in of_partition.items()]
                columns = list(zip(*rows, strict=True)) if rows else [[], [], [], []]
                writer.write_batch(
                    pa.record_batch(
                        [pa.array(column, field.type) for column, field in zip(columns, _LINKS, strict=True)],
                        schema=_LINKS,
                    )
                )
        return dict(tally)


def _articles(part: Path, held_out: float, tally: Counter[str]) -> Iterator[tuple[list[str], pa.ListArray]]:
    """Yield texts and links of the articles of a shard that are not held out."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=256, columns=["id", "text", "links"]):
            kept = ~is_held_out(batch["id"].to_numpy(), held_out)
            tally["articles"] += int(kept.sum())
            tally["held_out_articles"] += int((~kept).sum())
            batch = batch.filter(pa.array(kept))
            yield batch["text"].to_pylist(), batch["links"]


@dataclass(frozen=True)
class _Merge:
    """Add up one partition over all shards: one row an anchor, with its targets."""

    work: Path
    min_links: int

    def __call__(self, given: tuple[int, int]) -> dict[str, int]:
        index, partition = given
        shards = sorted(self.work.glob("links-*.arrow"))
        batches = [pa.ipc.open_file(pa.memory_map(str(path))).get_batch(partition) for path in shards]
        links = pa.Table.from_batches(batches).group_by(["anchor", "target"])
        links = links.aggregate([("count", "sum"), ("entity", "min")])
        links = links.sort_by([("anchor", "ascending"), ("count_sum", "descending"), ("target", "ascending")])
        anchors = links["anchor"].combine_chunks().dictionary_encode()
        codes = anchors.indices.to_numpy()
        counts = links["count_sum"].to_numpy()
        linked = np.bincount(codes, weights=counts, minlength=len(anchors.dictionary)).astype(np.int64)
        first = np.searchsorted(codes, np.arange(len(linked)))
        rank = np.arange(len(codes)) - first[codes]
        enough = linked >= self.min_links
        kept = enough[codes] & (rank < MAX_CANDIDATES)
        sizes = np.bincount(codes[kept], minlength=len(linked))[enough]
        candidates = links.filter(pa.array(kept)).combine_chunks()
        values = pa.StructArray.from_arrays(
            [
                pa.concat_arrays(candidates[name].chunks) if len(candidates) else pa.array([], field.type)
                for name, field in zip(("target", "entity_min", "count_sum"), _CANDIDATE, strict=True)
            ],
            fields=list(_CANDIDATE),
        )
        lists = pa.LargeListArray.from_arrays(pa.array(np.cumsum([0, *sizes]), pa.int64()), values)
        names = anchors.dictionary.filter(pa.array(enough)).cast(pa.large_string())
        table = pa.table([names, pa.array(linked[enough]), lists], schema=_ANCHORS)
        with (
            runs.atomic(self.work / f"anchors-{index:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, _ANCHORS) as writer,
        ):
            writer.write_table(table)
        return {"anchors": len(table), "rare_anchors": int((~enough).sum())}


def _concatenated(work: Path, partitions: int) -> pa.Table:
    paths = [work / f"anchors-{index:05d}.arrow" for index in range(partitions)]
    return pa.concat_tables(pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in paths)


def _strings(column: pa.ChunkedArray) -> Iterator[str]:
    for begin in range(0, len(column), 1 << 14):
        yield from column.slice(begin, 1 << 14).to_pylist()


@dataclass(frozen=True)
class _Occurrences:
    """Second pass over one shard: how often each anchor stands outside of links."""

    work: Path
    index: Path
    held_out: float

    def __call__(self, given: tuple[int, Path]) -> dict[str, int]:
        place, part = given
        phrases = PhraseIndex.open(self.index)
        found = [np.empty(0, np.int32)]
        for texts, links in _articles(part, self.held_out, Counter()):
            found += unlinked(phrases, texts, links)
        numbers, counts = np.unique(np.concatenate(found), return_counts=True)
        batch = pa.record_batch([pa.array(numbers), pa.array(counts)], names=["anchor", "count"])
        with (
            runs.atomic(self.work / f"unlinked-{place:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, batch.schema) as writer,
        ):
            writer.write_batch(batch)
        return {"unlinked_occurrences": int(counts.sum())}


def unlinked(phrases: PhraseIndex, texts: list[str], links: pa.ListArray) -> Iterator[np.ndarray]:
    """Yield the phrases found in `texts` that do not lie inside a link, as arrays of numbers."""
    flat = links.flatten()
    lengths = pc.list_value_length(links).to_numpy()
    offsets = np.cumsum([0, *map(len, texts)])
    base = np.repeat(offsets[:-1], lengths)
    starts = np.concatenate([[-1], flat.field("start").to_numpy() + base])
    ends = np.concatenate([[-1], flat.field("end").to_numpy() + base])
    for found in phrases.find(texts):
        base = offsets[found.text]
        before = np.searchsorted(starts, found.start + base, side="right") - 1
        yield found.phrase[ends[before] < found.end + base]


def _write_anchors(path: Path, merged: pa.Table, work: Path, num_parts: int) -> None:
    occurrences = merged["linked"].to_numpy().copy()
    for place in range(num_parts):
        batch = pa.ipc.open_file(pa.memory_map(str(work / f"unlinked-{place:05d}.arrow"))).get_batch(0)
        occurrences[batch["anchor"].to_numpy()] += batch["count"].to_numpy()
    table = merged.add_column(2, "occurrences", pa.array(occurrences)).combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


class Anchors:
    """The finished statistics of one wiki, memory-mapped; rows are the phrase numbers of `index`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.manifest = runs.read_manifest(self.path, STAGE)
        self.index = PhraseIndex.open(self.path / "index.arrow")
        batch = pa.ipc.open_file(pa.memory_map(str(self.path / "anchors.arrow"))).get_batch(0)
        self.anchors: pa.Array = batch["anchor"]
        self.linked: np.ndarray = batch["linked"].to_numpy()
        self.occurrences: np.ndarray = batch["occurrences"].to_numpy()
        self.candidates: pa.LargeListArray = batch["candidates"]

    def __len__(self) -> int:
        return len(self.anchors)

    @property
    def lang(self) -> str:
        """Language of the wiki."""
        return self.manifest["lang"]

    @cached_property
    def probability(self) -> np.ndarray:
        """Link probability: the share of an anchor's occurrences that are links, shape (anchors,)."""
        return self.linked / self.occurrences

    @cached_property
    def share(self) -> np.ndarray:
        """Commonness of the most frequent target: its share of the anchor's links, shape (anchors,)."""
        return self.candidates.values.field("count").to_numpy()[self._best] / self.linked

    @cached_property
    def length(self) -> np.ndarray:
        """Characters of each anchor, shape (anchors,)."""
        return pc.utf8_length(self.anchors).to_numpy()

    @cached_property
    def has_entity(self) -> np.ndarray:
        """Whether the most frequent target has an entity, shape (anchors,)."""
        known = self.candidates.values.field("entity").is_valid().to_numpy(zero_copy_only=False)
        return known[self._best]

    def best(self, rows: np.ndarray) -> tuple[list[str], list[int | None]]:
        """Return target and entity of the most frequent candidate of the anchors `rows`."""
        chosen = self.candidates.values.take(pa.array(self._best[rows]))
        return chosen.field("target").to_pylist(), chosen.field("entity").to_pylist()

    @property
    def _best(self) -> np.ndarray:
        return self.candidates.offsets.to_numpy()[:-1]
