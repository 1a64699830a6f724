"""One `<page>` element of a MediaWiki export -> `Page`.

The schema (export-0.11.xsd) fixes the order of a page's elements and MediaWiki escapes every `<` in texts, so a page
needs no XML parser: one regular expression for its head, one that stops at the few tags that matter, and one jump
(bytes.find of `<`) over each text. Only texts that are wanted are decoded, and character references are resolved in one
pass of `re.split`, which is faster than a chain of `replace` and cannot resolve `&amp;lt;` twice.

A page that does not fit is counted and passed over, never guessed at: `malformed_page`.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

OPEN = b"<page>"
CLOSE = b"</page>"

MAX_PAGE_BYTES = 32 << 20
"""Default limit of a page's XML; MediaWiki's own is 2 MiB of wikitext a revision."""

REDIRECT_WORDS = ("#REDIRECT",)

_HEAD = re.compile(
    rb"\s*<title>([^<]*)</title>"
    rb"(?:\s*<ns>(-?\d{1,9})</ns>)?"
    rb"\s*<id>(\d{1,18})</id>"
    rb"(\s*<redirect(?:\s+title=\"([^\"]*)\")?\s*/>)?"
)
_MARK = re.compile(rb"<(?:text\b([^>]*)>|(revision>)(?:\s*<id>(\d{1,18})</id>)?|(/page>)|(page>))")
_TEXT, _REVISION, _REVISION_ID, _CLOSE, _OPEN = range(1, 6)  # the last group that matched tells which it is
_REFERENCE = re.compile(rb"&(#?\w+);")
_REDIRECT_LINK = r"\s*:?\s*\[\[([^\n|\]]{0,512})(?:\|[^\n]{0,1000}?)?\]\]"  # bounded: no title is longer
_REDIRECT_WITHIN = 1 << 13
_REPLACEMENT = "\ufffd"


@dataclass(slots=True)
class Page:
    """A page with its newest revision's wikitext."""

    id: int
    revision: int
    namespace: int
    title: str
    redirect: str | None
    """Title of the page it redirects to, without fragment; "" for a redirect whose target is unusable."""

    text: str

    raw: bytes = field(default=b"", repr=False)
    """Its wikitext as it stands in the export, in escaped UTF-8, where the reader was asked for that instead."""


