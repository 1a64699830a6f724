"""All figures of one matrix: shares of variance, effects, features alone and together. Nothing is read or written.

    found = explain(read_results("published.csv"), pair_features(donors, recipients, typology=["wals"]))
    [(row.feature, row.slope.r, row.slope.qap, row.holm) for row in found.tested if row.slope]

A feature on its own is tested for two things: whether it makes good pairs (its slope), and whether languages with more
of it are good donors or recipients (its correlation with their effects).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lingraft import statistics
from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer import student, variance
from lingraft.transfer.effects import Effects, effects
from lingraft.transfer.pair_features import PairFeatures
from lingraft.transfer.panel import Floats, Panel, over_seeds, two_way
from lingraft.transfer.regression import RESAMPLES, Regression, Slope, regress
from lingraft.transfer.results import Results

LEVEL = 0.95

OVERLAPS = ("overlap_recall_matched", "overlap_recall", "overlap_word_recall_matched", "overlap_word_recall", "overlap")
"""Features that are drawn against the gain unless another is named: the first that is known."""

TOGETHER = ("wals_similarity", "same_family", "same_script", "distance_km")
"""Features that are fitted together with the overlap unless others are named."""


@dataclass(frozen=True)
class Tested:
    """One feature on its own."""

    feature: str
    varies: str
    """With what: pair, donor, recipient, donor and recipient, or nothing. Only a feature of pairs has a slope."""

    pairs: int
    """Measured pairs for which it is known."""

    slope: Slope | None
    why: str
    """Why there is no slope: unknown, absorbed, too_few."""

    r_donor: float
    """Correlation of the donors' mean values with the donors' effects; NaN where they do not vary."""

    p_donor: float
    r_recipient: float
    p_recipient: float
    holm: float = float("nan")
    """p of the slope, corrected for the number of features tested."""

    bh: float = float("nan")
    """The same, for the share of false ones among those that pass."""

    qap_bh: float = float("nan")
    """p by permutation, corrected like bh."""


@dataclass(frozen=True)
class Analysis:
    """All figures of one matrix."""

    results: Results
    gain: Floats
    """(donors, recipients): the mean over seeds."""

    half: Floats
    """(donors, recipients): half the interval of that mean over seeds; NaN with one seed."""

    components: list[variance.Component]
    effects: Effects
    known: dict[str, Floats]
    """Feature -> (donors, recipients)."""

    tested: list[Tested]
    together: Regression
    overlap: str | None

    @property
    def between_two(self) -> np.ndarray:
        """(donors, recipients): whether they are two languages."""
        return np.array(self.results.donors)[:, None] != np.array(self.results.recipients)[None, :]

    @property
    def measured(self) -> np.ndarray:
        """(donors, recipients): pairs with a gain."""
        return np.isfinite(self.gain)


def explain(
    results: Results,
    known: PairFeatures,
    *,
    test: Sequence[str] = (),
    together: Sequence[str] = (),
    overlap: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Analysis:
    """Compute all figures; `test`, `together` and `overlap` name features, by default as AnalyseConfig says.

    Raises LingraftError for a feature that is asked for and not there.
    """
    features = {name: known.values[:, :, place] for place, name in enumerate(known.names)}
    for name in [*test, *together, *filter(None, [overlap])]:
        if name not in features:
            hint = did_you_mean(name, features)
            raise LingraftError(
                f"no feature '{name}'" + (f": {hint}" if hint else ""),
                f"Known are: {', '.join(features) or 'none'}.",
                "Features come from corpora, typology and pairs.",
            )
    gain = over_seeds(results.gain)
    components = variance.components(results.gain, level=LEVEL, seed=seed)
    main = effects(results.gain, level=LEVEL, raw={part.name: part.raw for part in components})
    drawn = overlap or next((name for name in OVERLAPS if name in features), None)
    settings = {"level": LEVEL, "resamples": resamples, "seed": seed}
    tested = [_tested(name, features[name], gain, main, settings) for name in (test or features)]
    fitted = together or _usual(gain, features, drawn)
    return Analysis(
        results,
        gain,
        seed_interval(results.gain),
        components,
        main,
        features,
        corrected(tested),
        regress(gain, {name: features[name] for name in fitted}, **settings),
        drawn,
    )


def corrected(tested: list[Tested]) -> list[Tested]:
    """Return the features with p corrected for how many have one."""
    found = list(tested)
    places = [place for place, row in enumerate(tested) if row.slope is not None and np.isfinite(row.slope.p)]
    p, permuted = ([getattr(tested[place].slope, name) for place in places] for name in ("p", "qap"))
    corrections = statistics.holm(p), statistics.benjamini_hochberg(p), statistics.benjamini_hochberg(permuted)
    for place, holm, bh, qap_bh in zip(places, *corrections, strict=True):
        found[place] = replace(tested[place], holm=holm, bh=bh, qap_bh=qap_bh)
    return found


def seed_interval(gain: Floats) -> Floats:
    """Return half the interval of the mean over seeds, (donors, recipients); NaN where seeds say nothing.

    The variance between seeds is pooled over all pairs, since two or three seeds of one pair say too little; its
    degrees of freedom are those of the trainings, because a training moves all pairs of its donor.
    """
    number = np.isfinite(gain).sum(axis=2)
    around = np.where(np.isfinite(gain), gain - over_seeds(gain)[:, :, None], 0)
    values = int((number - 1)[number > 0].sum())
    runs_of = np.isfinite(gain).any(axis=1).sum(axis=1)
    freedom = int((runs_of - 1)[runs_of > 0].sum())
    if values < 1 or freedom < 1:
        return np.full(number.shape, np.nan)
    spread = (around**2).sum() / values
    half = student.quantile(freedom, LEVEL) * np.sqrt(spread / np.maximum(number, 1))
    return np.where(number > 0, half, np.nan)


def _tested(name: str, values: Floats, gain: Floats, main: Effects, settings: Mapping[str, Any]) -> Tested:
    found = regress(gain, {name: values}, **settings)
    known = np.where(np.isfinite(gain), values, np.nan)
    sides = two_way(known)
    correlations = [
        figure
        for mine, its in ((main.donor.value, sides.donor), (main.recipient.value, sides.recipient))
        for figure in _correlation(mine, its, np.nanmax(np.abs(known), initial=0))
    ]
    return Tested(
        name,
        _varies(known),
        int(np.isfinite(known).sum()),
        found.slopes[0] if found.slopes else None,
        found.dropped.get(name, ""),
        *correlations,
    )


def _varies(table: Floats) -> str:
    """Say with what the known cells of a table vary."""
    panel = Panel(np.isfinite(table))
    values = table[panel.donor, panel.recipient]
    if not len(values) or np.ptp(values) == 0:
        return "nothing"
    small = 1e-8 * np.linalg.norm(values - values.mean())
    if np.linalg.norm(panel.centre(values[:, None])) > small:
        return "pair"
    sides = {"donor": panel.donor, "recipient": panel.recipient}
    for side, group in sides.items():
        means = np.bincount(group, values) / np.maximum(np.bincount(group), 1)
        if np.linalg.norm(values - means[group]) <= small:
            return side
    return "donor and recipient"


def _correlation(one: Floats, other: Floats, scale: float) -> tuple[float, float]:
    """Return Pearson's r and its p; NaN of fewer than three languages, or where one side does not vary."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or np.ptp(other[both]) <= 1e-9 * scale or np.ptp(one[both]) == 0:
        return float("nan"), float("nan")
    r = float(np.corrcoef(one[both], other[both])[0, 1])
    freedom = int(both.sum()) - 2
    return r, student.p_value(r * np.sqrt(freedom / max(1 - r**2, 1e-300)), freedom)


def _usual(gain: Floats, features: Mapping[str, Floats], overlap: str | None) -> list[str]:
    """Return the features that are fitted together by default: those known for at least half of the pairs."""
    measured = np.isfinite(gain)
    names = [name for name in dict.fromkeys((overlap, *TOGETHER)) if name in features]
    return [name for name in names if np.isfinite(features[name][measured]).mean() >= 0.5]
