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


def test_with_one_run_a_side_the_hierarchical_bootstrap_is_the_paired_one():
    random = np.random.default_rng(0)
    a, b = random.random(80), random.random(80) - 0.1
    ours = statistics.hierarchical_difference([a], [b], resamples=40_000)
    paired = statistics.paired_difference(a, b, resamples=40_000)
    assert ours.value == pytest.approx(paired.value)
    assert tuple(ours) == pytest.approx(tuple(paired), abs=0.01)


def test_runs_that_vary_widen_the_interval():
    """A shared item counts for both sides and cancels; what is left is the variance between runs by their number."""
    random = np.random.default_rng(1)
    items, runs = random.normal(0, 1, 400), random.normal(0, 0.2, (2, 12))
    a, b = (items + of_side[:, None] + random.normal(0, 0.1, (12, 400)) for of_side in runs)
    found = statistics.hierarchical_difference(a, b)
    between = sum(of_side.mean(1).var() / 12 for of_side in (a, b))
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.sqrt(between), rel=0.1)
    assert found.value == pytest.approx(a.mean() - b.mean())


def test_sides_may_have_other_numbers_of_runs_but_not_of_items():
    same = statistics.hierarchical_difference(np.ones((3, 5)), np.ones((1, 5)))
    assert tuple(same) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match=r"shape \(3, 5\) and \(3, 4\)"):
        statistics.hierarchical_difference(np.ones((3, 5)), np.ones((3, 4)))


def test_one_group_alone_gives_the_plain_bootstrap_up_to_its_draws():
    values = np.random.default_rng(0).random(40)
    nested, plain = statistics.nested_mean([values]), statistics.bootstrap(values)
    assert nested.value == pytest.approx(values.mean())
    assert (nested.low, nested.high) == pytest.approx((plain.low, plain.high), abs=0.01)


def test_groups_that_differ_widen_the_interval_and_lone_values_do_not_count_more():
    alike, apart = [[0.4, 0.6] * 50] * 5, [[level] * 100 for level in (0.1, 0.3, 0.5, 0.7, 0.9)]
    narrow, wide = statistics.nested_mean(alike), statistics.nested_mean(apart)
    assert narrow.value == pytest.approx(wide.value) == pytest.approx(0.5)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    assert statistics.nested_mean([[1.0], [0.0] * 99]).value == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no groups"):
        statistics.nested_mean([])


def test_the_p_of_a_nested_mean_falls_with_its_distance_from_zero():
    near, far = ([[x + shift for x in (-0.5, 0.5, 0.1, -0.1)] * 10] * 4 for shift in (0.0, 0.3))
    assert statistics.nested_mean(near).p > 0.9
    assert statistics.nested_mean(far).p < 0.01


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.9], [0.001, 0.6, 0.04, 1.0, 0.04]])
def test_benjamini_hochberg_agrees_with_scipy(p):
    assert statistics.benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p).tolist())


def test_benjamini_hochberg_by_hand():
    # 0.01 x 3 / 1, 0.02 x 3 / 2, 0.9 x 3 / 3
    assert statistics.benjamini_hochberg([0.9, 0.01, 0.02]) == pytest.approx([0.9, 0.03, 0.03])
    assert statistics.benjamini_hochberg([]) == []
