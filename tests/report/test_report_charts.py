"""Marks stand where the numbers say, and what is missing is a gap that is told."""

import math
import re
from itertools import pairwise

import pytest

from lingraft.report import charts, curves, examples, tables, words
from lingraft.report.charts import Palette, Scale, scale_of
from lingraft.report.markup import Html, tag


def numbers(pattern: str, html: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, html)]


def test_dots_and_intervals_stand_at_their_values():
    rows = [
        {"group": "g", "label": "a", "value": 0.25, "low": 0.1, "high": 0.4, "chance": 0.2},
        {"group": "g", "label": "b", "value": 0.9, "low": 0.8, "high": 0.95, "chance": 0.2},
    ]
    html = charts.scores(rows, Palette()).html  # spans more than half of 0 to 1, so it is drawn on 0 to 1
    assert numbers(r'circle cx="([\d.]+)%', html) == [25, 90]
    assert re.findall(r'class="interval" x1="([\d.]+)%" x2="([\d.]+)%', html) == [
        ("10.00", "40.00"),
        ("80.00", "95.00"),
    ]
    assert numbers(r'class="chance" x1="([\d.]+)%', html) == [20, 20]
    assert "<b>25.0%</b><small>10.0–40.0</small>" in html
    assert "chance 20.0%" in html


def test_scores_that_are_no_shares_have_their_own_scale():
    rows = [{"group": "loss", "label": "a", "value": 5.0}, {"group": "loss", "label": "b", "value": 15.0}]
    html = charts.scores([*rows, {"group": "accuracy", "label": "a", "value": 0.5}], Palette()).html
    assert numbers(r'circle cx="([\d.]+)%', html) == [0, 100, 50]
    assert "<b>15</b>" in html and "<b>50.0%</b>" in html


def test_scores_of_another_unit_are_no_shares_however_small():
    rows = [{"group": "regret@1", "label": "overlap", "value": 0.25, "unit": "bits per byte"}]
    rows.append({"group": "NDCG@3", "label": "overlap", "value": 0.5, "unit": ""})
    html = charts.scores(rows, Palette()).html
    assert '<h4 dir="auto">regret@1, bits per byte</h4>' in html and '<h4 dir="auto">NDCG@3</h4>' in html
    assert "<b>0.25</b>" in html and "<b>0.5</b>" in html and "%</b>" not in html


@pytest.mark.parametrize("gone", [None, float("nan"), float("inf"), "0.5", True])
def test_a_missing_score_has_no_mark(gone):
    row = {"group": "g", "label": "a", "value": gone, "low": 0.1, "high": 0.3}
    html = charts.scores([row, {"group": "g", "label": "b", "value": 0.2}], Palette()).html
    assert html.count("<circle") == 1 and "interval" not in html
    assert 'aria-label="a: no value"' in html
    assert "No value." in charts.scores([row | {"low": None}], Palette()).html


def test_bars_are_as_long_as_their_numbers():
    html = charts.bars([("few", 25), ("many", 100), ("none", 0)])
    assert re.findall(r'class="who" dir="auto">(\w+)<', html) == ["many", "few", "none"]
    assert re.findall(r'width="([\d.%]+)"', html) == ["100.00%", "25.00%", "0"]
    html = charts.bars([(f"reason {index}", 1000) for index in range(45)])
    assert "5 smaller ones left out, 5,000 in all." in html


LINEAR = Scale(0, 10), Scale(0, 100)


def test_a_line_passes_through_its_points():
    assert curves.path([(0, 0.0), (5, 50.0), (10, 100.0)], *LINEAR) == "M0.0,400.0L500.0,200.0L1000.0,0.0"


def test_a_log_scale_has_equal_steps_for_equal_factors():
    scale = Scale(1, 10_000, log=True)
    assert [scale.share(value) for value in (1, 10, 100, 10_000)] == pytest.approx([0, 0.25, 0.5, 1])
    assert scale.ticks() == [1, 10, 100, 1000, 10_000]


def test_missing_points_are_gaps_and_lone_ones_dots():
    points = [(0, 10.0), (1, 20.0), (2, None), (3, 30.0), (4, None), (5, 40.0), (6, 50.0)]
    assert curves.path(points, *LINEAR).count("M") == 3
    assert curves.alone(points) == [(3, 30.0)]
    html = curves.draw([curves.Series("a", points)], "loss by step", Palette()).html
    assert "NaN" not in html and "None" not in html


def test_rows_become_series_and_what_cannot_be_drawn_is_told():
    rows = [
        {"series": "a", "x": 2, "y": 1.0},
        {"series": "a", "x": 1, "y": float("nan")},
        {"series": "b", "x": 1, "y": None},
        {"series": "b", "x": None, "y": 1.0},
    ]
    series, nowhere = curves.series_of(rows)
    assert series == [curves.Series("a", [(1, None), (2, 1.0)]), curves.Series("b", [(1, None)])]
    told = " ".join(curves.notes(series, nowhere))
    assert "2 of 3 values are missing" in told and "1 row without a place" in told and "Without any value: b" in told
    assert "nothing to draw" in curves.draw(series[1:], "loss by step", Palette()).html


