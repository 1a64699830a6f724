"""Effects: a forest plot, what a donor or a recipient adds, with its interval, against a line at nothing.

Sorted by value; an effect whose interval holds 0 is grey, since its sign is not known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report import charts, tables, words
from lingraft.report.charts import scale_of
from lingraft.report.drawing import Drawing
from lingraft.report.markup import tag

LONG = 40
"""More rows than this scroll in a box of their own."""


def draw(rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any], title: str) -> Drawing:
    """Draw a table of the kind effects: label, value, low, high, group (beside the label); `extra`: unit."""
    known = [row for row in rows if words.finite(row.get("value")) is not None]
    if not known:
        return Drawing(tag("p", "Not one effect has a value: nothing to draw.", class_="aside"))
    scale = scale_of([0, *_numbers(known)])
    ordered = sorted(rows, key=_order)
    panel = charts.Panel("", [row | {"beside": row.get("group")} for row in ordered], scale, _written(known))
    drawn = charts.panel(panel, css, "dots forest long" if len(rows) > LONG else "dots forest")
    unit = str(extra.get("unit") or "")
    notes = [f"In {unit}." if unit else "", "Grey: the interval holds 0."]
    if gone := len(rows) - len(known):
        notes.append(f"{words.several(gone, 'effect')} without a value.")
    values = "The values as a table", tables.table(ordered, title)
    html = tag("div", drawn, class_="panels")
    return Drawing(html, [note for note in notes if note], values, charts.picture([panel], css))


def css(row: Mapping[str, Any]) -> str:
    """Return the class of a row: gain, loss, or unsure where the interval holds 0."""
    value, low, high = (words.finite(row.get(key)) for key in ("value", "low", "high"))
    if value is None or (low is not None and high is not None and low <= 0 <= high):
        return "unsure"
    return "gain" if value > 0 else "loss"


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [
        value for row in rows for key in ("value", "low", "high") if (value := words.finite(row.get(key))) is not None
    ]


def _order(row: Mapping[str, Any]) -> tuple[bool, float, str]:
    """Sort the largest first, what has no value last."""
    value = words.finite(row.get("value"))
    return (value is None, -(value or 0.0), str(row.get("label") or ""))


def _written(rows: Sequence[Mapping[str, Any]]) -> charts.Show:
    """Return what writes all numbers with the same decimals, three digits of the largest."""
    places = words.decimals(_numbers(rows))
    return lambda value: f"{value:,.{places}f}"
