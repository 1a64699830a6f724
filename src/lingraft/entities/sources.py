"""Sources of alignment, each read once into columns: claims about titles of this wiki, and titles in other languages.

| source | read from | says |
|---|---|---|
| `page_props` | `{wiki}-page_props.sql.gz` | page id -> QID; which pages are disambiguations |
| `wikidata` | Wikidata's entity JSON | title -> QID, QID -> titles, labels and aliases |
| `wb_items_per_site` | `wikidatawiki-wb_items_per_site.sql.gz` | title -> QID, QID -> titles |
| `langlinks` | `{wiki}-langlinks.sql.gz` | page id -> titles in other languages |
| `titles` | TSV | title -> title in the first name language |
| `interlanguage` | `[[en:Tea]]` in the wikitext | title -> titles in other languages |

`{wiki}-redirect.sql.gz` adds redirects that the dump lacks, `{wiki}-page.sql.gz` the titles of page ids that it lacks.
Which claim wins is settled in `alignment`.

Memory: a row costs its title's bytes and about 20 more. Of Wikidata's JSON only items are kept that have a page here,
or whose QID or title another source has named by then; of wb_items_per_site, whose rows of one item stand far apart,
all titles in the name languages.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.entities.names import NAME_SOURCES
from lingraft.entities.pages import Pages
from lingraft.entities.titles import normalise, title_hashes
from lingraft.errors import LingraftError
from lingraft.wikimedia import sql
from lingraft.wikimedia.compressed import Problem
from lingraft.wikimedia.siteinfo import Site, dbname_language, languages, site
from lingraft.wikimedia.title_pairs import pairs
from lingraft.wikimedia.wikidata import Item, items
from lingraft.wikimedia.wikis import database_name

SOURCES = ("page_props", "wikidata", "wb_items_per_site", "langlinks", "titles", "interlanguage", "template")
"""Every source, in its default order of priority: the wiki's own word, Wikidata's, other wikis', templates' last."""

SEEN = pa.schema([("id", pa.int64()), ("title", pa.large_string()), ("redirect", pa.large_string())])
INTERLANGUAGE = pa.schema([("title", pa.large_string()), ("lang", pa.string()), ("other", pa.large_string())])

_TABLES: Mapping[str, Mapping[str, type]] = {
    "page": {"page_id": int, "page_namespace": int, "page_title": str},
    "redirect": {"rd_from": int, "rd_namespace": int, "rd_title": str, "rd_interwiki": str},
    "page_props": {"pp_page": int, "pp_propname": str, "pp_value": str},
    "langlinks": {"ll_from": int, "ll_lang": str, "ll_title": str},
    "wb_items_per_site": {"ips_item_id": int, "ips_site_id": str, "ips_site_page": str},
}
"""The SQL tables that are used, in the order in which they are read, with the columns needed."""

_QID = re.compile(r"[Qq](\d{1,18})")
_BATCH = 1 << 14
_FEW_PAGES = 0.05
_MANY_ROWS = 20


@dataclass(frozen=True)
class Sources:
    """What to read."""

    wikidata: Sequence[Path] = ()
    sql: Sequence[Path] = ()
    titles: Sequence[Path] = ()
    interlanguage: Sequence[pa.RecordBatch] = ()
    """INTERLANGUAGE: what the first pass found in the wikitext."""

    link_names: Sequence[str] = ()
    """Names that links of the wiki carry, "en:Tokyo Tower"."""

    languages: Sequence[str] = ()
    """Languages of names; title pairs are in the first."""

    name_sources: Sequence[str] = NAME_SOURCES[:-1]
    """Kinds of names that are kept, best first."""

    priority: Sequence[str] = SOURCES
    """All sources, best first."""

    partial: bool = False
    """Whether the dump was read in part only, so that most ids of SQL dumps are unknown."""


class Columns:
    """Rows that grow batch by batch."""

    def __init__(self, **types: pa.DataType):
        self.schema = pa.schema(list(types.items()))
        self.batches: list[pa.RecordBatch] = []

    def add(self, *columns: Any) -> None:
        """Add rows; a column that is one number stands for all of them."""
        size = next(len(column) for column in columns if not isinstance(column, int))
        arrays = [
            pa.repeat(pa.scalar(column, kind), size) if isinstance(column, int) else _array(column, kind)
            for column, kind in zip(columns, self.schema.types, strict=True)
        ]
        self.batches.append(pa.record_batch(arrays, schema=self.schema))

    def table(self) -> pa.Table:
        """Return all rows, and forget them here."""
        table = pa.Table.from_batches(self.batches, self.schema)
        self.batches = []
        return table


def _array(column: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(kind) if isinstance(column, pa.Array) else pa.array(column, kind)


@dataclass
class Claims:
    """What the sources say. `source` is the place of the source in the order of priority, 0 the best."""

    entities: Columns = field(
        default_factory=lambda: Columns(title=pa.large_string(), entity=pa.int64(), source=pa.int8())
    )
    translations: Columns = field(
        default_factory=lambda: Columns(
            title=pa.large_string(), lang=pa.int8(), other=pa.large_string(), kind=pa.int8(), source=pa.int8()
        )
    )
    """`lang`: place of the language in `Sources.languages`; `kind`: place in NAME_SOURCES."""

    names: Columns = field(
        default_factory=lambda: Columns(
            entity=pa.int64(), lang=pa.int8(), name=pa.large_string(), kind=pa.int8(), source=pa.int8()
        )
    )
    redirects: list[pa.RecordBatch] = field(default_factory=list)
    """SEEN: redirects that the dump lacks."""

    disambiguations: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Ids of pages, sorted."""


