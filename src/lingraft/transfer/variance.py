"""How much of what varies in a matrix is the donor's, the recipient's, the pair's, the training's, and noise.

y_ijk = mean + donor_i + recipient_j + pair_ij + training_ik + noise_ijk

A donor's model is trained once a seed and then scored on every recipient, so what one seed does to it is common to a
whole row: that is the component `training`. Without it, luck in training would be taken for good donors. With one seed
a cell, training counts as donor and noise as pair, and the names say so.

    for part in components(results.gain):
        print(part.name, part.share, part.share_low, part.share_high)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingraft.statistics import RESAMPLES
from lingraft.transfer.panel import Floats, Panel, cleaned

NAMES = ("donor", "recipient", "pair", "training", "noise")


@dataclass(frozen=True)
class Component:
    """One component of variance, in the square of the gain's unit, and its share of all of them."""

    name: str
    variance: float
    """At least zero."""

    raw: float
    """As estimated: below zero where the component is lost in the noise of the others."""

    low: float
    high: float
    share: float
    share_low: float
    share_high: float
    levels: int
    """How many donors, recipients, pairs, trainings or values it was estimated from."""


@dataclass(frozen=True)
class _Layout:
    """Which donor, recipient, pair and training each value belongs to, as labels from 0, (values,)."""

    values: Floats
    labels: dict[str, NDArray[np.intp]]

    def levels(self, name: str) -> int:
        return int(self.labels[name].max(initial=-1)) + 1


def moments(gain: ArrayLike) -> dict[str, float]:
    """Return the raw components by name, of gains (donors, recipients[, seeds]); {} where they can't be told apart.

    Five sums of squares (within recipients, within donors, what both leave of the means over seeds, within pairs, and
    what pairs and trainings leave) set equal to what is expected of them: unbiased with any pattern of gaps, and the
    analysis of variance where there are none. Source: Henderson 1953, Biometrics 9, method 3.
    """
    return _moments(_layout(gain))


def components(gain: ArrayLike, *, level: float = 0.95, draws: int = RESAMPLES, seed: int = 0) -> list[Component]:
    """Return the components with intervals, of gains (donors, recipients[, seeds]); [] where they can't be told apart.

    Intervals are generalised confidence intervals: mean squares are drawn anew as chi-squares, and what follows from
    them is solved for the components. The degrees of freedom are lowered where the effects have heavy tails. Gaps
    enter by the harmonic mean of the numbers of cells. A component below zero counts as zero.
    Source: Weerahandi 1995, Exact Statistical Methods for Data Analysis, chapter 5; for the tails Box 1953,
    Biometrika 40.
    """
    layout = _layout(gain)
    raw = _moments(layout)
    if not raw:
        return []
    drawn = np.maximum(_draws(layout, raw, draws, np.random.default_rng(seed)), 0)
    kept = np.maximum(list(raw.values()), 0)
    total, totals = kept.sum(), drawn.sum(axis=1, keepdims=True)
    shares = np.divide(drawn, totals, out=np.full_like(drawn, np.nan), where=totals > 0)
    ends = (1 - level) / 2, (1 + level) / 2
    low, high = np.quantile(drawn, ends, axis=0)
    share_low, share_high = np.quantile(shares, ends, axis=0)
    return [
        Component(
            name,
            float(kept[place]),
            value,
            float(low[place]),
            float(high[place]),
            float(kept[place] / total) if total > 0 else float("nan"),
            float(share_low[place]),
            float(share_high[place]),
            layout.levels(name) if name in layout.labels else len(layout.values),
        )
        for place, (name, value) in enumerate(raw.items())
    ]


def _layout(gain: ArrayLike) -> _Layout:
    gain = np.asarray(gain, dtype=float)
    if gain.ndim == 2:
        gain = gain[:, :, None]
    donor, recipient, seed = np.nonzero(np.isfinite(gain))
    values = gain[donor, recipient, seed]
    labels = {
        "donor": _number(donor),
        "recipient": _number(recipient),
        "pair": _number(donor * gain.shape[1] + recipient),
    }
    if labels["pair"].max(initial=-1) + 1 < len(values):  # several seeds of some cell
        labels["training"] = _number(donor * gain.shape[2] + seed)
    around = values - values.mean() if len(values) else values
    return _Layout(cleaned(around[:, None], values[:, None])[:, 0], labels)


