"""Languages stand where they are spoken; coastlines come with the package."""

import json
import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.report import worldmap

GREENWICH = {"label": "gre", "name": "Greenwich", "latitude": 0.0, "longitude": 0.0, "value": 0.5, "role": "donor"}


def test_the_projection_is_equal_earth():
    assert (
        worldmap.project(0, 0)[0] == 500 and worldmap.project(-180, 0)[0] == 0 and worldmap.project(180, 0)[0] == 1000
    )
    # the outermost values that the authors give, on a sphere of radius 1
    assert worldmap._equal_earth(180, 0)[0] == pytest.approx(2.70663, abs=1e-5)
    assert worldmap._equal_earth(0, 90)[1] == pytest.approx(1.31736, abs=1e-5)


@given(st.floats(-57, 84), st.floats(-180, 180))
def test_every_place_is_on_the_map(latitude, longitude):
    x, y = worldmap.project(longitude, latitude)
    assert 0 <= x <= worldmap.WIDTH and -0.01 <= y <= worldmap._height() + 0.5


def test_areas_keep_their_proportions():
    def area(longitude: float, latitude: float) -> float:
        (left, top), (right, _), (_, low) = (
            worldmap.project(*place)
            for place in ((longitude, latitude + 0.5), (longitude + 0.01, latitude + 0.5), (longitude, latitude - 0.5))
        )
        return (right - left) * (low - top)

    import math

    equator = area(0, 0)
    for latitude in (20, 40, 60):
        assert area(0, latitude) / equator == pytest.approx(math.cos(math.radians(latitude)), rel=0.02)


def test_land_lies_where_land_is():
    rings = [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", ring)]
        for ring in worldmap._land().split("z")
        if ring
    ]

    def on_land(longitude: float, latitude: float) -> bool:
        x, y = worldmap.project(longitude, latitude)
        crossed = 0
        for ring in rings:
            for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
                crossed += (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
        return crossed % 2 == 1

    land = [(-91, 15), (25, -2), (134, -25), (100, 60), (-100, 40), (38, 9), (144, -6), (-60, -10)]
    sea = [(0, 0), (-30, 30), (-140, 20), (80, -20), (160, 40)]
    assert all(on_land(*place) for place in land) and not any(on_land(*place) for place in sea)


def test_marks_have_colour_shape_and_words():
    quiche = {"label": "quc", "name": "K'iche'", "latitude": 15, "longitude": -91, "value": -0.5, "role": "recipient"}
    drawn = worldmap.draw([GREENWICH, quiche], {"unit": "bits per byte"}, "t")
    assert 'class="square v32"' in drawn.html and 'class="circle v0"' in drawn.html
    assert "<title>Greenwich (gre): 0.5, donor</title>" in drawn.html
    assert "M500.0,242" in drawn.html or re.search(r"M500\.0,2\d\d", drawn.html)
    points = json.loads(unescape(re.search(r'data-points="([^"]*)"', drawn.html)[1]))
    assert [point[0] for point in points] == ["Greenwich (gre): 0.5, donor", "K'iche' (quc): -0.5, recipient"]
    assert points[0][1] == 0.5
    assert "Squares are donors" in " ".join(drawn.notes)


@pytest.mark.parametrize(
    "place", [{"latitude": None}, {"longitude": float("nan")}, {"latitude": 91}, {"longitude": -181}, {"latitude": "0"}]
)
def test_a_language_without_a_place_is_named(place):
    drawn = worldmap.draw([GREENWICH, GREENWICH | {"label": "lost"} | place], {}, "t")
    assert "Without a place on the map: lost." in drawn.notes and drawn.html.count("<g>") == 1
    assert "nothing to draw" in worldmap.draw([GREENWICH | place], {}, "t").html


def test_a_language_without_a_value_is_grey():
    drawn = worldmap.draw([GREENWICH | {"value": None}], {}, "t")
    assert 'class="square unknown"' in drawn.html and "Grey: 1 language without a value." in drawn.notes
    assert "no value" in drawn.html and 'class="legend"' not in drawn.html


def test_names_never_hide_one_another():
    rows = [
        GREENWICH | {"label": f"lang-{index}", "longitude": index / 2, "latitude": index / 3} for index in range(40)
    ]
    spots = [worldmap._spot(row) for row in rows]
    placed = worldmap._placed(spots)
    assert 0 < len(placed) < 40
    for index, (label, left, y) in enumerate(placed):
        for other, start, height in placed[index + 1 :]:
            apart = (
                abs(y - height) > 12
                or left > start + worldmap.text_width(other)
                or start > left + worldmap.text_width(label)
            )
            assert apart
    assert worldmap._placed(spots * 2) == []  # too many for names


def test_the_coastlines_name_their_source():
    from importlib.resources import files

    held = json.loads((files("lingraft.report") / "land.json").read_text(encoding="utf-8"))
    assert "Natural Earth" in held["source"] and "public domain" in held["source"]
