"""The store of cells: what is written is read again, and figures are sums over it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.transfer.cells import Asked, Cell, Lines, cell_of, check, halves, read, read_lines, write
from lingraft.transfer.scoring import Scores

NATS = st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=20)
CELLS = st.dictionaries(
    st.tuples(
        st.integers(0, 10**6),
        st.builds(Asked, st.text("abc", min_size=3, max_size=3), st.sampled_from(["test", "validation"])),
    ),
    st.builds(lambda nats: Cell("questions", "training", np.array(nats), 2 * np.array(nats)), NATS),
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(CELLS)
def test_what_is_written_is_read_again(tmp_path_factory, held):
    path = tmp_path_factory.mktemp("cells") / "swh-0.parquet"
    write(path, held)
    found = read(path)
    assert list(found) == sorted(held)
    for key, cell in held.items():
        assert (found[key].questions, found[key].training) == ("questions", "training")
        assert np.array_equal(found[key].nats, cell.nats) and np.array_equal(found[key].nats_all, cell.nats_all)


def test_the_base_says_what_the_lines_hold(tmp_path):
    asked = Asked("quc", "test")
    lines = {asked: Lines(("a", "b"), np.array([10, 30]), np.array([4, 6]))}
    held = {(0, asked): Cell("q", "t", np.array([8.0, 12.0]), np.array([9.0, 16.0]))}
    write(tmp_path / "base.parquet", held, lines)
    found = read_lines(tmp_path / "base.parquet")[asked]
    assert found.keys == ("a", "b")
    cell = read(tmp_path / "base.parquet")[0, asked]
    assert found.bits_per_byte(cell) == pytest.approx(20 / (math.log(2) * 40))
    assert found.perplexity(cell) == pytest.approx(math.exp(2.5))
    assert found.bits_per_byte(cell, np.array([False, True])) == pytest.approx(12 / (math.log(2) * 30))
    huge = Cell("q", "t", np.array([1.0, 1.0]), np.array([1e5, 1e5]))
    assert found.perplexity(huge) == math.inf


def test_a_cell_is_rounded_as_it_is_stored(tmp_path):
    third = np.array([1 / 3, 2 / 3])
    scores = Scores("quc", ("a", "b"), third, third, third, third, third)
    made = cell_of(scores, "q", "t")
    write(tmp_path / "cells.parquet", {(1, Asked("quc", "test")): made})
    assert np.array_equal(read(tmp_path / "cells.parquet")[1, Asked("quc", "test")].nats, made.nats)
    assert made.nats.dtype == float and made.nats[0] == np.float32(1 / 3)


def test_no_file_is_no_cells_and_a_damaged_one_is_told(tmp_path):
    path = tmp_path / "swh-0.parquet"
    assert read(path) == {} and read_lines(path) == {}
    write(path, {(1, Asked("quc", "test")): Cell("q", "t", np.ones(3), np.ones(3))})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LingraftError, match=r"swh-0.parquet is damaged") as caught:
        read(path)
    assert "it is made again" in caught.value.cure


def test_a_cell_that_does_not_fit_is_told_with_its_place(tmp_path):
    asked = Asked("quc", "test")
    held = {(1, asked): Cell("q", "t", np.ones(1), np.ones(1))}
    check(tmp_path / "x", held, {asked: "q"}, "t")
    check(tmp_path / "x", held, {}, "t")  # a language that is no longer asked for may stay
    with pytest.raises(LingraftError, match=r"the cell of quc \(test\) at step 1 was asked other questions"):
        check(tmp_path / "x", held, {asked: "other"}, "t")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), unique=True, max_size=40))
def test_each_line_is_in_one_half_the_same_whatever_else_is_there(keys):
    one, other = halves(keys)
    assert (one != other).all()
    assert [halves([key])[0][0] for key in keys] == one.tolist()
