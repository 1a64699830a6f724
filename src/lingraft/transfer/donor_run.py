"""One donor with one seed: train the base on it, score each checkpoint on every recipient, keep the one that is chosen.

All of it can be stopped anywhere and goes on: the training from its last checkpoint, the scoring from the last one that
is in the store. Languages that are asked for later are scored on the checkpoints that are still there. Each language is
scored by itself, so its numbers do not depend, even in the last bit, on what else is asked.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lingraft import adapt, runs
from lingraft.adapt import TrainConfig
from lingraft.adapt.snapshots import FOLDER as SNAPSHOTS
from lingraft.adapt.snapshots import snapshots
from lingraft.config import digest
from lingraft.errors import LingraftError
from lingraft.transfer import cells
from lingraft.transfer.cells import Asked, Cells, Lines
from lingraft.transfer.matrix_settings import MatrixConfig
from lingraft.transfer.scoring import load_scorer, score
from lingraft.transfer.scoring_sets import ScoringSet
from lingraft.transfer.training import training_config, worker

BASE = "base"


@dataclass(frozen=True)
class DonorRun:
    """A donor and a seed."""

    donor: str
    seed: int

    @property
    def key(self) -> str:
        """Its name in folders."""
        return f"{self.donor}-{self.seed}"

    def asked(self, recipients: Iterable[str]) -> list[Asked]:
        """Return what its checkpoints are asked: each recipient but the donor, and the donor's own validation text."""
        others = [Asked(recipient, "test") for recipient in recipients if recipient != self.donor]
        return [*others, Asked(self.donor, "validation")]


@dataclass(frozen=True)
class Places:
    """Where things lie in the run folder of a matrix; what has a dot is not for the report."""

    root: Path

    def encoded(self, donor: str) -> Path:
        """The donor's text, as token ids."""
        return self.root / ".work" / "encoded" / donor

    def cut(self, donor: str) -> Path:
        """The part of the donor's text that is trained on, where all are cut to one size."""
        return self.root / ".work" / "cut" / donor

    def questions(self, asked: Asked) -> Path:
        """The scoring set."""
        return self.root / "sets" / f"{asked.language}-{asked.split}.parquet"

    def training(self, key: str) -> Path:
        """The run folder of a training."""
        return self.root / ".work" / "train" / key

    def cells(self, key: str) -> Path:
        """The cells of a donor and seed, or of the base."""
        return self.root / "cells" / f"{key}.parquet"

    def kept(self, key: str) -> Path:
        """The chosen model of a donor and seed, and what it is."""
        return self.root / "donors" / key


@dataclass(frozen=True)
class Job:
    """What a worker needs for one donor and seed."""

    config: MatrixConfig
    place: Places
    run: DonorRun
    threads: int
    quiet: bool


def training_of(config: MatrixConfig, place: Places, run: DonorRun) -> TrainConfig:
    """Return the training of a donor and seed, whose text is encoded."""
    how = config.training.replace(seed=run.seed)
    encoded = place.encoded(run.donor)
    if config.epochs is not None:
        tokens = round(config.epochs * runs.read_manifest(encoded, "augment")["counters"]["tokens"])
        how = how.replace(steps=None, tokens=max(1, tokens))
    how = how.replace(snapshot_every=how.snapshot_every or how.num_steps)
    return training_config(config.model, [encoded], config.objective, how)


def request_of(training: TrainConfig) -> str:
    """Return the digest of all that decides a trained model: the settings, and the content of what it is made of."""
    inputs = [runs.input_identity(path) for path in training.input_paths()]
    return digest([training.identity(), [{key: one[key] for key in one if key != "name"} for one in inputs]])


def base_request(config: MatrixConfig) -> str:
    """Return the digest of the base, for its own cells."""
    known = [runs.input_identity(path) for path in config.input_paths()] or [config.model]
    return digest([{key: one[key] for key in one if key != "name"} if isinstance(one, dict) else one for one in known])


def score_base(job: Job, asked: Iterable[Asked]) -> None:
    """Score the base on all that is asked, and write down what the lines hold."""
    config, place = job.config, job.place
    path = place.cells(BASE)
    held, lines = cells.read(path), cells.read_lines(path)
    with worker(job.threads, quiet=job.quiet):
        fill(path, {0: config.model}, asked, config, place, base_request(config), held, lines)


