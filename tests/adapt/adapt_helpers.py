"""What the tests of training share: the made-up corpora of tests/augment, and the size of the tiny model."""

import importlib.util
from pathlib import Path

from lingraft.adapt import Tiny

_place = Path(__file__).parents[1] / "augment" / "augment_helpers.py"
_spec = importlib.util.spec_from_file_location("augment_helpers", _place)
helpers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(helpers)

TINY = Tiny(vocabulary=400, hidden=16, layers=1, heads=2, positions=128)
