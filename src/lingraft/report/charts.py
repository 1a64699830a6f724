"""Dot-and-interval and bar charts as rows of HTML, each with its own small SVG.

One large SVG would shrink its letters with the page: 13 px on a desk are 6 px on a phone. Here labels and numbers are
ordinary text that wraps and can be copied, and only marks are drawn, at positions in per cent of whatever width there
is. Colours are Okabe and Ito's, without their yellow (invisible on white), and no chart speaks by colour alone.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import words
from lingraft.report.drawing import Drawing, Piece, cut, text_width
from lingraft.report.markup import Html, join, tag

NUM_COLOURS = 7
MAX_BARS = 40
MAX_GROUPS = 60

Show = Callable[[float], str]
"""Writes a value."""


class Palette:
    """One colour a label, the same in the whole report; colours come in the order of first use and then repeat."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, label: str) -> int:
        """Return how many labels came before this one."""
        return self._places.setdefault(label, len(self._places))

    def css(self, label: str) -> str:
        """Return the class that sets the label's colour."""
        return f"c{self.place(label) % NUM_COLOURS}"

    def dash(self, label: str) -> int:
        """Return the dash pattern, 0 for none, that tells labels of one colour apart."""
        return self.place(label) // NUM_COLOURS % 4


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto 0 to 1."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Return where `value` lies: 0 is low, 1 is high."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values within the scale, about as many as asked."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            multiples = (1,) if last - first > 3 else (1, 2, 5)
            step = max(1, (last - first) // about)
            found = [m * 10.0**power for power in range(first, last + 1, step) for m in multiples]
            return [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]
        step = _round_step((self.high - self.low) / about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def scale_of(values: Iterable[float], *, log: bool = False, rounded: bool = True) -> Scale:
    """Return a scale that holds `values` (finite; above 0 for `log`), widened to round numbers when `rounded`."""
    values = list(values)
    low, high = min(values), max(values)
    if high - low < 1e-300:
        half = (abs(low) if abs(low) > 1e-300 else 1) / 2
        low, high = (low / 2, high * 2) if log else (low - half, high + half)
    if rounded and not log:
        step = _round_step((high - low) / 10)
        low, high = round(math.floor(low / step) * step, 12), round(math.ceil(high / step) * step, 12)
    return Scale(low, high, log)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def bars(rows: Sequence[tuple[str, float]], show: Show = words.number) -> Html:
    """Draw named amounts as bars from zero, the longest first; `show` writes the numbers."""
    rows = sorted(rows, key=lambda row: -row[1])
    longest = max([value for _, value in rows if math.isfinite(value)], default=0) or 1
    items = [
        tag(
            "li",
            tag("span", name, class_="who", dir="auto"),
            tag("svg", _bar(value / longest), class_="track", aria_hidden="true"),
            tag("span", show(value), class_="value"),
        )
        for name, value in rows[:MAX_BARS]
    ]
    rest = rows[MAX_BARS:]
    more = f"{words.several(len(rest), 'smaller one')} left out, {show(sum(value for _, value in rest))} in all."
    return join([tag("ol", *items, class_="bars"), tag("p", more, class_="aside") if rest else None])


def tells(rows: Sequence[tuple[str, float]]) -> bool:
    """Whether bars would show anything: not where one count, of bytes perhaps, leaves most others no length."""
    counts = [value for _, value in rows if value > 0]
    return sum(value > max(counts) / 200 for value in counts) * 2 >= len(counts)


def _bar(share: float) -> Html:
    width = f"{100 * share:.2f}%" if math.isfinite(share) and share > 0 else "0"
    return tag("rect", x="0", y="3", width=width, height="12", rx="1.5")


@dataclass(frozen=True)
class Panel:
    """Rows (label, value, low, high, chance, and what stands small beside the label) on one scale."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    scale: Scale | None
    """None where no row has a value."""
    show: Show = words.number


def scores(rows: Sequence[Mapping[str, Any]], palette: Palette) -> Drawing:
    """Draw score rows (group, label, value, low, high, chance, unit) as dots with intervals, a panel a group.

    Groups whose values are shares of one are drawn on one scale, in per cent; any other has a scale of its own.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row.get("group") or ""), []).append(row)
    shown = dict(list(groups.items())[:MAX_GROUPS])
    known = {name: _known(group) for name, group in shown.items()}
    shares = [value for name, group in shown.items() if _are_shares(group, known[name]) for value in known[name]]
    common = scale_of(shares) if shares else None
    if common and common.high - common.low > 0.5:
        common = Scale(0, 1)
    panels = []
    for name, group in shown.items():
        values = known[name]
        if common and _are_shares(group, values):
            panels.append(Panel(name, group, common, words.percent))
        else:
            panels.append(Panel(_with_unit(name, group), group, scale_of(values) if values else None))

    def css(row: Mapping[str, Any]) -> str:
        return palette.css(str(row.get("label") or ""))

    rest = len(groups) - len(shown)
    more = f"{words.several(rest, 'more group')} not drawn; the values are in the table." if rest else None
    drawn = tag("div", *(panel(one, css) for one in panels), class_="panels many" if len(panels) > 2 else "panels")
    return Drawing(join([drawn, tag("p", more, class_="aside") if more else None]), picture=picture(panels, css))


