"""A build that is killed, twice, goes on where it stopped and gives the bytes of one that never was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus_helpers import build_quietly, digest, write_dump, write_pairs, write_wikidata

from lingraft import engine
from lingraft.errors import LingraftError

CHILD = """
import sys
from lingraft.corpus import BuildConfig, build
out, workers, *paths = sys.argv[1:]
dump, wikidata, titles = paths
config = BuildConfig(dump=dump, wikidata=wikidata, titles=titles, lang="en", names=["fr"], shard_size=6000)
build(config, out, workers=int(workers), quiet=True)
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    pages = []
    for number in range(240):
        paragraph = f"Page {number} is about [[page {number * 7 % 300}|''a thing'']] and [[alias {number}|another]]. "
        words = " ".join(f"w{number * 31 + step}" for step in range(400))
        pages.append((f"Page {number}", f"{paragraph}\n\n== Words ==\n{words} " + paragraph * 30))
        pages.append((f"Alias {number}", f"#REDIRECT [[Page {number * 3}]]"))
    items = {number + 1: {"enwiki": f"Page {number}", "frwiki": f"Feuille {number}"} for number in range(0, 240, 2)}
    pairs = [(f"Page {number}", f"Page {number} (fr)") for number in range(300)]
    return (
        write_dump(folder / "enwiki.xml.bz2", pages, a_stream=8),
        write_wikidata(folder / "wikidata.json", items),
        write_pairs(folder / "titles.tsv", pairs),
    )


def build_here(out, inputs, **options):
    dump, wikidata, titles = inputs
    return build_quietly(out, dump, wikidata=wikidata, titles=titles, shard_size=6000, **options)


def kill_at(out, step: str, markers: int, workers: int, inputs) -> int:
    """Build in another process and kill it once so many shards of a step are done; return how many were."""
    command = [sys.executable, "-c", CHILD, str(out), str(workers), *map(str, inputs)]
    folder = out / "work" / "markers" / step
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as child:
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob("*.json"))) >= markers:
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        assert child.wait(timeout=60) == -signal.SIGKILL, "the build was over before it was killed"
    assert not (out / "manifest.json").exists()
    return len(list(folder.glob("*.json")))


def test_a_build_killed_twice_gives_the_bytes_of_an_unbroken_one(inputs, tmp_path):
    whole, twice = tmp_path / "whole", tmp_path / "twice"
    expected = build_here(whole, inputs)
    num_shards = len(list((whole / "articles").iterdir()))
    assert num_shards > 12
    first = kill_at(twice, "extract", 3, 2, inputs)
    assert 3 <= first < num_shards
    second = kill_at(twice, "resolve", 2, 1, inputs)
    assert 2 <= second < num_shards
    calls = []
    run_one = engine._run_one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            engine, "_run_one", lambda step, task, markers: calls.append(task.key) or run_one(step, task, markers)
        )
        resumed = build_here(twice, inputs)
    assert len(calls) == num_shards - second  # nothing that was done is done again
    assert digest(twice) == digest(whole)
    assert resumed["counters"] == expected["counters"]
    assert resumed["timings"]["resumed"] is True
    assert [path for path in twice.rglob("*") if path.name.endswith(".tmp")] == []
    assert not (twice / "work").exists()


@pytest.mark.parametrize(
    "moment", ["articles-00001.arrow", "titles.arrow", "names.parquet", "part-00001.parquet", "manifest.json"]
)
def test_a_build_stopped_in_the_middle_of_a_file_goes_on(inputs, tmp_path, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def stop(temporary, target):
        if target.name == moment:
            raise Killed
        return replace(temporary, target)

    replace = Path.replace
    options = {"limit": 20}
    build_here(tmp_path / "whole", inputs, **options)
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Killed):
        build_here(tmp_path / "broken", inputs, **options)
    monkeypatch.undo()
    assert not (tmp_path / "broken" / "manifest.json").exists()
    build_here(tmp_path / "broken", inputs, **options)
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


def test_a_disk_that_fills_up_is_one_error_and_what_is_done_stays_done(inputs, tmp_path, monkeypatch):
    build_here(tmp_path / "whole", inputs, limit=20)
    synced = 0

    def fsync(descriptor):
        nonlocal synced
        synced += 1
        if synced > 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(LingraftError, match=r"cannot write .*\nNo space left on device\nFree some space"):
        build_here(tmp_path / "full", inputs, limit=20)
    monkeypatch.undo()
    assert engine.is_done(tmp_path / "full" / "work" / "markers" / "extract", "00000")
    assert build_here(tmp_path / "full", inputs, limit=20)["timings"]["resumed"] is True
    assert digest(tmp_path / "full") == digest(tmp_path / "whole")
