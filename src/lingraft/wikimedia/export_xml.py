"""Read MediaWiki export XML (0.3 to 0.11; plain, bzip2, gzip, xz) page by page, in parallel, in bounded memory.

`pages` reads a file from end to end. `shards` cuts it into parts that processes read on their own with `read_shard`;
their number follows from the file alone, so outputs do not depend on the number of workers:

- multistream bzip2 and plain XML: a shard is a byte range of the file. It owns the pages whose `<page>` tag begins in
  the streams that begin in its range, and reads past its end until its last page is complete. No index file is needed.
- single-stream bzip2, gzip, xz: one process has to unpack; it cuts the XML behind a page and a shard carries its bytes.
  Unpacking is then the limit: `lbzip2` or a multistream dump is the cure.

Texts hold no raw `<`, so borders are found with bytes.find and nothing is parsed twice. Small ranges (4 MiB) spread
better than one a process, because streams differ in cost.

Nothing is lost silently: see `PageParser` for the counters of pages; a file that is cut off or damaged yields every
complete page, a counter (`truncated`, `corrupt`, `corrupt_stream`) and a `Problem` that names the place.

    for page in pages(Path("elwiki-latest-pages-articles-multistream.xml.bz2")):
        print(page.id, page.title, len(page.text))
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Chunks, Fault, Problem, is_splittable, unread_format
from lingraft.wikimedia.page_xml import CLOSE, MAX_PAGE_BYTES, OPEN, REDIRECT_WORDS, Page, PageParser, decode
from lingraft.wikimedia.siteinfo import dbname_language

__all__ = ["Header", "Page", "Shard", "pages", "read_header", "read_shard", "shards"]

SHARD_SIZE = 4 << 20
"""Default bytes of the file in a shard of packed data; XML itself is cut at `XML_FACTOR` times that."""

XML_FACTOR = 4
"""About what bzip2 gains on wikitext, so that shards cost the same in all formats."""

_HEAD_LIMIT = 16 << 20

_HOST = re.compile(r"https?://([a-z-]+)(?:\.m)?\.(?:wikipedia|wiki[a-z]+|wiktionary)\.org\b")
_NAMESPACE = re.compile(rb'<namespace\s+key="(-?\d{1,9})"[^>]*?(?:/>|>([^<]*)</namespace>)')
_PLACE = re.compile(rb"<page>\s*<title>([^<]{1,1000})</title>(?:\s*<ns>[^<]*</ns>)?(?:\s*<id>(\d{1,18})</id>)?")


@dataclass(frozen=True, slots=True)
class Header:
    """What `<mediawiki>` and `<siteinfo>` say; only a claim: pasted headers of another wiki are common."""

    lang: str | None = None
    """Language code of the wiki: of its database name, else its address, else `xml:lang`."""

    dbname: str | None = None
    case: str | None = None
    namespaces: Mapping[int, str] = field(default_factory=dict)
    version: str | None = None
    sitename: str | None = None
    base: str | None = None
    generator: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a dump that one process reads with `read_shard`; it can be pickled."""

    index: int
    dump: Path
    start: int
    """The part of the file on disk: `[start, end)`."""
    end: int
    data: bytes | None = None
    """Its XML, where the part cannot be unpacked on its own."""
    tally: Mapping[str, int] = field(default_factory=dict)
    """What was counted when `data` was cut."""
    problems: tuple[Problem, ...] = ()
    skipped: bool = False
    """Whether `data` was left out because the caller asked to skip it."""