def _known(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return all numbers that will be drawn: a score without a value has no mark, whatever its interval."""
    scored = [row for row in rows if words.finite(row.get("value")) is not None]
    keys = ("value", "low", "high", "chance")
    return [value for row in scored for key in keys if (value := words.finite(row.get(key))) is not None]


def _are_shares(rows: Sequence[Mapping[str, Any]], values: Sequence[float]) -> bool:
    """Whether values are shares of one: they lie within 0 and 1, and no row says that its unit is another."""
    named = any(row.get("unit") is not None for row in rows)
    return bool(values) and not named and all(0 <= value <= 1 for value in values)


def _with_unit(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    unit = next((str(row["unit"]) for row in rows if row.get("unit")), "")
    return f"{name}, {unit}" if unit and unit not in name else name


def panel(one: Panel, css: Callable[[Mapping[str, Any]], str], kind: str = "dots") -> Html:
    """Draw a panel for the page, its rows in the colours that `css` gives them."""
    heading = tag("h4", one.name, dir="auto") if one.name else None
    if (scale := one.scale) is None:
        return tag("section", heading, tag("p", "No value.", class_="aside"))
    ticks = [
        tag("span", one.show(tick).replace(".0%", "%"), style=f"left:{_at(scale, tick)}") for tick in scale.ticks()
    ]
    # Rows of one group nearly always share one chance; where they do not, each row draws its own line all the same.
    levels = dict.fromkeys(level for row in one.rows if (level := words.finite(row.get("chance"))) is not None)
    chances = [
        tag("span", f"chance {one.show(level)}", class_=_side(scale, level), style=f"left:{_at(scale, level)}")
        for level in levels
    ]
    axis = tag("li", tag("span", *ticks, *chances, class_="ticks"), class_="axis", aria_hidden="true")
    items = [_score(row, scale, one.show, css(row)) for row in one.rows]
    return tag("section", heading, tag("ol", *items, axis, class_=kind), class_="panel")


def _score(row: Mapping[str, Any], scale: Scale, show: Show, css: str) -> Html:
    label, beside = (str(row.get(key) or "") for key in ("label", "beside"))
    said, bounds = _said(row, show)
    title = f"{label}, {beside}" if beside else None
    return tag(
        "li",
        tag("span", label, tag("small", beside) if beside else None, class_="who", dir="auto", title=title),
        tag("svg", *_marks(row, scale), class_="track", role="img", aria_label=f"{label}: {', '.join(said)}"),
        tag("span", tag("b", said[0]), tag("small", bounds) if bounds else None, class_="value"),
        class_=css,
    )


def _said(row: Mapping[str, Any], show: Show) -> tuple[list[str], str | None]:
    """Return what a row says, its value first, and its interval as it stands beside the value."""
    value, low, high, chance = (words.finite(row.get(key)) for key in ("value", "low", "high", "chance"))
    said = ["no value" if value is None else show(value)]
    if chance is not None:
        said.append(f"chance {show(chance)}")
    if value is None or low is None or high is None:
        return said, None
    said.append(f"interval {show(low)} to {show(high)}")
    between = "–" if min(low, high) >= 0 else " to "
    return said, f"{show(low).rstrip('%')}{between}{show(high).rstrip('%')}"


def _marks(row: Mapping[str, Any], scale: Scale) -> list[Html]:
    value, low, high, chance = (words.finite(row.get(key)) for key in ("value", "low", "high", "chance"))
    marks = [_upright("chance", scale, chance)] if chance is not None else []
    if scale.low < 0 < scale.high:
        marks.append(_upright("zero", scale, 0))
    if value is not None and low is not None and high is not None:
        marks.append(tag("line", class_="interval", x1=_at(scale, low), x2=_at(scale, high), y1="50%", y2="50%"))
    if value is not None:
        marks.append(tag("circle", cx=_at(scale, value), cy="50%", r="5.5"))
    return marks


def picture(panels: Iterable[Panel], css: Callable[[Mapping[str, Any]], str]) -> Piece:
    """Draw panels as one piece: labels, marks and numbers in three columns."""
    panels = [one for one in panels if one.scale is not None]
    labels = [str(row.get("label") or "") for one in panels for row in one.rows]
    left, track, line = min(200, max(map(text_width, labels), default=0)) + 16, 400, 18
    drawn: list[Html] = []
    y = 0
    for one in panels:
        if one.name:
            drawn.append(tag("text", one.name, class_="panel-name", x=0, y=y + 12))
            y += 22
        for row in one.rows:
            said, bounds = _said(row, one.show)
            label = cut(str(row.get("label") or ""), left - 12)
            beside = f"{said[0]}  ({bounds})" if bounds else said[0]
            drawn += [
                tag("text", label, x=f"{left - 14:g}", y=y + 13, text_anchor="end"),
                tag("svg", *_marks(row, one.scale), class_=f"dots {css(row)}", x=left, y=y, width=track, height=line),
                tag("text", beside, x=f"{left + track + 14:g}", y=y + 13),
            ]
            y += line
        ticks = [(left + track * one.scale.share(tick), one.show(tick)) for tick in one.scale.ticks()]
        drawn.append(tag("path", class_="axis", d=f"M{left:g},{y}h{track}"))
        drawn += [tag("text", text, class_="flat", x=f"{x:.1f}", y=y + 15) for x, text in ticks]
        y += 40
    return Piece(join(drawn), left + track + 160, y, "forest")


def _side(scale: Scale, value: float) -> str:
    """Keep a label near an end of the axis inside the page."""
    share = scale.share(value)
    return "chance near-start" if share < 0.15 else "chance near-end" if share > 0.85 else "chance"


def _upright(name: str, scale: Scale, value: float) -> Html:
    return tag("line", class_=name, x1=_at(scale, value), x2=_at(scale, value), y1="0", y2="100%")


def _at(scale: Scale, value: float) -> str:
    return f"{100 * scale.share(value):.2f}%"
