"""--engine slurm for a matrix: which jobs are queued, and that ranks together make the bytes of one machine.

The cluster is a made one: an `sbatch` that runs a job at once, where its dependency ended well, and a `squeue`.
"""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml
from matrix_helpers import outputs, small

from lingraft import runs
from lingraft.engine_ranks import EngineConfig
from lingraft.errors import LingraftError
from lingraft.transfer import matrix_cluster
from lingraft.transfer.matrix import matrix, matrix_rank
from lingraft.transfer.matrix_cluster import MatrixStage

pytest.importorskip("datatrove", reason="needs the extra [scale]")
pytestmark = pytest.mark.usefixtures("one_thread")

SBATCH = """#!{python}
import os, re, subprocess, sys
from pathlib import Path
state = Path(os.environ["FAKE_SLURM"])
*options, script = sys.argv[1:]
given = dict(option.lstrip("-").split("=", 1) for option in options)
text = Path(script).read_text()
job = str(1000 + len(list(state.glob("*.script"))))
(state / f"{{job}}.script").write_text(text)
after = given.get("dependency", "").removeprefix("afterok:")
(state / f"{{job}}.after").write_text(after)
last = int(re.search(r"--array=0-(\\d+)", text)[1])
log = re.search(r"--output=(.*)", text)[1]
ended_well = "RUN" in os.environ and (not after or (state / f"{{after}}.ok").exists())
for task in range(last + 1 if ended_well else 0):
    environment = os.environ | dict(SLURM_ARRAY_TASK_ID=str(task), SLURM_JOB_ID=job, SLURM_NODELIST="localhost")
    with open(log.replace("%A", job).replace("%a", str(task)), "w") as out:
        ended_well &= not subprocess.call(["bash", script], env=environment, stdout=out, stderr=out)
if ended_well:
    (state / f"{{job}}.ok").touch()
print("Submitted batch job", job)
"""
SQUEUE = """#!/bin/sh
cat "$FAKE_SLURM/queue" 2>/dev/null
"""
SCONTROL = """#!/bin/sh
echo localhost
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """A folder in which the made cluster keeps its jobs: {id}.script, {id}.after; it runs them where RUN is set."""
    state = tmp_path / "slurm"
    state.mkdir()
    for name, text in (("sbatch", SBATCH.format(python=sys.executable)), ("squeue", SQUEUE), ("scontrol", SCONTROL)):
        (state / name).write_text(text)
        (state / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{state}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    return state


def recipe(lab, folder: Path, **how) -> Path:
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump({"matrix": small(lab.texts, lab.model, **how).model_dump(mode="json")}))
    return path


def test_three_jobs_are_queued_one_behind_the_other_with_a_rank_a_training(matrix_lab, tmp_path, slurm, lingraft):
    out = tmp_path / "matrix"
    words = ["transfer", "matrix", "--recipe", recipe(matrix_lab, tmp_path), "--out", out, "--engine", "slurm"]
    words += ["--set", "engine.cpus_per_task=3", "engine.sbatch.gres=gpu:1"]
    shown = lingraft(*words, "--dry-run")
    assert shown.code == 0, shown.err
    assert "--- job 'donors'" in shown.out and "#SBATCH --array=0-3" in shown.out
    assert list(slurm.glob("*.script")) == []
    queued = lingraft(*words)
    jobs = ["job 1000: prepare", "job 1001: donors", "job 1002: gather"]
    assert queued.out.splitlines() == [*jobs, f"queued: see squeue --me, and the logs in {out / 'jobs'}"]
    assert [(slurm / f"100{job}.after").read_text() for job in range(3)] == ["", "1000", "1001"]
    scripts = [(slurm / f"100{job}.script").read_text() for job in range(3)]
    assert [re.search(r"--array=0-(\d+)", script)[1] for script in scripts] == ["0", "3", "0"]  # four trainings
    assert all("--gres=gpu:1" in script and "--cpus-per-task=3" in script for script in scripts)
    (folder,) = (out / "jobs").iterdir()
    assert json.loads((folder / "jobs.json").read_text()) == {"prepare": "1000", "donors": "1001", "gather": "1002"}
    (slurm / "queue").write_text("1001\n")
    again = lingraft(*words)
    assert again.code == 1 and "jobs of this run are still in the queue: 1001" in again.err


def test_ranks_together_have_the_bytes_of_one_machine(matrix_lab, tmp_path):
    config, out = small(matrix_lab.texts, matrix_lab.model), tmp_path / "matrix"
    MatrixStage(config, out, "prepare")(0, 1, 1)
    assert not (out / "donors").exists() and not (out / "manifest.json").exists()
    MatrixStage(config, out, "donors")(1, 2, 1)
    assert sorted(path.name for path in (out / "donors").iterdir()) == ["wol-0", "wol-1"]
    MatrixStage(config, out, "donors")(0, 2, 1)
    with pytest.raises(LingraftError, match="holds another run by now"):
        matrix_rank(config.replace(seeds=[0, 1, 2]), out, 0, 1)
    MatrixStage(config, out, "gather")(0, 1, 1)
    assert outputs(out) == outputs(matrix_lab.measured)


@pytest.mark.slow
def test_the_jobs_that_are_queued_make_the_matrix(matrix_lab, tmp_path, slurm, monkeypatch):
    """Slow: each rank of each job is a Python of its own that imports torch."""
    monkeypatch.setenv("RUN", "1")
    config = small(matrix_lab.texts, matrix_lab.model, donors=["swh"], recipients=["zul"], seeds=[0, 1])
    engine, out = EngineConfig(kind="slurm", tasks=2), tmp_path / "matrix"
    assert list(matrix_cluster.submit(engine, config, out)) == ["prepare", "donors", "gather"]
    assert runs.read_manifest(out)["counters"]["pairs"] == 2
    matrix(config, tmp_path / "here", workers=1, quiet=True)
    assert outputs(out) == outputs(tmp_path / "here")
    assert matrix_cluster.submit(engine, config, out) == {}


def test_what_is_no_slurm_is_refused(matrix_lab, tmp_path, monkeypatch):
    config = small(matrix_lab.texts, matrix_lab.model)
    with pytest.raises(LingraftError, match="a matrix on --engine ray"):
        matrix_cluster.matrix_on(EngineConfig(kind="ray"), config, tmp_path / "matrix")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LingraftError, match="there is no sbatch on PATH"):
        matrix_cluster.submit(EngineConfig(kind="slurm"), config, tmp_path / "matrix")
    assert not (tmp_path / "matrix").exists()
