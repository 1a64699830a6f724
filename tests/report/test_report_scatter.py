"""Dots stand at their values, the line where it is said to be; effects stand by size against nothing."""

import json
import re
from html import unescape

import pytest

from lingraft.report import curves, effects, scatter
from lingraft.report.charts import Palette

CORNERS = [
    {"x": 0, "y": 0, "label": "first"},
    {"x": 10, "y": 100, "label": "last"},
    {"x": 5, "y": 90, "label": "far <b>"},
]


def numbers(pattern: str, html: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, html)]


def test_dots_stand_at_their_values_with_room_around():
    html = scatter.draw(CORNERS, {}, "gain by overlap").html
    places = re.search(r'class="dot few c0" d="([^"]*)"', html)[1]
    assert places == "M37.0,385.2h0M963.0,14.8h0M500.0,51.9h0"  # a twenty-seventh is left at each side
    assert '<p class="y-name">gain</p>' in html and '<p class="x-name">overlap</p>' in html
    assert 'class="zero"' in html  # both axes go below 0


def test_the_script_is_told_each_point_and_the_frame():
    html = scatter.draw(CORNERS, {}, "y by x").html
    points = json.loads(unescape(re.search(r'data-points="([^"]*)"', html)[1]))
    assert points == [["first", 0, 0, ""], ["last", 10, 100, ""], ["far <b>", 5, 90, ""]]
    assert numbers(r'data-box="(\S+)', html) == [-0.4]


def test_the_line_is_cut_at_the_frame_and_the_farthest_are_named():
    drawn = scatter.draw(CORNERS, {"line": {"slope": 20, "intercept": 0, "note": "r = .9"}}, "y by x")
    assert re.search(r'class="fitted" d="M[\d.]+,400\.0L[\d.]+,0\.0"', drawn.html)  # steeper than the frame is wide
    names = re.findall(r'<span style="left:[\d.]+%;top:[\d.]+%" dir="auto">([^<]*)</span>', drawn.html)
    assert names[0] == "first" or names  # names never hide each other
    assert drawn.notes == ["r = .9"]


@pytest.mark.parametrize(
    "line", [None, 7, {}, {"slope": None, "intercept": 1}, {"slope": float("nan"), "intercept": 0}, {"slope": 0}]
)
def test_no_line_is_no_line(line):
    assert "fitted" not in scatter.draw(CORNERS, {"line": line}, "y by x").html


def test_a_line_outside_the_frame_is_not_drawn():
    for line in ({"slope": 0, "intercept": 1e6}, {"slope": 1e-9, "intercept": -500}, {"slope": 1, "intercept": 900}):
        assert "fitted" not in scatter.draw(CORNERS, {"line": line}, "y by x").html


def test_groups_have_colours_of_their_own_while_there_are_enough():
    rows = [{"x": index, "y": index, "group": f"g{index % 3}"} for index in range(9)]
    html = scatter.draw(rows, {}, "y by x").html
    assert len(set(re.findall(r'class="dot few (c\d)"', html))) == 3 and 'class="dots-key"' in html
    many = [{"x": index, "y": index, "group": f"g{index}"} for index in range(9)]
    drawn = scatter.draw(many, {}, "y by x")
    assert drawn.html.count('class="dot ') == 1 and "9 groups are more than there are colours" in drawn.notes[0]


def test_rows_without_a_place_are_counted():
    rows = [*CORNERS, {"x": None, "y": 1}, {"x": 1, "y": float("inf")}, {"y": 1}]
    assert "3 rows without a finite x and y left out." in scatter.draw(rows, {}, "y by x").notes
    assert "nothing to draw" in scatter.draw(rows[3:], {}, "y by x").html
    assert "M500.0,200.0h0" in scatter.draw([{"x": 3, "y": 3}], {}, "t").html  # one point alone


EFFECTS = [
    {"label": "low", "value": -0.5, "low": -0.7, "high": -0.3},
    {"label": "unsure", "value": 0.1, "low": -0.1, "high": 0.3, "group": "Mayan"},
    {"label": "none", "value": None, "low": 0.1, "high": 0.2},
    {"label": "high", "value": 0.5, "low": 0.3, "high": 0.7},
]


def test_effects_are_sorted_and_say_whether_their_sign_is_known():
    html = effects.draw(EFFECTS, {"unit": "bits per byte"}, "donors").html
    items = re.findall(r'<li class="(\w+)"><span class="who" dir="auto"[^>]*>(\w+)<', html)
    assert items == [("gain", "high"), ("unsure", "unsure"), ("loss", "low"), ("unsure", "none")]
    assert html.count('class="zero" x1="50.00%"') == 4  # from -0.8 to 0.8, nothing is in the middle
    assert numbers(r'circle cx="([\d.]+)%', html) == [81.25, 56.25, 18.75]
    assert "<b>-0.500</b><small>-0.700 to -0.300</small>" in html
    assert "unsure<small>Mayan</small>" in html


def test_effects_tell_their_unit_and_what_is_missing():
    drawn = effects.draw(EFFECTS, {"unit": "bits per byte"}, "donors")
    assert drawn.notes == ["In bits per byte.", "Grey: the interval holds 0.", "1 effect without a value."]
    assert "nothing to draw" in effects.draw([{"label": "a", "value": float("nan")}], {}, "t").html
    assert 'class="gain"' in effects.draw([{"label": "a", "value": 1.0}], {}, "t").html  # no interval is no doubt


def test_a_long_list_of_effects_scrolls():
    rows = [{"label": f"l{index}", "value": index / 10, "low": 0, "high": 20} for index in range(158)]
    html = effects.draw(rows, {}, "t").html
    assert 'class="dots forest long"' in html and html.count("<li class") == 159


def test_a_band_lies_under_its_line():
    rows = [{"series": "a", "x": x, "y": 10.0 * x, "low": 10.0 * x - 5, "high": 10.0 * x + 5} for x in range(3)]
    rows.append({"series": "a", "x": 3, "y": 30.0, "low": 40.0, "high": 20.0})  # no interval
    series, _ = curves.series_of(rows)
    assert series[0].band == [(0, -5, 5), (1, 5, 15), (2, 15, 25)]
    html = curves.draw(series, "gain by step", Palette()).html
    band = re.search(r'class="band c0" d="([^"]*)"', html)[1]
    assert band.count("L") == 5 and band.endswith("z")
    assert html.index('class="band') < html.index('class="whole')
    assert "Bands are the intervals." in curves.notes(series, 0)
