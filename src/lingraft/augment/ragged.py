"""Arithmetic on ragged arrays: flat values, and where each row of them begins."""

import numpy as np


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Return the (rows + 1,) int64 offsets of rows with these lengths."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return starts[0], starts[0] + 1, ... (lengths[0] of them), then those of the next row, as one int64 array."""
    offsets = offsets_of(lengths)
    return np.arange(offsets[-1]) + np.repeat(np.asarray(starts, np.int64) - offsets[:-1], lengths)
