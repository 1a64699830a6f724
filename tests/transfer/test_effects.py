"""Variance shares, effects, slopes and permutations, held to hand-worked cases, simulations and statsmodels."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.transfer.clusters import tree
from lingraft.transfer.effects import effects
from lingraft.transfer.panel import Panel, two_way
from lingraft.transfer.qap import qap
from lingraft.transfer.regression import regress
from lingraft.transfer.variance import components, moments

pytest.importorskip("scipy", reason="the statistics of a matrix need scipy; it comes with lingraft[transfer]")
NAN = float("nan")


def simulated(
    seed: int, shape: tuple[int, int, int], *, sd=(0.64, 0.62, 0.45, 0.2, 0.2), gaps: float = 0.0
) -> np.ndarray:
    """Return gains (donors, recipients, seeds) with normal donors, recipients, pairs, trainings and noise."""
    donors, recipients, seeds = shape
    generator = np.random.default_rng(seed)
    sizes = (donors, 1, 1), (1, recipients, 1), (donors, recipients, 1), (donors, 1, seeds), shape
    gain = sum(part * generator.normal(size=size) for part, size in zip(sd, sizes, strict=True))
    gain[generator.random(gain.shape[:2]) < gaps] = NAN
    return gain


def dyads(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a table with effects of rows and of columns, and a rest."""
    rows, columns = shape
    return sum(generator.normal(size=size) for size in ((rows, 1), (1, columns), shape))


class TestLeastSquares:
    def test_an_additive_table_with_gaps_is_taken_apart_exactly(self):
        donor, recipient = np.array([1.0, -2.0, 1.0]), np.array([0.5, -1.5, 0.0, 1.0])
        table = 3 + donor[:, None] + recipient
        table[0, 1] = table[1, 3] = table[2, 0] = NAN
        found = two_way(table)
        assert found.mean == pytest.approx(3)
        assert found.donor == pytest.approx(donor)
        assert found.recipient == pytest.approx(recipient)
        assert np.nanmax(np.abs(found.centred)) < 1e-12
        assert np.isnan(found.centred).sum() == 3

    def test_means_of_rows_would_be_wrong_where_cells_are_missing(self):
        table = np.array([[0.0, 10.0], [1.0, NAN], [0.0, 10.0]])
        assert np.nanmean(table, axis=1).argmin() == 1
        assert two_way(table).donor.argmax() == 1

    def test_effects_agree_with_statsmodels(self):
        smf = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is the reference here")
        table = simulated(3, (7, 5, 1), gaps=0.25)[:, :, 0]
        donor, recipient = np.nonzero(np.isfinite(table))
        data = {"y": table[donor, recipient], "d": donor, "r": recipient}
        reference = smf.ols("y ~ C(d, Sum) + C(r, Sum)", data).fit()
        found = two_way(table)
        assert found.mean == pytest.approx(reference.params["Intercept"])
        assert found.donor[:-1] == pytest.approx(reference.params.filter(like="C(d").to_numpy())
        assert found.recipient[:-1] == pytest.approx(reference.params.filter(like="C(r").to_numpy())
        assert found.centred[donor, recipient] == pytest.approx(reference.resid.to_numpy())

    def test_languages_that_share_no_pair_with_the_rest_have_no_effect_but_centred_gains(self):
        table = np.full((5, 5), NAN)
        table[:3, :3] = dyads(np.random.default_rng(0), (3, 3))
        table[3:, 3:] = dyads(np.random.default_rng(1), (2, 2))
        found = two_way(table)
        assert np.isnan(found.donor).tolist() == [False, False, False, True, True]
        assert np.isfinite(found.centred).sum() == 13
        panel = Panel(np.isfinite(table))
        assert (panel.apart, panel.parameters) == (4, 10 - 2)

    @given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 6), st.floats(0, 0.4))
    @settings(max_examples=30, deadline=None)
    def test_rows_and_columns_of_what_is_left_add_up_to_zero(self, seed, donors, recipients, gaps):
        table = simulated(seed, (donors, recipients, 1), gaps=gaps)[:, :, 0]
        if not np.isfinite(table).any():
            return
        left = two_way(table).centred
        assert np.abs(np.nansum(left, axis=0)).max() < 1e-9
        assert np.abs(np.nansum(left, axis=1)).max() < 1e-9
        assert two_way(left).centred[np.isfinite(left)] == pytest.approx(left[np.isfinite(left)])


