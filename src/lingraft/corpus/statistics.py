"""What is in a corpus, in the figures that decide whether it can teach anything: text, links, names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

UNSPACED = frozenset("ja zh zh-classical zh-yue wuu gan th lo km my bo dz".split())
"""Languages written without spaces between words: their unit of length is the character."""

MOST_FREQUENT = 20

_COUNTED_AT_ONCE = 1 << 21
"""Links that are held while they are counted."""


@dataclass(frozen=True)
class Statistics:
    """Figures of one corpus. `unit` is "words" (separated by white space) or "characters" where these do not exist."""

    lang: str
    articles: int
    unit: str
    units: int
    links: int
    links_with_entity: int
    articles_without_links: int
    named: dict[str, int]
    frequent_names: dict[str, list[dict[str, Any]]]

    def rows(self) -> list[dict[str, Any]]:
        """Return the figures as rows of (figure, value)."""
        rows = [
            ("articles", self.articles),
            (self.unit, self.units),
            (f"{self.unit} an article", round(self.units / self.articles, 1)),
            ("links", self.links),
            (f"links a hundred {self.unit}", self._per_hundred(self.links)),
            ("share of links with an entity", round(self.links_with_entity / max(1, self.links), 4)),
            ("share of articles without links", round(self.articles_without_links / self.articles, 4)),
        ]
        for lang, count in self.named.items():
            rows.append((f"links with a name in {lang}", count))
            rows.append((f"share of links with a name in {lang}", round(count / max(1, self.links), 4)))
            rows.append((f"links with a name in {lang} a hundred {self.unit}", self._per_hundred(count)))
        return [{"figure": figure, "value": value} for figure, value in rows]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as one JSON object."""
        return {row["figure"]: row["value"] for row in self.rows()} | {"most frequent names": self.frequent_names}

    def _per_hundred(self, count: int) -> float:
        return round(100 * count / max(1, self.units), 2)


def describe(corpus: Path, counters: Mapping[str, int], lang: str, names: Sequence[str]) -> Statistics:
    """Return the statistics of a corpus from its counters, and its most frequent names from its links."""
    unit = "characters" if lang in UNSPACED else "words"
    return Statistics(
        lang=lang,
        articles=counters["articles"],
        unit=unit,
        units=counters[unit],
        links=counters["links"],
        links_with_entity=counters["links_with_entity"],
        articles_without_links=counters["articles_without_links"],
        named={name_lang: counters[f"links_named_{name_lang}"] for name_lang in names},
        frequent_names=_frequent_names(corpus, names),
    )


def _frequent_names(corpus: Path, languages: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    linked, num_links = _links_of_entities(corpus)
    best: dict[str, list[tuple[int, int, str]]] = {lang: [] for lang in languages}
    for batch in pq.ParquetFile(corpus / "names.parquet").iter_batches(columns=["entity", "lang", "name", "source"]):
        batch = batch.filter(pc.not_equal(batch.column("source"), "alias"))
        at = np.searchsorted(linked, batch.column("entity").to_numpy())
        is_linked = np.append(linked, 0)[at] == batch.column("entity").to_numpy()
        counts = np.where(is_linked, np.append(num_links, 0)[at], 0)
        for lang in languages:
            rows = np.flatnonzero(pc.equal(batch.column("lang"), lang).to_numpy(zero_copy_only=False) & (counts > 0))
            rows = rows[np.argsort(-counts[rows], kind="stable")[:MOST_FREQUENT]]
            entities, names = (batch.column(name).take(pa.array(rows)).to_pylist() for name in ("entity", "name"))
            best[lang] += zip((-counts[rows]).tolist(), entities, names, strict=True)
            best[lang] = sorted(best[lang])[:MOST_FREQUENT]
    return {
        lang: [
            {"name": name, "entity": f"Q{entity}" if entity > 0 else "title pair", "links": -count}
            for count, entity, name in ranked
        ]
        for lang, ranked in best.items()
    }


def _links_of_entities(corpus: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the linked entities, sorted, and the links to each; only that one column is read."""
    entities = counts = np.zeros(0, dtype=np.int64)
    found: list[np.ndarray] = []
    for part in sorted((corpus / "articles").glob("part-*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(columns=["links.list.element.entity"]):
            found.append(batch.column("links").flatten().field("entity").drop_null().to_numpy())
        if sum(map(len, found)) > _COUNTED_AT_ONCE:
            entities, counts = _added(entities, counts, np.concatenate(found))
            found = []
    return _added(entities, counts, np.concatenate(found)) if found else (entities, counts)


def _added(entities: np.ndarray, counts: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add one to the count of each entity in `more`."""
    new, num_new = np.unique(more, return_counts=True)
    union, where = np.unique(np.concatenate([entities, new]), return_inverse=True)
    total = np.zeros(len(union), dtype=np.int64)
    np.add.at(total, where, np.concatenate([counts, num_new]))
    return union, total
