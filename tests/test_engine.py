"""The engine runs a step over shards: in order, lazily, once, and names the shard at which a worker dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_helpers import die_at_gamma, fail_at_gamma, write_length

from lingraft import engine
from lingraft.errors import LingraftError
from lingraft.runs import read_json

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
HERE = Path(__file__).parent


def tasks(folder: Path) -> list[engine.Task]:
    return [engine.Task(word, (str(folder), word)) for word in WORDS]


def calls(folder: Path) -> dict[str, int]:
    """How often the step was called for each word."""
    return {path.stem: len(path.read_text().splitlines()) for path in folder.glob("*.txt")}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "words").mkdir()
    return tmp_path / "words"


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_tasks_whoever_did_them(folder, tmp_path, workers):
    seen = []
    results = engine.run(
        write_length, tasks(folder), tmp_path / "markers", workers=workers, on_done=lambda *done: seen.append(done)
    )
    assert list(results.items()) == [(word, {"letters": len(word)}) for word in WORDS]
    assert sorted(seen) == sorted(results.items(), key=lambda item: item[0])
    assert calls(folder) == dict.fromkeys(WORDS, 1)
    assert read_json(tmp_path / "markers" / "beta.json") == {"letters": 4}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_has_a_marker_is_not_done_again_but_is_told(folder, tmp_path, workers):
    markers = tmp_path / "markers"
    engine.run(write_length, tasks(folder)[:3], markers)
    assert engine.is_done(markers, "gamma")
    assert not engine.is_done(markers, "delta")
    seen = []
    results = engine.run(write_length, tasks(folder), markers, workers=workers, on_done=lambda key, _: seen.append(key))
    assert list(results) == WORDS
    assert sorted(seen) == sorted(WORDS)
    assert calls(folder) == dict.fromkeys(WORDS, 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_are_pulled_only_as_they_are_needed(folder, tmp_path, workers):
    pulled, finished, ahead = 0, 0, []

    def pull():
        nonlocal pulled
        for task in tasks(folder):
            pulled += 1
            ahead.append(pulled - finished)
            yield task

    def on_done(*_):
        nonlocal finished
        finished += 1

    engine.run(write_length, pull(), tmp_path / "markers", workers=workers, on_done=on_done)
    assert pulled == finished == len(WORDS)
    assert max(ahead) <= (workers + 1 if workers > 1 else 1)


def test_no_tasks_are_no_results(tmp_path):
    assert engine.run(write_length, [], tmp_path / "markers", workers=2) == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_of_the_step_is_raised_as_it_is(folder, tmp_path, workers):
    with pytest.raises(KeyError, match="gamma is not wanted"):
        engine.run(fail_at_gamma, tasks(folder), tmp_path / "markers", workers=workers)
    assert not engine.is_done(tmp_path / "markers", "gamma")
    assert engine.is_done(tmp_path / "markers", "alpha")


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_dead_worker_is_named_by_its_shard_and_costs_that_shard_only(folder, tmp_path, workers):
    markers = tmp_path / "markers"
    with pytest.raises(LingraftError) as caught:
        engine.run(die_at_gamma, tasks(folder), markers, workers=workers, apart=True)
    assert str(caught.value).startswith("the worker at shard gamma died\nIt was killed from outside")
    assert "finished shards are kept" in caught.value.cure
    kept = {path.stem for path in markers.glob("*.json")}
    assert {"alpha", "beta"} <= kept
    assert "gamma" not in kept
    assert kept == calls(folder).keys()  # the other workers were allowed to finish their shards
    (folder / "more-memory").touch()
    results = engine.run(die_at_gamma, tasks(folder), markers, workers=workers)
    assert list(results.items()) == [(word, {"letters": len(word)}) for word in WORDS]
    assert calls(folder) == dict.fromkeys(WORDS, 1)


MAIN = """
import sys
from pathlib import Path
from run_helpers import sleep_long
from lingraft import engine
folder = Path(sys.argv[1])
engine.run(sleep_long, [engine.Task(n, str(folder / n)) for n in "ab"], folder / "markers", workers=2)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_end_with_the_process_that_started_them(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    main = subprocess.Popen([sys.executable, "-c", MAIN, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL)
    pids = []
    try:
        deadline = time.monotonic() + 60
        while len(pids) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            pids = [int(text) for name in "ab" if (path := tmp_path / name).exists() and (text := path.read_text())]
        assert len(pids) == 2
        main.send_signal(signal.SIGKILL)
        main.wait()
        while any(map(alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(alive, pids))
    finally:
        main.kill()
        main.wait()
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


def test_the_default_is_the_cores_that_the_process_may_use():
    assert 1 <= engine.default_workers() <= os.cpu_count()
