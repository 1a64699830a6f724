"""A lab of made-up text, its base and a finished matrix, made once a session."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from matrix_helpers import small, write_base, write_corpora

from lingraft.transfer.matrix import matrix
from lingraft.transfer.training import worker


@dataclass(frozen=True)
class MatrixLab:
    """Corpora, a base, and a matrix of two donors, two recipients and two seeds."""

    texts: Path
    model: Path
    measured: Path


@pytest.fixture
def one_thread():
    """Compute as `matrix_lab` was made: with the number of threads sums change in their last bits."""
    with worker(1, quiet=False):
        yield


@pytest.fixture(scope="session")
def matrix_lab(tmp_path_factory) -> MatrixLab:
    folder = tmp_path_factory.mktemp("lab")
    with worker(1, quiet=True):
        texts = write_corpora(folder)
        model = write_base(texts, folder / "base")
        matrix(small(texts, model), folder / "matrix", workers=1, quiet=True)
    return MatrixLab(texts, model, folder / "matrix")
