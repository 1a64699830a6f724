"""Tables: sortable where a script runs, whole without one, and scrolling in their own box, never with the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lingraft.report import words
from lingraft.report.markup import Child, Html, join, tag

MAX_ROWS = 200
MAX_CELLS = 1500
"""A table of few columns shows more rows, up to so many cells."""
TALL = 30
"""Rows from which a table scrolls in a box of its own, with its head in sight."""
LONG = 120
"""Characters from which a value is folded."""


def table(rows: Sequence[Mapping[str, Any]], title: str, *, columns: Iterable[str] | None = None) -> Html:
    """Draw `rows`, the first MAX_ROWS of them, or MAX_CELLS cells where that is more.

    The columns are all keys in the order in which they first appear.
    """
    names = list(columns) if columns is not None else list(dict.fromkeys(key for row in rows for key in row))
    if not rows or not names:
        return tag("p", "No rows.", class_="aside")
    numeric = {
        name
        for name in names
        if all(words.missing(row.get(name)) or words.finite(row.get(name)) is not None for row in rows)
    }
    head = tag("tr", *(tag("th", name.replace("_", " "), scope="col", class_=_align(name, numeric)) for name in names))
    shown = rows[: max(MAX_ROWS, MAX_CELLS // len(names))]
    decimals = {name: _decimals(name, [row.get(name) for row in shown]) for name in numeric}
    body = [tag("tr", *(_cell(name, row.get(name), numeric, decimals) for name in names)) for row in shown]
    left_out = len(rows) - len(body)
    note = f"The first {len(body)} of {len(rows):,} rows; {left_out:,} are left out here and stand in the run folder."
    return join(
        [
            scrolling(
                tag("table", tag("thead", head), tag("tbody", *body), class_="sortable"),
                title,
                css="scroll tall" if len(body) > TALL else "scroll",
            ),
            tag("p", note, class_="aside") if left_out else None,
        ]
    )


def _align(name: str, numeric: set[str]) -> str | None:
    return "number" if name in numeric else None


def _decimals(name: str, values: Iterable[Any]) -> int | None:
    """Return how many decimals align a column of plain fractions, or None when its numbers are better left alone."""
    written = [words.cell(name, value) for value in values if not words.missing(value)]
    plain = [text for text in written if text.replace(",", "").lstrip("-").replace(".", "", 1).isdigit()]
    longest = max((len(text.partition(".")[2]) for text in plain), default=0)
    return longest if len(plain) == len(written) and 0 < longest <= 5 else None


def _cell(name: str, value: Any, numeric: set[str], decimals: Mapping[str, int | None]) -> Html:
    if words.missing(value):
        return tag("td", words.MISSING, class_=_align(name, numeric), title="no value")
    places = decimals.get(name)
    shown = words.cell(name, value) if places is None else f"{value:,.{places}f}"
    if name in numeric:
        raw = None if shown == str(value) else value  # the script reads a plain number from its text
        return tag("td", shown, class_="number", data_value=raw)
    return tag("td", folded(shown), dir="auto")


def pairs(values: Mapping[str, Any], title: str) -> Html:
    """Draw names with their values, one pair a row; nested mappings are written as section.key."""
    values = flat(values)
    align = "number" if all(words.finite(value) is not None for value in values.values()) else None
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", folded(words.cell(name, value)), class_=align, dir="auto"))
        for name, value in values.items()
    ]
    return scrolling(tag("table", tag("tbody", *rows), class_="pairs"), title)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give nested mappings one level: {"a": {"b": 1}} is {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= flat(value, name) if isinstance(value, Mapping) and value else {name: value}
    return found


def folded(value: str) -> Child:
    """Fold a long value behind its beginning."""
    if len(value) <= LONG:
        return value
    return tag("details", tag("summary", value[: LONG - 40] + " …"), tag("div", value), class_="long")


def scrolling(inner: Html, title: str, css: str = "scroll") -> Html:
    """Let a wide element scroll in its own box; the keyboard can reach the box."""
    return tag("div", inner, class_=css, tabindex="0", role="region", aria_label=title)
