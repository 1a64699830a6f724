"""Does a feature of pairs go with the gain, once donors and recipients are taken out? Two-way fixed effects.

A donor that helps everybody says nothing about what makes a good pair, so gain and features are centred by donor and by
recipient (least squares on the same cells) before the slope is taken. Cells of one donor, and of one recipient, are not
independent: errors are clustered both ways, and the degrees of freedom are those of the smaller side. With ten
recipients that is nine, however many pairs there are.

    found = regress(results.gain, {"overlap": overlap, "same_family": same_family})
    for row in found.slopes:
        print(row.feature, row.slope, row.low, row.high, row.p, row.qap, row.vif)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingraft.transfer import student
from lingraft.transfer.panel import Floats, Panel, over_seeds
from lingraft.transfer.qap import qap

RESAMPLES = 2000


@dataclass(frozen=True)
class Slope:
    """One feature, the others held fixed."""

    feature: str
    slope: float
    """Gain for one unit of the feature."""

    low: float
    high: float
    error: float
    """Standard error, clustered by donor and recipient."""

    p: float
    """Two-sided, by Student's t."""

    freedom: int
    """Its degrees of freedom: the smaller number of donors and recipients, less one."""

    qap: float
    """Two-sided, by permutation."""

    exact: bool
    """Whether all permutations were tried."""

    r: float
    """Partial correlation of the centred values."""

    spread: float
    """Standard deviation of the centred feature: times the slope, what a usual difference is worth."""

    vif: float
    """Variance inflation by the other features; above 10 they can hardly be told apart."""

    repaired: bool
    """Whether the clustered variance was not positive: the larger one-way error stands in its place."""


@dataclass(frozen=True)
class Regression:
    """Slopes of features fitted together, on the pairs for which all of them are known."""

    slopes: list[Slope]
    dropped: dict[str, str]
    """Features without a slope: unknown | absorbed | collinear | too_few."""

    pairs: int
    donors: int
    recipients: int
    r2: float
    """Share of the centred gain's variance that the features explain together."""