def test_thinning_keeps_the_extremes_and_the_gaps():
    points = [(float(x), math.sin(x)) for x in range(100_000)]
    points[31_234] = (31_234.0, 99.0)
    points[77_777] = (77_777.0, None)
    kept = curves.thinned(points)
    assert len(kept) <= 3 * curves.BUCKETS
    assert (31_234.0, 99.0) in kept and (77_777.0, None) in kept
    assert kept == sorted(kept, key=lambda point: point[0])


def test_the_running_mean_is_a_mean_and_stops_at_gaps():
    points = [(float(x), float(x % 2)) for x in range(200)]  # a window of 5: two or three of five are one
    points[100] = (100.0, None)
    smooth = curves.smoothed(curves.Series("a", points))
    assert [x for x, _ in smooth] == [x for x, _ in points]
    assert smooth[50][1] == pytest.approx(0.4) and smooth[51][1] == pytest.approx(0.6)
    assert smooth[100] == (100.0, None)
    assert smooth[101][1] == points[101][1]  # the first after a gap is itself: nothing from before it


def test_forty_series_keep_forty_readable_names():
    series = [curves.Series(f"language {index}", [(0, 1.0), (1, 2.0)]) for index in range(45)]
    html = curves.draw(series, "loss by step", Palette()).html
    places = sorted(numbers(r'<li class="c\d" style="top:([\d.]+)px"', html))
    assert len(places) == 40 and places[0] >= 0
    assert min(b - a for a, b in pairwise(places)) >= curves.LINE - 0.2
    assert html.count('class="unnamed"') == 5 and "5 more series are grey" in " ".join(curves.notes(series, 0))
    looks = re.findall(r'<g class="(c\d d\d)">', html)
    assert len(set(looks[:28])) == 28  # seven colours, four dashes


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3e-7, 2e-7), (1e9, 1e9 + 1), (5, 5), (0, 0), (-1e300, 1e300)])
def test_scales_hold_their_values_and_have_some_ticks(low, high):
    scale = scale_of([low, high])
    assert scale.low <= low <= high <= scale.high
    assert 2 <= len(scale.ticks()) <= 12
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks())


def test_one_label_keeps_one_colour():
    palette = Palette()
    assert [palette.css(label) for label in ("base", "plain", "base")] == ["c0", "c1", "c0"]


def test_tables_sort_by_raw_values_and_write_readable_ones():
    html = tables.table(
        [{"id": 12345, "links": 12345, "share": 0.1234, "why": None}], "t", columns=["id", "links", "share", "why"]
    )
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == ["12345", "12,345", "12.3%", "–"]
    assert re.findall(r'data-value="([^"]*)"', html) == ["12345", "0.1234"]  # where the text is not the number
    assert "No rows." in tables.table([], "t")


def test_fractions_of_a_column_are_aligned():
    html = tables.table(
        [{"loss": 0.2, "rate": 5e-6}, {"loss": 1.125, "rate": 0.1}, {"loss": float("nan"), "rate": 1}], "t"
    )
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == ["0.200", "5e-06", "1.125", "0.1", "–", "1"]


def test_a_long_value_is_folded_not_cut():
    long = "word " * 100
    assert long in tables.pairs({"a": {"prompt": long}}, "settings") and "a.prompt" in tables.pairs(
        {"a": {"prompt": 1}}, "s"
    )
    assert "<details" in tables.folded(long)


def test_examples_mark_each_kind_and_let_each_script_run_its_way():
    segments = [
        {"text": "مصر", "kind": "mention"},
        {"text": "<translate>", "kind": "tag"},
        {"text": "Egypt", "kind": "name"},
    ]
    html = examples.draw([{"title": "القاهرة", "segments": segments}] * 25)
    assert '<bdi class="mention">مصر</bdi><bdi class="tag">&lt;translate&gt;</bdi><bdi class="name">Egypt</bdi>' in html
    assert '<p dir="auto" class="text">' in html and "5 more examples left out here." in html


def test_a_long_example_is_cut_with_a_count():
    html = examples.draw([{"title": "t", "segments": [{"text": "a" * 5000, "kind": "text"}]}])
    assert "a" * 3000 in html and "a" * 3001 not in html and "(2,000 characters more)" in html


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("links", 1234567, "1,234,567"),
        ("train.seed", 20240217, "20240217"),
        ("learning_rate", 5e-6, "5e-06"),
        ("share", 0.0342, "3.4%"),
        ("loss", 0.0342, "0.0342"),
        ("loss", float("nan"), "–"),
        ("flag", True, "yes"),
        ("names", ["en", "ja"], "en, ja"),
        ("dump", [], "none"),
        ("lora", [{"rank": 8}], '[{"rank": 8}]'),
        ("total_seconds", 3725.0, "1 h 2 min"),
        ("mean", 12345.678, "12,345.7"),
    ],
)
def test_values_are_written_by_what_they_are(column, value, written):
    assert words.cell(column, value) == written


def test_markup_escapes_all_but_markup():
    assert tag("p", "<b>", Html("<i></i>"), title='"x"', hidden=True, id=None) == (
        '<p title="&quot;x&quot;" hidden>&lt;b&gt;<i></i></p>'
    )
    assert tag("p", "a\x00b\ud800") == "<p>a\ufffdb\ufffd</p>"
