"""Which donors help and which recipients are helped, whoever the other side is: y_ij = mean + donor_i + recipient_j.

A matrix has gaps (a donor is never its own recipient), and then the mean of a row says as much about which cells are
missing as about the donor. So effects are fitted by least squares on the cells that are there. What is left over, the
centred value, is what a pair has beyond its donor and its recipient.

    found = effects(results.gain)
    found.donor.value, found.donor.low, found.donor.high

An interval of a donor's effect says what other recipients and, with several seeds, other trainings would have given.
The variance is each donor's own, since a donor that spoils the model also scatters more. With one seed the training's
share is not known, and the interval is too narrow by that much.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingraft.transfer import student, variance
from lingraft.transfer.panel import Floats, Panel, TwoWay, over_seeds, two_way


@dataclass(frozen=True)
class Side:
    """The effects of one side with their intervals; NaN where they are not known."""

    value: Floats
    """Least squares: the effect as measured."""

    low: Floats
    high: Floats
    pooled: Floats
    """The effect drawn towards zero by as much as it is uncertain (BLUP): the better guess for new recipients."""

    cells: NDArray[np.intp]
    """Measured cells of each."""


@dataclass(frozen=True)
class Effects:
    """Effects of donors and recipients on the mean over seeds."""

    mean: float
    """Of an average donor on an average recipient."""

    low: float
    high: float
    """What other donors and other recipients would have given."""

    donor: Side
    recipient: Side
    centred: Floats
    apart: int
    """Donors and recipients that share no cell with the largest part of the table: their effects are NaN."""


def effects(gain: ArrayLike, *, level: float = 0.95, raw: Mapping[str, float] | None = None) -> Effects:
    """Return the effects of donors and recipients with intervals, of gains (donors, recipients[, seeds]).

    `raw` are the components of variance where they are known already.

    Least squares on the mean over seeds. The variance of an effect comes from the residuals of its own row or column,
    each divided by one less its leverage, and from the training's component where there are several seeds; Student's
    t with the cells less one, or Satterthwaite's degrees of freedom. NaN without at least two cells.
    Source: Searle, Casella and McCulloch 1992, Variance Components, chapters 3 and 7; Satterthwaite 1946.
    """
    gain = np.asarray(gain, dtype=float)
    seeds = gain if gain.ndim == 3 else gain[:, :, None]
    table = over_seeds(seeds)
    fit = two_way(table)
    panel = Panel(np.isfinite(table))
    found = variance.moments(seeds) if raw is None else raw
    runs = np.isfinite(seeds).any(axis=1).sum(axis=1)  # trainings of each donor
    sides = []
    for place, value in enumerate((fit.donor, fit.recipient)):
        spread, freedom = _spread(panel, fit.centred, place, runs, found.get("training", np.nan))
        between = found.get(("donor", "recipient")[place], np.nan)
        cells = np.bincount((panel.donor, panel.recipient)[place], minlength=panel.shape[place])
        sides.append(_side(value, spread, freedom, between, cells, level))
    half = _half_of_mean(fit, level)
    return Effects(fit.mean, fit.mean - half, fit.mean + half, *sides, fit.centred, panel.apart)


def _half_of_mean(fit: TwoWay, level: float) -> float:
    """Return half the interval of the mean: both sides are drawn anew, with the degrees of freedom of the smaller."""
    known = [side[np.isfinite(side)] for side in (fit.donor, fit.recipient)]
    fewest = min(map(len, known))
    if fewest < 2:
        return float("nan")
    return float(student.quantile(fewest - 1, level) * np.sqrt(sum(side.var(ddof=1) / len(side) for side in known)))


def _spread(
    panel: Panel, centred: Floats, place: int, runs: NDArray[np.intp], training: float
) -> tuple[Floats, Floats]:
    """Return the variance of each effect of one side, and its degrees of freedom."""
    group = (panel.donor, panel.recipient)[place]
    size = panel.shape[place]
    inverse = panel.gram_inverse
    donor, recipient = panel.groups
    squares = np.bincount(group, centred[panel.donor, panel.recipient] ** 2, minlength=size)
    freedom = np.bincount(group, 1 - panel.leverage, minlength=size)
    own = np.divide(squares, freedom, out=np.full(size, np.nan), where=freedom > 1e-9)

    # how much of each cell goes into each effect, (effects, cells)
    rows = np.split(inverse, [panel.shape[0]])[place]
    used = np.split(panel.main, [panel.shape[0]])[place]
    rows = rows - rows[used].mean(axis=0)
    shares = rows[:, donor] + rows[:, recipient]
    pairs = shares**2 @ np.where(np.isfinite(own), own, 0)[group]
    of_pairs = np.bincount(group, minlength=size) - 1.0
    pairs[~np.isfinite(own)] = np.nan
    if not training > 0 or runs.max() < 2:
        return pairs, of_pairs
    by_donor = np.stack([np.bincount(panel.donor, row, minlength=panel.shape[0]) for row in shares])
    trainings = by_donor**2 @ (training / np.maximum(runs, 1))
    of_trainings = max(1, int((runs - 1)[runs > 0].sum()))
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = (pairs + trainings) ** 2 / (pairs**2 / of_pairs + trainings**2 / of_trainings)
    return pairs + trainings, np.where(pairs + trainings > 0, freedom, of_pairs)


def _side(
    value: Floats, spread: Floats, freedom: Floats, between: float, cells: NDArray[np.intp], level: float
) -> Side:
    spread = np.where(freedom >= 1, spread, np.nan)
    half = student.quantile(np.maximum(freedom, 1), level) * np.sqrt(spread)
    between = np.maximum(between, 0.0)  # NaN stays
    total = spread + between
    kept = np.divide(between, total, out=np.where(total == 0, 1.0, np.nan), where=total > 0)
    return Side(value, value - half, value + half, value * kept, cells)
