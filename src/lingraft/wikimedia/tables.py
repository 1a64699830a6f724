"""Tables as text: a line a row, "cell | cell | cell".

>>> list(rows(["{|", "! scope=col | a !! b", "|-", "| c || d"]))
['\\na | b', 'c | d']
"""

import re
from collections.abc import Iterator

from lingraft.wikimedia.preprocess import HOLE

BARS_ONLY = re.compile(rf"^[ |{HOLE}]+$", re.MULTILINE)
"""A row of which nothing is left but its bars."""

_CELLS, _HEADER_CELLS = re.compile(r"\|\|"), re.compile(r"\|\||!!")
_HTML_TABLE = re.compile(r"<(/?)(table|tr|td|th|caption)\b[^<>]*+>", re.IGNORECASE | re.ASCII)
_HTML_OPEN = {"table": "\n{|\n", "tr": "\n|-\n", "td": "\n| |", "th": "\n! |", "caption": "\n|+ |"}


def rows(lines: list[str]) -> Iterator[str]:
    """Yield the rows of a table as "cell | cell | cell", a caption as a row; the first with a line break before it.

    Rows of a table inside a cell come in their turn. A cell's attributes go.
    Source: doTableStuff of MediaWiki's parser.
    """
    cells: list[list[str]] = []
    gap = "\n"

    def taken() -> Iterator[str]:
        nonlocal gap
        row = [" ".join(cell).strip() for cell in cells]
        cells.clear()
        if any(row):
            yield gap + " | ".join(row)
            gap = ""

    for line in lines:
        body = line.strip(" \t")
        if body.startswith(("|-", "|}", "|+")) or body.lstrip(" :*#;").startswith("{|"):
            yield from taken()
            if body.startswith("|+"):
                cells.append([_cell(body[2:])])
                yield from taken()
        elif body.startswith(("|", "!")):
            separators = _HEADER_CELLS if body[0] == "!" else _CELLS
            cells += ([_cell(cell)] for cell in separators.split(body[1:]))
        elif cells:
            cells[-1].append(body.strip("*#:;= "))
    yield from taken()


def _cell(written: str) -> str:
    """Return what a cell holds behind its attributes."""
    attributes, bar, inside = written.partition("|")
    return (inside if bar and "[[" not in attributes else written).strip()


def html_tables_as_wikitext(text: str) -> str:
    """Write `<table>` as `{|`, so that both are read alike."""
    depth = 0

    def replace(tag: re.Match[str]) -> str:
        nonlocal depth
        name = tag[2].lower()
        if name == "table":
            depth = max(0, depth - 1) if tag[1] else depth + 1
            return "\n|}\n" if tag[1] else _HTML_OPEN[name]
        if not depth:
            return tag[0]
        return ("\n" if name in ("tr", "caption") else "") if tag[1] else _HTML_OPEN[name]

    return _HTML_TABLE.sub(replace, text)
