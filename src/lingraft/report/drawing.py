"""What a kind of table is drawn as: HTML for the page, notes, the values as a table, and a picture for a paper.

The page sets text as text, which wraps and keeps its size; a picture is one SVG that stands alone, in light colours
written out, since programs that place figures on paper know no themes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from lingraft.report import shades
from lingraft.report.markup import Html, join, tag

LETTER = 6.4
"""Width of a letter at 11 px, about; of a Chinese one 11."""


@dataclass(frozen=True)
class Piece:
    """A part of a drawing with a size of its own, in pixels: the page and a picture place the same pieces."""

    inner: Html
    width: float
    height: float
    css: str = ""

    def html(self, **attributes: Any) -> Html:
        """Return the piece as an <svg> of its size."""
        width, height = f"{self.width:g}", f"{self.height:g}"
        box = f"0 0 {width} {height}"
        return tag("svg", self.inner, class_=self.css or None, width=width, height=height, viewBox=box, **attributes)

    def at(self, x: float, y: float) -> Html:
        """Return the piece as a part of a larger SVG."""
        return tag("g", self.inner, class_=self.css or None, transform=f"translate({x:g},{y:g})")


@dataclass(frozen=True)
class Drawing:
    """One drawn table."""

    html: Html
    notes: Sequence[str] = ()
    values: tuple[str, Html] | None = None
    """What the folded table under the drawing is called, and the table."""
    picture: Piece | None = field(default=None, repr=False)


def text_width(text: str) -> float:
    """Return about how wide `text` is at 11 px."""
    return sum(11 if ord(letter) > 0x2E80 else LETTER for letter in text)


def cut(text: str, width: float) -> str:
    """Shorten `text` to about `width` pixels at 11 px."""
    if text_width(text) <= width:
        return text
    while text and text_width(text) > width - LETTER:
        text = text[:-1]
    return text + "…"


def standalone(piece: Piece, title: str) -> str:
    """Return `piece` as the text of an .svg file, with its title over it."""
    top, edge = 44, 14
    width, height = round(max(piece.width, 320) + 2 * edge), round(piece.height + top + edge)
    inner = re.sub(r'class="([^"]*)"', _coloured, join([piece.at(edge, top)]))
    style = (files("lingraft.report") / "picture.css").read_text(encoding="utf-8")
    held = tag(
        "svg",
        tag("title", title),
        tag("style", Html(style)),
        tag("rect", class_="ground", width=width, height=height),
        tag("text", cut(title, (width - 2 * edge) * 11 / 15), class_="title", x=edge, y=26),
        Html(inner),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{held}\n'


def _coloured(found: re.Match[str]) -> str:
    """Write the colour of a class beside it: a picture's style knows only `currentColor`."""
    colours = _colours()
    known = [colours[name] for name in found[1].split() if name in colours]
    return f'{found[0]} color="{known[-1]}"' if known else found[0]


@cache
def _colours() -> dict[str, str]:
    style = (files("lingraft.report") / "style.css").read_text(encoding="utf-8")
    series = re.findall(r"^\.(\w+) \{ --c: light-dark\((#\w+),", style, re.MULTILINE)
    return dict(series) | shades.light()
