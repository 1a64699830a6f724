"""A matrix on a Slurm cluster: one job prepares, an array of ranks trains and scores the donors, one job gathers.

What a rank left undone, the gathering job does itself, as the same command on one machine would: the cells that are in
the store are the only thing that is asked. Tests run the scripts on a made-up sbatch (tests/transfer).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lingraft.config import digest
from lingraft.engine_ranks import EngineConfig, Stage, need_packages, need_sbatch, refuse_while_queued
from lingraft.errors import LingraftError
from lingraft.transfer.matrix import donor_runs, matrix, matrix_rank
from lingraft.transfer.matrix_settings import GROWING, MatrixConfig


@dataclass(frozen=True)
class MatrixStage:
    """One stage of a matrix, as ranks do it."""

    config: MatrixConfig
    out: Path
    name: Literal["prepare", "donors", "gather"]

    def __call__(self, rank: int, world_size: int, processes: int) -> None:
        """Do what falls to `rank`."""
        if self.name == "donors":
            matrix_rank(self.config, self.out, rank, world_size, threads=processes)
        else:
            until: Any = "prepared" if self.name == "prepare" else "end"
            matrix(self.config, self.out, workers=processes, quiet=True, until=until)


def matrix_on(engine: EngineConfig, config: MatrixConfig, out: str | Path, **how: Any) -> dict[str, Any]:
    """Measure the matrix in `out` on this machine; `how` as for `matrix`. Return its manifest.

    Raises LingraftError while Slurm jobs of this folder are in the queue, and for an engine that is not this machine.
    """
    _check(engine, "local")
    refuse_while_queued(Path(out) / "jobs")
    return matrix(config, out, **how)


def submit(engine: EngineConfig, config: MatrixConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, str]:
    """Queue a matrix in the run folder `out`; return stage -> job id, nothing when `out` is complete.

    Raises LingraftError for what `matrix` would refuse at its beginning, and as engine_slurm.submit does.
    """
    _check(engine, "slurm")
    need_packages("slurm")
    from lingraft import engine_slurm

    need_sbatch()
    out = Path(out)
    refuse_while_queued(out / "jobs")
    if matrix(config, out, overwrite=overwrite, quiet=True, until="begin"):
        return {}
    return engine_slurm.submit(_stages(config, out), _ranks(engine, config), _name(out), _logs(config, out))


def scripts(engine: EngineConfig, config: MatrixConfig, out: str | Path) -> dict[str, str]:
    """Return stage -> the sbatch script that `submit` would queue; nothing is written."""
    _check(engine, "slurm")
    need_packages("slurm")
    from lingraft import engine_slurm

    out = Path(out)
    return engine_slurm.scripts(_stages(config, out), _ranks(engine, config), _name(out), _logs(config, out))


def _stages(config: MatrixConfig, out: Path) -> list[Stage]:
    return [
        Stage(name, MatrixStage(config, out, name), alone=name != "donors") for name in ("prepare", "donors", "gather")
    ]


def _ranks(engine: EngineConfig, config: MatrixConfig) -> EngineConfig:
    """Return the engine with no more ranks than there are trainings."""
    return engine.replace(tasks=min(engine.tasks, len(donor_runs(config))))


def _name(out: Path) -> str:
    return f"lingraft-{out.name}"


def _logs(config: MatrixConfig, out: Path) -> Path:
    """Return the folder of scripts and logs: it names the request, for datatrove's own files do not."""
    languages = {name: getattr(config, name) for name in GROWING}
    return out / "jobs" / digest([config.identity(), languages])


def _check(engine: EngineConfig, kind: str) -> None:
    if engine.kind != kind:
        raise LingraftError(
            f"a matrix on --engine {engine.kind}",
            "Its donors are trained on this machine, or as jobs of Slurm.",
            "Leave out --engine, or say slurm.",
        )
