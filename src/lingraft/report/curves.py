"""Line charts: many series over one axis, each named at its end.

The lines are one SVG stretched to the page's width (strokes keep theirs); axes and names are text beside it. A line
breaks where a value is missing. Long series are drawn thin in full and bold as a running mean, and both are thinned to
what a screen can show; extremes survive the thinning. Where rows have low and high, a band lies under the line.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lingraft.report import frame, words
from lingraft.report.charts import Palette, Scale, scale_of
from lingraft.report.drawing import Drawing, text_width
from lingraft.report.frame import HEIGHT, WIDTH, Frame, Label
from lingraft.report.markup import Html, join, tag

NAMED = 40
"""More series than this are drawn in grey, without a name at their end."""
SMOOTHED = 8
"""With more series than this, running means beside the values would be a thicket."""
ENOUGH = 80
"""Points from which a running mean is drawn."""
LED = 15
"""With more names than this, the lines that lead to them would be one grey bundle."""
BUCKETS = 400
LINE = 17
"""Pixels from one name to the next."""

Point = tuple[float, float | None]


@dataclass(frozen=True)
class Series:
    """One line: points sorted by x; y is None where the value is missing."""

    name: str
    points: list[Point]
    band: list[tuple[float, float, float]] = field(default_factory=list)
    """x, low and high, sorted, where rows tell them."""

    @property
    def known(self) -> list[tuple[float, float]]:
        """The points that have a value."""
        return [(x, y) for x, y in self.points if y is not None]


def series_of(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Series], int]:
    """Sort rows (series, x, y, low, high) into series; also return how many rows have no x and cannot be placed."""
    found: dict[str, Series] = {}
    nowhere = 0
    for row in rows:
        name = str(row.get("series") or "")
        one = found.setdefault(name, Series(name, []))
        x, y, low, high = (words.finite(row.get(key)) for key in ("x", "y", "low", "high"))
        if x is None:
            nowhere += 1
            continue
        one.points.append((x, y))
        if None not in (y, low, high) and low <= high:
            one.band.append((x, low, high))
    for one in found.values():
        one.points.sort(key=lambda point: point[0])
        one.band.sort()
    return list(found.values()), nowhere


def draw(series: Sequence[Series], title: str, palette: Palette) -> Drawing:
    """Draw `series` with their names at the end; `title` "loss by step" names the axes."""
    drawn = [one for one in series if one.known]
    if not drawn:
        return Drawing(tag("p", "Not one value of this curve is a finite number: nothing to draw.", class_="aside"))
    xs = [x for one in drawn for x, _ in one.known]
    ys = [y for one in drawn for _, y in one.known]
    reach = ys + [y for one in drawn for _, *ends in one.band for y in ends]
    across = scale_of(xs, log=_bunched(xs), rounded=False)
    up = frame.roomy(scale_of(reach, log=min(reach) > 0 and max(ys) / min(ys) > 50, rounded=False))
    around = Frame(across, up, *frame.axis_names(title))
    named = drawn[:NAMED]
    smooth = len(drawn) <= SMOOTHED
    height = max(300, LINE * len(named) + 20)
    bands = [_band(one, across, up, palette) for one in named if len(one.band) > 1]
    lines = [_line(one, across, up, palette, smooth, named=True) for one in reversed(named)]
    rest = [_line(one, across, up, palette, False, named=False) for one in drawn[NAMED:]]
    longest = max(len(one.name) for one in named)
    marks = [*rest, *bands, *lines]
    ends = _ends(named, across, up, palette, height, smooth)
    html = around.html(marks, _summary(drawn, around.axes), height=height, ends=ends, name=longest + 9)
    room = round(min(220, max(text_width(one.name) for one in named) + 24))
    places = spread_out([around.y(_end(one, smooth)[1]) / HEIGHT for one in named], 0.055, 1)
    labels = [Label(one.name, palette.css(one.name), 1, place) for one, place in zip(named, places, strict=True)]
    return Drawing(html, picture=around.picture(marks, labels, room))


def notes(series: Sequence[Series], nowhere: int) -> list[str]:
    """Say what a reader of the drawing has to know: gaps, running means, lines without a name."""
    drawn = [one for one in series if one.known]
    said = []
    if len(drawn) <= SMOOTHED and (windows := {_window(one) for one in drawn if _window(one) > 1}):
        width = str(windows.pop()) if len(windows) == 1 else f"{min(windows)} to {max(windows)}"
        said.append(
            f"Thin lines are single values, bold ones running means over {width} of them; the last mean is named."
        )
    total = sum(len(one.points) for one in series)
    if gaps := total - sum(len(one.known) for one in series):
        said.append(f"{gaps:,} of {total:,} values are missing (NaN or infinite) and leave gaps.")
    if nowhere:
        said.append(f"{words.several(nowhere, 'row')} without a place on the x axis left out.")
    if any(len(one.band) > 1 for one in drawn):
        said.append("Bands are the intervals.")
    if empty := [one.name for one in series if not one.known]:
        said.append(f"Without any value: {words.listing(empty)}.")
    if len(drawn) > NAMED:
        said.append(f"{len(drawn) - NAMED:,} more series are grey and have no name here; the table has all.")
    return said


def _bunched(xs: Sequence[float]) -> bool:
    """Whether most x lie at the far left, as steps 1, 10, 100, 1,000 do."""
    middle = sorted(xs)[len(xs) // 2]
    return min(xs) > 0 and max(xs) / min(xs) >= 100 and middle < 0.1 * max(xs)


def _band(one: Series, across: Scale, up: Scale, palette: Palette) -> Html:
    low = path([(x, y) for x, y, _ in one.band], across, up)
    high = path([(x, y) for x, _, y in reversed(one.band)], across, up)
    return tag("path", class_=f"band {palette.css(one.name)}", d=f"{low}L{high[1:]}z")


def _line(one: Series, across: Scale, up: Scale, palette: Palette, smooth: bool, *, named: bool) -> Html:
    window = _window(one) if smooth else 1
    few = len(one.points) <= 12
    x, y = _end(one, smooth)
    paths = [
        tag("path", class_="raw" if window > 1 else "whole", d=path(thinned(one.points), across, up)),
        tag("path", class_="mean", d=path(_spread(smoothed(one)), across, up)) if window > 1 else None,
        tag("path", class_="point", d=dots(one.points if few else alone(one.points), across, up)),
    ]
    if named and across.share(x) < 0.995:
        paths.append(tag("path", class_="reach", d=f"M{_x(across, x):.1f},{_y(up, y):.1f}H{WIDTH}"))
    css = f"{palette.css(one.name)} d{palette.dash(one.name)}" if named else "unnamed"
    return tag("g", tag("title", one.name), *paths, class_=css)


def path(points: Sequence[Point], across: Scale, up: Scale) -> str:
    """Write the path through `points`; it is lifted over those without a value."""
    parts, down = [], False
    for x, y in points:
        if y is not None:
            parts.append(f"{'L' if down else 'M'}{_x(across, x):.1f},{_y(up, y):.1f}")
        down = y is not None
    return "".join(parts)


def dots(points: Sequence[Point], across: Scale, up: Scale) -> str:
    """Write a path of no length for each point: with round ends it is a dot that stretching leaves round."""
    return "".join(f"M{_x(across, x):.1f},{_y(up, y):.1f}h0" for x, y in points if y is not None)


def alone(points: Sequence[Point]) -> list[Point]:
    """Return the points that have a value between two gaps: no line would show them."""
    ys = [None, *(y for _, y in points), None]
    return [point for index, point in enumerate(points) if ys[index] is None and ys[index + 2] is None]


def thinned(points: Sequence[Point]) -> list[Point]:
    """Keep the lowest and the highest point of each of BUCKETS stretches, and every gap."""
    size = math.ceil(len(points) / BUCKETS)
    if size <= 2:
        return list(points)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        known = [point for point in stretch if point[1] is not None]
        gap = next((point for point in stretch if point[1] is None), None)
        ends = [min(known, key=lambda point: point[1]), max(known, key=lambda point: point[1])] if known else []
        kept += sorted({*ends, *([gap] if gap else [])}, key=lambda point: point[0])
    return kept


def _window(one: Series) -> int:
    return len(one.points) // 40 | 1 if len(one.points) >= ENOUGH else 1


def _end(one: Series, smooth: bool) -> tuple[float, float]:
    points = smoothed(one) if smooth and _window(one) > 1 else one.points
    return next((x, y) for x, y in reversed(points) if y is not None)


def smoothed(one: Series) -> list[Point]:
    """Return the running mean over an odd window; gaps stay gaps.

    After a gap the window grows from one point, so that a steep beginning is not flattened; before one it is cut off.
    """
    reach = _window(one) // 2
    found: list[Point] = []
    stretch: list[tuple[float, float]] = []
    for x, y in [*one.points, (0.0, None)]:
        if y is not None:
            stretch.append((x, y))
            continue
        sums = [0.0]
        for _, value in stretch:
            sums.append(sums[-1] + value)
        for index, (place, _) in enumerate(stretch):
            before = min(reach, index)
            first, after = index - before, min(len(stretch), index + before + 1)
            found.append((place, (sums[after] - sums[first]) / (after - first)))
        found.append((x, None))
        stretch = []
    return found[:-1]


def _spread(points: list[Point]) -> list[Point]:
    step = math.ceil(len(points) / BUCKETS)
    return [point for index, point in enumerate(points) if point[1] is None or (len(points) - 1 - index) % step == 0]


def spread_out(wanted: Sequence[float], gap: float, room: float) -> list[float]:
    """Move places apart to at least `gap`, within 0 to `room` where they fit, each as near its own as is simple."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    floor = -math.inf
    for index in order:
        floor = placed[index] = max(wanted[index], floor + gap)
    ceiling = room
    for index in reversed(order):
        ceiling = placed[index] = min(placed[index], ceiling)
        ceiling -= gap
    return placed


