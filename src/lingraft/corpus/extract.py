"""First pass of a build: one shard of a dump to parsed articles with unresolved links, and the titles seen in it.

Nothing is a Python object but a page and its title: the parser collects texts, links and sections as columns, and only
distinct targets are normalised. A batch becomes one row group of the corpus, so the second pass holds one at a time.
"""

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lingraft.corpus.schema import ROW_GROUP, SECTION
from lingraft.entities.sources import INTERLANGUAGE, SEEN
from lingraft.entities.titles import normalise, normalise_all
from lingraft.runs import atomic
from lingraft.wikimedia.columns import columns
from lingraft.wikimedia.export_xml import Header, Page, Shard, read_shard
from lingraft.wikimedia.interlanguage import interlanguage_links
from lingraft.wikimedia.page_xml import decode
from lingraft.wikimedia.siteinfo import Site
from lingraft.wikimedia.siteinfo import site as site_of
from lingraft.wikimedia.templates import Templates
from lingraft.wikimedia.wikitext import Parser, Tables

TARGET = pa.dictionary(pa.int32(), pa.string())
RAW_LINK = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("target", TARGET), ("name", pa.string())])
RAW_ARTICLE = pa.schema(
    [
        ("id", pa.int64()),
        ("revision", pa.int64()),
        ("title", pa.string()),
        ("text", pa.large_string()),
        ("words", pa.int32()),
        ("characters", pa.int32()),
        ("sections", pa.list_(SECTION)),
        ("links", pa.list_(RAW_LINK)),
        ("flags", pa.list_(pa.string())),
    ]
)
"""A stream of batches, each with the dictionary of its own targets."""


TEMPLATES_A_SHARD = 500
"""Unknown templates of which a shard reports how often it met them."""

_BATCH_CHARS = 4_000_000
_REMEMBERED = 100_000
"""Titles whose normal form is kept."""


