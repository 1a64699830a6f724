"""The donor x recipient matrix: train the base on each donor, score it on every recipient, before and after.

    matrix(MatrixConfig(corpora="out/corpora", model="out/base/model", donors=["spa"], recipients=["quc"],
                        training=TRAINING.replace(steps=500)), "out/matrix")

Every checkpoint answers the same questions (scoring_sets.py), so gains are paired differences in bits per byte. Donors
and seeds are trained and scored side by side, a process each. Whatever is finished stays finished: a rerun does what
is missing, and donors, recipients and seeds may be added to a finished matrix.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

from lingraft import engine, runs
from lingraft.errors import LingraftError
from lingraft.progress import bar
from lingraft.transfer import donor_run, matrix_tables
from lingraft.transfer.donor_run import BASE, DonorRun, Job, Places
from lingraft.transfer.matrix_settings import GROWING, TRAINING, MatrixConfig
from lingraft.transfer.preparation import Asking, ask, check_languages, encode_donor
from lingraft.transfer.results import STAGE

__all__ = ["TRAINING", "MatrixConfig", "matrix", "matrix_rank"]

PACKAGES = ("torch", "transformers", "tokenizers")
PRELOAD = ("torch", "transformers")


def matrix(
    config: MatrixConfig,
    out: str | Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    until: Literal["begin", "prepared", "end"] = "end",
) -> dict[str, Any]:
    """Measure the matrix in the run folder `out` and return its manifest; do only what is missing there.

    Writes cells.parquet, validation.parquet, matrix.parquet, donors/{donor}-{seed}/model and tables. `workers` donors
    are trained at once, on a share of the cores each; by default one a core, on a GPU one in all. `until` "begin" stops
    after the checks, "prepared" before any training; the manifest of what is unfinished is empty.
    Raises LingraftError before any training for a language that is unknown, has no text or too little, or was seen by
    the base; and when the folder holds cells of another experiment.
    """
    out = Path(out)
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=PACKAGES) as run:
        if run.complete and not _is_grown(run.manifest, config):
            return run.manifest
        seen = check_languages(config)
        work = _Matrix(config, run.path, workers, quiet)
        if run.request["config"] != (runs.read_json(out / "request.json") or {}).get("config"):
            runs.write_json(out / "request.json", run.request)
        if until == "begin":
            return {}
        with run.timed("prepare"):
            work.prepare()
        if until == "prepared":
            return {}
        with run.timed("donors"):
            work.carry_out()
        with run.timed("gather"):
            (out / "manifest.json").unlink(missing_ok=True)  # up to here a matrix that grows can still be read
            return matrix_tables.finish(run, config, work.place, base_languages=seen)


def matrix_rank(config: MatrixConfig, out: Path, rank: int, world_size: int, *, threads: int = 1) -> None:
    """Do the donors and seeds rank, rank + world_size, ... in a folder where `matrix` has prepared all, and waits.

    It takes no lock, so that many ranks may work in the folder. Raises LingraftError when it holds another request.
    """
    asked = runs.Run(out, STAGE, config, overwrite=False, versions=PACKAGES).request
    held = runs.read_json(out / "request.json") or {}
    if any(held.get(key) != asked[key] for key in ("config_hash", "config")):
        raise LingraftError(f"{out} holds another run by now", cure="Give the command again that began this one.")
    for run in donor_runs(config)[rank::world_size]:
        donor_run.carry_out(Job(config, Places(out), run, threads, quiet=False))


def donor_runs(config: MatrixConfig) -> list[DonorRun]:
    """Return each donor with each seed."""
    return [DonorRun(donor, seed) for seed in config.seeds for donor in config.donors]


def share_of_cores(config: MatrixConfig, workers: int | None) -> tuple[int, int]:
    """Return (workers, threads of each): one worker a core, unless told otherwise; one in all where there is a GPU.

    No worker takes more threads than torch would here (OMP_NUM_THREADS).
    """
    import torch

    cores = engine.default_workers()
    on_gpu = config.device != "cpu" and torch.cuda.is_available()
    workers = workers or (1 if on_gpu else cores)
    return workers, max(1, min(cores // workers, torch.get_num_threads()))


def state(config: MatrixConfig, out: Path) -> str | None:
    """Say what a matrix finds in a folder that holds a smaller one; None where `runs.state` says it."""
    held = runs.read_json(out / "manifest.json") or {}
    told = runs.state(out, STAGE, config)
    if told.startswith("output: complete") and _is_grown(held, config):
        return "output: complete, but other donors, recipients or seeds are asked for: what is missing would be added"
    return None


def _is_grown(manifest: dict[str, Any], config: MatrixConfig) -> bool:
    return any(manifest["config"][name] != getattr(config, name) for name in GROWING)


class _Matrix:
    """The stages of a matrix, in the order of their methods."""

    def __init__(self, config: MatrixConfig, root: Path, workers: int | None, quiet: bool):
        self.config, self.place, self.quiet = config, Places(root), quiet
        self.workers, self.threads = share_of_cores(config, workers)
        self.markers = root / ".work" / "markers"

    def prepare(self) -> None:
        """Encode the donors, make the questions, and score the base."""
        shutil.rmtree(self.markers, ignore_errors=True)  # each step looks for itself what is done already
        wanted = dict.fromkeys(asked for run in donor_runs(self.config) for asked in run.asked(self.config.recipients))
        jobs = [engine.Task(f"{one.language}-{one.split}", Asking(self.config, self.place, one)) for one in wanted]
        self._run(ask, jobs, "questions", "languages")
        donors = [engine.Task(donor, (self.config, self.place, donor)) for donor in self.config.donors]
        self._run(encode_donor, donors, "donors encoded", "donors")
        donor_run.score_base(Job(self.config, self.place, DonorRun(BASE, 0), self.threads, quiet=True), wanted)

    def carry_out(self) -> None:
        """Train and score all donors and seeds."""
        quiet = self.quiet or self.workers > 1
        jobs = [
            engine.Task(run.key, Job(self.config, self.place, run, self.threads, quiet))
            for run in donor_runs(self.config)
        ]
        self._run(donor_run.carry_out, jobs, "donors trained and scored", "runs")

    def _run(self, step: engine.Step, tasks: list[engine.Task], title: str, unit: str) -> None:
        with bar(title, len(tasks), unit, quiet=self.quiet) as shown:
            engine.run(
                step,
                tasks,
                self.markers / step.__name__,
                workers=self.workers,
                preload=PRELOAD,
                on_done=lambda key, _: shown.advance(1, key),
            )
