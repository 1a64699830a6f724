"""Titles by page id: SQL dumps know pages by their ids only."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


class Pages:
    """Page id -> title: of the dump, and of ids that were added. The titles stay where they are, in mapped files."""

    def __init__(self, seen: Sequence[pa.RecordBatch]):
        self._ids = [batch.column("id").to_numpy(zero_copy_only=False) for batch in seen]
        self._titles = [batch.column("title") for batch in seen]
        self._num_in_dump = sum(map(len, self._ids))
        self._sorted: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, ids: np.ndarray, titles: pa.Array) -> None:
        """Add pages that the dump may lack; where it has them its titles count."""
        self._ids.append(ids)
        self._titles.append(titles)
        self._sorted = None

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, pa.Array]:
        """Return which ids are known, shape (ids,), and the titles of these, shape (known,)."""
        rows = self._rows(ids)
        return rows >= 0, self._titles_at(rows[rows >= 0])

    def in_dump(self, ids: np.ndarray) -> np.ndarray:
        """Return which ids the dump has, shape (ids,)."""
        rows = self._rows(ids)
        return (rows >= 0) & (rows < self._num_in_dump)

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        if self._sorted is None:
            known = np.concatenate([np.zeros(0, np.int64), *self._ids])
            order = np.argsort(known, kind="stable")  # of two pages with one id the first counts
            self._sorted = known[order], order
        known, order = self._sorted
        if not len(known):
            return np.full(len(ids), -1)
        at = np.minimum(known.searchsorted(ids), len(known) - 1)
        return np.where(known[at] == ids, order[at], -1)

    def _titles_at(self, rows: np.ndarray) -> pa.Array:
        starts = np.cumsum([0, *map(len, self._titles)])
        part_of = starts.searchsorted(rows, side="right") - 1
        order = np.argsort(part_of, kind="stable")
        parts, firsts = np.unique(part_of[order], return_index=True)
        found = [
            self._titles[part].take(pa.array(chosen - starts[part]))
            for part, chosen in zip(parts.tolist(), np.split(rows[order], firsts[1:]), strict=len(parts) > 0)
        ]
        titles = pa.concat_arrays(found) if found else pa.array([], pa.large_string())
        return titles.take(pa.array(np.argsort(order)))
