"""Intervals and tests for every stage, in one place: what a score may be off by, and whether two scores differ.

Sets are small here (X-CODAH has 300 items), so a score without an interval says little: at 300 items an accuracy of
30% has a 95% interval of 25.1 to 35.4, wider than most effects that are published on that set. Accuracies get the
Wilson interval, which stays inside [0, 1] and holds its level at small n; anything else gets the bootstrap. Two models
on the same items are compared pairwise, which removes the items' own difficulty: exact McNemar for right and wrong,
the paired bootstrap for any value an item. Several comparisons at once are corrected after Holm.

All random draws come from a seed; what is drawn is vectorised, in blocks that keep memory under some 100 MB.
"""

from collections.abc import Callable, Iterator, Sequence
from math import comb, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
_BLOCK = 1 << 22  # cells of one block of resamples: 32 MB of indices


class Interval(NamedTuple):
    """Both ends of an interval, in the unit of the value."""

    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two means (a minus b), its interval, and the two-sided p of no difference."""

    value: float
    low: float
    high: float
    p: float


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a proportion.

    Source: Wilson 1927, JASA 22; recommended for small n by Brown, Cai and DasGupta 2001, Statistical Science 16.
    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: no proportion")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # at the ends the formula gives 0 and 1 only up to rounding
    return Interval(0.0 if successes == 0 else middle - half, 1.0 if successes == n else middle + half)


def bootstrap(
    values: ArrayLike,
    *,
    statistic: Callable[..., NDArray] = np.mean,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the percentile bootstrap interval of a statistic of `values` (n,), their mean unless told otherwise.

    `statistic(samples, axis=-1)` reduces (resamples, n) to (resamples,).
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    held = _values(values)
    drawn = [statistic(held[index], axis=-1) for index in _resamples(len(held), resamples, seed)]
    return _percentiles(np.concatenate(drawn), level)


def paired_difference(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Compare two systems on the same items by the paired bootstrap of the mean of a - b, both of shape (n,).

    The interval is the percentile interval. p is the share of resampled differences that lie as far from the observed
    one as that lies from zero, with one added to both counts so that it is never zero.
    Source: Koehn 2004 (EMNLP); the shift to the null as in Berg-Kirkpatrick, Burkett and Klein 2012 (EMNLP).
    """
    gaps = _pairs(a, b)
    value = float(gaps.mean())
    drawn = np.concatenate([gaps[index].mean(axis=-1) for index in _resamples(len(gaps), resamples, seed)])
    extreme = int(np.count_nonzero(np.abs(drawn - value) >= abs(value) - 1e-12))
    return Difference(value, *_percentiles(drawn, level), (extreme + 1) / (resamples + 1))


