"""Which title of a wiki is which entity, and what entities are called elsewhere: many sources made into one graph.

Sources are read by `sources`. What they claim is settled here, by the order of priority, then by the order of the
files; never by the order of workers:

1. A title in another language leads to the QID that Wikidata (JSON or SQL) gives it; so langlinks, title pairs and
   interlanguage lines claim a QID too, wherever it is known.
2. Of all claims on a title of this wiki the first wins. Those that differ are conflicts, counted and listed. What a
   source that lost said about the title's names is left out with it.
3. A title that no QID is known for, but a title in another language, is an entity of its own: a negative id, the hash
   of its title in the first name language that has one.
4. Names are chosen for each entity and language: by kind (`name_sources`), then by source.

Links whose template gives a name in another language (links.name, "en:Tokyo Tower") are settled here as well:
`Alignment.link_names` holds each such name with the entity of that title, by any source that knows it, else the
negative id that rule 3 would give. corpus/building.py writes it to `work/link_names.arrow` (name, entity), where
corpus/resolve.py looks up the names of links without a local entity.

Memory: columns, settled a part at a time: 5.4 times the text (257 MB) of 5 million titles with a name each,
benchmarks/sources.py.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.entities.names import NAME_SOURCES, NAMES_SCHEMA, TITLE_KINDS, entity_of_pivot, names_from_titles
from lingraft.entities.sources import Claims, Sources, read, split_name
from lingraft.entities.titles import title_hashes
from lingraft.wikimedia.compressed import Problem
from lingraft.wikimedia.siteinfo import Site, site

ALIGNED_SCHEMA = pa.schema([("title", pa.large_string()), ("entity", pa.int64())])
LINK_NAMES_SCHEMA = pa.schema([("name", pa.string()), ("entity", pa.int64())])

_AT_ONCE = 1 << 18
"""Rows that are settled at a time."""

LISTED = 200
"""Conflicts about titles that are listed, and about names; all are counted."""

_TITLES = [NAME_SOURCES.index(kind) for kind in TITLE_KINDS]
_SITELINK, _TEMPLATE, _ALIAS = (NAME_SOURCES.index(kind) for kind in ("sitelink", "template", "alias"))


@dataclass
class Alignment:
    """The graph: one entity a title, and names."""

    aligned: pa.Table
    """(title, entity): a title once."""

    names: pa.Table
    """NAMES_SCHEMA: the name of an entity in a language, then its aliases if they were asked for."""

    link_names: pa.Table
    """(name, entity): the names that links carry, as they were given."""

    redirects: list[pa.RecordBatch]
    """Redirects that the dump lacks, as in `sources.SEEN`."""

    disambiguations: np.ndarray
    """Ids of the pages that page_props calls disambiguations, sorted."""

    conflicts: list[dict[str, Any]]
    """The first conflicts by title, with both claims."""

    conflict_counts: Counter[tuple[str, str, str]]
    """(title or name, source kept, source refused) -> conflicts."""


def gather(
    wiki: Site,
    own_wiki: str,
    sources: Sources,
    seen: Sequence[pa.RecordBatch],
    tally: Counter[str],
    problems: list[Problem],
    *,
    strict: bool = False,
    on_file: Callable[[Path], None] = lambda path: None,
) -> Alignment:
    """Read all sources and settle their claims; the arguments are those of `sources.read`."""
    claims = read(wiki, own_wiki, sources, seen, tally, problems, strict=strict, on_file=on_file)
    return _Settlement(sources, claims, tally).alignment()


class _Settlement:
    """Settles the claims of all sources, in the order of its methods."""

    def __init__(self, sources: Sources, claims: Claims, tally: Counter[str]):
        self.sources, self.claims, self.tally = sources, claims, tally
        self.sites = [site(lang) for lang in sources.languages]
        self.conflicts: list[dict[str, Any]] = []
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def alignment(self) -> Alignment:
        names, translations = self.claims.names.table(), self.claims.translations.table()
        pivots = self._pivots(names, translations)
        aligned, entities = self._titles(self.claims.entities.table(), translations, pivots)
        self.tally["titles_aligned"] = len(aligned)
        names = pa.concat_tables([names, self._names_of_titles(translations, pivots, entities).cast(names.schema)])
        del translations  # its titles are not needed any more, and large
        link_names, from_templates = self._link_names(names)
        used = np.unique(np.concatenate([aligned.column("entity").to_numpy(), link_names.column("entity").to_numpy()]))
        chosen = self._names(pa.concat_tables([names, from_templates]), used)
        for what in ("title", "name"):
            self.tally[f"{what}_conflicts"] = sum(count for key, count in self.counts.items() if key[0] == what)
        ordered = sorted(self.conflicts, key=lambda row: tuple(row.values()))
        conflicts = [row for row in ordered if row["what"] == "entity"][:LISTED]
        conflicts += [row for row in ordered if row["what"] != "entity"][:LISTED]
        redirects, disambiguations = self.claims.redirects, self.claims.disambiguations
        return Alignment(aligned, chosen, link_names, redirects, disambiguations, conflicts, self.counts)

    def _pivots(self, names: pa.Table, translations: pa.Table) -> np.ndarray:
        """Return the QID that the title in the other language leads to, 0 for none, shape (translations,)."""
        found = np.zeros(len(translations), np.int64)
        if not len(names):
            return found
        lang_of_row = translations.column("lang").to_numpy()
        parts = _part_of_hash(translations.column("other"))
        for lang in range(len(self.sites)):
            for part in range(parts.max(initial=-1) + 1):
                is_in = (lang_of_row == lang) & (parts == part)
                encoded = translations.column("other").filter(pa.array(is_in)).combine_chunks().dictionary_encode()
                if len(encoded):
                    found[is_in] = _entities_of(names, lang, encoded.dictionary)[encoded.indices.to_numpy()]
        return found

    def _titles(self, claims: pa.Table, translations: pa.Table, pivots: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Return ALIGNED_SCHEMA, and the entity of the title of each translation, shape (translations,)."""
        parts = _part_of_hash(claims.column("title"), translations.column("title"))
        of_claims, of_translations = parts[: len(claims)], parts[len(claims) :]
        entity_of_translation = np.zeros(len(translations), np.int64)
        aligned = [ALIGNED_SCHEMA.empty_table()]
        for part in range(parts.max(initial=-1) + 1):
            is_in = of_translations == part
            titles, entities, codes = self._titles_of_part(
                claims.filter(pa.array(of_claims == part)), translations.filter(pa.array(is_in)), pivots[is_in]
            )
            entity_of_translation[is_in] = entities[codes]
            has_entity = pa.array(entities != 0)
            aligned.append(pa.table([titles, pa.array(entities)], schema=ALIGNED_SCHEMA).filter(has_entity))
            pa.default_memory_pool().release_unused()
        return pa.concat_tables(aligned), entity_of_translation

    def _titles_of_part(
        self, claims: pa.Table, translations: pa.Table, pivots: np.ndarray
    ) -> tuple[pa.Array, np.ndarray, np.ndarray]:
        """Return the distinct titles, the entity of each (0: none), and for each translation the place of its title."""
        written = pa.chunked_array(
            [*claims.column("title").chunks, *translations.column("title").chunks], pa.large_string()
        )
        encoded = written.combine_chunks().dictionary_encode()
        titles, codes = encoded.dictionary, encoded.indices.to_numpy()
        of_translation = codes[len(claims) :]
        claimed = np.concatenate([claims.column("entity").to_numpy(), pivots])
        ranks = np.concatenate([claims.column("source").to_numpy(), translations.column("source").to_numpy()])
        held = np.flatnonzero(claimed)
        winners = held[_first(codes[held], ranks[held])]
        entity_of = np.zeros(len(titles), np.int64)
        entity_of[codes[winners]] = claimed[winners]
        winner_of = np.zeros(len(titles), np.int64)
        winner_of[codes[winners]] = winners
        lost = held[claimed[held] != entity_of[codes[held]]]
        kept = winner_of[codes[lost]]
        self._count("title", ranks[kept], ranks[lost])
        for row in _earliest(titles, codes[lost]).tolist():
            self.conflicts.append(
                {
                    "of": titles[codes[lost[row]]].as_py(),
                    "what": "entity",
                    "kept": f"Q{claimed[kept[row]]}",
                    "source": self.sources.priority[ranks[kept[row]]],
                    "refused": f"Q{claimed[lost[row]]}",
                    "refused source": self.sources.priority[ranks[lost[row]]],
                }
            )
        rows = np.flatnonzero(entity_of[of_translation] == 0)
        langs, sources = translations.column("lang").to_numpy()[rows], translations.column("source").to_numpy()[rows]
        first = rows[_first(of_translation[rows], langs.astype(np.int64) * len(self.sources.priority) + sources)]
        others = translations.column("other").take(pa.array(first)).to_pylist()
        langs = translations.column("lang").to_numpy()[first].tolist()
        entity_of[of_translation[first]] = list(map(self._own_id, langs, others))
        return titles, entity_of, of_translation

    def _names_of_titles(self, translations: pa.Table, pivots: np.ndarray, entities: np.ndarray) -> pa.Table:
        """Return what the translations say about names, but for those whose QID lost."""
        agrees = (pivots == 0) | (pivots == entities)
        self._count_translations(translations, entities > 0, agrees)
        said = translations.select(["lang", "other", "kind", "source"]).add_column(0, "entity", pa.array(entities))
        said = said.rename_columns(["entity", "lang", "name", "kind", "source"])
        return said if agrees.all() else said.filter(pa.array(agrees))

    def _count_translations(self, translations: pa.Table, has_qid: np.ndarray, agrees: np.ndarray) -> None:
        sources = translations.column("source").to_numpy()
        for source in np.unique(sources).tolist():
            name = self.sources.priority[source]
            prefix, here = "title_pairs" if name == "titles" else name, sources == source
            self.tally[f"{prefix}_with_qid"] = int((here & has_qid & agrees).sum())
            self.tally[f"{prefix}_without_qid"] = int((here & ~has_qid).sum())
            self.tally[f"{prefix}_refused"] = int((here & ~agrees).sum())

    def _own_id(self, lang: int, title: str) -> int:
        return entity_of_pivot(title if lang == 0 else f"{self.sites[lang].lang}:{title}")

    def _link_names(self, names: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the entity of each name that a link carries, and what these names say about their entities."""
        given = list(self.sources.link_names)
        split = [split_name(name, self.sites) for name in given]
        entities = np.zeros(len(given), np.int64)
        for lang in range(len(self.sites)):
            rows = [row for row, found in enumerate(split) if found and found[0] == lang]
            titles = pa.array([split[row][1] for row in rows], pa.large_string())
            entities[rows] = _entities_of(names, lang, titles)
        for row in np.flatnonzero(entities == 0).tolist():
            entities[row] = self._own_id(*split[row]) if split[row] else entity_of_pivot(given[row])
        known = [row for row, found in enumerate(split) if found]
        template = self.sources.priority.index("template")
        columns = [
            entities[known],
            [split[row][0] for row in known],
            [split[row][1] for row in known],
            [_TEMPLATE] * len(known),
            [template] * len(known),
        ]
        said = pa.table([pa.array(column, kind) for column, kind in zip(columns, names.schema.types, strict=True)],
                        schema=names.schema)  # fmt: skip
        return pa.table([pa.array(given, pa.string()), pa.array(entities)], schema=LINK_NAMES_SCHEMA), said

    def _names(self, claims: pa.Table, used: np.ndarray) -> pa.Table:
        """Choose names for the entities `used`, which are sorted; NAMES_SCHEMA."""
        entities = claims.column("entity").to_numpy()
        borders = used[::_AT_ONCE] if len(claims) > _AT_ONCE else used[:1]
        part_of = borders.searchsorted(entities, side="right").astype(np.int32) - 1
        chosen = [NAMES_SCHEMA.empty_table()]
        for part in range(len(borders)):
            rows = np.flatnonzero(part_of == part)
            at = np.minimum(used.searchsorted(entities[rows]), len(used) - 1)
            is_used = np.zeros(len(entities), bool)
            is_used[rows[used[at] == entities[rows]]] = True
            chosen.append(self._names_of_part(claims.filter(pa.array(is_used))))
            pa.default_memory_pool().release_unused()
        return pa.concat_tables(chosen)

    def _names_of_part(self, claims: pa.Table) -> pa.Table:
        """Choose one name for each entity and language, and take all aliases; NAMES_SCHEMA, sorted."""
        preference = np.full(len(NAME_SOURCES), -1)
        for place, kind in enumerate(self.sources.name_sources):
            preference[NAME_SOURCES.index(kind)] = place
        claims = claims.filter(pa.array(preference[claims.column("kind").to_numpy()] >= 0))
        texts = self._texts(claims)
        is_name = texts.is_valid().to_numpy(zero_copy_only=False)
        claims, texts = claims.filter(pa.array(is_name)), texts.filter(pa.array(is_name))
        encoded = texts.dictionary_encode()
        text = encoded.indices.to_numpy() if len(texts) else np.zeros(0, np.int64)
        entities, langs, kinds, sources = (
            claims.column(name).to_numpy() for name in ("entity", "lang", "kind", "source")
        )
        keys = np.unique(entities, return_inverse=True)[1] * len(self.sites) + langs
        ranks = preference[kinds] * len(self.sources.priority) + sources
        single = np.flatnonzero(kinds != _ALIAS)
        winners = single[_first(keys[single], ranks[single])]
        self._name_conflicts(keys, winners, kinds, text, sources, encoded.dictionary, claims)
        rows = np.concatenate([winners, np.flatnonzero(kinds == _ALIAS)])
        _, once = np.unique(keys[rows] * (text.max(initial=0) + 1) + text[rows], return_index=True)
        rows = rows[once]
        names = pa.table(
            {
                "entity": pa.array(entities[rows]),
                "lang": pa.array(self.sources.languages, pa.string()).take(pa.array(langs[rows])),
                "name": encoded.dictionary.take(pa.array(text[rows])).cast(pa.string()),
                "source": pa.array(NAME_SOURCES).take(pa.array(kinds[rows])),
                "rank": pa.array(ranks[rows]),
            }
        )
        names = names.sort_by([(column, "ascending") for column in ("entity", "lang", "rank", "name")])
        return names.select(NAMES_SCHEMA.names).cast(NAMES_SCHEMA)

    def _texts(self, claims: pa.Table) -> pa.Array:
        """Return the name that each claim makes: a title loses its parentheses, or is no name and null."""
        encoded = claims.column("name").combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy() if len(claims) else np.zeros(0, np.int64)
        is_title = np.isin(claims.column("kind").to_numpy(), _TITLES)
        langs = claims.column("lang").to_numpy()
        texts = claims.column("name").combine_chunks()
        for lang, code in enumerate(self.sources.languages):
            rows = np.flatnonzero(is_title & (langs == lang))
            distinct, inverse = np.unique(codes[rows], return_inverse=True)
            names = names_from_titles(encoded.dictionary.take(pa.array(distinct)), code, self.tally)
            mask = np.zeros(len(texts), bool)
            mask[rows] = True
            texts = pc.replace_with_mask(texts, pa.array(mask), names.take(pa.array(inverse)))
        return texts

    def _name_conflicts(
        self,
        keys: np.ndarray,
        winners: np.ndarray,
        kinds: np.ndarray,
        text: np.ndarray,
        sources: np.ndarray,
        distinct: pa.Array,
        claims: pa.Table,
    ) -> None:
        """Count the titles that differ from the name chosen; labels and aliases may."""
        winner_of = np.zeros(keys.max(initial=-1) + 1, np.int64)
        winner_of[keys[winners]] = winners
        titles = np.flatnonzero(np.isin(kinds, _TITLES))
        kept = winner_of[keys[titles]]
        differs = np.isin(kinds[kept], _TITLES) & (text[titles] != text[kept])
        lost, kept = titles[differs], kept[differs]
        self._count("name", sources[kept], sources[lost])
        for row in _earliest(distinct, text[kept]).tolist():
            entity, lang = (claims.column(name)[kept[row]].as_py() for name in ("entity", "lang"))
            self.conflicts.append(
                {
                    "of": f"Q{entity}" if entity > 0 else "no QID",
                    "what": f"name in {self.sources.languages[lang]}",
                    "kept": distinct[text[kept[row]]].as_py(),
                    "source": self.sources.priority[sources[kept[row]]],
                    "refused": distinct[text[lost[row]]].as_py(),
                    "refused source": self.sources.priority[sources[lost[row]]],
                }
            )

    def _count(self, what: str, kept: np.ndarray, lost: np.ndarray) -> None:
        for (better, worse), count in Counter(zip(kept.tolist(), lost.tolist(), strict=True)).items():
            self.counts[what, self.sources.priority[better], self.sources.priority[worse]] += count


def _first(keys: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the row of the least rank for each key; of equal ranks the first row."""
    order = np.lexsort((ranks, keys))
    return order[np.flatnonzero(np.diff(keys[order], prepend=-1))] if len(keys) else order


def _earliest(texts: pa.Array, codes: np.ndarray) -> np.ndarray:
    """Return up to LISTED places in `codes`, those of the first texts in order."""
    distinct = np.unique(codes)
    order = pc.sort_indices(texts.take(pa.array(distinct))).to_numpy()[:LISTED]
    return np.flatnonzero(np.isin(codes, distinct[order]))[: 4 * LISTED]


def _entities_of(names: pa.Table, lang: int, titles: pa.Array) -> np.ndarray:
    """Return the entity that has each of the distinct `titles` in a language, 0 for none, shape (titles,)."""
    entity_of = np.zeros(len(titles), np.int64)
    if not len(titles):
        return entity_of
    at = pc.index_in(names.column("name"), value_set=titles)
    is_title = np.isin(names.column("kind").to_numpy(), _TITLES) & (names.column("lang").to_numpy() == lang)
    rows = np.flatnonzero(is_title & at.is_valid().to_numpy())
    at = at.fill_null(0).to_numpy()[rows]
    first = _first(at, names.column("source").to_numpy()[rows])
    entity_of[at[first]] = names.column("entity").to_numpy()[rows[first]]
    return entity_of


def _part_of_hash(*columns: pa.ChunkedArray) -> np.ndarray:
    """Return the part of the work that each row belongs to: equal titles are in one, and a part has about _AT_ONCE."""
    num_parts = sum(map(len, columns)) // _AT_ONCE + 1
    hashes = [title_hashes(chunk) for column in columns for chunk in column.chunks]
    return (np.concatenate([np.zeros(0, np.uint64), *hashes]) % np.uint64(num_parts)).astype(np.int32)