def _number(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.unique(labels, return_inverse=True)[1]


def _moments(layout: _Layout) -> dict[str, float]:
    names = NAMES if "training" in layout.labels else NAMES[:3]
    n = len(layout.values)
    if n < 2:
        return {}
    levels = [layout.labels.get(name, np.arange(n)) for name in names]
    equations = [_outside(layout, "recipient", levels), _outside(layout, "donor", levels), _of_pairs(layout, names)]
    if "training" in layout.labels:
        equations += [_outside(layout, "pair", levels), _of_noise(layout)]
    squares, expected = (np.array(side) for side in zip(*equations, strict=True))
    if np.linalg.matrix_rank(expected / n) < len(names):
        return {}
    return dict(zip(names, np.linalg.solve(expected / n, squares / n).tolist(), strict=True))


def _outside(layout: _Layout, name: str, levels: list[NDArray[np.intp]]) -> tuple[float, list[float]]:
    """Return the sum of squares within the groups called `name`, and how often each component counts in it."""
    grouping = layout.labels[name]
    return _within(layout.values, grouping), [_weight(grouping, level) for level in levels]


def _of_pairs(layout: _Layout, names: Sequence[str]) -> tuple[float, list[float]]:
    """Return the same of what donors and recipients leave of the means over seeds."""
    labels = layout.labels
    first = np.unique(labels["pair"], return_index=True)[1]
    measured = np.zeros((layout.levels("donor"), layout.levels("recipient")), dtype=bool)
    measured[labels["donor"][first], labels["recipient"][first]] = True
    panel = Panel(measured)
    counts = np.bincount(labels["pair"])
    means = np.bincount(labels["pair"], layout.values) / counts
    squares = float((panel.centre(means[:, None]) ** 2).sum())
    kept = 1 - panel.leverage
    expected = [0.0, 0.0, float(kept.sum())]
    if "training" in labels:
        weights = 1 / counts[labels["pair"]]  # how much of a training is in the mean of a pair
        of_groups = np.zeros((sum(panel.shape), layout.levels("training")))
        for group in (labels["donor"], panel.shape[0] + labels["recipient"]):
            np.add.at(of_groups, (group, labels["training"]), weights)
        explained = float((of_groups * (panel.gram_inverse @ of_groups)).sum())
        expected += [float(weights @ weights) - explained, float((kept / counts).sum())]
    return squares, expected


def _of_noise(layout: _Layout) -> tuple[float, list[float]]:
    """Return the same of what pairs and trainings leave, donor by donor."""
    squares, freedom = 0.0, 0
    labels = layout.labels
    for donor in range(layout.levels("donor")):
        at = np.flatnonzero(labels["donor"] == donor)
        rows, columns = _number(labels["pair"][at]), _number(labels["training"][at])
        measured = np.zeros((rows.max() + 1, columns.max() + 1), dtype=bool)
        measured[rows, columns] = True
        panel = Panel(measured)
        order = np.lexsort((columns, rows))
        squares += float((panel.centre(layout.values[at][order, None]) ** 2).sum())
        freedom += len(panel) - panel.parameters
    return squares, [0.0, 0.0, 0.0, 0.0, float(freedom)]


def _within(values: Floats, grouping: NDArray[np.intp]) -> float:
    """Return the sum of squares around the means of the groups."""
    means = np.bincount(grouping, values) / np.bincount(grouping)
    return float(((values - means[grouping]) ** 2).sum())


def _weight(grouping: NDArray[np.intp], level: NDArray[np.intp]) -> float:
    """Return how often a component with these levels counts in the sum of squares within the groups."""
    number = level.max() + 1
    both, counts = np.unique(grouping * number + level, return_counts=True)
    return float(len(grouping) - (counts**2 / np.bincount(grouping)[both // number]).sum())


def _draws(layout: _Layout, raw: dict[str, float], draws: int, generator: np.random.Generator) -> Floats:
    """Return drawn components, (draws, components), below zero as it comes."""
    design, freedom = _mean_squares(layout)
    expected = design @ np.array(list(raw.values()))
    # a sum that gaps have pushed below zero is taken from the components that are there
    expected = np.maximum(expected, 1e-9 * max(expected.max(), 0))
    freedom = freedom / _tails(layout)
    drawn = expected * freedom / generator.chisquare(freedom, (draws, len(freedom)))
    return np.linalg.solve(design, drawn.T).T


def _mean_squares(layout: _Layout) -> tuple[Floats, Floats]:
    """Return what each mean square is expected to be, as a sum of components, and its degrees of freedom."""
    labels = layout.labels
    donors, recipients, pairs, n = *(layout.levels(name) for name in ("donor", "recipient", "pair")), len(layout.values)
    first = np.unique(labels["pair"], return_index=True)[1]
    wide, high = (_harmonic(np.bincount(labels[name][first])) for name in ("donor", "recipient"))  # cells of each
    inner = max(1, pairs - donors - recipients + 1)
    if "training" not in labels:
        return np.array([[wide, 0, 1], [0, high, 1], [0, 0, 1]]), np.array([donors - 1, recipients - 1, inner])
    trainings = layout.levels("training")
    deep = _harmonic(np.bincount(labels["pair"]))  # seeds of a cell
    design = [
        [deep * wide, 0, deep, wide, 1],
        [0, deep * high, deep, 0, 1],
        [0, 0, deep, 0, 1],
        [0, 0, 0, wide, 1],
        [0, 0, 0, 0, 1],
    ]
    rest = max(1, n - pairs - trainings + donors)
    freedom = [donors - 1, recipients - 1, inner, max(1, trainings - donors), rest]
    return np.array(design), np.array(freedom, dtype=float)


def _harmonic(numbers: NDArray[np.intp]) -> float:
    return float(1 / np.mean(1 / numbers))


def _tails(layout: _Layout) -> Floats:
    """Return by how much the effects' tails widen the spread of each mean square: 1 for normal ones.

    The variance of a sample variance grows by half of the excess kurtosis.
    """
    left = layout.values
    found = []
    for name in ("donor", "recipient", "pair", "training"):
        if name in layout.labels:
            labels = layout.labels[name]
            means = np.bincount(labels, left) / np.bincount(labels)
            found.append(means)
            left = left - means[labels]
    if "training" in layout.labels:
        found.append(left)
    return 1 + np.array([max(0.0, _excess_kurtosis(values)) for values in found]) / 2


def _excess_kurtosis(values: Floats) -> float:
    """Return the excess kurtosis without its bias in normal samples; 0 of fewer than four values or equal ones."""
    n = len(values)
    squares = (values - values.mean()) ** 2
    if n < 4 or not squares.sum() > 0:
        return 0.0
    plain = n * (squares**2).sum() / squares.sum() ** 2
    return float((n + 1) * (n - 1) / ((n - 2) * (n - 3)) * (plain - 3 * (n - 1) / (n + 1)))
