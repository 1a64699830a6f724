"""--engine slurm: the scripts that are queued, word for word, and what they build when a cluster runs them.

The cluster is a made one: an `sbatch` that runs a job at once, where its dependency ended well, and a `squeue`.
"""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from corpus_helpers import build_quietly, digest, write_dump, write_wikidata

from lingraft import engine_ranks
from lingraft.config import digest as digest_of
from lingraft.corpus import BuildConfig, cluster
from lingraft.engine_ranks import EngineConfig, choose
from lingraft.errors import LingraftError

pytest.importorskip("datatrove", reason="needs the extra [scale]")

PAGES = [
    (f"Page {number}", f"See [[page {number * 7 % 50}]]. " + " ".join(f"w{number * 31 + step}" for step in range(400)))
    for number in range(40)
]
ITEMS = {number + 1: {"enwiki": f"Page {number}", "frwiki": f"Feuille {number}"} for number in range(0, 40, 2)}

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
if re.search("refused", text):
    sys.exit("sbatch: error: invalid account")
ended_well = not after or (state / f"{{after}}.ok").exists()
last = int(re.search(r"--array=0-(\\d+)", text)[1])
log = re.search(r"--output=(.*)", text)[1]
running = []
for task in range(last + 1 if ended_well else 0):
    environment = os.environ | dict(SLURM_ARRAY_TASK_ID=str(task), SLURM_JOB_ID=job, SLURM_NODELIST="localhost")
    with open(log.replace("%A", job).replace("%a", str(task)), "w") as out:
        running.append(subprocess.Popen(["bash", script], env=environment, stdout=out, stderr=out))
if ended_well and not any([process.wait() for process in running]):
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
    """A folder in which the made cluster keeps its jobs: {id}.script, {id}.after, {id}.ok."""
    bin_, state = tmp_path / "bin", tmp_path / "slurm"
    bin_.mkdir()
    state.mkdir()
    for name, text in (("sbatch", SBATCH.format(python=sys.executable)), ("squeue", SQUEUE), ("scontrol", SCONTROL)):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    return state


@pytest.fixture(scope="module")
def wiki(tmp_path_factory) -> BuildConfig:
    folder = tmp_path_factory.mktemp("wiki")
    dump = write_dump(folder / "enwiki.xml.bz2", PAGES, a_stream=4)
    wikidata = write_wikidata(folder / "wikidata.json", ITEMS)
    return BuildConfig(dump=[dump], wikidata=[wikidata], lang="en", names=["fr"], shard_size=1500)


def bytes_of(corpus: Path) -> dict[str, str]:
    return {name: value for name, value in digest(corpus).items() if not name.startswith("jobs/")}


def built_here(wiki: BuildConfig, out: Path) -> Path:
    build_quietly(out, wiki.dump, wikidata=wiki.wikidata, shard_size=wiki.shard_size)
    return out


SCRIPT = """#!/bin/bash
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=3G
#SBATCH --nodes=1
#SBATCH --partition=cpu
#SBATCH --job-name=lingraft-en-extract
#SBATCH --time=1-00:00:00
#SBATCH --output=LOGS/extract/slurm_logs/%A_%a.out
#SBATCH --error=LOGS/extract/slurm_logs/%A_%a.out
#SBATCH --array=0-63%8
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --account=lab
#SBATCH --requeue
#SBATCH --qos=low
echo "Starting data processing job lingraft-en-extract"
module load python
set -xe
export PYTHONUNBUFFERED=TRUE
launch_pickled_pipeline LOGS/extract/executor.pik
"""


def test_the_scripts_are_these(wiki, tmp_path):
    engine = EngineConfig(
        kind="slurm",
        tasks=64,
        at_once=8,
        cpus_per_task=2,
        memory_gb=3,
        memory_gb_alone=33,
        time="1-00:00:00",
        partition="cpu",
        qos="low",
        setup="module load python",
        sbatch={"account": "lab"},
    )
    out = tmp_path / "corpus"
    found = cluster.scripts(engine, wiki, out)
    logs = out / "jobs" / digest_of(wiki.identity())
    normal = {stage: script.replace(str(logs), "LOGS") for stage, script in found.items()}
    assert list(normal) == ["extract", "titles", "resolve", "end"]
    assert normal["extract"] == SCRIPT
    assert normal["resolve"] == SCRIPT.replace("extract", "resolve")
    for stage in ("titles", "end"):
        alone = SCRIPT.replace("extract", stage).replace("=0-63%8", "=0-0%8").replace("=3G", "=17G")
        assert normal[stage] == alone
    assert not out.exists()


def test_without_setup_a_job_finds_the_python_that_queued_it(wiki, tmp_path):
    script = cluster.scripts(EngineConfig(kind="slurm"), wiki, tmp_path / "corpus")["extract"]
    assert f"\nexport PATH={Path(sys.executable).parent}:$PATH\n" in script
    assert "--partition" not in script


RANK_1_DIES_ONCE = """
export PATH={bin}:$PATH
[ -e {cure} ] || [ "$SLURM_ARRAY_TASK_ID" != 1 ] || exit 3
"""


