"""Parsed pages as columns: flat buffers that Arrow takes without a copy, so that no Python object is made for a link.

The class in plain Python is the reference of the compiled one (_kernel.pyx), which has the same interface and makes the
same bytes.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from lingraft.wikimedia.page_xml import decode
from lingraft.wikimedia.wikitext import Parsed, Parser


@dataclass(slots=True)
class Batch:
    """Rows of text; `*_offsets` have one entry more than what they cut. Targets are as written, not unique."""

    num_rows: int
    text: bytes
    """UTF-8."""
    text_offsets: bytes
    """int64; all other numbers are int32, but for the levels."""
    characters: bytes
    words: bytes
    link_offsets: bytes
    link_starts: bytes
    link_ends: bytes
    targets: bytes
    target_offsets: bytes
    section_offsets: bytes
    section_starts: bytes
    section_ends: bytes
    section_levels: bytes
    """int8."""
    headings: bytes
    heading_offsets: bytes
    names: dict[int, str]
    """Link of the batch -> "en:Tokyo Tower"."""
    flags: dict[int, tuple[str, ...]]
    """Row -> flags, where there are any."""
    drops: Counter[str]
    """Over all pages, those without text too; `invalid_utf8` is among them."""
    templates: Counter[str]


class Columns:
    """Collects parsed pages."""

    def __init__(self, parser: Parser):
        self.parser = parser
        self._clear()

    def __len__(self) -> int:
        return len(self._parsed)

    def add(self, wikitext: str | bytes, escaped: bool = False, title: str = "") -> int:
        """Read one page and append a row; return its characters. A page without text (0) gives no row.

        With `escaped` the wikitext is UTF-8 with XML references, as it stands in an export.
        """
        if escaped:
            wikitext, valid = decode(wikitext)
            self._drops["invalid_utf8"] += not valid
        parsed = self.parser.parse(wikitext, title)
        self._drops.update(parsed.drops)
        self._templates.update(parsed.templates)
        if parsed.text:
            self._parsed.append(parsed)
            self.num_chars += len(parsed.text)
        return len(parsed.text)

    def take(self) -> Batch:
        """Return all rows, and start again."""
        rows = self._parsed
        links = [link for row in rows for link in row.links]
        sections = [section for row in rows for section in row.sections]
        texts, targets, headings = (
            [text.encode() for text in column]
            for column in ([row.text for row in rows], [link[2] for link in links], [each[3] for each in sections])
        )
        first_links = accumulate((len(row.links) for row in rows), initial=0)
        batch = Batch(
            num_rows=len(rows),
            text=b"".join(texts),
            text_offsets=_offsets(map(len, texts), "q"),
            characters=_numbers(len(row.text) for row in rows),
            words=_numbers(map(_num_words, rows)),
            link_offsets=_offsets(len(row.links) for row in rows),
            link_starts=_numbers(link[0] for link in links),
            link_ends=_numbers(link[1] for link in links),
            targets=b"".join(targets),
            target_offsets=_offsets(map(len, targets)),
            section_offsets=_offsets(len(row.sections) for row in rows),
            section_starts=_numbers(section[0] for section in sections),
            section_ends=_numbers(section[1] for section in sections),
            section_levels=_numbers((section[2] for section in sections), "b"),
            headings=b"".join(headings),
            heading_offsets=_offsets(map(len, headings)),
            names={
                first + at: name
                for first, row in zip(first_links, rows, strict=False)
                for at, name in row.names.items()
            },
            flags={at: row.flags for at, row in enumerate(rows) if row.flags},
            drops=+self._drops,
            templates=self._templates,
        )
        self._clear()
        return batch

    def _clear(self) -> None:
        self._parsed: list[Parsed] = []
        self._drops: Counter[str] = Counter()
        self._templates: Counter[str] = Counter()
        self.num_chars = 0
        """Characters of text now held."""


def _num_words(parsed: Parsed) -> int:
    text = parsed.text
    return text.count(" ") + text.count("\n") - text.count("\n\n") + 1  # the parser leaves no other white space


def _numbers(values: Iterable[int], kind: str = "i") -> bytes:
    return array(kind, values).tobytes()


def _offsets(sizes: Iterable[int], kind: str = "i") -> bytes:
    return _numbers(accumulate(sizes, initial=0), kind)


def columns(parser: Parser) -> Columns:
    """Return the columns to collect the parser's pages in, compiled ones where the parser is."""
    return parser.kernel.Columns(parser) if parser.kernel else Columns(parser)
