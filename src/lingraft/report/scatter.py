"""Scatters: a dot a pair of values, with a fitted line; the names farthest from it are written."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import frame, tables, words
from lingraft.report.charts import NUM_COLOURS, Palette, scale_of
from lingraft.report.curves import dots
from lingraft.report.drawing import Drawing
from lingraft.report.frame import HEIGHT, WIDTH, Frame, Label
from lingraft.report.markup import Html, join, tag

NAMED = 8
"""So many names stand in the drawing; the script tells any other."""
POINTS_HEIGHT = 440


@dataclass(frozen=True)
class Point:
    """One pair of values."""

    x: float
    y: float
    label: str
    group: str


def points_of(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Point], int]:
    """Return the rows (x, y, label, group) that have both values, and how many have not."""
    found = []
    for row in rows:
        x, y = words.finite(row.get("x")), words.finite(row.get("y"))
        if x is not None and y is not None:
            found.append(Point(x, y, str(row.get("label") or ""), str(row.get("group") or "")))
    return found, len(rows) - len(found)


def draw(rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any], title: str) -> Drawing:
    """Draw a table of the kind scatter; `extra`: line, a mapping with slope, intercept and perhaps a note."""
    points, gone = points_of(rows)
    notes = [f"{words.several(gone, 'row')} without a finite x and y left out."] if gone else []
    if not points:
        return Drawing(tag("p", "Not one row has a finite x and y: nothing to draw.", class_="aside"), notes)
    line, said = _line(extra.get("line"))
    notes = [said, *notes] if said else notes
    around = Frame(
        frame.roomy(scale_of([point.x for point in points], rounded=False)),
        frame.roomy(scale_of([point.y for point in points], rounded=False)),
        *frame.axis_names(title),
    )
    groups = list(dict.fromkeys(point.group for point in points))
    if len(groups) > NUM_COLOURS:
        notes.append(f"The {len(groups):,} groups are more than there are colours; the table names them.")
        groups = []
    palette = Palette()  # its own: the groups of a scatter are few, and no two of them may share a colour
    size = "few" if len(points) <= 80 else "some" if len(points) <= 600 else "thick"
    marks = [*_zeros(around), *_dots(points, groups, around, palette, size), _fitted(line, around)]
    named = _named(points, line, around)
    key = [tag("span", group or "other", class_=palette.css(group)) for group in groups] if len(groups) > 1 else []
    html = join(
        [
            tag("p", *key, class_="dots-key") if key else None,
            around.html(
                marks,
                _summary(points, around, said),
                height=POINTS_HEIGHT,
                ends=_written(named),
                attributes={
                    "data_points": _points(points),
                    "data_box": f"{around.across.low:g} {around.across.high:g} {around.up.low:g} {around.up.high:g}",
                },
            ),
        ]
    )
    values = "The values as a table", tables.table(rows, title)
    legend = [Label(group or "other", palette.css(group), 1, 0.05 + 0.06 * n) for n, group in enumerate(groups)]
    shown = [*named, *(legend if key else [])]
    return Drawing(html, notes, values, around.picture(marks, shown, room=150 if key else 40))


def _line(given: Any) -> tuple[tuple[float, float] | None, str]:
    """Return slope and intercept, and what to say of the line."""
    given = given if isinstance(given, Mapping) else {}
    slope, intercept = (words.finite(given.get(key)) for key in ("slope", "intercept"))
    note = str(given.get("note") or "")
    if slope is None or intercept is None:
        return None, note
    return (slope, intercept), note or f"The line has the slope {words.number(slope)}."


def _zeros(around: Frame) -> list[Html]:
    """Draw the axes' zeros where they lie within: on which side of nothing a pair stands is the first question."""
    found = []
    if around.up.low < 0 < around.up.high:
        found.append(tag("path", class_="zero", d=f"M0,{around.y(0):.1f}H{WIDTH}"))
    if around.across.low < 0 < around.across.high:
        found.append(tag("path", class_="zero", d=f"M{around.x(0):.1f},0V{HEIGHT}"))
    return found


def _dots(points: Sequence[Point], groups: Sequence[str], around: Frame, palette: Palette, size: str) -> list[Html]:
    if not groups:
        everything = dots([(point.x, point.y) for point in points], around.across, around.up)
        return [tag("path", class_=f"dot {size} c0", d=everything)]
    return [
        tag(
            "path",
            tag("title", group) if group else None,
            class_=f"dot {size} {palette.css(group)}",
            d=dots([(point.x, point.y) for point in points if point.group == group], around.across, around.up),
        )
        for group in groups
    ]


def _fitted(line: tuple[float, float] | None, around: Frame) -> Html | None:
    """Draw the line as far as it lies within the frame."""
    if line is None:
        return None
    slope, intercept = line
    left, right = around.across.low, around.across.high
    if slope:
        ends = sorted((edge - intercept) / slope for edge in (around.up.low, around.up.high))
        left, right = max(left, ends[0]), min(right, ends[1])
    if left >= right or not around.up.low <= intercept + slope * (left + right) / 2 <= around.up.high:
        return None
    (x1, y1), (x2, y2) = ((around.x(x), around.y(intercept + slope * x)) for x in (left, right))
    return tag("path", class_="fitted", d=f"M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}")


def _named(points: Sequence[Point], line: tuple[float, float] | None, around: Frame) -> list[Label]:
    """Choose the points to name: the farthest from the line or, without one, from the middle; never two on one spot."""
    middle = [sum(place) / len(points) for place in zip(*((_share(point, around)) for point in points), strict=True)]

    def distance(point: Point) -> float:
        x, y = _share(point, around)
        if line is not None:
            return abs(point.y - line[0] * point.x - line[1])
        return math.hypot(x - middle[0], y - middle[1])

    taken: list[Label] = []
    for point in sorted(points, key=distance, reverse=True)[: 4 * NAMED]:
        x, y = _share(point, around)
        wide = 0.008 * len(point.label) + 0.02
        free = all(abs(other.y - y) > 0.045 or not -wide < other.x - x < wide for other in taken)
        if point.label and free and x + wide < 1:
            taken.append(Label(point.label, "", x, y))
    return taken[:NAMED]


def _share(point: Point, around: Frame) -> tuple[float, float]:
    return around.x(point.x) / WIDTH, around.y(point.y) / HEIGHT


def _written(named: Sequence[Label]) -> Html:
    names = [
        tag("span", label.text, style=f"left:{100 * label.x:.2f}%;top:{100 * label.y:.2f}%", dir="auto")
        for label in named
    ]
    return tag("div", *names, class_="point-names", aria_hidden="true")


def _points(points: Sequence[Point]) -> str:
    """Write what the script tells of a point: its label, and x and y as they are read."""
    told = [[point.label, float(f"{point.x:.4g}"), float(f"{point.y:.4g}"), point.group] for point in points]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _summary(points: Sequence[Point], around: Frame, said: str) -> str:
    y_name, x_name = around.axes
    spans = [
        f"{name} from {words.number(min(values))} to {words.number(max(values))}"
        for name, values in ((x_name, [p.x for p in points]), (y_name, [p.y for p in points]))
    ]
    return f"Scatter of {words.several(len(points), 'point')}: {', '.join(spans)}. {said}".strip()