@dataclass(frozen=True)
class Extraction:
    """What the extraction of every shard of one dump has in common; it can be pickled."""

    folder: Path
    lang: str
    header: Header
    strict: bool = False
    interlanguage: tuple[str, ...] = ()
    """Languages whose interlanguage lines are taken from the wikitext."""
    tables: Tables = "drop"
    captions: bool = False
    templates: tuple[Path, ...] = ()
    """Files of template data beside the package's own."""

    def __call__(self, numbered: tuple[int, Shard]) -> dict[str, Any]:
        """Write what the shard holds under its index; return counters, unknown templates, link names and problems."""
        index, shard = numbered
        problems: list[Any] = []
        site = site_of(self.lang, self.header)
        reading = _Reading(_wiki(site, self.tables, self.captions, self.templates), self.interlanguage)
        pages = read_shard(
            shard,
            reading.tally,
            problems,
            header=self.header,
            namespaces=(0,),
            redirect_words=site.redirect_words,
            raw_texts=True,
            strict=self.strict,
        )
        with (
            _no_garbage_collection(),
            atomic(self.folder / f"articles-{index:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, RAW_ARTICLE) as writer,
        ):
            for page in pages:
                reading.add(page)
                if reading.is_full:
                    writer.write_batch(reading.take())
            writer.write_batch(reading.take())
        _write_rows(self.folder / f"titles-{index:05d}.arrow", reading.seen, SEEN)
        if self.interlanguage:
            _write_rows(self.folder / f"interlanguage-{index:05d}.arrow", reading.lines, INTERLANGUAGE)
        return {
            "counters": dict(reading.tally),
            "templates": dict(_most_common(reading.templates)),
            "link_names": sorted(reading.link_names),
            "problems": [problem.message for problem in problems],
        }


def _write_rows(path: Path, rows: list[tuple[Any, ...]], schema: pa.Schema) -> None:
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    with atomic(path) as temporary, pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Switch off the search for reference cycles: a shard makes millions of small objects and not one cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _most_common(templates: Counter[str]) -> list[tuple[str, int]]:
    return sorted(templates.items(), key=lambda item: (-item[1], item[0]))[:TEMPLATES_A_SHARD]


class _Normal(dict[str, str]):
    """Titles as written -> normal titles, each normalised once."""

    def __init__(self, site: Site):
        super().__init__()
        self.site = site

    def __missing__(self, title: str) -> str:
        normal = self[title] = normalise(title, self.site)
        return normal


@lru_cache(2)
def _wiki(site: Site, tables: Tables, captions: bool, templates: tuple[Path, ...]) -> "_Wiki":
    return _Wiki(site, Parser(site, tables=tables, captions=captions, templates=Templates(site, templates)))


class _Wiki:
    """What is kept between the shards of one wiki: its parser, and what is known of titles."""

    def __init__(self, site: Site, parser: Parser):
        self.site = site
        self.columns = columns(parser)
        self.normal = _Normal(site)

    def redirect_target(self, redirect: str) -> str | None:
        """Return the normal title that a redirect leads to, None when it leads out of the articles or nowhere."""
        title = redirect.partition("#")[0].removeprefix(":")
        prefix, colon, _ = title.partition(":")
        if colon and (self.site.namespace_of(prefix) or prefix.strip().lower() in self.site.interwiki):
            return None
        return normalise(title, self.site) or None


@dataclass
class _Reading:
    """What the pages of one shard have come to."""

    wiki: _Wiki
    languages: tuple[str, ...]
    tally: Counter[str] = field(default_factory=Counter)
    templates: Counter[str] = field(default_factory=Counter)
    link_names: set[str] = field(default_factory=set)
    seen: list[tuple[int, str, str | None]] = field(default_factory=list)
    """(id, title, where it redirects to) of each page."""
    lines: list[tuple[str, str, str]] = field(default_factory=list)
    """(title, language, title there) of each interlanguage line."""
    articles: list[tuple[int, int, str]] = field(default_factory=list)
    """(id, revision, title) of each row of the parser's columns."""

    def __post_init__(self) -> None:
        self.wiki.columns.take()  # a shard before may have failed

    @property
    def is_full(self) -> bool:
        return self.wiki.columns.num_chars > _BATCH_CHARS or len(self.articles) == ROW_GROUP

    def add(self, page: Page) -> None:
        title = normalise(page.title, self.wiki.site)
        if not title:
            self.tally["invalid_title"] += 1
            return
        target = None
        if page.redirect is not None:
            self.tally["redirect_pages"] += 1
            target = self.wiki.redirect_target(page.redirect)
            if target is None:
                self.tally["redirects_unusable"] += 1
                return
        self.seen.append((page.id, title, target))
        if target is not None:
            return
        if self.languages:
            self.lines += [(title, *line) for line in interlanguage_links(decode(page.raw)[0], self.languages)]
        if self.wiki.columns.add(page.raw, escaped=True, title=title):
            self.articles.append((page.id, page.revision, title))
        else:
            self.tally["empty_text"] += 1

    def take(self) -> pa.RecordBatch:
        """Return the articles read so far as a record batch, count them, and start again."""
        parsed = self.wiki.columns.take()
        ids, revisions, titles = zip(*self.articles, strict=True) if self.articles else ([], [], [])
        links = _links(parsed, self.wiki.normal)
        self.articles = []
        if len(self.wiki.normal) > _REMEMBERED:
            self.wiki.normal.clear()
        self.tally["articles"] += parsed.num_rows
        self.tally["links"] += len(links)
        self.tally["invalid_utf8"] += parsed.drops.pop("invalid_utf8", 0)
        self.tally.update({f"wikitext_{reason}": count for reason, count in parsed.drops.items()})
        self.templates.update(parsed.templates)
        self.link_names.update(parsed.names.values())
        sections = [_numbers(getattr(parsed, f"section_{name}"), kind) for name, kind in _SECTION_COLUMNS]
        headings = _strings(parsed.headings, parsed.heading_offsets, pa.string())
        return pa.record_batch(
            [
                pa.array(ids, pa.int64()),
                pa.array(revisions, pa.int64()),
                pa.array(titles, pa.string()),
                _strings(parsed.text, parsed.text_offsets, pa.large_string()),
                _numbers(parsed.words, pa.int32()),
                _numbers(parsed.characters, pa.int32()),
                _lists(parsed.section_offsets, pa.StructArray.from_arrays([*sections, headings], fields=list(SECTION))),
                _lists(parsed.link_offsets, links),
                pa.array([parsed.flags.get(row, ()) for row in range(parsed.num_rows)], pa.list_(pa.string())),
            ],
            schema=RAW_ARTICLE,
        )


_SECTION_COLUMNS = (("starts", pa.int32()), ("ends", pa.int32()), ("levels", pa.int8()))


def _links(parsed: Any, normal: Mapping[str, str]) -> pa.StructArray:
    """Return the links with their normal targets; a target is in the dictionary once for each way to write it."""
    written = _strings(parsed.targets, parsed.target_offsets, pa.string()).dictionary_encode()
    normals = normalise_all(written.dictionary, normal.__getitem__)
    targets = pa.DictionaryArray.from_arrays(written.indices, normals)
    starts, ends = _numbers(parsed.link_starts, pa.int32()), _numbers(parsed.link_ends, pa.int32())
    return pa.StructArray.from_arrays(
        [starts, ends, targets, _sparse(parsed.names, len(starts))], fields=list(RAW_LINK)
    )


def _sparse(values: Mapping[int, str], size: int) -> pa.StringArray:
    """Return a column of `size` strings, null but where `values` has one."""
    if not values:
        return pa.nulls(size, pa.string())
    index = np.zeros(size, dtype=np.int32)
    is_null = np.ones(size, dtype=bool)
    index[list(values)] = np.arange(len(values))
    is_null[list(values)] = False
    return pa.array(list(values.values()), pa.string()).take(pa.array(index, mask=is_null))


def _numbers(buffer: bytes, kind: pa.DataType) -> pa.Array:
    size = len(buffer) * 8 // kind.bit_width
    return pa.Array.from_buffers(kind, size, [None, pa.py_buffer(buffer)])


def _strings(data: bytes, offsets: bytes, kind: pa.DataType) -> pa.Array:
    size = len(offsets) // (8 if kind == pa.large_string() else 4) - 1
    return pa.Array.from_buffers(kind, size, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def _lists(offsets: bytes, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(_numbers(offsets, pa.int32()), values)
