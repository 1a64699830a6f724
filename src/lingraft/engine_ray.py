"""Do the ranks of a stage on a Ray cluster, or on a Ray that is started here, and wait for them.

The command that calls it stays alive and holds the run folder's lock. Ray starts a rank again when its machine is lost;
a rank that fails by an error of its own is reported once the others are done.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from datatrove.executor.ray import RayPipelineExecutor
from loguru import logger

from lingraft.engine_ranks import EngineConfig, Rank, Stage
from lingraft.errors import LingraftError


def run(stage: Stage, config: EngineConfig, folder: Path) -> None:
    """Do all ranks of `stage` inside of `cluster`; logs go to `folder`. Raises LingraftError when ranks fail."""
    logger.disable("datatrove")
    shutil.rmtree(folder / "completions", ignore_errors=True)
    executor = RayPipelineExecutor(
        [Rank(stage, config.cpus_per_task)],
        tasks=stage.num_ranks(config),
        workers=config.at_once or -1,
        cpus_per_task=config.cpus_per_task,
        mem_per_cpu_gb=config.memory_gb,
        time=_seconds(config.time),
        logging_dir=str(folder.absolute()),
        skip_completed=False,
    )
    stopped = ""
    try:
        executor.run()
    except KeyError:  # how datatrove ends when a rank has had its time
        stopped = f"A rank was stopped after {config.time} (engine.time), and the others with it.\n"
    if failed := executor.get_incomplete_ranks(skip_completed=True):
        log = folder / "logs" / f"task_{failed[0]:05d}.log"
        raise LingraftError(
            f"{len(failed)} of {executor.tasks} ranks of the stage '{stage.name}' failed: {failed[:20]}",
            f"{stopped}{_last_error(log)}The log of the first: {log}",
            "Repeat the command: what is done stays done.",
        )


_RAISED = re.compile(r"^[\w.]+(?:Error|Exception)(?=: |$)", re.MULTILINE)
"""How the last part of a traceback begins."""


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Be connected to the Ray cluster at `address`; without one, start Ray on this machine and stop it at the end."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError) as error:
        cure = "Start one with `ray start --head`, or leave engine.address out: Ray is then started on this machine."
        raise LingraftError(f"no Ray cluster at {address}", str(error), cure) from None
    try:
        yield
    finally:
        ray.shutdown()


def _seconds(time: str) -> int:
    days, _, clock = time.rpartition("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _last_error(log: Path) -> str:
    """Return the exception that ends a rank's log, as lines in front of others; "" when the log ends without one."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    raised = list(_RAISED.finditer(text))
    return text[raised[-1].start() :].removeprefix("lingraft.errors.LingraftError: ").rstrip() + "\n" if raised else ""