class TestVariance:
    def test_a_two_by_three_table_by_hand(self):
        table = np.array([[1.0, 2.0, 6.0], [3.0, 8.0, 10.0]])
        # row means 3 and 7, column means 2, 5, 8: SS 24, 36, 4 with 1, 2, 2 degrees of freedom
        found = moments(table)
        assert found == pytest.approx({"donor": (24 - 2) / 3, "recipient": (18 - 2) / 2, "pair": 2})
        rows = {part.name: part for part in components(table)}
        assert rows["donor"].share == pytest.approx((22 / 3) / (22 / 3 + 8 + 2))
        assert rows["donor"].levels == 2 and rows["pair"].levels == 6

    def test_a_balanced_table_with_seeds_is_the_analysis_of_variance(self):
        smf = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is the reference here")
        anova_lm = pytest.importorskip("statsmodels.stats.anova").anova_lm
        donors, recipients, seeds = shape = (5, 4, 3)
        gain = simulated(1, shape)
        d, r, s = np.indices(shape).reshape(3, -1)
        data = {"y": gain.ravel(), "d": d, "r": r, "s": s}
        table = anova_lm(smf.ols("y ~ C(d) + C(r) + C(d):C(r) + C(d):C(s)", data).fit(), typ=1)
        square = {name: row["sum_sq"] / row["df"] for name, row in table.iterrows()}
        noise = square["Residual"]
        training = (square["C(d):C(s)"] - noise) / recipients
        pair = (square["C(d):C(r)"] - noise) / seeds
        recipient = (square["C(r)"] - square["C(d):C(r)"]) / (donors * seeds)
        donor = (square["C(d)"] - square["C(d):C(r)"] - square["C(d):C(s)"] + noise) / (recipients * seeds)
        expected = {"donor": donor, "recipient": recipient, "pair": pair, "training": training, "noise": noise}
        assert moments(gain) == pytest.approx(expected)

    def test_a_balanced_table_agrees_with_restricted_maximum_likelihood(self):
        pandas = pytest.importorskip("pandas")
        mixed = pytest.importorskip("statsmodels.regression.mixed_linear_model").MixedLM
        table = simulated(2, (8, 6, 1))[:, :, 0]
        d, r = np.indices(table.shape).reshape(2, -1)
        data = pandas.DataFrame({"y": table.ravel(), "d": d, "r": r, "all": 1})
        parts = {"donor": "0 + C(d)", "recipient": "0 + C(r)"}
        fit = mixed.from_formula("y ~ 1", groups="all", re_formula="0", vc_formula=parts, data=data).fit(reml=True)
        found = moments(table)
        assert found["pair"] == pytest.approx(fit.scale, rel=1e-3)
        assert [found["donor"], found["recipient"]] == pytest.approx(fit.vcomp, rel=1e-3)

    @pytest.mark.parametrize(("shape", "gaps"), [((6, 10, 3), 0.15), ((20, 12, 1), 0.1), ((12, 9, 2), 0.0)])
    def test_known_components_are_recovered(self, shape, gaps):
        sd = np.array((0.64, 0.62, 0.45, 0.3, 0.25))
        true = sd**2 if shape[2] > 1 else np.array([sd[0] ** 2 + sd[3] ** 2, sd[1] ** 2, sd[2] ** 2 + sd[4] ** 2])
        found = [components(simulated(seed, shape, sd=sd, gaps=gaps), draws=500) for seed in range(80)]
        raw = np.array([[part.raw for part in parts] for parts in found])
        error = raw.std(axis=0) / np.sqrt(len(raw))
        assert np.abs(raw.mean(axis=0) - true).max() < 4 * error.max()  # no bias
        shares = true / true.sum()
        inside = [
            [part.share_low <= share <= part.share_high for part, share in zip(parts, shares, strict=True)]
            for parts in found
        ]
        assert np.mean(inside, axis=0).min() >= 0.86  # of 80, at 95%
        assert np.mean(inside) >= 0.92

    @pytest.mark.parametrize("seed", [0, 1])
    def test_no_pattern_of_gaps_makes_it_biased(self, seed):
        """Exactly: what a component makes expected is the sum over the indicators of its levels."""
        generator = np.random.default_rng(seed)
        shape = (4, 5, 3)
        gone = generator.random(shape) < 0.3
        i, j, k = np.indices(shape)
        levels = {"donor": i, "recipient": j, "pair": i * 5 + j, "training": i * 3 + k, "noise": i * 15 + j * 3 + k}
        for name, labels in levels.items():
            found = [moments(np.where(gone, NAN, labels == level)) for level in np.unique(labels[~gone])]
            total = {part: sum(row[part] for row in found) for part in levels}
            assert total == pytest.approx({part: float(part == name) for part in levels}, abs=1e-9)

    def test_luck_in_training_is_not_taken_for_good_donors(self):
        sd = (0.0, 0.5, 0.3, 0.6, 0.1)
        found = [moments(simulated(seed, (10, 8, 3), sd=sd)) for seed in range(60)]
        assert abs(np.mean([row["donor"] for row in found])) < 0.03
        assert np.mean([row["training"] for row in found]) == pytest.approx(0.36, abs=0.03)
        one_seed = [moments(simulated(seed, (10, 8, 1), sd=sd)) for seed in range(60)]
        assert np.mean([row["donor"] for row in one_seed]) == pytest.approx(0.36, abs=0.08)

    def test_a_component_below_zero_counts_as_zero_and_is_told(self):
        table = np.array([[0.0, 3.0], [3.0, 0.0]])
        rows = {part.name: part for part in components(table)}
        assert rows["donor"].raw < 0
        assert (rows["donor"].variance, rows["donor"].share, rows["pair"].share) == (0, 0, 1)

    def test_seeds_that_differ_between_donors_are_trainings_like_any(self):
        gain = simulated(4, (6, 5, 2))
        apart = np.full((6, 5, 4), NAN)
        apart[:3, :, :2], apart[3:, :, 2:] = gain[:3], gain[3:]
        assert moments(apart) == pytest.approx(moments(gain))

    @pytest.mark.parametrize("shape", [(1, 6, 2), (6, 1, 2), (1, 1, 1)])
    def test_one_donor_or_one_recipient_says_nothing(self, shape):
        assert components(simulated(0, shape)) == []

    def test_gains_that_are_all_equal_have_no_shares(self):
        rows = components(np.full((4, 3, 2), 0.5))
        assert [part.variance for part in rows] == [0] * 5
        assert np.isnan([part.share for part in rows]).all()


