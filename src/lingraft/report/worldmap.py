"""A map of the languages, a mark each, coloured by value.

Projection: Equal Earth (B. Šavrič, T. Patterson, B. Jenny, 2018): areas keep their proportions, so Africa and New
Guinea are as large as they are. Coastlines: land.json, which names its source. Borders are left out: languages ignore
them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lingraft.report import shades, tables, words
from lingraft.report.drawing import Drawing, Piece, text_width
from lingraft.report.markup import Html, join, tag
from lingraft.report.shades import Shades

WIDTH, TOP, BOTTOM = 1000, 84, -57
"""Width of the map in its own coordinates; the latitudes that it shows."""
LABELLED = 60
"""With more languages than this, names would hide the map."""
ROLES = {"donor": "square", "recipient": "circle", "donor, recipient": "square"}


@dataclass(frozen=True)
class Spot:
    """A language that has a place."""

    label: str
    name: str
    role: str
    value: float | None
    x: float
    y: float


def draw(rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any], title: str) -> Drawing:
    """Draw a table of the kind map: label, name, latitude, longitude, value, role; `extra`: unit, diverging."""
    spots = [spot for row in rows if (spot := _spot(row)) is not None]
    notes = []
    if lost := [str(row.get("label") or row.get("name") or "?") for row in rows if _spot(row) is None]:
        more = f" and {len(lost) - 20:,} more" if len(lost) > 20 else ""
        notes.append(f"Without a place on the map: {', '.join(lost[:20])}{more}.")
    if not spots:
        return Drawing(tag("p", "Not one language has a place: nothing to draw.", class_="aside"), notes)
    known = [spot.value for spot in spots if spot.value is not None]
    asked = extra.get("diverging")
    colours = shades.shades_of(known, asked if isinstance(asked, bool) else None)
    if known and any(colours.beyond):
        notes.append("A few values lie beyond the ends of the colour scale and have its last colours.")
    if gone := len(spots) - len(known):
        notes.append(f"Grey: {words.several(gone, 'language')} without a value.")
    roles = list(dict.fromkeys(spot.role for spot in spots if spot.role))
    if "donor" in roles and len(roles) > 1:
        notes.append("Squares are donors, circles recipients; a circle in a square is both.")
    spots.sort(key=lambda spot: (spot.role != "donor", spot.value is not None, abs(spot.value or 0)))
    marks = join([tag("path", class_="land", d=_land()), *(_mark(spot, colours) for spot in spots)])
    bar = Piece(*colours.bar(str(extra.get("unit") or "")), "bar") if known else None
    html = join(
        [
            tag("div", bar.html(aria_hidden="true"), class_="legend") if bar else None,
            tag(
                "div",
                tag(
                    "svg",
                    marks,
                    class_="world",
                    viewBox=f"0 0 {WIDTH} {_height():g}",
                    role="img",
                    aria_label=_summary(spots),
                    data_points=_points(spots),
                ),
                _names(spots),
                class_="map",
            ),
        ]
    )
    below = [bar.at(20, _height() + 12)] if bar else []
    names = [tag("text", label, class_="label", x=f"{x:.1f}", y=f"{y + 4:.1f}") for label, x, y in _placed(spots)]
    picture = Piece(join([marks, *names, *below]), WIDTH, _height() + 46, "world")
    return Drawing(html, notes, ("The values as a table", tables.table(rows, title)), picture)


def _spot(row: Mapping[str, Any]) -> Spot | None:
    latitude, longitude = words.finite(row.get("latitude")), words.finite(row.get("longitude"))
    if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 360):
        return None
    x, y = project((longitude + 180) % 360 - 180, min(TOP, max(BOTTOM, latitude)))
    told = {key: str(row.get(key) or "") for key in ("label", "name", "role")}
    return Spot(**told, value=words.finite(row.get("value")), x=x, y=y)


def project(longitude: float, latitude: float) -> tuple[float, float]:
    """Return the place of a point, in degrees, on the map."""
    x, y = _equal_earth(longitude, latitude)
    left, top = _equal_earth(-180, 0)[0], _equal_earth(0, TOP)[1]
    scale = WIDTH / (-2 * left)
    return (x - left) * scale, (top - y) * scale


def _equal_earth(longitude: float, latitude: float) -> tuple[float, float]:
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    angle = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    square = angle * angle
    sixth = square**3
    stretch = 9 * a4 * square * sixth + 7 * a3 * sixth + 3 * a2 * square + a1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(angle) / (3 * stretch)
    return x, angle * (a1 + a2 * square + sixth * (a3 + a4 * square))


@cache
def _height() -> float:
    return round(project(0, BOTTOM)[1])


@cache
def _land() -> str:
    """Return the path of the coastlines."""
    rings = json.loads((files("lingraft.report") / "land.json").read_text(encoding="utf-8"))["rings"]
    parts = []
    for ring in rings:
        longitude = latitude = 0
        points = []
        for east, north in zip(ring[::2], ring[1::2], strict=True):
            longitude, latitude = longitude + east, latitude + north
            points.append("{:.1f},{:.1f}".format(*project(longitude / 10, latitude / 10)))
        parts.append(f"M{'L'.join(points)}z")
    return "".join(parts)


def _mark(spot: Spot, colours: Shades) -> Html:
    """Draw a mark as a path of no length: round or square by its ends, and of one size however wide the map is."""
    shape = ROLES.get(spot.role, "circle")
    css = "unknown" if spot.value is None else colours.css(spot.value)
    place = f"M{spot.x:.1f},{spot.y:.1f}h0"
    return tag(
        "g",
        tag("title", _told(spot)),
        tag("path", class_=f"{shape} rim", d=place),
        tag("path", class_=f"{shape} {css}", d=place),
    )


def _told(spot: Spot) -> str:
    value = "no value" if spot.value is None else words.number(float(f"{spot.value:.4g}"))
    named = f"{spot.name} ({spot.label})" if spot.name and spot.name != spot.label else spot.label
    return f"{named}: {value}" + (f", {spot.role}" if spot.role else "")


def _placed(spots: Sequence[Spot]) -> list[tuple[str, float, float]]:
    """Return label and place of the names that fit beside their marks without hiding another name or mark."""
    if len(spots) > LABELLED:
        return []
    taken = [(spot.x - 7, spot.x + 7, spot.y) for spot in spots]
    found = []
    for spot in reversed(spots):
        wide = text_width(spot.label)
        for x, y in ((9, 0), (-9 - wide, 0), (-wide / 2, -13), (-wide / 2, 14)):
            left, right, at = spot.x + x, spot.x + x + wide, spot.y + y
            if left < 0 or right > WIDTH:
                continue
            if all(right < other[0] or left > other[1] or abs(at - other[2]) > 12 for other in taken):
                taken.append((left, right, at))
                found.append((spot.label, left, at))
                break
    return found


def _names(spots: Sequence[Spot]) -> Html:
    names = [
        tag("span", label, style=f"left:{100 * x / WIDTH:.2f}%;top:{100 * y / _height():.2f}%")
        for label, x, y in _placed(spots)
    ]
    return tag("div", *names, class_="map-names", aria_hidden="true")


def _points(spots: Sequence[Spot]) -> str:
    told = [[_told(spot), round(spot.x / WIDTH, 4), round(spot.y / _height(), 4)] for spot in spots]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _summary(spots: Sequence[Spot]) -> str:
    known = sorted((spot for spot in spots if spot.value is not None), key=lambda spot: spot.value or 0)
    ends = f" Lowest {_told(known[0])}; highest {_told(known[-1])}." if known else ""
    return f"World map of {words.several(len(spots), 'language')}.{ends}"
