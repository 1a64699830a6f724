"""The frame of curves and scatters: marks between two axes.

The marks are one SVG stretched to the page's width (strokes keep theirs); axes and names are text beside it. A picture
for a paper has the same marks, unstretched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import words
from lingraft.report.charts import Scale
from lingraft.report.drawing import Piece, cut
from lingraft.report.markup import Html, join, tag

WIDTH, HEIGHT = 1000, 400
"""The coordinates of the marks, not pixels."""
SMALL = 0.68
"""What a picture is reduced by, so that its letters of 11 px fit marks drawn 1,000 wide."""


@dataclass(frozen=True)
class Label:
    """A name beside a mark: its text, its colour's class, the place of its mark and its own, both from 0 to 1."""

    text: str
    css: str
    x: float
    y: float


@dataclass(frozen=True)
class Frame:
    """Two scales and their names."""

    across: Scale
    up: Scale
    y_name: str
    x_name: str

    def x(self, value: float) -> float:
        """Return the horizontal place of `value`."""
        return WIDTH * self.across.share(value)

    def y(self, value: float) -> float:
        """Return the vertical place of `value`; 0 is on top."""
        return HEIGHT * (1 - self.up.share(value))

    @property
    def axes(self) -> tuple[str, str]:
        """How the axes are named: y, x."""
        return tuple(
            f"{name} (log scale)" if scale.log else name
            for name, scale in ((self.y_name, self.up), (self.x_name, self.across))
        )

    def html(
        self,
        marks: Sequence[Html | None],
        summary: str,
        *,
        height: int,
        ends: Html | None = None,
        name: int = 0,
        attributes: Mapping[str, Any] | None = None,
    ) -> Html:
        """Return the frame around `marks` for the page; `ends` stands at the right, `name` letters wide."""
        y_ticks = [(f"top:{100 * (1 - self.up.share(tick)):.2f}%", words.short(tick)) for tick in self.up.ticks()]
        x_ticks = [(f"left:{100 * self.across.share(tick):.2f}%", words.short(tick)) for tick in self.across.ticks()]
        drawn = tag(
            "svg",
            *self._grid(),
            *marks,
            class_="lines",
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            preserveAspectRatio="none",
            role="img",
            aria_label=summary,
            **(attributes or {}),
        )
        return tag(
            "div",
            tag("p", self.axes[0], class_="y-name"),
            tag("div", _ticks("y", y_ticks), drawn, ends, _ticks("x", x_ticks), class_="plot"),
            tag("p", self.axes[1], class_="x-name"),
            class_="curve",
            style=f"--height:{height}px;--ticks:{max((len(t) for _, t in y_ticks), default=1)}ch;--name:{name}ch",
        )

    def picture(self, marks: Sequence[Html | None], labels: Sequence[Label] = (), room: int = 20) -> Piece:
        """Return the frame around `marks` as a piece; labels at x = 1 stand in a column of `room` pixels."""
        width, height = WIDTH * SMALL, HEIGHT * SMALL
        left, top = 12 + 7 * max((len(words.short(tick)) for tick in self.up.ticks()), default=1), 22
        y_ticks = [
            tag(
                "text",
                words.short(tick),
                class_="tick",
                x=left - 8,
                y=f"{top + height * (1 - self.up.share(tick)) + 4:.1f}",
            )
            for tick in self.up.ticks()
        ]
        x_ticks = [
            tag(
                "text",
                words.short(tick),
                class_="flat",
                x=f"{left + width * self.across.share(tick):.1f}",
                y=top + height + 16,
            )
            for tick in self.across.ticks()
        ]
        names = [
            tag("text", self.axes[0], x=0, y=10),
            tag("text", self.axes[1], x=left, y=f"{top + height + 34:g}"),
        ]
        beside = [
            tag(
                "text",
                cut(label.text, room - 12 if label.x >= 1 else 200),
                class_=f"label {label.css}",
                x=f"{left + width * label.x + 8:.1f}",
                y=f"{top + height * label.y + 4:.1f}",
            )
            for label in labels
        ]
        drawn = tag("g", *self._grid(), *marks, class_="lines", transform=f"translate({left},{top})scale({SMALL})")
        return Piece(join([drawn, *y_ticks, *x_ticks, *names, *beside]), left + width + room, top + height + 40, "plot")

    def _grid(self) -> list[Html]:
        return [tag("path", class_="grid", d=f"M0,{self.y(tick):.1f}H{WIDTH}") for tick in self.up.ticks()]


def _ticks(side: str, places: Sequence[tuple[str, str]]) -> Html:
    return tag("div", *(tag("span", name, style=at) for at, name in places), class_=f"{side}-ticks", aria_hidden="true")


def axis_names(title: str) -> tuple[str, str]:
    """Return the names of y and x that a title "loss by step" gives."""
    y_name, _, x_name = title.rpartition(" by ")
    return y_name or "value", x_name if y_name else "x"


def roomy(tight: Scale) -> Scale:
    """Leave some room over and under what is drawn."""
    if tight.log:
        return Scale(tight.low / 1.1, tight.high * 1.1, log=True)
    room = (tight.high - tight.low) / 25
    return Scale(tight.low - room, tight.high + room)
