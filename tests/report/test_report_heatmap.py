"""Cells stand where their names say, in colours that follow their values; what does not fit is told, not drawn."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.report import dendrogram, heatmap, shades

UNIT = {"unit": "bits per byte"}


def cell(row, column, value, **more):
    return {"row": row, "column": column, "value": value} | more


SQUARE = [cell("a", "x", 1.0), cell("a", "y", -2.0), cell("b", "x", 0.0), cell("b", "y", None)]


def path_of(html: str, css: str) -> str:
    html = html[html.index('<svg class="cells"') :]
    return re.search(rf'<path class="{css}" d="([^"]*)"', html)[1]


def test_cells_have_their_places_and_colours():
    html = heatmap.draw(SQUARE, UNIT, "gain").html
    assert path_of(html, "v0") == "M48,0h48v26h-48z"  # -2 is the most there is: a, y
    assert path_of(html, "v24") == "M0,0h48v26h-48z"  # 1 is half of it: a, x
    assert path_of(html, "v16") == "M0,26h48v26h-48z"  # nothing: the middle
    assert path_of(html, "gap").startswith("M48,")
    assert re.findall(r'<text class="v\d+ on-v\d+"[^>]*>([^<]*)<', html) == ["1.00", "-2.00", "0.00"]
    assert "Heat map of 2 rows by 2 columns. Lowest -2, a and y; highest 1, a and x." in html


def test_equal_neighbours_are_one_path():
    html = heatmap.draw([cell("a", f"c{index}", 1.0) for index in range(5)] + [cell("b", "c0", 2.0)], {}, "t").html
    assert path_of(html, "s0") == "M0,0h240v26h-240z"


def test_the_table_tells_values_intervals_and_notes():
    rows = [cell("a", "x", 0.1234, low=0.1, high=0.15, note="unstable"), cell("a", "y", float("nan"), note="own text")]
    _, table = heatmap.draw(rows, {}, "t").values
    assert '<td title="0.100 to 0.150; unstable">0.123</td><td title="own text">–</td>' in table


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([*SQUARE, cell(None, "x", 1.0)], "1 row of the table without a name"),
        ([*SQUARE, cell("a", "x", 9.0)], "1 value for a cell that had one already left out"),
        (SQUARE, "Hatched: 1 cell without a value."),
    ],
)
def test_what_is_not_drawn_is_told(rows, told):
    drawn = heatmap.draw(rows, {}, "t")
    assert told in " ".join(drawn.notes)
    assert '"v0"' in drawn.html  # and the first value stays


@pytest.mark.parametrize("rows", [[], [{}], [cell("a", "b", float("nan"))], [cell("a", "b", "1")]])
def test_nothing_to_draw_is_a_sentence(rows):
    assert "nothing to draw" in heatmap.draw(rows, {}, "t").html


TREE = [[0, 2, 1.0, 2], [3, 1, 2.0, 3]]
THREE = [cell(name, "x", float(value)) for value, name in enumerate("abc")]


def test_rows_stand_as_their_tree_has_them():
    grid, notes = heatmap.grid_of(THREE, {"row_tree": TREE})
    assert grid.rows == ["a", "c", "b"] and not notes
    assert [grid.value(row, 0) for row in range(3)] == [0, 2, 1]
    drawn = heatmap.draw(THREE, {"row_tree": TREE}, "t")
    # leaves at 13, 39 and 65 (26 high); the first two meet at half the height of the root, which is 62 deep
    assert 'd="M0.0,13.0H31.0V39.0H0.0M31.0,26.0H62.0V65.0H0.0"' in drawn.html


@pytest.mark.parametrize(
    "tree",
    [
        [],
        "tree",
        TREE[:1],
        [[0, 2, 1.0], [0, 1, 2.0]],  # 0 is taken
        [[0, 3, 1.0], [3, 1, 2.0]],  # 3 is not there yet
        [[0, 0, 1.0], [3, 1, 2.0]],
        [[0, 2, -1.0], [3, 1, 2.0]],
        [[0, 2, None], [3, 1, 2.0]],
        [[0.5, 2, 1.0], [3, 1, 2.0]],
        [[0, 2], [3, 1]],
        [7, 8],
    ],
)
def test_a_tree_that_does_not_fit_is_left_out_and_told(tree):
    grid, notes = heatmap.grid_of(THREE, {"row_tree": tree})
    assert grid.rows == ["a", "b", "c"] and grid.row_tree is None
    assert notes == ["The tree of the rows does not fit their 3 names and is left out."]


@given(st.integers(2, 40), st.integers(0, 99))
@settings(deadline=None)
def test_a_tree_of_scipy_fits_and_does_not_cross(num, seed):
    from scipy.cluster.hierarchy import leaves_list, linkage

    found = linkage(np.random.default_rng(seed).normal(size=(num, 3)), "average")
    tree = dendrogram.tree_of(found.tolist(), num)
    assert tree.order == leaves_list(found).tolist()


@given(st.lists(st.floats(-1e300, 1e300), min_size=1), st.sampled_from([None, True, False]))
def test_every_value_has_a_step(values, diverging):
    scale = shades.shades_of(values, diverging)
    for value in values:
        name, step = re.fullmatch(r"([sv])(\d+)", scale.css(value)).groups()
        assert int(step) < shades.STEPS and name == ("v" if scale.diverging else "s")
    if scale.diverging:
        assert scale.css(0.0) == "v16" and scale.low == -scale.high


def test_a_value_far_out_does_not_bleach_the_others():
    scale = shades.shades_of([*np.linspace(-1, 1, 99), 1000.0])
    assert scale.high == 1 and scale.beyond == (False, True)
    assert "≥ " in scale.bar("bits")[0]
    assert shades.shades_of([0.0, 0.0]).css(0.0).startswith("s")


@pytest.mark.parametrize("ground", [0, 1])
def test_colours_are_ordered_by_lightness_alone(ground):
    for name, pair in shades._ANCHORS.items():
        light = [shades.lightness(colour) for colour in shades._steps(pair[ground])]
        steps = np.diff(light) * (-1 if ground == 0 else 1)
        if name == "v":  # from both ends to the middle
            steps[:16] *= -1
        assert (steps > 0).all()


SEEN_BY = {  # what is left of linear red, green and blue: Machado, Oliveira, Fernandes 2009, severity 1
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopes": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("people", SEEN_BY)
@pytest.mark.parametrize("ground", [0, 1])
def test_gain_and_loss_stay_apart_for_the_colour_blind(people, ground):
    def seen(colour: str) -> np.ndarray:
        linear = [shades._linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5)]
        left = np.clip(np.array(SEEN_BY[people]) @ linear, 0, 1)
        return np.array(shades._oklab("#" + "".join(f"{round(255 * shades._gamma(value)):02x}" for value in left)))

    steps = [seen(colour) for colour in shades._steps(shades._ANCHORS["v"][ground])]
    for far in range(4, 17):
        assert np.linalg.norm(steps[16 - far] - steps[16 + far]) > 0.05  # a difference of .02 is just seen
    light = [seen(colour)[0] for colour in shades._steps(shades._ANCHORS["s"][ground])]
    assert (np.diff(light) * (-1 if ground == 0 else 1) > 0).all()


def test_numbers_can_be_read_on_every_colour():
    def luminance(colour: str) -> float:
        parts = [shades._linear(int(colour[place : place + 2], 16) / 255) for place in (1, 3, 5)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for _, day, night, on_day, on_night in re.findall(
        r"\.(\w+)\{--q:light-dark\((.*?),(.*?)\);--on:light-dark\((.*?),(.*?)\)\}", shades.css()
    ):
        for ground, ink in ((day, on_day), (night, on_night)):
            low, high = sorted((luminance(ground), luminance(ink)))
            assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG AA


def test_a_large_map_leaves_its_table_out():
    rows = [cell(f"r{i}", f"c{j}", math.sin(i * j)) for i in range(130) for j in range(100)]
    drawn = heatmap.draw(rows, {}, "t")
    assert drawn.values is None and "too many for a table" in " ".join(drawn.notes)
