"""Values as people read them: thousands apart, shares in per cent, bytes and seconds in units of a fitting size."""

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

MISSING = "–"
"""What stands where a value is missing: None, NaN, or infinite."""

_IDENTIFIERS = {"id", "revision", "entity", "qid", "seed", "year", "page", "index", "label", "mention"}
_SHARES = ("share", "accuracy", "probability", "recall", "precision")


def finite(value: Any) -> float | None:
    """Return `value` as a float, or None when it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def missing(value: Any) -> bool:
    """Whether nothing is known: None, or a float that is NaN or infinite."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def number(value: float) -> str:
    """Write a number: 12,345 or 0.0123, four digits that count; 1.2e-07 when it is far from one."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    if value == int(value) and size < 1e15:
        return f"{int(value):,}"
    if size >= 1000:
        return f"{value:,.1f}" if size < 1e12 else f"{value:.3e}"
    return f"{value:.4g}"


def decimals(values: Iterable[float]) -> int:
    """Return how many decimals, at most 4, tell three digits of the largest of `values`."""
    largest = max(map(abs, values), default=0.0)
    return 2 if largest == 0 else max(0, min(4, 2 - math.floor(math.log10(largest))))


def short(value: float) -> str:
    """Write the number of a tick: 20,000 is 20k."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 10 * factor or (abs(value) >= factor > 1e3):
            return f"{value / factor:g}{unit}"
    return number(value)


def percent(value: float) -> str:
    """Write a share of one in per cent: 0.713 is 71.3%."""
    return f"{100 * value:.1f}%"


def cell(column: str, value: Any) -> str:
    """Write one value of the column or setting `column`, whose last part says what kind of number it is."""
    if missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    name = column.rsplit(".", 1)[-1].lower()
    if isinstance(value, int | float):
        if is_identifier(name):
            return str(value)
        if isinstance(value, float) and 0 <= value <= 1 and is_share(name):
            return percent(value)
        if name == "seconds" or name.endswith("_seconds"):
            return duration(value)
        return number(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value) or "none"
    return json.dumps(value, ensure_ascii=False, default=str)


def is_identifier(name: str) -> bool:
    """Whether the numbers of a column name things, so that thousands are not set apart."""
    return name in _IDENTIFIERS or name.endswith(("_id", "_seed"))


def is_share(name: str) -> bool:
    """Whether the numbers of a column are shares of one by its name."""
    return any(part in name for part in _SHARES)


def size(num_bytes: int) -> str:
    """Write bytes: 15,436,371 is 15.4 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.1f} {unit}"
    return f"{num_bytes:,} bytes"


def duration(seconds: float) -> str:
    """Write seconds: 252.4 is 4 min 12 s."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(timestamp: float) -> str:
    """Write a time in UTC, to the minute."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")


def several(count: int, noun: str) -> str:
    """Write a count with its noun: 1 run, 1,200 runs."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listing(names: Iterable[str]) -> str:
    """Write names with commas and a last "and"."""
    *head, last = list(names)
    return f"{', '.join(head)} and {last}" if head else last
