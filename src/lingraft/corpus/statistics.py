"""What is in a corpus, in the figures that decide whether it can teach anything: text, links, names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

UNSPACED = frozenset("ja zh zh-classical zh-yue wuu gan th lo km my bo dz".split())
"""Languages written without spaces between words: their unit of length is the character."""

MOST_FREQUENT = 20


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
    links: Counter[int] = Counter()
    for part in sorted((corpus / "articles").glob("part-*.parquet")):
        for group in pq.ParquetFile(part).iter_batches(columns=["links.list.element.entity"]):
            entities = group.column("links").flatten().field("entity").drop_null().to_numpy()
            links.update(
                dict(zip(*(column.tolist() for column in np.unique(entities, return_counts=True)), strict=True))
            )
    table = pq.read_table(corpus / "names.parquet")
    frequent = {}
    for lang in languages:
        named = table.filter(pc.equal(table.column("lang"), lang))
        entities, names = named.column("entity").to_pylist(), named.column("name").to_pylist()
        ranked = sorted(zip(entities, names, strict=True), key=lambda pair: (-links[pair[0]], pair[0]))
        frequent[lang] = [
            {"name": name, "entity": f"Q{entity}" if entity > 0 else "title pair", "links": links[entity]}
            for entity, name in ranked[:MOST_FREQUENT]
            if links[entity]
        ]
    return frequent
