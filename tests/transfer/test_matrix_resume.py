"""A matrix killed with SIGKILL in the middle of a training, then of scoring, ends as an unbroken one: to the byte.

Each kill strikes a process of its own, which is not forked from this one: torch's threads do not survive that.
"""

import multiprocessing
import os
import signal

import pytest
from matrix_helpers import outputs, small

from lingraft import engine, runs
from lingraft.transfer import donor_run
from lingraft.transfer.matrix import matrix
from lingraft.transfer.training import worker

pytestmark = pytest.mark.usefixtures("one_thread")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_the_second_training() -> None:
    """Die after its third step: the checkpoint of the second one is there."""
    log, begun = runs.Run.log, set()

    def last(self, event, **fields):
        log(self, event, **fields)
        if event == "step":
            begun.add(self.path)
        if len(begun) == 2 and fields.get("step") == 3:
            die()

    runs.Run.log = last


def in_the_second_scoring() -> None:
    """Die at the second language of the second checkpoint."""
    score, asked = donor_run.score, []

    def last(*arguments, **more):
        asked.append(arguments)
        if len(asked) == 5:
            die()
        return score(*arguments, **more)

    donor_run.score = last


def while_the_model_is_kept() -> None:
    """Die when the chosen checkpoint is half copied."""
    copy = donor_run.shutil.copytree

    def half(source, target):
        copy(source, target)
        (target / "model.safetensors").write_bytes(b"half")
        die()

    donor_run.shutil.copytree = half


def in_the_tables() -> None:
    """Die when matrix.parquet is not yet written."""
    write = runs.Run.write
    runs.Run.write = lambda self, name: die() if name == "matrix.parquet" else write(self, name)


def work(config, out, strike) -> None:
    strike()
    with worker(1, quiet=True):
        matrix(config, out, workers=1, quiet=True)


def killed(config, out, strike) -> None:
    """Measure in another process until that kills itself."""
    process = multiprocessing.get_context("forkserver").Process(target=work, args=(config, out, strike))
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL
    assert not (out / "manifest.json").exists()


def test_a_matrix_that_is_killed_again_and_again_has_the_bytes_of_an_unbroken_one(matrix_lab, tmp_path):
    config, out = small(matrix_lab.texts, matrix_lab.model), tmp_path / "matrix"
    for strike in (in_the_second_training, in_the_second_scoring, while_the_model_is_kept, in_the_tables):
        killed(config, out, strike)
    assert matrix(config, out, workers=1, quiet=True)["timings"]["resumed"]
    assert outputs(out) == outputs(matrix_lab.measured)


@pytest.mark.slow
def test_several_workers_give_the_same_bytes(matrix_lab, tmp_path, monkeypatch):
    """Slow: each worker is a process that imports torch."""
    monkeypatch.setattr(engine, "default_workers", lambda: 2)
    config = small(matrix_lab.texts, matrix_lab.model)
    matrix(config, tmp_path / "matrix", workers=2, quiet=True)
    assert outputs(tmp_path / "matrix") == outputs(matrix_lab.measured)