def hierarchical_difference(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Compare two settings, each run several times on the same items, by the bootstrap over runs and items.

    `a` and `b` are (runs, n); they may have different numbers of runs, which belong to one side only, while the items
    are shared. Each resample draws runs of each side and items. With one run a side it is the paired bootstrap. With
    few runs the interval is too narrow: k runs show (k - 1) / k of the variance between them. p as in
    `paired_difference`. Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    sides = [np.asarray(side, dtype=float) for side in (a, b)]
    if any(side.ndim != 2 or not side.size for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"values of shape {shapes}: (runs, items) are needed, with the same items")
    n = sides[0].shape[1]
    value = float(sides[0].mean() - sides[1].mean())
    generator = np.random.default_rng(seed)
    drawn = []
    for rows in _blocks(resamples, n):
        means = [_weights(generator, len(side), rows) @ side for side in sides]
        drawn.append(np.einsum("rn,rn->r", _weights(generator, n, rows), means[0] - means[1]))
    found = np.concatenate(drawn)
    extreme = int(np.count_nonzero(np.abs(found - value) >= abs(value) - 1e-12))
    return Difference(value, *_percentiles(found, level), (extreme + 1) / (resamples + 1))


def nested_mean(
    groups: Sequence[ArrayLike], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Return the mean of the means of `groups`, each (n_g,), by the bootstrap over groups and the values inside.

    For runs that share no items, such as seeds that each make a world of their own; give differences to compare two
    settings pairwise. Each resample draws groups, and anew the values of each drawn group. With few groups the
    interval is too narrow: k groups show (k - 1) / k of the variance between them. p, that the mean is zero, as in
    `paired_difference`. Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.
    """
    held = [_values(group) for group in groups]
    if not held:
        raise ValueError("no groups: at least one is needed")
    value = float(np.mean([group.mean() for group in held]))
    generator = np.random.default_rng(seed)
    chosen = generator.integers(0, len(held), (len(held), resamples))
    drawn = np.zeros(resamples)
    for place in chosen:
        for index, group in enumerate(held):
            which = np.flatnonzero(place == index)
            start = 0
            for rows in _blocks(len(which), len(group)):
                picked = group[generator.integers(0, len(group), (rows, len(group)))].mean(axis=-1)
                drawn[which[start : start + rows]] += picked / len(held)
                start += rows
    extreme = int(np.count_nonzero(np.abs(drawn - value) >= abs(value) - 1e-12))
    return Difference(value, *_percentiles(drawn, level), (extreme + 1) / (resamples + 1))


def mcnemar(a: ArrayLike, b: ArrayLike) -> float:
    """Return the exact two-sided p that two systems are right equally often, from right or wrong an item, (n,).

    Only items on which they disagree count; under the null these fall to either side like a coin.
    Source: McNemar 1947, Psychometrika 12; the exact binomial form.
    """
    gaps = _pairs(a, b)
    only_a, only_b = int(np.count_nonzero(gaps > 0)), int(np.count_nonzero(gaps < 0))
    n, fewer = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def permutation(a: ArrayLike, b: ArrayLike, *, paired: bool, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Return the two-sided p of a difference of means by a random permutation test.

    `paired`: a and b are (n,) over the same items, and the sign of each difference is flipped at random. Otherwise
    they are two independent samples, and the labels are shuffled over the pooled values.
    Source: Good 2005, Permutation, Parametric and Bootstrap Tests; p with one added, Phipson and Smyth 2010.
    """
    generator = np.random.default_rng(seed)
    if paired:
        gaps = _pairs(a, b)
        observed = abs(gaps.mean())
        blocks = _blocks(resamples, len(gaps))
        drawn = [generator.choice((-1.0, 1.0), (rows, len(gaps))) @ gaps / len(gaps) for rows in blocks]
    else:
        first, second = _values(a), _values(b)
        pooled = np.concatenate([first, second])
        observed = abs(first.mean() - second.mean())
        drawn = []
        for rows in _blocks(resamples, len(pooled)):
            shuffled = generator.permuted(np.broadcast_to(pooled, (rows, len(pooled))), axis=1)
            drawn.append(shuffled[:, : len(first)].mean(axis=1) - shuffled[:, len(first) :].mean(axis=1))
    extreme = int(np.count_nonzero(np.abs(np.concatenate(drawn)) >= observed - 1e-12))
    return (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted for their number, in the order given: reject where at most the level.

    Source: Holm 1979, Scandinavian Journal of Statistics 6. It controls the chance of any false rejection, without
    assumptions on how the tests depend on each other.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted.tolist()


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the p values adjusted so that rejecting where at most q leaves a share q of false ones among the rejected.

    Source: Benjamini and Hochberg 1995, J. of the Royal Statistical Society B 57. It holds for independent tests, and
    for those that depend positively, as overlapping measures of one thing do.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(-p, kind="stable")
    steps = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / (len(p) - np.arange(len(p)))))
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted.tolist()


def _weights(generator: np.random.Generator, n: int, rows: int) -> NDArray[np.float64]:
    """Return how much each of n counts in each of `rows` resamples, (rows, n); a row adds up to 1."""
    return generator.multinomial(n, np.full(n, 1 / n), rows) / n


def _values(values: ArrayLike) -> NDArray[np.float64]:
    held = np.asarray(values, dtype=float)
    if held.ndim != 1 or not len(held):
        raise ValueError(f"values of shape {held.shape}: one value an item is needed, and at least one item")
    return held


def _pairs(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    first, second = _values(a), _values(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values against {len(second)}: pairs need the same items on both sides")
    return first - second


def _blocks(resamples: int, n: int) -> Iterator[int]:
    """Cut `resamples` rows of n cells into blocks that fit in memory; give the rows of each."""
    block = max(1, _BLOCK // n)
    for start in range(0, resamples, block):
        yield min(block, resamples - start)


def _resamples(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    for rows in _blocks(resamples, n):
        yield generator.integers(0, n, (rows, n))


def _percentiles(drawn: NDArray, level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