def check(sources: Sources, own_wiki: str) -> None:
    """Read the beginning of each file; raise LingraftError for one that is not what it should be."""
    for path in sources.wikidata:
        next(items(path, Counter(), sites=()), None)
    for path in sources.titles:
        next(pairs(path, Counter()), None)
    for path in sources.sql:
        table = sql.read_table(path)
        if table.name not in _TABLES:
            raise LingraftError(
                f"{path} holds table `{table.name}`, which is no source of alignment",
                f"Tables that are: {', '.join(_TABLES)}.",
                "Check that the file is the right one.",
            )
        sql.require(path, table, _TABLES[table.name])
        expected = "wikidatawiki" if table.name == "wb_items_per_site" else own_wiki
        known = table.database == "wikidatawiki" or (table.database and dbname_language(table.database))
        if known and table.database != expected:
            raise LingraftError(
                f"{path} is a dump of {table.database}, not of {expected}",
                "Page ids of one wiki mean other pages in another.",
                f"Give {expected}-...-{table.name}.sql.gz.",
            )


def read(
    wiki: Site,
    own_wiki: str,
    sources: Sources,
    seen: Sequence[pa.RecordBatch],
    tally: Counter[str],
    problems: list[Problem],
    *,
    strict: bool = False,
    on_file: Callable[[Path], None] = lambda path: None,
) -> Claims:
    """Read all sources of the wiki whose database is named `own_wiki` and whose pages are `seen` (SEEN).

    Damaged files add to `problems`, or raise LingraftError when `strict`. What was counted is in `tally`, with the
    source before it.
    """
    reader = _Reader(wiki, own_wiki, sources, seen, tally, problems, strict)
    tables = {path: sql.read_table(path).name for path in sources.sql}
    for table in _TABLES:
        for path in (path for path in sources.sql if tables[path] == table):
            getattr(reader, table)(path)
            on_file(path)
    for path in sources.titles:
        reader.title_pairs(path)
        on_file(path)
    reader.interlanguage()
    for path in sources.wikidata:
        reader.wikidata(path)
        on_file(path)
    return reader.claims


