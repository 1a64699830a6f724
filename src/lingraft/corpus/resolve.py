"""Second pass of a build: links to entities, over what the first pass wrote: redirects are known only at its end.

A shard is read batch by batch from a memory map, and each batch becomes a row group: what is looked up is its distinct
targets, all at once, and texts are handed on as they lie.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lingraft.corpus.schema import ARTICLE, LINK, articles_writer, part_name
from lingraft.entities.titles import NO_ENTITY, TitleIndex
from lingraft.runs import atomic


@dataclass(frozen=True)
class Resolution:
    """What the resolution of every shard has in common; it can be pickled."""

    folder: Path
    work: Path
    lang: str
    names: tuple[str, ...]
    keep: dict[int, int]
    """Shards of which only the first articles are kept (a build with a limit): shard -> articles."""

    def __call__(self, index: int) -> dict[str, Any]:
        """Write one shard of the corpus; return counters."""
        graph = _Graph.open(self.folder, self.work, self.names)
        tally: Counter[str] = Counter()
        left = self.keep.get(index, 1 << 62)
        with (
            pa.memory_map(str(self.work / f"articles-{index:05d}.arrow")) as source,
            atomic(self.folder / part_name(index)) as path,
            articles_writer(path) as writer,
        ):
            for raw in pa.ipc.open_stream(source):
                raw = raw.slice(0, left)
                left -= len(raw)
                if len(raw):
                    writer.write_batch(self._articles(raw, graph, tally))
        return dict(tally)

    def _articles(self, raw: pa.RecordBatch, graph: "_Graph", tally: Counter[str]) -> pa.RecordBatch:
        links = raw.column("links")
        offsets = pc.subtract(links.offsets, links.offsets[0])
        own_entities = graph.entities(graph.titles.find(raw.column("title")))
        tally["articles"] += len(raw)
        tally["articles_with_entity"] += len(raw) - own_entities.null_count
        tally["articles_without_links"] += pc.sum(pc.equal(pc.list_value_length(links), 0)).as_py() or 0
        for unit in ("words", "characters"):
            tally[unit] += pc.sum(raw.column(unit)).as_py()
        columns = {name: raw.column(name) for name in ("id", "revision", "title", "text", "sections")} | {
            "lang": pa.repeat(pa.scalar(self.lang), len(raw)),
            "entity": own_entities,
            "links": pa.ListArray.from_arrays(offsets, _resolve(links.flatten(), graph, tally)),
            "flags": _with_disambiguations(raw, graph),
        }
        return pa.record_batch([columns[name] for name in ARTICLE.names], schema=ARTICLE)


@dataclass(frozen=True)
class _Graph:
    """What is known of titles and entities, in files that all workers map."""

    titles: TitleIndex
    named: dict[str, np.ndarray]
    """Language -> sorted entities that have a name in it."""
    link_names: pa.Table
    """(name, entity): what the names that links carry lead to; see entities/alignment.py."""
    disambiguations: np.ndarray
    """Sorted ids of the pages that page_props calls so."""

    @classmethod
    def open(cls, folder: Path, work: Path, languages: Sequence[str]) -> "_Graph":
        named = {lang: _named_entities(folder / "names.parquet", work, lang) for lang in languages}
        link_names = pa.ipc.open_file(pa.memory_map(str(work / "link_names.arrow"))).read_all()
        disambiguations = pa.ipc.open_file(pa.memory_map(str(work / "disambiguations.arrow"))).read_all()
        titles = TitleIndex.open(folder / "titles.arrow")
        return cls(titles, named, link_names, disambiguations.column("id").to_numpy())

    def entities(self, rows: np.ndarray) -> pa.Array:
        """Return the entity at each row of the titles, null for row -1 and for titles without one."""
        values = np.full(len(rows), NO_ENTITY, dtype=np.int64)
        values[rows >= 0] = self.titles.entities[rows[rows >= 0]]
        return pa.array(values, mask=values == NO_ENTITY)


def _resolve(links: pa.StructArray, graph: _Graph, tally: Counter[str]) -> pa.StructArray:
    """Give each link its final target and its entity; count by reason those that have none."""
    targets, names = links.field("target"), links.field("name")
    distinct, codes = targets.dictionary, targets.indices
    rows = graph.titles.find(distinct)
    known = np.flatnonzero(rows >= 0)
    titles = graph.titles.title(rows[known]).cast(pa.string())
    final = pc.replace_with_mask(distinct, pa.array(rows >= 0), titles)
    is_page = np.zeros(len(distinct), dtype=bool)
    is_page[known] = graph.titles.is_page[rows[known]] > 0
    entities_of_targets = graph.entities(rows)

    entities = entities_of_targets.take(codes)
    by_name = pc.and_(entities.is_null(), names.is_valid())
    is_by_name, codes_ = by_name.to_numpy(zero_copy_only=False), codes.to_numpy()
    _count(entities_of_targets, is_page, np.bincount(codes_[~is_by_name], minlength=len(distinct)), graph, tally)
    if is_by_name.any():
        at = pc.index_in(names.filter(by_name), value_set=graph.link_names.column("name"))
        found = graph.link_names.column("entity").take(at).combine_chunks()
        entities = pc.replace_with_mask(entities, by_name, found)
        _count(found, is_page[codes_[is_by_name]], np.ones(len(found), dtype=np.int64), graph, tally)
        tally["links_by_name"] += len(found) - found.null_count
    columns = [links.field("start"), links.field("end"), final.take(codes), entities, names]
    return pa.StructArray.from_arrays(columns, fields=list(LINK))


def _with_disambiguations(raw: pa.RecordBatch, graph: _Graph) -> pa.Array:
    """Return the flags of the articles, with what page_props says besides the wikitext."""
    rows = np.flatnonzero(_is_in(raw.column("id").to_numpy(), graph.disambiguations))
    if not len(rows):
        return raw.column("flags")
    flags = raw.column("flags").to_pylist()
    for row in rows.tolist():
        flags[row] = sorted({*flags[row], "disambiguation"})
    return pa.array(flags, pa.list_(pa.string()))


def _count(entities: pa.Array, is_page: np.ndarray, num_links: np.ndarray, graph: _Graph, tally: Counter[str]) -> None:
    """Count links by what became of them; each target stands for `num_links`."""
    has_entity = entities.is_valid().to_numpy(zero_copy_only=False)
    values = entities.fill_null(NO_ENTITY).to_numpy()
    tally["links"] += int(num_links.sum())
    tally["links_with_entity"] += int(num_links[has_entity].sum())
    tally["entities_linked"] += len(np.unique(values[has_entity & (num_links > 0)]))
    tally["links_no_item"] += int(num_links[~has_entity & is_page].sum())
    tally["links_red_link"] += int(num_links[~has_entity & ~is_page].sum())
    for lang, named in graph.named.items():
        has_name = has_entity & _is_in(values, named)
        tally[f"links_named_{lang}"] += int(num_links[has_name].sum())
        tally[f"links_no_name_{lang}"] += int(num_links[has_entity & ~has_name].sum())


def _is_in(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Whether each value is in `ordered`, which is sorted and may be a mapped file."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    return ordered[np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)] == values


def _named_entities(names: Path, work: Path, lang: str) -> np.ndarray:
    """Return the sorted entities with a name in `lang`: a file in `work` that all workers map; the first writes it."""
    held = work / f"named-{lang}.npy"
    if not held.exists():
        filters = [("lang", "=", lang)]
        entities = pq.read_table(names, columns=["entity", "lang"], filters=filters).column("entity").to_numpy()
        with atomic(held) as path, path.open("wb") as file:
            np.save(file, np.unique(entities))
    return np.load(held, mmap_mode="r")