def regress(
    gain: ArrayLike,
    features: Mapping[str, ArrayLike],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Regression:
    """Fit gains (donors, recipients[, seeds], averaged) on features (donors, recipients), NaN where not known.

    Dropped: a feature known for no measured pair (unknown), one that donors and recipients explain wholly, such as the
    donor's size (absorbed), one that the features before it explain wholly (collinear), and all where no degree of
    freedom is left (too_few). Variance: donor + recipient - pair clusters, each with G/(G-1) x (N-1)/(N-K), where K
    counts the dummies too; negative eigenvalues are set to zero.
    Source: Cameron, Gelbach and Miller 2011, J. of Business & Economic Statistics 29.
    """
    table = over_seeds(gain)
    tables = {name: np.asarray(values, dtype=float) for name, values in features.items()}
    measured = np.isfinite(table)
    dropped = {name: "unknown" for name, values in tables.items() if not (measured & np.isfinite(values)).any()}
    for name in dropped:
        del tables[name]
    for values in tables.values():
        measured = measured & np.isfinite(values)
    panel = Panel(measured)
    donors, recipients = len(np.unique(panel.donor)), len(np.unique(panel.recipient))
    if not tables or min(donors, recipients) < 2 or len(panel) <= panel.parameters:
        return Regression([], dropped | dict.fromkeys(tables, "too_few"), len(panel), donors, recipients, float("nan"))

    at = panel.donor, panel.recipient
    raw = np.stack([values[at] for values in tables.values()], axis=1)
    centred = panel.centre(raw)
    kept: list[int] = []
    for place, name in enumerate(tables):
        length = np.linalg.norm(raw[:, place] - raw[:, place].mean())
        if np.linalg.norm(centred[:, place]) <= 1e-8 * length or length <= 1e-12 * np.linalg.norm(raw[:, place]):
            dropped[name] = "absorbed"
        elif np.linalg.norm(_without(centred[:, place], centred[:, kept])) <= 1e-6 * np.linalg.norm(centred[:, place]):
            dropped[name] = "collinear"
        else:
            kept.append(place)
    names = [list(tables)[place] for place in kept]
    x, y = centred[:, kept], panel.centre(table[at][:, None])[:, 0]
    freedom = len(y) - panel.parameters - len(names)
    if not names or freedom < 1:
        return Regression([], dropped | dict.fromkeys(names, "too_few"), len(y), donors, recipients, float("nan"))

    slopes = np.linalg.lstsq(x, y, rcond=None)[0]
    left = y - x @ slopes
    variance, repaired = _clustered(panel, x, left, (len(y) - 1) / freedom)
    rows = [
        _row(panel, name, place, x, y, slopes[place], variance[place], repaired, level, resamples, seed)
        for place, name in enumerate(names)
    ]
    total = float(y @ y)
    explained = 1 - float(left @ left) / total if total > 0 else float("nan")
    return Regression(rows, dropped, len(y), donors, recipients, explained)


def _without(values: Floats, others: Floats) -> Floats:
    """Return what the columns of `others` do not explain of values."""
    if not others.shape[1]:
        return values
    return values - others @ np.linalg.lstsq(others, values, rcond=None)[0]


def _clustered(panel: Panel, x: Floats, left: Floats, factor: float) -> tuple[Floats, bool]:
    """Return the variances of the slopes, (features,), and whether they had to be repaired."""
    bread = np.linalg.inv(x.T @ x)
    scores = x * left[:, None]
    pairs = np.arange(len(left))
    of_donors, of_recipients, of_pairs = (
        bread @ _meat(scores, group) @ bread * factor for group in (panel.donor, panel.recipient, pairs)
    )
    both = of_donors + of_recipients - of_pairs
    values, vectors = np.linalg.eigh(both)
    one_way = np.maximum(of_donors.diagonal(), of_recipients.diagonal())
    if values.min() > 1e-12 * max(values.max(), one_way.max()):
        return both.diagonal(), False
    return np.maximum(((vectors * np.maximum(values, 0)) @ vectors.T).diagonal(), one_way), True


def _meat(scores: Floats, group: NDArray[np.intp]) -> Floats:
    sums = np.zeros((group.max() + 1, scores.shape[1]))
    np.add.at(sums, group, scores)
    number = len(np.unique(group))
    return sums.T @ sums * number / (number - 1)


def _row(
    panel: Panel,
    name: str,
    place: int,
    x: Floats,
    y: Floats,
    slope: float,
    variance: float,
    repaired: bool,
    level: float,
    resamples: int,
    seed: int,
) -> Slope:
    others = np.delete(x, place, axis=1)
    own, gain = _without(x[:, place], others), _without(y, others)
    lengths = np.linalg.norm(own), np.linalg.norm(gain)
    error = float(np.sqrt(variance))
    donors, recipients = len(np.unique(panel.donor)), len(np.unique(panel.recipient))
    freedom = min(donors, recipients) - 1
    half = float(student.quantile(freedom, level)) * error
    known = lengths[1] > 1e-12 * max(1.0, np.abs(y).max())  # else the gain is the same everywhere
    basis = np.linalg.qr(others)[0].T
    permuted = qap(
        panel.table(gain, 0.0),
        panel.table(own, 0.0),
        np.array([panel.table(column, 0.0) for column in basis]).reshape(len(basis), *panel.shape),
        panel.table(np.ones(len(y)), 0.0) > 0,
        resamples=resamples,
        seed=seed,
    )
    return Slope(
        feature=name,
        slope=float(slope),
        low=float(slope) - half,
        high=float(slope) + half,
        error=error,
        p=student.p_value(slope / error, freedom) if error > 0 and known else float("nan"),
        freedom=freedom,
        qap=permuted.p if known else float("nan"),
        exact=permuted.exact,
        r=float(own @ gain / (lengths[0] * lengths[1])) if known else float("nan"),
        spread=float(np.sqrt(x[:, place] @ x[:, place] / len(y))),
        vif=float(x[:, place] @ x[:, place] / lengths[0] ** 2),
        repaired=repaired,
    )
