"""Numbers, dates and measures as the texts of a language write them.

    >>> locale("uk").number("603700")
    '603 700'
    >>> locale("en").date("1964", "4", "2")
    'April 2, 1964'

The facts stand in templates/locales.toml; names of units under `[units]` in the files beside it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("templates")

Units = Mapping[str, str | list[str]]
"""Code of a unit -> its symbol, or [symbol, name of one, name of many]."""

_NUMBER = re.compile(r"([-−–+]?)(\d[\d,]*+)(\.\d+)?")
_MINUS = str.maketrans("-–", "−−")
_SUPERSCRIPT = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_SMALLER = {"ft": ("in",), "yd": ("ft",), "mi": ("yd", "ft"), "lb": ("oz",), "st": ("lb",)}
_RANGES = {"-": "–", "–": "–", "to": "–", "and": "–", "or": "/", "by": " × ", "x": " × ", "×": " × ", "+/-": " ± "}


@dataclass(frozen=True)
class Locale:
    """How one language writes; templates/locales.toml explains the fields."""

    months: tuple[str, ...] = ()
    months_alone: tuple[str, ...] = ()
    date_order: str = "{day} {month} {year}"
    group: str = ","
    decimal: str = "."
    least: int = 4
    indian: bool = False
    digits: str = ""

    def number(self, written: str) -> str:
        """Return a plain number ("-1234.5") with its digits grouped; what is none stays as it is written.

        Source: formatNum of MediaWiki's Language class.
        """
        sign, whole, fraction = "", written, ""
        if not written.isdecimal():
            found = _NUMBER.fullmatch(written.strip())
            if not found:
                return written
            sign, whole, fraction = found.groups("")
            sign, whole, fraction = sign.translate(_MINUS), whole.replace(",", ""), fraction.replace(".", self.decimal)
        if len(whole) >= self.least:
            rest, last = whole[:-3], whole[-3:]
            whole = self.group.join([*_pieces(rest, 2 if self.indian else 3), last])
        return self._in_own_digits(sign + whole + fraction)

    def date(self, year: str, month: str = "", day: str = "") -> str:
        """Return a date, or as much of it as is given; a month that is no number from 1 to 12 stays as it is written.

        Without a year it is a day of any year.
        """
        number = int(month) if month.isdecimal() and len(month) < 3 else 0
        names = self.months if day else self.months_alone or self.months
        if names and 1 <= number <= 12:
            month = names[number - 1]
        elif number:
            return "-".join(part.zfill(2) for part in (year, month, day) if part)
        if day and month and year:
            return self._in_own_digits(self.date_order.format(day=day.lstrip("0"), month=month, year=year))
        if day and month:
            parts = (day.lstrip("0"), month)
            day_first = self.date_order.index("{day}") < self.date_order.index("{month}")
            return self._in_own_digits(" ".join(parts if day_first else parts[::-1]))
        return self._in_own_digits(" ".join(part for part in (month, year) if part))

    def _in_own_digits(self, text: str) -> str:
        return text.translate(str.maketrans("0123456789", self.digits)) if self.digits else text


def _pieces(digits: str, size: int) -> list[str]:
    first = len(digits) % size or size
    return [digits[:first]] + [digits[at : at + size] for at in range(first, len(digits), size)]


@cache
def _rows() -> dict[str, dict]:
    return tomllib.loads((FOLDER / "locales.toml").read_text(encoding="utf-8"))


@cache
def locale(lang: str) -> Locale:
    """Return how the language writes; as English does, but with months in numbers, if the table does not know it."""
    row = dict(_rows().get(lang, {}))
    months, alone = (tuple(row.pop(name, ())) for name in ("months", "months_alone"))
    order = row.pop("date", Locale.date_order)
    return Locale(months, alone, order, **row)


def measure(
    values: list[str], options: Mapping[str, str], place: Locale, units: Units, words: Mapping[str, str]
) -> str:
    """Return what `{{convert}}` measures, without what it converts to: "5 to 10 km", "6 feet 2 inches".

    `values` are the parameters without a name: a number, more numbers after words of range ("5", "to", "10"), a unit,
    and again for feet and inches. `words` says how the language writes a range. A unit is abbreviated unless the
    language has its name. "" when the first is no number.
    Source: Template:Convert/doc of the English Wikipedia.
    """
    numbers, at = [values[0]] if values else [], 1
    while at + 1 < len(values) and (between := words.get(values[at]) or _RANGES.get(values[at])):
        numbers += (between, values[at + 1])
        at += 2
    if not numbers or not _is_number(numbers[0]):
        return ""
    unit = values[at] if at < len(values) else ""
    shown = "".join(map(place.number, numbers))
    text = _with_unit(shown, numbers[-1], unit, options, units)
    if len(values) > at + 2 and values[at + 2] in _SMALLER.get(unit, ()) and _is_number(values[at + 1]):
        smaller = values[at + 1]
        text += " " + _with_unit(place.number(smaller), smaller, values[at + 2], options, units)
    return text


def fraction(values: list[str]) -> str:
    """Return "1⁄2" for ["2"], "3⁄4" for ["3", "4"], "2 3⁄4" for three: Template:Frac."""
    if not values:
        return ""
    *whole, over, under = ["1", *values] if len(values) == 1 else values[:3]
    return " ".join([*whole, f"{over}⁄{under}"])


def superscript(text: str) -> str:
    """Return digits and signs raised."""
    return text.translate(_SUPERSCRIPT)


def _is_number(text: str) -> bool:
    return len(text) < 40 and (text[:1].isdigit() or any(map(str.isdigit, text)))


def _with_unit(shown: str, last: str, code: str, options: Mapping[str, str], units: Units) -> str:
    names = units.get(code, code)
    adjective = options.get("adj") in ("on", "mid", "pre")
    if isinstance(names, str):
        name, in_full = names, False
    else:
        in_full = options.get("abbr") not in ("on", "in", "~", "values")
        name = (names[1] if adjective or last == "1" else names[2]) if in_full else names[0]
    if name in ("°", "%") or name.startswith("/"):
        return shown + name
    return f"{shown}{'-' if adjective and in_full else ' '}{name}".rstrip()
