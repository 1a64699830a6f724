"""NDCG and regret: against scikit-learn, by hand, and ties against every order that they may stand for."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from lingraft.transfer.rank_measures import ndcg, regret

NAN = float("nan")


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("decimals", [6, 0], ids=["no ties", "ties"])
def test_ndcg_is_that_of_scikit_learn_with_the_same_relevances(k, decimals):
    generator = np.random.default_rng(k)
    gain, scores = generator.normal(size=(20, 40)), generator.normal(size=(20, 40)).round(decimals)
    grades = np.maximum(0, 10 - (-gain).argsort(axis=1).argsort(axis=1))
    theirs = [ndcg_score([2.0**grade - 1], [score], k=k) for grade, score in zip(grades, scores, strict=True)]
    np.testing.assert_allclose(ndcg(gain, scores, k), theirs)


def test_ndcg_by_hand():
    # grades 10, 9, 8 in the order of the gains; the best donor stands second
    found = (511 / 1 + 1023 / np.log2(3) + 255 / 2) / (1023 / 1 + 511 / np.log2(3) + 255 / 2)
    assert ndcg([0.3, 0.2, 0.1], [1, 2, 0], 3) == pytest.approx(found)
    assert ndcg([0.3, 0.2, 0.1], [1, 2, 0], 1) == pytest.approx(511 / 1023)


@pytest.mark.parametrize(
    ("scores", "k", "expected"),
    [
        ([9, 5, 4, 1], 1, 0.0),
        ([1, 5, 4, 9], 1, 0.6),
        ([1, 5, 4, 9], 2, 0.2),
        ([1, 5, 4, 9], 4, 0.0),
        ([0, 5, 5, 1], 1, 0.25),  # of two tied donors each is first in half of all orders
        ([0, 0, 0, 0], 1, 0.275),
        ([0, 0, 0, 0], 2, (0 * 3 + 0.2 * 2 + 0.3 * 1) / 6),  # six pairs: the best is in three, the second in two more
        ([NAN, NAN, NAN, 1], 1, 0.6),
        ([NAN, NAN, NAN, 1], 2, (0 + 0.2 + 0.3) / 3),
        ([NAN, NAN, NAN, 1], 9, 0.0),
    ],
)
def test_regret_by_hand(scores, k, expected):
    assert regret([0.7, 0.5, 0.4, 0.1], scores, k) == pytest.approx(expected)


def test_random_choice_among_158_donors_is_an_expectation():
    gain = np.random.default_rng(0).normal(size=158)
    assert ndcg(gain, np.zeros(158), 3) == pytest.approx(0.0186, abs=1e-4)
    assert ndcg(gain, np.zeros(158), 10) == pytest.approx(0.0373, abs=1e-4)


def test_what_was_not_measured_is_no_candidate():
    whole, gaps = [0.3, 0.1, 0.2], [0.3, NAN, 0.1, 0.2, NAN]
    scores = [1, 9, 3, 2, NAN]
    assert ndcg(gaps, scores, 3) == ndcg(whole, [1, 3, 2], 3)
    assert regret(gaps, scores, 1) == regret(whole, [1, 3, 2], 1)
    assert np.isnan(ndcg([NAN, NAN], [1, 2], 3))
    assert np.isnan(regret([NAN, NAN], [1, 2], 1))


def test_donors_that_help_equally_may_stand_in_any_order():
    gain = [0.3, 0.2, 0.2, 0.1]
    assert ndcg(gain, [4, 3, 2, 1], 3) == pytest.approx(1)
    assert ndcg(gain, [4, 2, 3, 1], 3) == pytest.approx(1)


def test_many_rankings_at_once_are_each_alone():
    generator = np.random.default_rng(3)
    gain, scores = generator.normal(size=(4, 12)), generator.normal(size=(4, 5, 12)).round(1)
    found = ndcg(gain[:, None], scores, 3), regret(gain[:, None], scores, 3)
    for row in range(4):
        for draw in range(5):
            assert found[0][row, draw] == pytest.approx(float(ndcg(gain[row], scores[row, draw], 3)))
            assert found[1][row, draw] == pytest.approx(float(regret(gain[row], scores[row, draw], 3)))


few = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=50)
@given(few, st.integers(1, 4))
def test_a_tie_is_the_mean_of_all_orders_that_it_stands_for(donors, k):
    gain, scores = (np.array(values, float) for values in zip(*donors, strict=True))
    orders = [order for order in permutations(range(len(gain))) if (np.diff(scores[list(order)]) <= 0).all()]
    places = -np.argsort(orders, axis=1)  # scores without ties
    assert ndcg(gain, scores, k) == pytest.approx(ndcg(gain, places, k).mean())
    assert regret(gain, scores, k) == pytest.approx(regret(gain, places, k).mean())


many = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(many, st.integers(1, 12))
def test_nothing_is_better_than_the_true_order(donors, k):
    gain, scores = (np.array(values) for values in zip(*donors, strict=True))
    assert 0 <= ndcg(gain, scores, k) <= 1 + 1e-12
    assert ndcg(gain, gain, k) == pytest.approx(1)
    assert regret(gain, scores, k) >= -1e-12
    assert regret(gain, gain, k) == pytest.approx(0)
    assert regret(gain, scores, len(gain)) == pytest.approx(0)
