"""A table of donors and recipients with gaps, taken apart by least squares: mean + donor + recipient + what is left.

A matrix has gaps (a donor is never its own recipient), and then the mean of a row says as much about which cells are
missing as about the donor. Here effects are fitted on the cells that are there. What is left, the centred value, is
what a pair has beyond its donor and its recipient; slopes, permutations and clusters all start from it.

    fit = two_way(results.gain)
    fit.donor, fit.recipient, fit.centred
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]


class Panel:
    """The measured cells of a table (donors, recipients), and least squares on what donors and recipients explain."""

    def __init__(self, measured: NDArray[np.bool_]):
        self.shape = measured.shape
        self.donor, self.recipient = np.nonzero(measured)
        """Of each cell, (cells,)."""

    def __len__(self) -> int:
        return len(self.donor)

    @cached_property
    def groups(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The two dummies of each cell: its donor, and its recipient counted on from there."""
        return self.donor, self.shape[0] + self.recipient

    @cached_property
    def gram_inverse(self) -> Floats:
        """The pseudo-inverse of X'X for the dummies of donors and recipients, (donors + recipients,) squared."""
        gram = np.zeros((sum(self.shape),) * 2)
        donor, recipient = self.groups
        gram[donor, recipient] = gram[recipient, donor] = 1
        np.fill_diagonal(gram, np.bincount(np.concatenate(self.groups), minlength=len(gram)))
        return np.linalg.pinv(gram, rcond=1e-10, hermitian=True)

    @cached_property
    def parts(self) -> NDArray[np.intp]:
        """For each donor, then each recipient, the part it belongs to, -1 where unmeasured; no cell joins two parts."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        size = sum(self.shape)
        graph = coo_array((np.ones(len(self)), self.groups), shape=(size, size))
        labels = connected_components(graph, directed=False)[1].astype(np.intp)
        seen = np.isin(np.arange(size), np.concatenate(self.groups))
        labels[~seen] = -1
        labels[seen] = np.unique(labels[seen], return_inverse=True)[1]
        return labels

    @cached_property
    def main(self) -> NDArray[np.bool_]:
        """Which donors, then recipients, belong to the part with the most cells."""
        if not len(self):
            return np.zeros(sum(self.shape), dtype=bool)
        return self.parts == np.bincount(self.parts[self.donor]).argmax()

    @property
    def apart(self) -> int:
        """How many measured donors and recipients do not."""
        return int(np.count_nonzero((self.parts >= 0) & ~self.main))

    @property
    def parameters(self) -> int:
        """How many of the dummies are independent."""
        return round(float(self.leverage.sum()))  # the trace of a projection is its rank

    @cached_property
    def _sums(self) -> "csr_array":
        """What adds up the cells of each donor and recipient, (donors + recipients, cells)."""
        from scipy.sparse import csr_array

        cells = np.arange(len(self))
        rows, columns = np.concatenate(self.groups), np.concatenate([cells, cells])
        return csr_array((np.ones(len(rows)), (rows, columns)), shape=(sum(self.shape), len(self)))

    @property
    def leverage(self) -> Floats:
        """How much of each cell's own value is in what donors and recipients explain of it, (cells,)."""
        donor, recipient = self.groups
        own = self.gram_inverse.diagonal()
        return own[donor] + own[recipient] + 2 * self.gram_inverse[donor, recipient]

    def coefficients(self, values: Floats) -> Floats:
        """Return the least-squares coefficients, (donors + recipients, columns), of values (cells, columns)."""
        return self.gram_inverse @ (self._sums @ values)

    def centre(self, values: Floats) -> Floats:
        """Return what donors and recipients do not explain, of values (cells, columns)."""
        left = values
        for _ in range(2):  # the second round removes what rounding left of the first
            found = self.coefficients(left)
            left = left - sum(found[group] for group in self.groups)
        return cleaned(left, values)

    def table(self, values: Floats, fill: float = np.nan) -> Floats:
        """Return one column of values (cells,) as a table (donors, recipients)."""
        whole = np.full(self.shape, fill)
        whole[self.donor, self.recipient] = values
        return whole


@dataclass(frozen=True)
class TwoWay:
    """A table taken apart; NaN for donors and recipients without a cell, or apart from the largest part."""

    mean: float
    """Of an average donor on an average recipient."""

    donor: Floats
    """(donors,): how much more than an average donor; they add up to zero."""

    recipient: Floats
    """(recipients,): the same for recipients."""

    centred: Floats
    """(donors, recipients): what is left."""


def cleaned(values: Floats, source: Floats) -> Floats:
    """Return values (n, columns) with zero for what is only the rounding of their source (m, columns)."""
    return np.where(np.abs(values) <= 1e-12 * np.abs(source).max(axis=0, initial=0), 0.0, values)


def over_seeds(values: ArrayLike) -> Floats:
    """Return the mean over the seeds that are there, (donors, recipients), of values (donors, recipients, seeds)."""
    values = np.asarray(values, dtype=float)
    if values.ndim == 2:
        return values
    known = np.isfinite(values)
    number = known.sum(axis=2)
    return np.where(number > 0, np.where(known, values, 0).sum(axis=2) / np.maximum(number, 1), np.nan)


def two_way(table: ArrayLike) -> TwoWay:
    """Take a table (donors, recipients), or (donors, recipients, seeds), apart by least squares on its cells."""
    table = over_seeds(table)
    panel = Panel(np.isfinite(table))
    values = table[panel.donor, panel.recipient][:, None]
    found = panel.coefficients(values)[:, 0]
    sides = np.split(np.where(panel.main, found, np.nan), [panel.shape[0]])
    means = [_mean(side) for side in sides]
    donor, recipient = (cleaned((side - mean)[:, None], values)[:, 0] for side, mean in zip(sides, means, strict=True))
    return TwoWay(sum(means), donor, recipient, panel.table(panel.centre(values)[:, 0]))


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
