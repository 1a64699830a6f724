import numpy as np
import pytest

from lingraft import statistics

stats = pytest.importorskip("scipy.stats", reason="scipy is the reference here; it comes with lingraft[eval]")


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (1, 5), (90, 300), (7, 1000), (412, 1119)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_agrees_with_scipy(successes, n, level):
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert statistics.wilson(successes, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_the_module_docstring():
    low, high = statistics.wilson(90, 300)
    assert (round(low, 3), round(high, 3)) == (0.251, 0.354)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_no_proportion(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        statistics.wilson(successes, n)


def test_bootstrap_of_the_mean_agrees_with_scipy():
    values = np.random.default_rng(1).exponential(size=80)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=3).confidence_interval
    assert statistics.bootstrap(values, resamples=20_000, seed=5) == pytest.approx(tuple(expected), abs=0.01)


def test_bootstrap_takes_any_statistic_and_repeats_with_its_seed():
    values = np.arange(31.0)
    low, high = statistics.bootstrap(values, statistic=np.median, seed=2)
    assert low < 15 < high
    assert statistics.bootstrap(values, statistic=np.median, seed=2) == (low, high)
    assert statistics.bootstrap(values, seed=3) != statistics.bootstrap(values, seed=2)


def test_blocks_do_not_change_what_is_drawn(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = statistics.bootstrap(values, resamples=1000)
    monkeypatch.setattr(statistics, "_BLOCK", 50 * 7)
    assert statistics.bootstrap(values, resamples=1000) == whole


def test_paired_difference_sees_what_pairing_sees():
    hard = np.random.default_rng(0).random(200)  # the items' own difficulty, common to both
    found = statistics.paired_difference(hard + 0.01, hard)
    assert found.value == pytest.approx(0.01)
    assert (found.low, found.high) == pytest.approx((0.01, 0.01))
    assert found.p == pytest.approx(1 / 10_001)
    assert statistics.paired_difference(hard, hard).p == 1


def test_paired_difference_is_near_the_normal_theory():
    generator = np.random.default_rng(4)
    a, b = generator.normal(0.2, 1, 400), generator.normal(0, 1, 400)
    expected = stats.ttest_rel(a, b)
    found = statistics.paired_difference(a, b)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.015)


@pytest.mark.parametrize(("only_a", "only_b", "both"), [(0, 0, 5), (1, 0, 3), (3, 12, 40), (10, 10, 0), (600, 500, 9)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b, both):
    a = [1] * only_a + [0] * only_b + [1] * both
    b = [0] * only_a + [1] * only_b + [1] * both
    n = only_a + only_b
    expected = stats.binomtest(only_a, n).pvalue if n else 1.0
    assert statistics.mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


def test_permutation_agrees_with_all_permutations():
    a, b = [3.0, 5.1, 4.4, 6.0, 7.2], [2.0, 4.9, 4.6, 3.1, 5.0]

    def gap(first, second, axis):
        return np.mean(first, axis=axis) - np.mean(second, axis=axis)

    for paired, kind in ((True, "samples"), (False, "independent")):
        exact = stats.permutation_test((a, b), gap, permutation_type=kind, n_resamples=np.inf, vectorized=True).pvalue
        assert statistics.permutation(a, b, paired=paired, resamples=40_000) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm's own steps: 4p, 3p, 2p, then never falling
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm(raw, adjusted):
    assert statistics.holm(raw) == pytest.approx(adjusted)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 values against 2"):
        statistics.mcnemar([1, 0, 1], [1, 0])
    with pytest.raises(ValueError, match="at least one item"):
        statistics.bootstrap([])
