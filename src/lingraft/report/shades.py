"""Colours for values: one scale from little to much, one from loss over nothing to gain; for light and dark ground.

Steps are equal in OKLab, so equal differences look equal. Lightness orders each scale, the diverging one on either side
of nothing, whose sides are blue and orange: they stay apart for people who see no red, no green or no blue.
Source of OKLab: B. Ottosson, A perceptual color space for image processing, 2020.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from lingraft.report import words
from lingraft.report.markup import Html, join, tag

TINY = 1e-300
"""What is smaller is nothing: computing with it would divide by zero."""
STEPS = 33
"""Odd: the middle one of the diverging scale is nothing."""

_ANCHORS = {
    "s": (
        ("#f4f0e3", "#8cc3b0", "#3580a0", "#1d4a7d", "#14204a"),
        ("#262a31", "#274a73", "#3a86a0", "#8fc9ae", "#f6efc9"),
    ),
    "v": (
        ("#8a2f00", "#dd8244", "#f3f0ea", "#5f9fcb", "#0b4678"),
        ("#ffa766", "#a9531c", "#2a2c31", "#2c6d9f", "#8accf8"),
    ),
}
"""By scale, the colours on light and on dark ground between which the steps are set."""


@dataclass(frozen=True)
class Shades:
    """Maps values to steps from `low` to `high`, which lie about 0 where `diverging`; beyond is the last colour."""

    low: float
    high: float
    diverging: bool
    beyond: tuple[bool, bool] = (False, False)
    """Whether there are values below `low`, and above `high`."""

    def css(self, value: float) -> str:
        """Return the class of the step of `value`."""
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return f"{'v' if self.diverging else 's'}{round(share * (STEPS - 1))}"

    def bar(self, unit: str = "") -> tuple[Html, float, float]:
        """Draw the colour bar with numbers and, after them, the unit: the inside of an SVG, its width, its height."""
        width, thick = 264, 12
        size = width / STEPS
        values = [self.low + (self.high - self.low) * step / (STEPS - 1) for step in range(STEPS)]
        steps = [
            tag("path", class_=self.css(value), d=f"M{size * step:.1f},0h{size + 0.3:.1f}v{thick}h-{size + 0.3:.1f}z")
            for step, value in enumerate(values)
        ]
        middle = 0.0 if self.diverging else (self.low + self.high) / 2
        ends = ("≤ " if self.beyond[0] else "", "", "≥ " if self.beyond[1] else "")
        places = ((self.low, 0, "start"), (middle, width / 2, "middle"), (self.high, width, "end"))
        texts = [
            tag("text", mark + words.number(float(f"{value:.3g}")), x=f"{x:g}", y=27, text_anchor=anchor)
            for mark, (value, x, anchor) in zip(ends, places, strict=True)
        ]
        named = tag("text", unit, class_="unit", x=width + 12, y=11) if unit else None
        return join([*steps, *texts, named]), width + 16 + 7 * len(unit), 30


def shades_of(values: Iterable[float], diverging: bool | None = None) -> Shades:
    """Return the shades for `values` (finite); by default diverging where there are values on both sides of 0.

    A few values far out would leave one colour for all others: then the scale ends at the 2nd and the 98th of a
    hundred values, and says so.
    """
    values = sorted(values) or [0.0, 1.0]
    diverging = values[0] < 0 < values[-1] if diverging is None else diverging
    if diverging:
        sizes = sorted(map(abs, values))
        limit = max(_inner(sizes)[1], TINY)
        return Shades(-limit, limit, True, (values[0] < -limit, values[-1] > limit))
    low, high = _inner(values)
    if high - low < TINY:
        half = (abs(low) if abs(low) > TINY else 1) / 2
        low, high = low - half, high + half
    return Shades(low, high, False, (values[0] < low, values[-1] > high))


def _inner(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the scale: the extremes or, where these are far out, what holds 96 of a hundred values."""
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.02, 0.98))
    far = ordered[-1] - ordered[0] > 2 * (high - low) > 0
    return (low, high) if far else (ordered[0], ordered[-1])


@cache
def css() -> str:
    """Return the rules of all steps: --q is the colour, --on what can be read on it."""
    rules = []
    for name, (light, dark) in _ANCHORS.items():
        for step, (day, night) in enumerate(zip(_steps(light), _steps(dark), strict=True)):
            on = f"light-dark({_readable(day)},{_readable(night)})"
            rules.append(f".{name}{step}{{--q:light-dark({day},{night});--on:{on}}}")
    return "\n".join(rules) + "\n"


@cache
def light() -> dict[str, str]:
    """Return the colour of each step on light ground by class; with `on-` before the class, what is read on it."""
    steps = {f"{name}{step}": day for name, pair in _ANCHORS.items() for step, day in enumerate(_steps(pair[0]))}
    return steps | {f"on-{name}": _readable(day) for name, day in steps.items()}


def _steps(anchors: Sequence[str]) -> list[str]:
    points = [_oklab(colour) for colour in anchors]
    found = []
    for step in range(STEPS):
        place = step / (STEPS - 1) * (len(points) - 1)
        index = min(int(place), len(points) - 2)
        share = place - index
        found.append(_hex([a + (b - a) * share for a, b in zip(points[index], points[index + 1], strict=True)]))
    return found


def _readable(colour: str) -> str:
    """Return black or white, whichever stands out more; the ratio is at least 4.5, what WCAG AA asks."""
    red, green, blue = (_linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5))
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def lightness(colour: str) -> float:
    """Return how light "#rrggbb" looks, from 0 to 1 (the L of OKLab)."""
    return _oklab(colour)[0]


def _oklab(colour: str) -> list[float]:
    red, green, blue = (_linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5))
    l = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)  # noqa: E741
    m = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    s = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]


def _hex(lab: Sequence[float]) -> str:
    l = (lab[0] + 0.3963377774 * lab[1] + 0.2158037573 * lab[2]) ** 3  # noqa: E741
    m = (lab[0] - 0.1055613458 * lab[1] - 0.0638541728 * lab[2]) ** 3
    s = (lab[0] - 0.0894841775 * lab[1] - 1.2914855480 * lab[2]) ** 3
    channels = (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    )
    return "#" + "".join(f"{round(255 * min(1, max(0, _gamma(value)))):02x}" for value in channels)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _gamma(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * max(value, 0) ** (1 / 2.4) - 0.055
