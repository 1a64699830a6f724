"""Snapshots: the weights at chosen steps and after the last one, as model folders that load like any other.

A checkpoint serves to go on, and only the newest are kept; a snapshot serves to measure what a model knew at a step,
and all are kept, without the optimiser. Each is written all at once and before the checkpoint of its step, so a run
that was killed and went on has all of them. Adapters are merged into a copy of the model, which is in memory once more.

    snapshots("out/run")  # {100: Path("out/run/snapshots/step-000100"), 200: ...}
"""

import copy
import re
from pathlib import Path
from typing import Any

from lingraft.adapt import distributed
from lingraft.adapt.models import write_folder
from lingraft.adapt.sharding import whole_weights
from lingraft.adapt.training import Training

FOLDER = "snapshots"


def snapshots(run: str | Path) -> dict[int, Path]:
    """Return the snapshots of the run folder of a training, by step."""
    found = [path for path in (Path(run) / FOLDER).glob("step-*") if re.fullmatch(r"step-\d{6,}", path.name)]
    return dict(sorted((int(path.name.removeprefix("step-")), path) for path in found))


def snapshot_steps(how: Training) -> list[int]:
    """Return the steps after which a snapshot is kept, the last one among them; none where none was asked for."""
    if how.snapshot_every is None:
        return []
    apart = how.snapshot_every * how.num_steps if how.snapshot_every < 1 else how.snapshot_every
    steps = {max(1, round(number * apart)) for number in range(1, int(how.num_steps / apart) + 1)}
    return sorted(step for step in steps | {how.num_steps} if step <= how.num_steps)


class Snapshots:
    """Keeps the snapshots of one training."""

    def __init__(self, how: Training, run: Path, tokenizer: Any):
        self.steps = frozenset(snapshot_steps(how))
        self.folder, self.tokenizer = run / FOLDER, tokenizer

    def write(self, trainer: Any, step: int) -> None:
        """Write that of `step`, which was just made."""
        weights = whole_weights(trainer)  # all ranks have to take part
        distributed.first(lambda: self._write_here(trainer, step, weights))

    def _write_here(self, trainer: Any, step: int, weights: Any) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)
        if trainer.how.lora is not None:
            model = copy.deepcopy(model).merge_and_unload()
        write_folder(self.folder / f"step-{step:06d}", model, self.tokenizer, weights=weights)
