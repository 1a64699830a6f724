"""What a process that builds a corpus loads first; workers are forked from one that has.

pyarrow imports pandas, where it is installed, with the first list that it is given, to see whether the list is one of
its objects: 0.3 s and 45 MB a process, for nothing. Here it gets that list while pandas cannot be found, and asks no
more. Nothing else changes: `to_pandas` still finds it.
"""

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa

# Workers are forked from a process that has these.
from lingraft.corpus import extract, resolve  # noqa: F401


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


if "pandas" not in sys.modules:
    _finder = _NoPandas()
    sys.meta_path.insert(0, _finder)
    pa.array([0])
    sys.meta_path.remove(_finder)