def carry_out(job: Job) -> dict[str, Any]:
    """Train one donor with one seed and score its checkpoints; return what it took. What is done is not done again."""
    config, place, run = job.config, job.place, job.run
    training = training_of(config, place, run)
    request, asked, path = request_of(training), run.asked(config.recipients), place.cells(run.key)
    held = cells.read(path)
    if is_done(config, place, run, held):
        cells.check(path, held, digests(place, asked), request)
        return {"scored": 0}
    with worker(job.threads, quiet=job.quiet):
        adapt.train(training, place.training(run.key))
        models = models_of(place, run)
        if not models:
            raise LingraftError(
                f"the models of {run.key} are gone",
                f"None is under {place.training(run.key)} or {place.kept(run.key)}, but the training is finished.",
                f"Remove {place.training(run.key)} and repeat the command: it is trained again.",
            )
        scored = fill(path, models, asked, config, place, request, held)
        _keep(job, held)
    return {"scored": scored}


def is_done(config: MatrixConfig, place: Places, run: DonorRun, held: Cells) -> bool:
    """Whether nothing is left to do for a donor and seed."""
    if not (place.kept(run.key) / "model").exists():
        return False
    if not config.keeps_snapshots and (place.training(run.key) / SNAPSHOTS).exists():
        return False
    return all((step, asked) in held for step in models_of(place, run) for asked in run.asked(config.recipients))


def fill(
    path: Path,
    models: Mapping[int, Any],
    asked: Iterable[Asked],
    config: MatrixConfig,
    place: Places,
    request: str,
    held: Cells,
    lines: dict[Asked, Lines] | None = None,
) -> int:
    """Score what of `asked` is not in the store yet, checkpoint by checkpoint; return the number of new cells.

    `held` are the store's cells, to which the new ones are added, and `lines` what the base's file tells of them.
    """
    asked = list(asked)
    cells.check(path, held, digests(place, asked), request)
    new, sets = 0, {}
    for step, folder in sorted(models.items()):
        missing = [one for one in asked if (step, one) not in held]
        if not missing:
            continue
        model = load_scorer(folder, config.objective, config.device).model
        for one in missing:
            sets[one] = sets.get(one) or ScoringSet.load(place.questions(one))
            (found,) = score(model, [sets[one]], batch_tokens=config.batch_tokens, device=config.device)
            held[step, one] = cells.cell_of(found, sets[one].digest, request)
            if lines is not None:
                lines[one] = cells.lines_of(found)
        cells.write(path, held, lines)
        new += len(missing)
    return new


def digests(place: Places, asked: Iterable[Asked]) -> dict[Asked, str]:
    """Return the digest of each scoring set, from the note beside it."""
    return {one: runs.read_json(place.questions(one).with_suffix(".json"))["digest"] for one in asked}


def chosen_step(config: MatrixConfig, run: DonorRun, held: Cells, lines: Mapping[Asked, Lines], one: Asked) -> int:
    """Return the step whose checkpoint is reported for a recipient; the first of several that are equally good.

    `one` may also be the donor's own validation text: then it is the step that is kept. With `half` that is the best
    one on the choosing halves of all recipients, on average.
    """
    own = Asked(run.donor, "validation")
    steps = sorted({step for step, asked in held if asked == own})
    if config.choose == "last":
        return steps[-1]
    if config.choose == "donor_validation":
        return min(steps, key=lambda step: lines[own].bits_per_byte(held[step, own]))
    judges = [asked for asked in run.asked(config.recipients) if asked != own] if one == own else [one]

    def mean(step: int) -> float:
        return float(np.mean([lines[judge].bits_per_byte(held[step, judge], sides[judge]) for judge in judges]))

    sides = {judge: cells.halves(lines[judge].keys)[0] for judge in judges}
    return min((step for step in steps if all((step, judge) in held for judge in judges)), key=mean)


def models_of(place: Places, run: DonorRun) -> dict[int, Path]:
    """Return the models that are there, by step: the training's checkpoints, and the one that is kept."""
    models = snapshots(place.training(run.key))
    kept = runs.read_json(place.kept(run.key) / "chosen.json")
    if kept is not None and (place.kept(run.key) / "model").exists():
        models.setdefault(kept["step"], place.kept(run.key) / "model")
    return models


def _keep(job: Job, held: Cells) -> None:
    """Move the chosen checkpoint to donors/, and remove what is no longer needed of the training."""
    config, place, run = job.config, job.place, job.run
    lines = cells.read_lines(place.cells(BASE))
    step = chosen_step(config, run, held, lines, Asked(run.donor, "validation"))
    kept = place.kept(run.key)
    model, facts = kept / "model", {"donor": run.donor, "seed": run.seed, "step": step}
    if runs.read_json(kept / "chosen.json") != facts:
        shutil.rmtree(model, ignore_errors=True)
        runs.write_json(kept / "chosen.json", facts)
    if not model.exists():
        half = kept / ".model.tmp"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(snapshots(place.training(run.key))[step], half)
        half.replace(model)
    for folder in ("checkpoints", "model", *([] if config.keeps_snapshots else [SNAPSHOTS])):
        shutil.rmtree(place.training(run.key) / folder, ignore_errors=True)