class TestEffects:
    @pytest.mark.parametrize("gaps", [0.0, 0.2])
    def test_intervals_cover_the_true_effects(self, gaps):
        inside = []
        for seed in range(60):
            generator = np.random.default_rng(seed)
            donor, recipient = generator.normal(size=8), generator.normal(size=9)
            scatter = generator.choice((0.2, 1.0), 8)  # some donors scatter five times as much
            gain = donor[:, None, None] + recipient[:, None] + scatter[:, None, None] * generator.normal(size=(8, 9, 1))
            gain = gain + 0.4 * generator.normal(size=(8, 1, 3)) + 0.1 * generator.normal(size=(8, 9, 3))
            gain[generator.random((8, 9)) < gaps] = NAN
            found = effects(gain).donor
            true = donor - donor.mean()
            inside.append((found.low <= true) & (true <= found.high))
        assert 0.92 <= np.mean(inside) <= 0.985

    def test_pooling_draws_the_uncertain_ones_further_and_helps(self):
        errors = []
        for seed in range(40):
            generator = np.random.default_rng(seed)
            donor = 0.3 * generator.normal(size=12)
            table = donor[:, None] + generator.normal(size=(12, 6))
            found = effects(table).donor
            assert (np.abs(found.pooled) <= np.abs(found.value)).all()
            true = donor - donor.mean()
            errors.append([((guess - true) ** 2).mean() for guess in (found.value, found.pooled)])
        raw, pooled = np.mean(errors, axis=0)
        assert pooled < 0.8 * raw

    def test_the_interval_of_the_mean_covers_what_other_languages_would_give(self):
        found = [effects(simulated(seed, (6, 8, 1))) for seed in range(120)]
        assert np.mean([row.low <= 0 <= row.high for row in found]) >= 0.92
        assert np.isnan(effects(simulated(0, (1, 8, 1))).low)

    def test_a_donor_with_one_cell_has_no_interval(self):
        table = dyads(np.random.default_rng(0), (4, 5))
        table[2, 1:] = NAN
        found = effects(table)
        assert found.donor.cells.tolist() == [5, 5, 1, 5]
        assert np.isfinite(found.donor.value).all()
        assert np.isnan(found.donor.low).tolist() == [False, False, True, False]

    def test_gains_that_are_all_equal_have_effects_of_exactly_zero(self):
        found = effects(np.full((3, 4), np.log(2)))
        for side in (found.donor, found.recipient):
            assert not np.concatenate([side.value, side.low, side.high, side.pooled]).any()

    def test_one_recipient_gives_values_without_intervals(self):
        found = effects(np.array([[1.0], [3.0]]))
        assert found.donor.value == pytest.approx([-1, 1])
        assert np.isnan(found.donor.low).all() and np.isnan(found.donor.pooled).all()


