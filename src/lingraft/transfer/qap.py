"""The permutation test of a feature of pairs: how often would relabelled languages do as well?

Cells of one row share a donor, so a test that takes them for independent finds effects in noise. Here whole rows and
whole columns of the feature change places, which keeps what a row has in common. What donors, recipients and the other
features explain is taken out of the feature first (double semi-partialling), and the statistic is the partial
correlation, a monotone function of t. Gaps stay where they are in the gains; a gap of the feature counts as zero, its
mean. Where all permutations are fewer than the resamples asked for, each is tried once and p is exact.

Source: Dekker, Krackhardt and Snijders 2007, Psychometrika 72; Krackhardt 1988, Social Networks 10. Rows and columns
are permuted independently, since donors and recipients are two sets of languages.
"""

from collections.abc import Iterator
from itertools import permutations, product
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 21  # cells of one block of permuted tables: 16 MB


class Permutation(NamedTuple):
    """A p value by permutation, and whether all permutations were tried."""

    p: float
    exact: bool


def qap(
    gain: NDArray[np.float64],
    feature: NDArray[np.float64],
    others: NDArray[np.float64],
    measured: NDArray[np.bool_],
    *,
    resamples: int,
    seed: int = 0,
) -> Permutation:
    """Return the two-sided p that a feature tells as much of the gain as it does, by permuted rows and columns.

    `gain` and `feature` (donors, recipients) are what donors, recipients and the other features leave of them, 0 where
    not `measured`; `others` (features, donors, recipients) are the other features, centred, orthonormal, 0 in gaps.
    """
    rows, columns = measured.any(axis=1), measured.any(axis=0)
    gain, feature, measured = (table[rows][:, columns] for table in (gain, feature, measured))
    others = others[:, rows][:, :, columns].reshape(len(others), gain.size)
    mask = measured.ravel().astype(float)
    count = factorial(len(gain)) * factorial(len(gain[0])) if max(gain.shape) <= 12 else resamples + 1
    exact = count <= resamples
    drawn = _all(gain.shape) if exact else _random(gain.shape, resamples, np.random.default_rng(seed))

    def fit(tables: NDArray[np.float64]) -> NDArray[np.float64]:
        explained = ((tables @ others.T) ** 2).sum(axis=1)
        length = np.sqrt(np.maximum(tables**2 @ mask - explained, 0))
        return np.divide(tables @ gain.ravel(), length, out=np.zeros(len(tables)), where=length > 1e-12)

    observed = abs(fit(feature.reshape(1, -1))[0])
    extreme = 0
    for row, column in drawn:
        tables = feature[row[:, :, None], column[:, None, :]].reshape(len(row), -1)
        extreme += int(np.count_nonzero(np.abs(fit(tables)) >= observed * (1 - 1e-9)))
    return Permutation(extreme / count if exact else (extreme + 1) / (resamples + 1), exact)


def _random(
    shape: tuple[int, int], resamples: int, generator: np.random.Generator
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    block = max(1, _BLOCK // (shape[0] * shape[1]))
    for start in range(0, resamples, block):
        number = min(block, resamples - start)
        row, column = (generator.permuted(np.tile(np.arange(size), (number, 1)), axis=1) for size in shape)
        yield row, column


def _all(shape: tuple[int, int]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    for row, column in product(*(permutations(range(size)) for size in shape)):
        yield np.array([row]), np.array([column])
