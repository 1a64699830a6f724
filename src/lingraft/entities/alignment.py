"""Sources of alignment, read once: which title of a wiki is which entity, and what the entity is called elsewhere.

Sources are taken in the order given, Wikidata before title pairs; where two disagree the first wins and the
disagreement is counted. A title pair without a known QID makes an entity of its own (a negative id), so that every
source feeds one graph.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lingraft.entities.names import NAMES_SCHEMA, entity_of_pivot, name_from_title
from lingraft.entities.titles import normalise
from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Problem
from lingraft.wikimedia.siteinfo import Site, site
from lingraft.wikimedia.title_pairs import pairs
from lingraft.wikimedia.wikidata import sitelinks

ALIGNED_SCHEMA = pa.schema([("title", pa.large_string()), ("entity", pa.int64())])


@dataclass
class Alignment:
    """`aligned` (title, entity): claims in order of priority. `names`: NAMES_SCHEMA, one row an entity and language."""

    aligned: pa.Table
    names: pa.Table


def wiki_id(lang: str) -> str:
    """Return the database name of a Wikipedia: "zh-min-nan" -> "zh_min_nanwiki", "nb" -> "nowiki"."""
    return site(lang).lang.replace("-", "_") + "wiki"


def gather(
    wiki: Site,
    own_wiki: str,
    name_languages: Sequence[str],
    wikidata: Sequence[Path],
    title_pairs: Sequence[Path],
    tally: Counter[str],
    problems: list[Problem],
    *,
    strict: bool = False,
    on_file: Callable[[Path], None] = lambda path: None,
) -> Alignment:
    """Read Wikidata dumps and files of title pairs (own title, title in the first name language).

    `own_wiki` is the database name whose sitelinks are this wiki's titles. Memory grows with the titles of this wiki,
    not with the dumps. Damaged files add to `problems`, or raise LingraftError when `strict`.
    """
    rows = _Rows()
    pivot_lang = name_languages[0] if name_languages else None
    pivot_site = site(pivot_lang) if pivot_lang else None
    pivot_wiki = wiki_id(pivot_site.lang) if pivot_site and title_pairs else None
    pivot_entities: dict[str, int] = {}
    found: Counter[str] = Counter()
    name_sites = {wiki_id(site(lang).lang): lang for lang in name_languages}
    for path in wikidata:
        for entity, titles in sitelinks(path, {own_wiki, *name_sites}, found, problems, strict=strict):
            if pivot_wiki in titles:
                pivot_entities.setdefault(titles[pivot_wiki], entity)
            own_title = normalise(titles.get(own_wiki, ""), wiki)
            if own_title:
                rows.align(own_title, entity)
                for name_site, lang in name_sites.items():
                    if name_site in titles:
                        rows.name(entity, lang, titles[name_site], "sitelink", tally)
        on_file(path)
    tally.update({f"wikidata_{reason}": count for reason, count in found.items()})
    found.clear()
    if title_pairs and pivot_site is None:
        raise LingraftError("title pairs, but no language of names", cure="Say in which language: names: [en].")
    for path in title_pairs:
        for own, pivot in pairs(path, found, problems, strict=strict):
            own_title, pivot_title = normalise(own, wiki), normalise(pivot, pivot_site)
            if not own_title or not pivot_title:
                found["invalid_title"] += 1
                continue
            entity = pivot_entities.get(pivot_title)
            found["with_qid" if entity else "without_qid"] += 1
            entity = entity or entity_of_pivot(pivot_title)
            rows.align(own_title, entity)
            rows.name(entity, pivot_lang, pivot_title, "title_pair", tally)
        on_file(path)
    tally.update({f"title_pairs_{reason}": count for reason, count in found.items()})
    return rows.finish(tally)


class _Rows:
    """The tables while they grow: the first claim on a title and the first name in a language are kept."""

    def __init__(self) -> None:
        self.entity_of: dict[str, int] = {}
        self.name_of: dict[tuple[int, str], tuple[str, str]] = {}
        self.conflicts = 0
        self.name_conflicts = 0

    def align(self, title: str, entity: int) -> None:
        if self.entity_of.setdefault(title, entity) != entity:
            self.conflicts += 1

    def name(self, entity: int, lang: str, title: str, source: str, tally: Counter[str]) -> None:
        held = self.name_of.get((entity, lang))
        if held is None:
            name = name_from_title(title, lang, tally)
            if name is not None:
                self.name_of[entity, lang] = (name, source)
        elif held[0] != name_from_title(title, lang, Counter()):
            self.name_conflicts += 1

    def finish(self, tally: Counter[str]) -> Alignment:
        tally["titles_aligned"] = len(self.entity_of)
        tally["title_conflicts"] = self.conflicts
        tally["name_conflicts"] = self.name_conflicts
        aligned = pa.table([list(self.entity_of), list(self.entity_of.values())], schema=ALIGNED_SCHEMA)
        names = sorted((entity, lang, name, source) for (entity, lang), (name, source) in self.name_of.items())
        columns = zip(*names, strict=True) if names else [[], [], [], []]
        return Alignment(aligned, pa.table([pa.array(column) for column in columns], schema=NAMES_SCHEMA))
