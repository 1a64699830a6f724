"""Second pass of a build: links to entities, over what the first pass wrote: redirects are known only at its end."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lingraft.corpus.schema import ARTICLE, LINK, part_name, write_articles
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
        titles = TitleIndex.open(self.folder / "titles.arrow")
        named = {lang: _named_entities(self.folder / "names.parquet", lang) for lang in self.names}
        tally: Counter[str] = Counter()
        with pa.memory_map(str(self.work / f"articles-{index:05d}.arrow")) as source:
            raw = pa.ipc.open_file(source).read_all()
            if index in self.keep:
                raw = raw.slice(0, self.keep[index])
            articles = self._articles(raw.combine_chunks(), titles, named, tally) if len(raw) else ARTICLE.empty_table()
            with atomic(self.folder / part_name(index)) as path:
                write_articles(path, articles)
        return dict(tally)

    def _articles(
        self, raw: pa.Table, titles: TitleIndex, named: dict[str, np.ndarray], tally: Counter[str]
    ) -> pa.Table:
        links = raw.column("links").combine_chunks()
        flat = links.flatten()
        resolved = _resolve(flat, titles, named, tally)
        offsets = pc.subtract(links.offsets, links.offsets[0])
        own = titles.find(raw.column("title").to_pylist())
        own_entities = _entities(titles, own)
        tally["articles"] += len(raw)
        tally["articles_with_entity"] += len(raw) - own_entities.null_count
        lengths = pc.list_value_length(links)
        tally["articles_without_links"] += pc.sum(pc.equal(lengths, 0)).as_py() or 0
        for unit in ("words", "characters"):
            tally[unit] += pc.sum(raw.column(unit)).as_py()
        return pa.table(
            {
                "id": raw.column("id"),
                "revision": raw.column("revision"),
                "title": raw.column("title"),
                "lang": pa.repeat(pa.scalar(self.lang), len(raw)),
                "entity": own_entities,
                "text": raw.column("text"),
                "sections": raw.column("sections"),
                "links": pa.ListArray.from_arrays(offsets, resolved),
                "flags": pa.array([[]] * len(raw), pa.list_(pa.string())),
            }
        )


def _resolve(
    flat: pa.StructArray, titles: TitleIndex, named: dict[str, np.ndarray], tally: Counter[str]
) -> pa.StructArray:
    """Give each link its final target and its entity; count by reason those that have none."""
    targets = flat.field("target").dictionary_encode()
    distinct, codes = targets.dictionary, targets.indices.to_numpy(zero_copy_only=False)
    rows = titles.find(distinct.to_pylist())
    known = rows >= 0
    final = pc.if_else(pa.array(known), titles.title(np.maximum(rows, 0)).cast(pa.string()), distinct)
    entities = _entities(titles, rows)
    counts = np.bincount(codes, minlength=len(distinct))
    has_entity = entities.is_valid().to_numpy(zero_copy_only=False)
    is_page = known & (titles.is_page[np.maximum(rows, 0)] > 0)
    tally["links"] += len(flat)
    tally["links_with_entity"] += int(counts[has_entity].sum())
    tally["targets_with_entity"] += int(has_entity.sum())
    tally["links_no_item"] += int(counts[~has_entity & is_page].sum())
    tally["links_red_link"] += int(counts[~has_entity & ~is_page].sum())
    values = entities.fill_null(NO_ENTITY).to_numpy()
    for lang, entities_named in named.items():
        has_name = has_entity & np.isin(values, entities_named)
        tally[f"links_named_{lang}"] += int(counts[has_name].sum())
        tally[f"links_no_name_{lang}"] += int(counts[has_entity & ~has_name].sum())
    index = pa.array(codes)
    columns = [
        flat.field("start"),
        flat.field("end"),
        final.take(index),
        entities.take(index),
        pa.nulls(len(flat), pa.string()),
    ]
    return pa.StructArray.from_arrays(columns, fields=list(LINK))


def _entities(titles: TitleIndex, rows: np.ndarray) -> pa.Array:
    """Return the entity at each row, null for row -1 and for titles without one."""
    values = np.where(rows >= 0, titles.entities[np.maximum(rows, 0)], NO_ENTITY)
    return pa.array(values, mask=values == NO_ENTITY)


def _named_entities(names: Path, lang: str) -> np.ndarray:
    table = pq.read_table(names, columns=["entity", "lang"], filters=[("lang", "=", lang)], memory_map=True)
    return table.column("entity").to_numpy()