def read_header(dump: Path) -> Header:
    """Return the header of a dump; an empty one when it has none (a part of a multistream dump, a bare `<page>`).

    Raises LingraftError for a file that is no dump, that holds no page, or that declares entities (an XML bomb).
    """
    head = _before_first_page(dump)

    def find(pattern: bytes) -> str | None:
        found = re.search(pattern, head)
        return decode(found[1])[0].strip() or None if found else None

    dbname, base = find(rb"<dbname>([^<]*)<"), find(rb"<base>([^<]*)<")
    return Header(
        lang=language_of(dbname, base) or find(rb'<mediawiki\b[^>]*\bxml:lang="([^"]*)"'),
        dbname=dbname,
        case=find(rb"<case>([^<]*)<"),
        namespaces={int(key): decode(name)[0].strip() for key, name in _NAMESPACE.findall(head)},
        version=find(rb'<mediawiki\b[^>]*\bversion="([^"]*)"'),
        sitename=find(rb"<sitename>([^<]*)<"),
        base=base,
        generator=find(rb"<generator>([^<]*)<"),
    )


def language_of(dbname: str | None, base: str | None) -> str | None:
    """Return the language code in a wiki's database name (`zh_min_nanwiki` -> `zh-min-nan`), else in its address."""
    host = _HOST.match(base or "")
    names = [dbname or "", f"{host[1]}wiki" if host else ""]
    return next((lang for name in names if (lang := dbname_language(name))), None)


def pages(
    dump: Path,
    tally: Counter[str] | None = None,
    problems: list[Problem] | None = None,
    *,
    header: Header | None = None,
    namespaces: Container[int] | None = None,
    redirect_words: tuple[str, ...] = REDIRECT_WORDS,
    max_page_bytes: int = MAX_PAGE_BYTES,
    strict: bool = False,
) -> Iterator[Page]:
    """Yield all pages of a dump of any format, in order; the options are those of `read_shard`.

    Raises LingraftError, before the first page is asked for, for a file that is no dump.
    """
    found = read_header(dump)
    return read_shard(
        Shard(0, dump, 0, dump.stat().st_size),
        Counter() if tally is None else tally,
        problems,
        header=header or found,
        namespaces=namespaces,
        redirect_words=redirect_words,
        max_page_bytes=max_page_bytes,
        strict=strict,
    )


def shards(
    dump: Path,
    shard_size: int = SHARD_SIZE,
    *,
    skip: Callable[[int], bool] = lambda index: False,
    max_page_bytes: int = MAX_PAGE_BYTES,
) -> Iterator[Shard]:
    """Cut a dump into shards. Lazy: where shards carry their XML, one of them is held at a time.

    A shard whose index `skip` accepts is still yielded, but without its data. Raises LingraftError, before the first
    shard is asked for, for a file that is no dump.
    """
    _before_first_page(dump)
    if not is_splittable(dump):
        return _cut_unpacked(dump, shard_size * XML_FACTOR, skip, max_page_bytes)
    size = dump.stat().st_size
    step = shard_size * XML_FACTOR if Chunks(dump).format == "plain" else shard_size
    starts = range(0, size, step)
    return (
        Shard(index, dump, start, min(start + step, size), skipped=skip(index)) for index, start in enumerate(starts)
    )


def read_shard(
    shard: Shard,
    tally: Counter[str],
    problems: list[Problem] | None = None,
    *,
    header: Header | None = None,
    namespaces: Container[int] | None = None,
    redirect_words: tuple[str, ...] = REDIRECT_WORDS,
    max_page_bytes: int = MAX_PAGE_BYTES,
    raw_texts: bool = False,
    strict: bool = False,
) -> Iterator[Page]:
    """Yield the pages that `shard` owns, count in `tally` (see PageParser), and append to `problems`.

    Pages of other `namespaces` are counted without decoding their text. `header.namespaces` is needed only by exports
    without `<ns>`, `redirect_words` (the wiki's own names of #REDIRECT) only where `<redirect title>` is missing.
    With `raw_texts` wikitext stays as it is in the export (`Page.raw`), for a reader that takes it so.
    With `strict` a problem raises LingraftError once the pages before it have been yielded.
    """
    if shard.skipped:
        raise ValueError(f"shard {shard.index} of {shard.dump.name} was skipped when it was cut: it has no data")
    parser = PageParser(
        tally,
        namespaces=namespaces,
        namespace_names=header.namespaces if header else None,
        redirect_words=redirect_words,
        max_page_bytes=max_page_bytes,
        raw_texts=raw_texts,
    )
    damage = _Damage(shard.dump, tally, [] if problems is None else problems, strict)
    if shard.data is None:
        for block in _blocks(Chunks(shard.dump, shard.start, shard.end), damage, max_page_bytes):
            yield from parser.pages(block)
    else:
        yield from parser.pages(shard.data)
        tally.update(shard.tally)
        for problem in shard.problems:
            damage.add(problem, count=False)