class TestRegression:
    @pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")  # statsmodels, of errors of the dummies
    def test_slopes_and_errors_agree_with_statsmodels(self):
        pandas = pytest.importorskip("pandas")
        smf = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is the reference here")
        generator = np.random.default_rng(5)
        shape = (12, 9)
        x, z = dyads(generator, shape), dyads(generator, shape)
        gain = dyads(generator, shape) + 0.5 * x - 0.2 * z
        gain[generator.random(shape) < 0.15] = NAN
        z[3, 4] = NAN
        found = regress(gain, {"x": x, "z": z}, resamples=20)
        d, r = np.nonzero(np.isfinite(gain) & np.isfinite(z))
        data = pandas.DataFrame({"y": gain[d, r], "x": x[d, r], "z": z[d, r], "d": d, "r": r})
        clusters = {"groups": data[["d", "r"]].to_numpy(), "use_correction": True, "df_correction": True}
        fit = smf.ols("y ~ x + z + C(d) + C(r)", data).fit(cov_type="cluster", cov_kwds=clusters, use_t=True)
        assert (found.pairs, found.donors, found.recipients) == (len(data), 12, 9)
        for slope in found.slopes:
            assert slope.slope == pytest.approx(fit.params[slope.feature])
            assert slope.error == pytest.approx(fit.bse[slope.feature])
            assert slope.p == pytest.approx(fit.pvalues[slope.feature])
            low, high = fit.conf_int().loc[slope.feature]
            assert (slope.low, slope.high) == pytest.approx((low, high))
            assert (slope.freedom, slope.repaired) == (8, False)

    def test_a_variance_that_is_not_positive_is_repaired_and_told(self):
        found = [regress(*self.one_feature(seed, (3, 3)), resamples=1) for seed in range(40)]
        repaired = [row.slopes[0] for row in found if row.slopes[0].repaired]
        assert repaired
        assert all(slope.error > 0 and 0 <= slope.p <= 1 for slope in repaired)

    @staticmethod
    def one_feature(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        generator = np.random.default_rng(seed)
        return dyads(generator, shape), {"x": dyads(generator, shape)}

    @given(st.integers(0, 10_000), st.floats(-5, 5), st.floats(0.1, 9))
    @settings(max_examples=20, deadline=None)
    def test_what_donors_and_recipients_add_changes_nothing(self, seed, shift, scale):
        gain, features = self.one_feature(seed, (6, 5))
        gain[0, 0] = NAN
        plain = regress(gain, features, resamples=1).slopes[0]
        moved = features["x"] * scale + shift + np.arange(6)[:, None] * 3 + np.arange(5)
        found = regress(gain + np.arange(5) * shift, {"x": moved}, resamples=1).slopes[0]
        assert found.slope * scale == pytest.approx(plain.slope, abs=1e-9)
        assert found.p == pytest.approx(plain.p, abs=1e-9)
        assert found.r == pytest.approx(plain.r, abs=1e-9)

    def test_every_feature_without_a_slope_is_named_with_the_reason(self):
        gain, features = self.one_feature(0, (6, 5))
        x = features["x"]
        of_donor = np.broadcast_to(np.arange(6.0)[:, None], x.shape)
        others = {
            "size": of_donor,
            "constant": np.full(x.shape, 3.0),
            "twice": 2 * x + 1,
            "none": np.full(x.shape, NAN),
        }
        found = regress(gain, features | others, resamples=1)
        assert [slope.feature for slope in found.slopes] == ["x"]
        assert found.dropped == {"none": "unknown", "size": "absorbed", "constant": "absorbed", "twice": "collinear"}
        assert found.pairs == 30

    @pytest.mark.parametrize("shape", [(1, 5), (5, 1), (2, 2)])
    def test_too_few_languages_have_no_slope(self, shape):
        gain, features = self.one_feature(0, shape)
        found = regress(gain, features, resamples=1)
        assert (found.slopes, found.dropped) == ([], {"x": "too_few"})

    def test_close_features_have_a_large_variance_inflation(self):
        generator = np.random.default_rng(0)
        gain, features = self.one_feature(0, (10, 8))
        near = features["x"] + 0.05 * generator.normal(size=(10, 8))
        alone, both = regress(gain, features, resamples=1), regress(gain, features | {"near": near}, resamples=1)
        assert alone.slopes[0].vif == pytest.approx(1)
        assert min(slope.vif for slope in both.slopes) > 50

    def test_a_gain_that_is_the_same_everywhere_has_no_p(self):
        found = regress(np.full((5, 4), 2.0), {"x": dyads(np.random.default_rng(0), (5, 4))}, resamples=9)
        slope = found.slopes[0]
        assert slope.slope == pytest.approx(0)
        assert np.isnan([slope.p, slope.qap, slope.r]).all()


class TestPermutation:
    def test_a_tiny_matrix_is_enumerated(self):
        generator = np.random.default_rng(7)
        gain, x = (two_way(dyads(generator, (3, 4))).centred for _ in range(2))

        def fit(table):
            return abs((gain * table).sum())

        tried = [
            fit(x[list(row)][:, list(column)])
            for row, column in product(permutations(range(3)), permutations(range(4)))
        ]
        expected = np.mean([value >= fit(x) - 1e-12 for value in tried])
        found = regress(gain, {"x": x}, resamples=6 * 24).slopes[0]
        assert (found.qap, found.exact) == (pytest.approx(expected), True)
        assert not regress(gain, {"x": x}, resamples=6 * 24 - 1).slopes[0].exact

    def test_p_is_uniform_where_nothing_is_to_be_found_with_gaps_and_another_feature(self):
        stats = pytest.importorskip("scipy.stats")
        p = []
        for seed in range(150):
            generator = np.random.default_rng(seed)
            x, z, gain = (dyads(generator, (9, 7)) for _ in range(3))
            x, gain = x + 0.7 * z, gain + 0.7 * z
            gain[generator.random(gain.shape) < 0.12] = NAN
            p.append(regress(gain, {"x": x, "z": z}, resamples=99, seed=seed).slopes[0].qap)
        assert stats.kstest(p, "uniform").pvalue > 0.01
        assert np.mean(np.array(p) <= 0.05) <= 0.1

    def test_what_donors_have_in_common_is_not_taken_for_a_good_pair(self):
        """Large donors overlap more and give more: over raw cells that looks like an effect of overlap."""
        plain, permuted = [], []
        for seed in range(40):
            generator = np.random.default_rng(seed)
            size = generator.normal(size=(12, 1))
            gain, x = (size + dyads(generator, (12, 10)) for _ in range(2))
            plain.append(np.corrcoef(gain.ravel(), x.ravel())[0, 1])
            permuted.append(regress(gain, {"x": x}, resamples=99, seed=seed).slopes[0].qap <= 0.05)
        assert np.mean(plain) > 0.2
        assert np.mean(permuted) <= 0.15

    def test_an_effect_that_is_there_is_found_and_repeats_with_its_seed(self):
        generator = np.random.default_rng(0)
        x = dyads(generator, (8, 7))
        gain = 0.8 * x + dyads(generator, (8, 7))
        found = [regress(gain, {"x": x}, resamples=500, seed=seed).slopes[0].qap for seed in (1, 1, 2)]
        assert found[0] == found[1] <= 0.01

    def test_blocks_do_not_change_what_is_drawn(self, monkeypatch):
        generator = np.random.default_rng(0)
        gain, x = (two_way(dyads(generator, (5, 6))).centred for _ in range(2))
        none, full = np.empty((0, 5, 6)), np.ones((5, 6), dtype=bool)
        whole = qap(gain, x, none, full, resamples=200)
        monkeypatch.setattr("lingraft.transfer.qap._BLOCK", 30 * 200)
        assert qap(gain, x, none, full, resamples=200) == whole


class TestTree:
    def test_languages_that_behave_alike_stand_together(self):
        generator = np.random.default_rng(0)
        one, other = generator.normal(size=(2, 8))
        table = np.stack([one, other, one, other]) + 0.01 * generator.normal(size=(4, 8))
        table[0, 3] = table[3, 1] = NAN
        merges = tree(table)
        assert sorted(tuple(sorted(merge[:2])) for merge in merges) == [(0, 2), (1, 3), (4, 5)]
        assert [merge[3] for merge in merges] == [2, 2, 4]
        assert merges[0][2] < 0.05 < merges[2][2]

    def test_rows_without_anything_in_common_are_far_apart(self):
        table = np.array([[1.0, NAN], [NAN, 1.0], [1.2, 0.0]])
        assert sorted(tree(table)[0][:2]) == [0, 2]
        assert tree(np.full((3, 2), NAN))[-1][3] == 3

    @pytest.mark.parametrize("rows", [0, 1])
    def test_one_language_has_no_tree(self, rows):
        assert tree(np.zeros((rows, 3))) is None
