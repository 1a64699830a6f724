"""Which languages behave alike: trees over the rows or the columns of a table with gaps."""

import numpy as np

from lingraft.transfer.panel import Floats


def tree(table: Floats) -> list[list[float]] | None:
    """Return the average-linkage tree over the rows of a table (rows, columns), NaN in gaps; None of fewer than two.

    Rows are merges as scipy writes them, [a, b, height, leaves], ordered so that neighbouring leaves are near. Two rows
    are as far apart as the root of their mean squared difference over the columns that both have; where they share
    none, as far as any two of the table.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if len(table) < 2:
        return None
    known = np.isfinite(table).astype(float)
    held = np.where(known > 0, table, 0)
    squares = held**2 @ known.T
    shared = known @ known.T
    apart = np.maximum(squares + squares.T - 2 * held @ held.T, 0)
    distance = np.sqrt(np.divide(apart, shared, out=np.full_like(apart, np.nan), where=shared > 0))
    distance = np.where(np.isfinite(distance), distance, np.nanmax(distance, initial=0))
    np.fill_diagonal(distance, 0)
    merges = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [[int(a), int(b), float(height), int(leaves)] for a, b, height, leaves in merges]