def _before_first_page(dump: Path) -> bytes:
    """Return what stands before the first `<page>`; raise LingraftError when there is none or it declares entities."""
    head, fault = b"", None
    for chunk in Chunks(dump):
        if isinstance(chunk, Fault):
            fault = fault or chunk
            continue
        searched = max(len(head) - len(OPEN), 0)
        head += chunk
        at = head.find(OPEN, searched)
        if at >= 0:
            head = head[:at]
            break
        if len(head) > _HEAD_LIMIT:
            raise _not_a_dump(dump, head, fault)
    else:
        raise _not_a_dump(dump, head, fault)
    if re.search(rb"<!(?:DOCTYPE|ENTITY)", head, re.IGNORECASE):
        raise LingraftError(
            f"{dump} declares XML entities (DOCTYPE) before its first page, and is not read",
            "MediaWiki's exports never do; such declarations serve to blow up memory (an XML bomb).",
            "Fetch the dump from dumps.wikimedia.org, or remove the declaration if you trust the file.",
        )
    return head


def _not_a_dump(dump: Path, head: bytes, fault: Fault | None) -> LingraftError:
    start = head[:2000].lstrip().lower()
    cure = "Fetch it again: ...-pages-articles-multistream.xml.bz2 of dumps.wikimedia.org."
    if fault is not None:
        kind = "is cut off" if fault.kind == "truncated" else "is damaged"
        why = f"It {kind} at byte {fault.byte:,}{f' ({fault.why})' if fault.why else ''}, before its first page."
        return LingraftError(f"{dump} holds no readable page", why, cure)
    if start.startswith((b"<!doctype html", b"<html")):
        return LingraftError(f"{dump} is an HTML page, not a dump", "The server answered with an error page.", cure)
    if re.search(rb"<!(?:doctype|entity)", start):
        return LingraftError(f"{dump} is not a MediaWiki export", "It declares XML entities and holds no page.", cure)
    if b"<mediawiki" in start:
        return LingraftError(f"{dump} holds a header and no page", "The export was empty, or broke off early.", cure)
    if re.match(rb"\d+:\d+:", start):
        cure = "Give the dump itself, the file without -index in its name; lingraft needs no index."
        return LingraftError(f"{dump} is the index of a multistream dump, not the dump", cure=cure)
    why = unread_format(dump) or f"No <page> was found; its unpacked data begins with {head[:40]!r}."
    return LingraftError(f"{dump} is not a MediaWiki export", why, cure)


class _Damage:
    """Counts and keeps the problems of one dump, and raises them when it has to be strict."""

    def __init__(self, dump: Path, tally: Counter[str], problems: list[Problem], strict: bool = False):
        self.dump, self.tally, self.problems, self.strict = dump, tally, problems, strict

    def note(self, kind: str, byte: str, why: str, open_page: bytes) -> None:
        """A problem of `kind` at `byte`, inside the page whose XML begins with `open_page`, b"" when between pages."""
        name, page = self.dump.name, ""
        if found := _PLACE.match(open_page):
            page = f" inside page '{decode(found[1])[0]}'" + (f" (id {int(found[2])})" if found[2] else "")
        place = f"{name}, {byte}{',' if page else ''}{page}"
        if kind == "truncated":
            self.add(Problem(kind, place, f"dump is cut off: {name} ends{page} at {byte}."))
        else:
            rest = "reading goes on at the next stream" if kind == "corrupt_stream" else "the rest is lost"
            message = f"dump is damaged: {name} cannot be unpacked at {byte}{page} ({why}); {rest}."
            self.add(Problem(kind, place, message))

    def add(self, problem: Problem, count: bool = True) -> None:
        if count:
            self.tally[problem.kind] += 1
        self.problems.append(problem)
        if self.strict:
            num_pages = self.tally["pages"] + self.tally["other_namespace"]
            raise problem.error(f"{num_pages:,} complete pages were read before it.")


