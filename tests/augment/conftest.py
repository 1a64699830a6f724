"""One tokenizer of each kind, and a model folder."""

from pathlib import Path

import pytest
from augment_helpers import KINDS, save_model, trained


@pytest.fixture(params=KINDS)
def tokenizer(request):
    return trained(request.param)


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "model")