class _Reader:
    """Reads the sources of one wiki, one method a kind of file."""

    def __init__(
        self,
        wiki: Site,
        own_wiki: str,
        sources: Sources,
        seen: Sequence[pa.RecordBatch],
        tally: Counter[str],
        problems: list[Problem],
        strict: bool,
    ):
        self.wiki, self.own_wiki, self.sources = wiki, own_wiki, sources
        self.tally, self.problems, self.strict = tally, problems, strict
        self.pages = Pages(seen)
        self.claims = Claims()
        self.rank = {name: sources.priority.index(name) for name in SOURCES}
        self.sites = [site(lang) for lang in sources.languages]
        self.lang_of_site = {database_name(known.lang): index for index, known in enumerate(self.sites)}

    def _rows(self, path: Path, table: str, **where: Sequence[str]) -> Iterator[pa.Table]:
        found: Counter[str] = Counter()
        needed = [column for column in _TABLES[table] if column != "rd_interwiki"]  # the one that may be NULL
        try:
            for batch in sql.rows(path, _TABLES[table], found, self.problems, where=where, strict=self.strict):
                if any(batch.column(column).null_count for column in needed):
                    whole = reduce(pc.and_, (batch.column(column).is_valid() for column in needed))
                    found["malformed_row"] += len(batch) - (pc.sum(whole).as_py() or 0)
                    batch = batch.filter(whole)
                yield batch
        finally:
            self.tally.update({f"{table}_{reason}": count for reason, count in found.items()})

    def page(self, path: Path) -> None:
        """Titles of page ids that the dump lacks."""
        for batch in self._rows(path, "page"):
            batch = batch.filter(pc.equal(batch.column("page_namespace"), 0))
            titles = pa.array(
                [normalise(title, self.wiki) for title in batch.column("page_title").to_pylist()], pa.large_string()
            )
            self.tally["page_titles"] += len(batch)
            self.pages.add(batch.column("page_id").to_numpy(), titles)

    def redirect(self, path: Path) -> None:
        """Redirects of pages that are in table `page` and not in the dump."""
        asked = matched = 0
        for batch in self._rows(path, "redirect"):
            is_article = pc.and_(
                pc.equal(batch.column("rd_namespace"), 0),
                pc.equal(pc.fill_null(batch.column("rd_interwiki"), ""), ""),
            )
            self.tally["redirect_other_namespace"] += len(batch) - (pc.sum(is_article).as_py() or 0)
            batch = batch.filter(is_article)
            ids = batch.column("rd_from").to_numpy()
            in_dump = self.pages.in_dump(ids)
            is_known, titles = self.pages.find(ids)
            asked, matched = asked + len(ids), matched + int(is_known.sum())
            self.tally["redirect_in_dump"] += int(in_dump.sum())
            self.tally["redirect_no_page"] += int((~is_known).sum())
            targets = [
                normalise(title, self.wiki)
                for title in batch.column("rd_title").filter(pa.array(is_known & ~in_dump)).to_pylist()
            ]
            titles = titles.filter(pa.array(~in_dump[is_known]))
            added = pa.record_batch([pa.nulls(len(targets), pa.int64()), titles, pa.array(targets)], schema=SEEN)
            self.tally["redirect_added"] += len(added)
            self.claims.redirects.append(added)
        self._doubt(path, asked, matched)

    def page_props(self, path: Path) -> None:
        """QIDs and disambiguations by page id."""
        asked = matched = 0
        disambiguations = [self.claims.disambiguations]
        for batch in self._rows(path, "page_props", pp_propname=("wikibase_item", "disambiguation")):
            is_item = pc.equal(batch.column("pp_propname"), "wikibase_item")
            disambiguations.append(batch.filter(pc.invert(is_item)).column("pp_page").to_numpy())
            batch = batch.filter(is_item)
            entities = np.array([_qid(value) for value in batch.column("pp_value").to_pylist()], np.int64)
            is_known, titles = self.pages.find(batch.column("pp_page").to_numpy())
            asked, matched = asked + len(batch), matched + len(titles)
            self.tally["page_props_items"] += len(titles)
            self.tally["page_props_no_page"] += len(batch) - len(titles)
            self.tally["page_props_bad_item"] += int((entities == 0).sum())
            is_item = entities[is_known] > 0
            self.claims.entities.add(
                titles.filter(pa.array(is_item)), entities[is_known][is_item], self.rank["page_props"]
            )
        self.claims.disambiguations = np.unique(np.concatenate(disambiguations))
        self.tally["page_props_disambiguation"] = len(self.claims.disambiguations)
        self._doubt(path, asked, matched)

    def langlinks(self, path: Path) -> None:
        """Titles in the name languages by page id."""
        codes = {code: index for index, known in enumerate(self.sites) for code in _spellings(known.lang)}
        asked = matched = 0
        for batch in self._rows(path, "langlinks", ll_lang=tuple(codes)):
            is_known, titles = self.pages.find(batch.column("ll_from").to_numpy())
            asked, matched = asked + len(batch), matched + len(titles)
            self.tally["langlinks_no_page"] += len(batch) - len(titles)
            batch = batch.filter(pa.array(is_known))
            langs = [codes[code] for code in batch.column("ll_lang").to_pylist()]
            self._translate(titles, langs, batch.column("ll_title").to_pylist(), "langlink", "langlinks")
        self._doubt(path, asked, matched)

    def wb_items_per_site(self, path: Path) -> None:
        """Titles of items, here and in the name languages."""
        rank = self.rank["wb_items_per_site"]
        wanted = tuple(dict.fromkeys([self.own_wiki, *self.lang_of_site]))
        for batch in self._rows(path, "wb_items_per_site", ips_site_id=wanted):
            own = batch.filter(pc.equal(batch.column("ips_site_id"), self.own_wiki))
            self._align(own.column("ips_site_page").to_pylist(), own.column("ips_item_id").to_pylist(), rank)
            self.tally["wb_items_per_site_items"] += len(own)
            for dbname, lang in self.lang_of_site.items():
                named = batch.filter(pc.equal(batch.column("ips_site_id"), dbname))
                entities, titles = named.column("ips_item_id"), named.column("ips_site_page")
                self.claims.names.add(entities, lang, titles, NAME_SOURCES.index("sitelink"), rank)

    def title_pairs(self, path: Path) -> None:
        """Pairs of titles, the second in the first name language."""
        if not self.sites:
            raise LingraftError("title pairs, but no language of names", cure="Say in which language: names: [en].")
        found: Counter[str] = Counter()
        for batch in _batches(pairs(path, found, self.problems, strict=self.strict)):
            titles = pa.array([normalise(title, self.wiki) for title, _ in batch], pa.large_string())
            others = [other for _, other in batch]
            self._translate(titles, [0] * len(batch), others, "title_pair", "titles", found)
        self.tally.update({f"title_pairs_{reason}": count for reason, count in found.items()})

    def interlanguage(self) -> None:
        """Interlanguage lines that the first pass found in the wikitext."""
        for batch in self.sources.interlanguage:
            self.tally["interlanguage_links"] += len(batch)
            langs = [self.sources.languages.index(lang) for lang in batch.column("lang").to_pylist()]
            titles, others = batch.column("title"), batch.column("other").to_pylist()
            self._translate(titles, langs, others, "langlink", "interlanguage")

    def wikidata(self, path: Path) -> None:
        """Sitelinks, labels and aliases of items."""
        found: Counter[str] = Counter()
        names = _ItemNames(self.sources, self.lang_of_site)
        known = np.unique(
            np.concatenate(
                [np.zeros(0, np.int64), *(batch.column("entity").to_numpy() for batch in self.claims.entities.batches)]
            )
        )

        def is_known(item: Item) -> bool:
            at = int(known.searchsorted(item.id))
            return at < len(known) and known[at] == item.id

        read = items(
            path,
            found,
            self.problems,
            sites={self.own_wiki, *self.lang_of_site},
            languages=names.languages,
            labels_if=lambda item: names.lacks(item) and (self.own_wiki in item.sitelinks or is_known(item)),
            strict=self.strict,
        )
        for batch in _batches(read):
            own = [(item.sitelinks[self.own_wiki], item.id) for item in batch if self.own_wiki in item.sitelinks]
            self._align([title for title, _ in own], [entity for _, entity in own], self.rank["wikidata"])
            rows = [(item.id, *name) for item in batch for name in names.of(item)]
            if not rows:
                continue
            entities, langs, texts, kinds = zip(*rows, strict=True)
            entities, langs = np.array(entities, np.int64), np.array(langs, np.int8)
            is_wanted = np.isin(entities, [entity for _, entity in own]) | np.isin(entities, known)
            if len(self._wanted):
                others = np.flatnonzero(~is_wanted)
                hashes = title_hashes([f"{langs[row]}:{texts[row]}" for row in others.tolist()])
                is_wanted |= np.isin(entities, entities[others][np.isin(hashes, self._wanted)])
            kept = pa.array(is_wanted)
            columns = [pa.array(entities), pa.array(langs), pa.array(texts, pa.large_string()), pa.array(kinds)]
            self.claims.names.add(*(column.filter(kept) for column in columns), self.rank["wikidata"])
        self.tally.update({f"wikidata_{reason}": count for reason, count in found.items()})

    @cached_property
    def _wanted(self) -> np.ndarray:
        """Hashes of the titles in other languages that some source named, "0:Athens"."""
        hashes = [np.zeros(0, np.uint64)]
        for batch in self.claims.translations.batches:
            lang, other = batch.column("lang").cast(pa.large_string()), batch.column("other")
            hashes.append(title_hashes(pc.binary_join_element_wise(lang, other, pa.scalar(":", pa.large_string()))))
        hashes.append(title_hashes([f"{lang}:{title}" for lang, title in self.link_names()]))
        return np.unique(np.concatenate(hashes))

    def link_names(self) -> Iterator[tuple[int, str]]:
        """Yield the names of links that are in a name language, as (language, title)."""
        return (found for name in self.sources.link_names if (found := split_name(name, self.sites)))

    def _align(self, titles: Sequence[str], entities: Sequence[int], rank: int) -> None:
        titles = [normalise(title, self.wiki) for title in titles]
        held = [(title, entity) for title, entity in zip(titles, entities, strict=True) if title and entity > 0]
        if held:
            self.claims.entities.add(*zip(*held, strict=True), rank)

    def _translate(
        self,
        titles: pa.Array,
        langs: Sequence[int],
        others: Sequence[str | None],
        kind: str,
        source: str,
        counts: Counter[str] | None = None,
    ) -> None:
        """Take (normal) titles of this wiki with their titles in other languages, as they were written."""
        normal = [normalise(other or "", self.sites[lang]) for other, lang in zip(others, langs, strict=True)]
        others, langs = pa.array(normal, pa.large_string()), pa.array(langs, pa.int8())
        valid = pc.and_(pc.not_equal(others, ""), pc.not_equal(titles, ""))
        others, langs, titles = others.filter(valid), langs.filter(valid), titles.filter(valid)
        invalid = "invalid_title" if counts is not None else f"{source}_invalid_title"
        (self.tally if counts is None else counts)[invalid] += len(normal) - len(titles)
        self.claims.translations.add(titles, langs, others, NAME_SOURCES.index(kind), self.rank[source])

    def _doubt(self, path: Path, asked: int, matched: int) -> None:
        """Warn when hardly any page id of an SQL dump is a page of the dump."""
        if asked < _MANY_ROWS or matched >= _FEW_PAGES * asked or self.sources.partial:
            return
        message = (
            f"{path.name}: only {matched:,} of its {asked:,} page ids ({matched / asked:.1%}) are articles of the dump."
            " Is it of the same wiki and date?"
        )
        self.problems.append(Problem("other_wiki", path.name, message))