def _ends(named: Sequence[Series], across: Scale, up: Scale, palette: Palette, height: int, smooth: bool) -> Html:
    last = [_end(one, smooth) for one in named]
    own = [height * _y(up, y) / HEIGHT for _, y in last]
    placed = spread_out(own, LINE, height)
    leaders = [
        tag("path", class_=palette.css(one.name), d=f"M0,{here:.1f}L14,{there:.1f}")
        for one, here, there in zip(named, own, placed, strict=True)
    ]
    labels = [
        tag(
            "li",
            tag("span", one.name, dir="auto"),
            tag("b", words.number(float(f"{y:.4g}"))),
            class_=palette.css(one.name),
            style=f"top:{there:.1f}px",
            title=one.name,
        )
        for one, (_, y), there in zip(named, last, placed, strict=True)
    ]
    return join(
        [
            tag("svg", *leaders, class_="leaders", aria_hidden="true") if len(named) <= LED else None,
            tag("ol", *labels, class_="ends"),
        ]
    )


def _summary(drawn: Sequence[Series], axes: Sequence[str]) -> str:
    ends = [
        f"{one.name or 'the line'} from {words.number(one.known[0][1])} to {words.number(one.known[-1][1])}"
        for one in drawn
    ]
    more = f"; and {len(ends) - 12} more" if len(ends) > 12 else ""
    return f"Line chart, {axes[0]} by {axes[1]}: {'; '.join(ends[:12])}{more}."


def _x(across: Scale, value: float) -> float:
    return WIDTH * across.share(value)


def _y(up: Scale, value: float) -> float:
    return HEIGHT * (1 - up.share(value))