def test_a_build_by_slurm_has_the_bytes_of_a_local_one_also_after_a_rank_that_failed(wiki, tmp_path, slurm, lingraft):
    out, cure, settings = tmp_path / "by-slurm", tmp_path / "cure", tmp_path / "cluster.yaml"
    setup = RANK_1_DIES_ONCE.format(bin=Path(sys.executable).parent, cure=cure)
    settings.write_text(json.dumps({"kind": "slurm", "tasks": 9, "setup": setup}))  # JSON is YAML
    command = ["corpus", "build", "--dump", *wiki.dump, "--lang", "en", "--names", "fr", "--wikidata", *wiki.wikidata]
    command += ["--set", "shard_size=1500", "--out", out, "--engine", settings, "--set", "engine.tasks=2"]

    queued = lingraft(*command)
    assert queued.code == 0, queued.err
    jobs = ["job 1000: extract", "job 1001: titles", "job 1002: resolve", "job 1003: end"]
    assert queued.out.splitlines() == [*jobs, f"queued: see squeue --me, and the logs in {out / 'jobs'}"]
    assert [(slurm / f"100{job}.after").read_text() for job in range(4)] == ["", "1000", "1001", "1002"]
    done = {int(path.stem) for path in (out / "work" / "markers" / "extract").glob("*.json")}
    assert done == set(range(0, max(done) + 1, 2))  # rank 0 did its shards; rank 1 died
    assert len(done) > 2
    assert not (out / "titles.arrow").exists()  # and the jobs behind it were cancelled

    cure.touch()
    assert lingraft(*command).code == 0
    assert bytes_of(out) == bytes_of(built_here(wiki, tmp_path / "here"))
    assert not (out / "work").exists()

    assert lingraft(*command).out == f"{out} is complete already\n"
    assert len(list(slurm.glob("*.script"))) == 8


def test_jobs_that_are_still_queued_are_not_queued_again(wiki, tmp_path, slurm):
    out = tmp_path / "corpus"
    (out / "jobs" / "abc").mkdir(parents=True)
    (out / "jobs" / "abc" / "jobs.json").write_text(json.dumps({"extract": "17", "titles": "18"}))
    (slurm / "queue").write_text("18\n99\n")
    for attempt in (
        lambda: cluster.submit(EngineConfig(kind="slurm"), wiki, out),
        lambda: cluster.build_on(EngineConfig(), wiki, out, quiet=True),
    ):
        with pytest.raises(LingraftError) as caught:
            attempt()
        assert str(caught.value).startswith("jobs of this run are still in the queue: 18\n")
        assert caught.value.cure.endswith("scancel 18")
    assert list(slurm.glob("*.script")) == []


def test_a_job_that_slurm_refuses_is_told_with_what_is_queued_already(wiki, tmp_path, slurm, monkeypatch):
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text(sbatch.read_text().replace("refused", "job-name=lingraft-en-titles"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    engine = EngineConfig(kind="slurm", tasks=1, setup="exit 0")
    with pytest.raises(LingraftError, match="sbatch refused the job 'titles'") as caught:
        cluster.submit(engine, wiki, tmp_path / "corpus")
    assert "scancel 1000" in caught.value.cure


def test_without_slurm_the_cure_is_told(wiki, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LingraftError, match="there is no sbatch on PATH") as caught:
        cluster.submit(EngineConfig(kind="slurm"), wiki, tmp_path / "corpus")
    assert "--dry-run shows the scripts" in caught.value.cure
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("kind", ["slurm", "ray"])
def test_what_cannot_be_cut_into_ranks_is_refused(wiki, tmp_path, slurm, kind):
    packed = write_dump(tmp_path / "enwiki.xml.gz", PAGES[:3])
    engine = EngineConfig(kind=kind)
    start = cluster.submit if kind == "slurm" else cluster.build_on
    with pytest.raises(LingraftError, match=r"enwiki.xml.gz cannot be cut into ranks") as caught:
        start(engine, wiki.replace(dump=[packed]), tmp_path / "corpus")
    assert "multistream.xml.bz2" in caught.value.cure
    with pytest.raises(LingraftError, match="a limit of 5 articles"):
        start(engine, wiki.replace(limit=5), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize(("kind", "extra", "package"), [("slurm", "scale", "datatrove"), ("ray", "ray", "ray")])
def test_a_missing_package_is_told_with_the_line_that_installs_it(wiki, tmp_path, monkeypatch, kind, extra, package):
    monkeypatch.setattr(engine_ranks, "find_spec", lambda name: None if name == package else name)
    start = cluster.submit if kind == "slurm" else cluster.build_on
    with pytest.raises(LingraftError, match=f"{package} is not installed") as caught:
        start(EngineConfig(kind=kind), wiki, tmp_path / "corpus")
    assert caught.value.cure == f"pip install 'lingraft[{extra}]'"


def test_a_folder_with_white_space_is_refused(wiki, tmp_path, slurm):
    with pytest.raises(LingraftError, match="white space in the path"):
        cluster.submit(EngineConfig(kind="slurm"), wiki, tmp_path / "my corpus")


def test_an_engine_is_a_name_or_a_file_and_takes_overrides(tmp_path):
    config, rest = choose("slurm", ["engine.partition=cpu", "shard_size=8MiB", "engine.sbatch.account=lab"])
    assert (config.kind, config.partition, config.sbatch) == ("slurm", "cpu", {"account": "lab"})
    assert rest == ["shard_size=8MiB"]
    file = tmp_path / "cluster.yaml"
    file.write_text("kind: slurm\ntasks: 64\ntime: 02:00:00\n")
    assert choose(str(file), ["engine.tasks=8"])[0] == EngineConfig(kind="slurm", tasks=8, time="02:00:00")
    with pytest.raises(LingraftError, match="no engine 'slrum'\ndid you mean 'slurm'") as caught:
        choose("slrum", [])
    assert "local, slurm, ray" in caught.value.cure
    assert choose("slurm", ["engine.time=24:30:05"])[0].time == "24:30:05"  # a number of seconds, says YAML
    assert choose("slurm", ["engine.time=2-00:00:00"])[0].time == "2-00:00:00"
    with pytest.raises(LingraftError, match="time"):
        choose("slurm", ["engine.time=tomorrow"])


def test_every_setting_stands_in_the_docs():
    docs = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*) \|", docs, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(EngineConfig.model_fields) <= told