def _blocks(chunks: Chunks, damage: _Damage, max_page_bytes: int) -> Iterator[bytes]:
    """Yield the XML of the pages whose tags begin in `chunks`, many pages a block, the last of each complete.

    Other data may stand before the first page of a block.
    """
    rest = yield from _whole_pages(chunks, damage, max_page_bytes)
    if not rest:
        return
    for chunk in Chunks(chunks.path, max(chunks.end, chunks.position)):  # it runs on into streams of the next shards
        if isinstance(chunk, Fault):
            return  # counted by the shard that owns the stream
        rest += chunk
        if not rest.startswith(OPEN[: len(rest)]):
            return
        if (cut := rest.find(CLOSE)) >= 0:
            yield rest[: cut + len(CLOSE)]
            return
        if len(rest) > max_page_bytes:
            damage.tally["oversized_page"] += 1
            return
    if chunks.start == 0 and chunks.end == chunks.size:
        byte = f"byte {chunks.unpacked:,}" + (" of its unpacked XML" if chunks.format != "plain" else "")
    else:
        byte = f"byte {chunks.size:,}"
    damage.note("truncated", byte, "", rest)


def _whole_pages(chunks: Chunks, damage: _Damage, max_page_bytes: int) -> Generator[bytes, None, bytes]:
    """Yield blocks that end behind a page; return what is left of the last: an open page, a part of its tag, or b""."""
    rest = b""
    for chunk in chunks:
        if isinstance(chunk, Fault):
            damage.note(chunk.kind, f"byte {chunk.byte:,}", chunk.why, rest)
            rest = b""
            continue
        block = rest + chunk
        last = block.rfind(CLOSE, max(len(rest) - len(CLOSE), 0))
        if last >= 0:
            last += len(CLOSE)
            yield block[:last]
            block = block[last:]
        rest = _open_page(block)
        if len(rest) > max_page_bytes:
            damage.tally["oversized_page"] += 1
            rest = b""  # the remainder of the page has no <page> and is passed over
    return rest


def _open_page(block: bytes) -> bytes:
    """Return the end of `block` from the first `<page>` on, or from a `<` that may begin one."""
    at = block.find(OPEN)
    if at < 0:
        at = block.rfind(b"<", max(len(block) - len(OPEN) + 1, 0))
    return block[at:] if at >= 0 and OPEN.startswith(block[at : at + len(OPEN)]) else b""


def _cut_unpacked(dump: Path, size: int, skip: Callable[[int], bool], max_page_bytes: int) -> Iterator[Shard]:
    """Unpack the dump here and cut its XML into shards, each behind the page with which its pages have `size` bytes.

    Only pages count: what lies between them, and how it came out of the decompressor, moves no cut.
    """
    chunks = Chunks(dump)
    damage = _Damage(dump, Counter(), [])
    parts: list[bytes] = []
    index = start = held = 0
    skipped = skip(index)

    def shard() -> Shard:
        data = None if skipped else b"".join(parts)
        return Shard(index, dump, start, chunks.position, data, dict(damage.tally), tuple(damage.problems), skipped)

    for block in _blocks(chunks, damage, max_page_bytes):
        piece, opened = 0, block.find(OPEN)
        while opened >= 0:
            closed = block.index(CLOSE, opened) + len(CLOSE)
            held += closed - opened
            if held >= size:
                parts.append(block[piece:closed])
                yield shard()
                damage.tally, damage.problems, parts = Counter(), [], []
                index, start, held = index + 1, chunks.position, 0
                skipped, piece = skip(index), closed
            opened = block.find(OPEN, closed)
        if not skipped:
            parts.append(block[piece:])
    if held or damage.tally or index == 0:
        yield shard()
