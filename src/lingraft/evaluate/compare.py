"""Two models on the same items: does one answer better, and how sure is that.

Pairing removes the items' own difficulty, so far smaller differences show than two separate intervals suggest. The
same holds the other way: overlapping intervals do not mean that two models are equal.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lingraft import runs, statistics
from lingraft.errors import LingraftError

_OF_THE_MODEL = {"tokenizer"}


@dataclass(frozen=True)
class Comparison:
    """One task: accuracies, their difference a - b with its 95% interval, and p values."""

    task: str
    n: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_mcnemar: float
    p_holm: float
    """McNemar's p, corrected for the number of tasks compared."""

    differs: dict[str, tuple[Any, Any]]
    """Entries of the two signatures that differ, the tokenizer's aside: with any, more than the model changed."""

    def as_row(self) -> dict[str, Any]:
        """Return the comparison as a row of a table."""
        return asdict(self) | {"differs": ", ".join(self.differs)}


def compare(run_a: str | Path, run_b: str | Path, *, resamples: int = 10_000, seed: int = 0) -> list[Comparison]:
    """Compare two finished runs of `evaluate` on the tasks that both hold, in the order of the first.

    Raises LingraftError when they share no task, or were asked other items.
    """
    manifests = [runs.read_manifest(run, "evaluate")["signatures"] for run in (run_a, run_b)]
    shared = [task for task in manifests[0] if task in manifests[1]]
    if not shared:
        raise LingraftError(
            f"{run_a} and {run_b} share no task",
            f"One holds {', '.join(manifests[0])}; the other {', '.join(manifests[1])}.",
            "Evaluate both models on the same tasks.",
        )
    found = [_one(task, Path(run_a), Path(run_b), manifests, resamples, seed) for task in shared]
    corrected = statistics.holm([row["p_mcnemar"] for row in found])
    return [Comparison(**row, p_holm=p) for row, p in zip(found, corrected, strict=True)]


def _one(task: str, run_a: Path, run_b: Path, manifests: list[dict], resamples: int, seed: int) -> dict[str, Any]:
    first, second = (
        pq.read_table(run / "predictions" / f"{task}.parquet", columns=["index", "id", "gold", "correct"])
        for run in (run_a, run_b)
    )
    if not first.drop_columns("correct").equals(second.drop_columns("correct")):
        raise LingraftError(
            f"{run_a} and {run_b} were asked other items of task {task}",
            f"{len(first)} items there, {len(second)} here, with other ids or answers.",
            "Evaluate both on the same data with the same --limit.",
        )
    a, b = (table["correct"].to_numpy().astype(float) for table in (first, second))
    difference = statistics.paired_difference(a, b, resamples=resamples, seed=seed)
    signatures = [manifest[task] for manifest in manifests]
    return {
        "task": task,
        "n": len(a),
        "a": float(a.mean()),
        "b": float(b.mean()),
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p_bootstrap": difference.p,
        "p_mcnemar": statistics.mcnemar(a, b),
        "differs": {
            key: (value, signatures[1].get(key))
            for key, value in signatures[0].items()
            if key not in _OF_THE_MODEL and value != signatures[1].get(key)
        },
    }