class PageParser:
    """Turns blocks of XML into pages and counts what it does in `tally`.

    `pages` (yielded), `other_namespace` (not in `namespaces`, nothing decoded), `malformed_page` (no title, id or
    revision, an id that is no number, a text with raw tags in it), `oversized_page`, `extra_revisions` (older ones that
    the last hides), `deleted_text` (hidden by the wiki's administrators: the text is empty), `invalid_utf8` (decoded
    with U+FFFD).

    `namespace_names` is used where the export is so old that pages have no `<ns>`; `redirect_words` where it has no
    `<redirect title>`. With `raw_texts` a page has its wikitext as `raw`, and whether it is valid is not known.
    """

    def __init__(
        self,
        tally: Counter[str],
        *,
        namespaces: Container[int] | None = None,
        namespace_names: Mapping[int, str] | None = None,
        redirect_words: tuple[str, ...] = REDIRECT_WORDS,
        max_page_bytes: int = MAX_PAGE_BYTES,
        raw_texts: bool = False,
    ):
        self.tally = tally
        self.namespaces = namespaces
        self.max_page_bytes = max_page_bytes
        self.raw_texts = raw_texts
        self._prefixes = {_fold(name): number for number, name in (namespace_names or {}).items() if name}
        words = "|".join(map(re.escape, redirect_words))
        self._redirect_starts = tuple({word[0].encode() for word in redirect_words})  # "#" in all of MediaWiki
        self._redirect = re.compile(rf"(?:{words or '(?!)'}){_REDIRECT_LINK}", re.IGNORECASE)

    def pages(self, block: bytes) -> Iterator[Page]:
        """Yield the pages of `block`, which ends where a page ends; what stands before its first page is ignored."""
        start = block.find(OPEN)
        while start >= 0:
            page, end = self._page(block, start)
            if page is not None:
                yield page
            start = block.find(OPEN, end)

    def _page(self, block: bytes, start: int) -> tuple[Page | None, int]:
        """Return the page whose tag stands at `start`, None for one that is passed over, and where to go on."""
        head = _HEAD.match(block, start + len(OPEN))
        at = head.end() if head else start + len(OPEN)
        broken = head is None
        num_revisions = 0
        while True:
            mark = _MARK.search(block, at)
            which = mark.lastindex if mark else _OPEN
            if which == _CLOSE:
                at = mark.end()
                break
            if which == _OPEN:  # another page, or the end of the block: this one was never closed
                self.tally["malformed_page"] += 1
                return None, mark.start() if mark else len(block)
            at = mark.end()
            if which == _TEXT:
                attributes, text = mark[_TEXT], (at, at)
                if not attributes.endswith(b"/"):
                    end = block.find(b"<", at)
                    broken = broken or not block.startswith(b"</text>", end)
                    text, at = (at, end), end
            else:
                num_revisions += 1
                revision, text, attributes = mark[_REVISION_ID], (at, at), b""
        if at - start > self.max_page_bytes:
            self.tally["oversized_page"] += 1
            return None, at
        if broken or num_revisions == 0 or revision is None:
            self.tally["malformed_page"] += 1
            return None, at
        return self._wanted_page(block, head, int(revision), num_revisions, text, attributes), at

    def _wanted_page(
        self,
        block: bytes,
        head: re.Match[bytes],
        revision: int,
        num_revisions: int,
        text: tuple[int, int],
        attributes: bytes,
    ) -> Page | None:
        title = self._decode(head[1]).strip()
        if not title:
            self.tally["malformed_page"] += 1
            return None
        namespace = int(head[2]) if head[2] else self._namespace_of(title)
        if self.namespaces is not None and namespace not in self.namespaces:  # before its text costs anything
            self.tally["other_namespace"] += 1
            return None
        if num_revisions > 1:
            self.tally["extra_revisions"] += num_revisions - 1
        if b"deleted=" in attributes:
            self.tally["deleted_text"] += 1
        raw = block[text[0] : text[1]]
        redirect = self._decode(head[5]) if head[5] else self._redirect_in(raw)
        if redirect is None and head[4]:
            redirect = ""
        self.tally["pages"] += 1
        number = int(head[3])
        if self.raw_texts:
            return Page(number, revision, namespace, title, redirect, "", raw)
        return Page(number, revision, namespace, title, redirect, self._decode(raw))

    def _decode(self, raw: bytes) -> str:
        text, valid = decode(raw)
        if not valid:
            self.tally["invalid_utf8"] += 1
        return text

    def _namespace_of(self, title: str) -> int:
        prefix, colon, _ = title.partition(":")
        return self._prefixes.get(_fold(prefix), 0) if colon else 0

    def _redirect_in(self, raw: bytes) -> str | None:
        """Return the target when the wikitext itself says that it is a redirect.

        Source: WikitextContentHandler::extractRedirectTargetAndText of MediaWiki.
        """
        start = raw[:_REDIRECT_WITHIN].lstrip()
        if not start.startswith(self._redirect_starts):
            return None
        found = self._redirect.match(decode(start)[0])
        return found[1].lstrip(":").partition("#")[0].strip() if found else None


def decode(raw: bytes) -> tuple[str, bool]:
    """Return the text that escaped XML stands for, and whether it was valid UTF-8 (else U+FFFD stands in it)."""
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")  # as XML 1.0, 2.11
    if b"&" in raw:
        parts = _REFERENCE.split(raw)
        parts[1::2] = map(_CHARACTERS.__getitem__, parts[1::2])
        raw = b"".join(parts)
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


class _Characters(dict[bytes, bytes]):
    """The five named references of XML; numbers are computed; other names are left as they stand."""

    def __missing__(self, name: bytes) -> bytes:
        if not name.startswith(b"#"):
            return b"&" + name + b";"
        try:
            code = int(name[2:], 16) if name[1:2] in b"xX" else int(name[1:])
            character = chr(code) if code >= 32 or code in (9, 10, 13) else _REPLACEMENT
            return character.encode()
        except (ValueError, OverflowError):  # not a number, beyond Unicode, a surrogate
            return _REPLACEMENT.encode()


_CHARACTERS = _Characters({b"lt": b"<", b"gt": b">", b"amp": b"&", b"quot": b'"', b"apos": b"'"})


def _fold(name: str) -> str:
    return name.replace("_", " ").strip().lower()
