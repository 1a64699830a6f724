"""First pass of a build: one shard of a dump to parsed articles with unresolved links, and the titles seen in it."""

import gc
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from lingraft.corpus.schema import SECTION
from lingraft.entities.titles import normalise
from lingraft.runs import atomic
from lingraft.wikimedia.export_xml import Header, Page, Shard, read_shard
from lingraft.wikimedia.siteinfo import Site
from lingraft.wikimedia.siteinfo import site as site_of
from lingraft.wikimedia.wikitext import Parsed, parser

RAW_LINK = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("target", pa.string())])
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
    ]
)
TITLES = pa.schema([("title", pa.large_string()), ("redirect", pa.large_string())])

_FLUSH_CHARS = 4_000_000
_REMEMBERED = 200_000
"""Titles whose normal form is kept."""


@dataclass(frozen=True)
class Extraction:
    """What the extraction of every shard of one dump has in common; it can be pickled."""

    folder: Path
    lang: str
    header: Header
    strict: bool

    def __call__(self, numbered: tuple[int, Shard]) -> dict[str, Any]:
        """Write articles-{index}.arrow and titles-{index}.arrow; return counters and problems."""
        index, shard = numbered
        tally: Counter[str] = Counter()
        problems: list[Any] = []
        site = site_of(self.lang, self.header)
        pages = read_shard(
            shard,
            tally,
            problems,
            header=self.header,
            namespaces=(0,),
            redirect_words=site.redirect_words,
            strict=self.strict,
        )
        titles: list[str] = []
        redirects: list[str | None] = []
        with (
            _no_garbage_collection(),
            atomic(self.folder / f"articles-{index:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, RAW_ARTICLE, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
        ):
            batch = _Batch()
            wiki = _wiki(site)
            for page in pages:
                wiki.read(page, batch, titles, redirects, tally)
                if batch.chars > _FLUSH_CHARS:
                    writer.write_batch(batch.take())
            writer.write_batch(batch.take())
        with (
            atomic(self.folder / f"titles-{index:05d}.arrow") as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, TITLES) as writer,
        ):
            writer.write_batch(pa.record_batch([titles, redirects], schema=TITLES))
        return {"counters": dict(tally), "problems": [problem.message for problem in problems]}


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


class _Normal(dict[str, str]):
    """Titles as written -> normal titles, each normalised once."""

    def __init__(self, site: Site):
        super().__init__()
        self.site = site

    def __missing__(self, title: str) -> str:
        normal = self[title] = normalise(title, self.site)
        return normal


@lru_cache(2)
def _wiki(site: Site) -> "_Wiki":
    return _Wiki(site)


class _Wiki:
    """Reads pages of one wiki. It is kept between shards for what it remembers of titles."""

    def __init__(self, site: Site):
        self.site = site
        self.parser = parser(site)
        self.normal = _Normal(site)

    def read(
        self, page: Page, batch: "_Batch", titles: list[str], redirects: list[str | None], tally: Counter[str]
    ) -> None:
        title = normalise(page.title, self.site)
        if not title:
            tally["invalid_title"] += 1
            return
        if page.redirect is not None:
            tally["redirect_pages"] += 1
            target = self._target(page.redirect)
            if target is None:
                tally["redirects_unusable"] += 1
            else:
                titles.append(title)
                redirects.append(target)
            return
        titles.append(title)
        redirects.append(None)
        parsed = self.parser.parse(page.text)
        for reason, count in parsed.drops.items():
            tally["wikitext_" + reason] += count
        if not parsed.text:
            tally["empty_text"] += 1
            return
        tally["articles"] += 1
        tally["links"] += len(parsed.links)
        if len(self.normal) > _REMEMBERED:
            self.normal.clear()
        batch.add(page, title, parsed, self.normal)

    def _target(self, redirect: str) -> str | None:
        """Return the normal title that a redirect leads to, None when it leads out of the articles or nowhere."""
        title = redirect.partition("#")[0].removeprefix(":")
        prefix, colon, _ = title.partition(":")
        if colon and (self.site.namespace_of(prefix) or prefix.strip().lower() in self.site.interwiki):
            return None
        return normalise(title, self.site) or None


@dataclass
class _Batch:
    """Articles as columns: nested values are kept flat, so that no Python object is made for a link."""

    pages: list[tuple[int, int, str, str, int, int]] = field(default_factory=list)
    sections: list[tuple[int, int, int, str]] = field(default_factory=list)
    section_offsets: list[int] = field(default_factory=lambda: [0])
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    link_offsets: list[int] = field(default_factory=lambda: [0])
    chars: int = 0

    def add(self, page: Page, title: str, parsed: Parsed, normal: Mapping[str, str]) -> None:
        text = parsed.text
        words = text.count(" ") + text.count("\n") - text.count("\n\n") + 1  # the parser leaves no other white space
        self.pages.append((page.id, page.revision, title, text, words, len(text)))
        self.sections += parsed.sections
        self.section_offsets.append(len(self.sections))
        if parsed.links:
            starts, ends, targets = zip(*parsed.links, strict=True)
            self.starts += starts
            self.ends += ends
            self.targets += [normal[target] for target in targets]
        self.link_offsets.append(len(self.targets))
        self.chars += len(parsed.text)

    def take(self) -> pa.RecordBatch:
        """Return what was added as a record batch, and start again."""
        columns = list(zip(*self.pages, strict=True)) if self.pages else [[], [], [], [], [], []]
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, RAW_ARTICLE, strict=False)]
        links = _struct([self.starts, self.ends, self.targets], RAW_LINK)
        sections = _struct(list(zip(*self.sections, strict=True)) if self.sections else [[], [], [], []], SECTION)
        arrays.append(pa.ListArray.from_arrays(pa.array(self.section_offsets, pa.int32()), sections))
        arrays.append(pa.ListArray.from_arrays(pa.array(self.link_offsets, pa.int32()), links))
        self.__init__()
        return pa.record_batch(arrays, schema=RAW_ARTICLE)


def _struct(columns: list[Any], kind: pa.StructType) -> pa.StructArray:
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, kind, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))