class _ItemNames:
    """Which names of an item are wanted."""

    def __init__(self, sources: Sources, lang_of_site: Mapping[str, int]):
        self.lang_of_site = lang_of_site
        self.wants = {kind: kind in sources.name_sources for kind in NAME_SOURCES}
        codes = [_spellings(site(lang).lang, first=lang) for lang in sources.languages]
        self.codes = codes if self.wants["label"] or self.wants["alias"] else []
        self.languages = tuple(code for spelled in self.codes for code in spelled)

    def lacks(self, item: Item) -> bool:
        """Whether an item's labels or aliases are needed, given its sitelinks."""
        return self.wants["alias"] or any(wiki not in item.sitelinks for wiki in self.lang_of_site)

    def of(self, item: Item) -> Iterator[tuple[int, str, int]]:
        """Yield (language, name, kind). Titles are told also where they are no names: they lead to the item."""
        for wiki, lang in self.lang_of_site.items():
            if wiki in item.sitelinks:
                yield lang, item.sitelinks[wiki], NAME_SOURCES.index("sitelink")
        for lang, codes in enumerate(self.codes):
            label = next((item.labels[code] for code in codes if code in item.labels), "").strip()
            if label and self.wants["label"]:
                yield lang, label, NAME_SOURCES.index("label")
            if self.wants["alias"]:
                for alias in next((item.aliases[code] for code in codes if code in item.aliases), ()):
                    if alias.strip():
                        yield lang, alias.strip(), NAME_SOURCES.index("alias")


def split_name(name: str, sites: Sequence[Site]) -> tuple[int, str] | None:
    """Return "en:tokyo_Tower" as (place of the language, "Tokyo Tower"); None where it is in another language."""
    code, _, title = name.partition(":")
    for lang, known in enumerate(sites):
        if code.strip().lower() in _spellings(known.lang) and (normal := normalise(title, known)):
            return lang, normal
    return None


@cache
def _spellings(lang: str, first: str | None = None) -> tuple[str, ...]:
    """Return every code of a wiki's language, "no" and "nb"; `first` before the others, else the wiki's own."""
    synonyms = sorted(code for code in languages() if site(code).lang == lang)
    return tuple(dict.fromkeys([first or lang, lang, *synonyms]))


def _qid(value: str | None) -> int:
    found = _QID.fullmatch(value or "")
    return int(found[1]) if found else 0


def _batches(values: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield the values, _BATCH at a time."""
    batch = []
    for value in values:
        batch.append(value)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
