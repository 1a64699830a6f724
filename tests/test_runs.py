"""A run folder is claimed first, complete last, never shared, and never half written."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_helpers import SmallConfig

from lingraft import runs
from lingraft.errors import LingraftError

STAGE = "a stage"


def open_run(path: Path, config: SmallConfig | None = None, stage: str = STAGE, **options) -> runs.Run:
    return runs.open(path, stage, config or SmallConfig(), **options)


def make(path: Path, config: SmallConfig | None = None, stage: str = STAGE, *, finish: bool = True) -> Path:
    """A run with one output."""
    with open_run(path, config, stage) as run:
        with run.write("part.txt") as part:
            part.write_text("whole")
        if finish:
            run.finish({"lines": 1})
    return path


def test_the_request_is_written_first_and_the_manifest_last(tmp_path):
    out = tmp_path / "deep" / "out"
    with open_run(out, SmallConfig(size=3), versions=["pydantic", "not-installed-anywhere"]) as run:
        request = json.loads((out / "request.json").read_text())
        assert (request["stage"], request["config"]["size"], request["schema"]) == (STAGE, 3, 1)
        assert request["versions"].keys() == {"lingraft", "python", "pydantic"}
        assert not run.complete
        assert not run.resumed
        with run.write("articles/part.txt") as part:
            part.write_text("x")
        with run.timed("all of it"):
            pass
        run.finish({"lines": 1}, note="done")
        assert run.complete
    manifest = runs.read_manifest(out, STAGE)
    assert manifest["counters"] == {"lines": 1}
    assert manifest["note"] == "done"
    assert manifest["timings"]["parts"].keys() == {"all of it"}
    assert {name: manifest[name] for name in request} == request
    assert (out / "manifest.json").exists()


def test_an_unfinished_run_of_the_same_request_is_resumed(tmp_path):
    out = make(tmp_path / "out", finish=False)
    with open_run(out) as run:
        assert run.resumed
        assert (out / "part.txt").read_text() == "whole"
        assert run.finish({})["timings"]["resumed"] is True


def test_a_finished_run_of_the_same_request_is_found_complete(tmp_path):
    out = make(tmp_path / "out")
    for overwrite in (False, True):
        with open_run(out, overwrite=overwrite) as run:
            assert run.complete
            assert run.manifest["counters"] == {"lines": 1}


def test_a_folder_of_another_request_is_refused_with_the_difference(tmp_path):
    dumps = [tmp_path / "a.xml", tmp_path / "b.xml"]
    for dump in dumps:
        dump.write_text(dump.name)
    out = make(tmp_path / "out", SmallConfig(size=1, inputs=[dumps[0]]), finish=False)
    with pytest.raises(LingraftError) as caught, open_run(out, SmallConfig(size=2, inputs=[dumps[1]])):
        pass
    message = str(caught.value)
    assert f"{out} holds another run" in message
    assert "size: 1 there, 2 asked" in message
    assert "inputs (by content): a.xml there, b.xml asked" in message
    assert "--overwrite" in message
    assert (out / "part.txt").exists()


def test_of_two_stages_the_settings_are_not_compared(tmp_path):
    out = make(tmp_path / "out", SmallConfig(size=1))
    with pytest.raises(LingraftError) as caught, open_run(out, SmallConfig(size=2), "another stage"):
        pass
    assert "stage: a stage there, another stage asked" in str(caught.value)
    assert "size" not in str(caught.value)


def test_overwrite_never_removes_an_input(tmp_path):
    corpus = make(tmp_path / "corpus")
    inside = corpus / "part.txt"
    for source in (corpus, inside):
        config = SmallConfig(inputs=[source])
        with (
            pytest.raises(LingraftError, match=rf"the input {source} lies in it(.|\n)*Choose another --out"),
            open_run(corpus, config, "another stage", overwrite=True),
        ):
            pass
    assert inside.read_text() == "whole"
    with open_run(corpus) as run:
        assert run.complete


def test_overwrite_replaces_another_run_and_begins_an_unfinished_one_anew(tmp_path):
    out = make(tmp_path / "out")
    with open_run(out, SmallConfig(size=2), overwrite=True) as run:
        assert not run.complete
        assert not run.resumed
        assert not (out / "part.txt").exists()
        with run.write("other.txt") as part:
            part.write_text("x")
    with open_run(out, SmallConfig(size=2), overwrite=True) as run:
        assert not run.resumed
        assert not (out / "other.txt").exists()


def test_a_removal_that_was_interrupted_is_no_run_of_anybody(tmp_path, monkeypatch):
    out = make(tmp_path / "out", finish=False)
    removed = Path.unlink

    def broken(path, *args, **kwargs):
        if path.name == "part.txt":
            raise KeyboardInterrupt
        removed(path, *args, **kwargs)

    monkeypatch.setattr(Path, "unlink", broken)
    with pytest.raises(KeyboardInterrupt), open_run(out, SmallConfig(size=2), overwrite=True):
        pass
    monkeypatch.undo()
    for config in (SmallConfig(size=1), SmallConfig(size=2)):
        with pytest.raises(LingraftError, match="a removal that was interrupted"), open_run(out, config):
            pass
    with open_run(out, SmallConfig(size=2), overwrite=True) as run:
        assert not run.resumed
        assert not (out / "part.txt").exists()


def test_a_run_that_failed_before_it_made_anything_claims_nothing(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(LingraftError, match="no such language"), open_run(out, SmallConfig(size=1)) as run:
        run.log("begun")
        raise LingraftError("no such language")
    assert runs.state(out, STAGE, SmallConfig(size=2)) == "output: new"
    with open_run(out, SmallConfig(size=2)) as run:
        assert not run.resumed
    assert json.loads((out / "request.json").read_text())["config"]["size"] == 2


def test_an_unfinished_run_of_another_lingraft_is_not_continued(tmp_path):
    out = make(tmp_path / "out", finish=False)
    request = json.loads((out / "request.json").read_text())
    request["versions"]["lingraft"] = "0.0.1"
    (out / "request.json").write_text(json.dumps(request))
    with pytest.raises(LingraftError, match=r"unfinished, begun by lingraft 0\.0\.1"), open_run(out):
        pass
    (out / "manifest.json").write_text("{}")  # a finished one may be of any version
    with open_run(out) as run:
        assert run.complete


@pytest.mark.parametrize("name", ["thesis.tex", ".hidden", "part.1.tmp"])
def test_a_folder_of_a_stranger_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(LingraftError, match=f"is not a run folder and not empty: it holds {name}"):
            open_run(tmp_path, overwrite=overwrite).__enter__()
    assert (tmp_path / name).read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    out = tmp_path / "out"
    out.write_text("a file")
    with pytest.raises(LingraftError, match=f"cannot write to {out}"):
        open_run(out).__enter__()
    with pytest.raises(LingraftError, match="cannot write to"):
        open_run(out / "below").__enter__()


HOLDER = """
import sys, time
from lingraft import runs
from run_helpers import SmallConfig
with runs.open(sys.argv[1], "a stage", SmallConfig()) as run:
    with run.write("part.txt") as part:
        part.write_text("half")
        print("held", flush=True)
        time.sleep(600)
"""


def test_a_live_process_keeps_others_out_and_a_killed_one_does_not(tmp_path):
    out = tmp_path / "out"
    helpers = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", HOLDER, str(out)]
    with subprocess.Popen(command, env=os.environ | helpers, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            for overwrite in (False, True):
                with pytest.raises(LingraftError, match=f"{out} is in use by process {holder.pid} on "):
                    open_run(out, SmallConfig(size=2), overwrite=overwrite).__enter__()
        finally:
            holder.send_signal(signal.SIGKILL)
    assert [path.name for path in out.glob(".*")] == [f".part.txt.{holder.pid}.tmp"]
    make(out)
    assert sorted(path.name for path in out.iterdir()) == ["lock", "manifest.json", "part.txt", "request.json"]


def test_a_kill_while_the_request_is_written_leaves_a_usable_folder(tmp_path):
    (tmp_path / ".request.json.123.tmp").write_text('{"sch')
    make(tmp_path)
    assert (tmp_path / "manifest.json").exists()


def test_leftovers_of_a_killed_process_are_swept_but_not_in_a_run_folder_inside(tmp_path):
    out = make(tmp_path / "out", finish=False)
    inner = make(out / "inner", finish=False)
    (out / "articles").mkdir()
    kept, swept = inner / ".part.txt.77.tmp", out / "articles" / ".part.txt.77.tmp"
    for path in (kept, swept):
        path.write_text("half")
    with open_run(out):
        assert kept.exists()
        assert not swept.exists()


class InterruptedWriteError(Exception):
    pass


def test_an_exception_leaves_neither_half_a_file_nor_a_temporary_one(tmp_path):
    target = tmp_path / "folder" / "part.txt"
    with runs.atomic(target) as path:
        path.write_text("first")
    with pytest.raises(InterruptedWriteError), runs.atomic(target) as path:
        path.write_text("sec")
        raise InterruptedWriteError
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(tmp_path, monkeypatch):
    out = make(tmp_path / "out", finish=False)
    with open_run(out) as run:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(LingraftError) as caught, run.write("part.txt") as part:
            part.write_text("new")
        with pytest.raises(LingraftError, match=r"manifest\.json"):
            run.finish({})
        monkeypatch.undo()
        assert not run.complete
        assert (out / "part.txt").read_text() == "whole"
        assert list(out.glob(".*")) == []
    assert str(caught.value).startswith(f"cannot write {out / 'part.txt'}\nNo space left on device\nFree some space")
    assert make(out) == out


@pytest.mark.parametrize("fails", ["fsync", "write"])
def test_a_disk_that_is_full_from_the_start_is_told_as_such(tmp_path, monkeypatch, fails):
    monkeypatch.setattr(os, fails, full)
    with pytest.raises(LingraftError, match="No space left on device"):
        open_run(tmp_path / "out").__enter__()
    monkeypatch.undo()
    assert make(tmp_path / "out")


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    with open_run(tmp_path / "out") as run:
        (tmp_path / "out" / "log.jsonl").mkdir()
        with pytest.raises(LingraftError, match=r"cannot write .*log\.jsonl"):
            run.log("begun")


def test_the_log_holds_one_line_an_event(tmp_path):
    with open_run(tmp_path / "out") as run:
        run.log("begun", path=tmp_path, note="Αθήνα\nπόλη")
        run.log("done")
    lines = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["begun", "done"]
    assert lines[0]["note"] == "Αθήνα\nπόλη"
    assert lines[0]["path"] == str(tmp_path)
    assert lines[0]["time"] <= lines[1]["time"]


def test_a_table_says_how_it_is_drawn(tmp_path):
    with open_run(tmp_path / "out") as run:
        run.write_table("frequent_names", [{"name": "Αθήνα", "value": 2}], kind="counts", note="in all")
    table = runs.read_json(tmp_path / "out" / "tables" / "frequent_names.json")
    rows = [{"name": "Αθήνα", "value": 2}]
    assert table == {"kind": "counts", "title": "frequent names", "note": "in all", "rows": rows}


def test_a_lone_surrogate_does_not_lose_a_run(tmp_path):
    runs.write_json(tmp_path / "x.json", {"name": "a\ud800b"})
    assert runs.read_json(tmp_path / "x.json") == {"name": "a?b"}


def test_the_state_of_a_folder_is_told_without_touching_it(tmp_path):
    out = tmp_path / "out"
    assert runs.state(out, STAGE, SmallConfig()) == "output: new"
    assert not out.exists()
    make(out, finish=False)
    assert runs.state(out, STAGE, SmallConfig()) == "output: begun, would be resumed"
    make(out)
    assert runs.state(out, STAGE, SmallConfig()) == "output: complete, nothing would be done"
    other = runs.state(out, STAGE, SmallConfig(size=2))
    assert other.startswith("output: holds another run, which --overwrite would replace:\n  size: 1 there, 2 asked")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe"])
def test_a_damaged_request_is_named(tmp_path, content):
    out = make(tmp_path / "out", finish=False)
    (out / "request.json").write_bytes(content)
    with pytest.raises(LingraftError, match=r"request\.json is damaged(.|\n)*Remove the folder and repeat the run"):
        open_run(out).__enter__()


def test_a_folder_without_a_finished_run_says_what_to_do(tmp_path):
    with pytest.raises(LingraftError, match="holds no finished run\nThere is no manifest"):
        runs.read_manifest(tmp_path / "nowhere")
    out = make(tmp_path / "out", finish=False)
    with pytest.raises(LingraftError, match="Repeat the command that began it"):
        runs.read_manifest(out)
    make(out)
    with pytest.raises(LingraftError, match="holds a run of 'a stage', not of 'training'"):
        runs.read_manifest(out, "training")


def test_an_input_is_known_by_its_content_not_its_place(tmp_path):
    one, other = tmp_path / "a.xml", tmp_path / "moved" / "b.xml"
    other.parent.mkdir()
    one.write_text("same")
    other.write_text("same")
    out = make(tmp_path / "out", SmallConfig(inputs=[one]))
    with open_run(out, SmallConfig(inputs=[other])) as run:
        assert run.complete
    other.write_text("sane")
    with pytest.raises(LingraftError, match="inputs"), open_run(out, SmallConfig(inputs=[other])):
        pass


def test_a_big_file_is_known_by_its_size_its_beginning_and_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "SAMPLE", 4)
    path = tmp_path / "dump"
    found = []
    for content in (b"abcd----efgh", b"abcd-----efgh", b"abcD----efgh", b"abcd----efgH", b"abcd=--=efgh"):
        path.write_bytes(content)
        found.append(runs.input_identity(path))
    assert len({json.dumps(identity) for identity in found[:4]}) == 4
    assert found[4] == found[0]  # the price of not reading terabytes


def test_a_folder_is_known_by_its_files_and_a_run_folder_by_its_request(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("1")
    before = runs.input_identity(model)
    (model / "weights").write_text("2")
    assert runs.input_identity(model)["sha256"] != before["sha256"]
    dump = tmp_path / "a.xml"
    dump.write_text("x")
    same = [make(tmp_path / name, SmallConfig(inputs=[dump])) for name in ("one", "two")]
    other = make(tmp_path / "three", SmallConfig(inputs=[dump], size=2))
    known = [runs.input_identity(path)["run"] for path in (*same, other)]
    assert known[0] == known[1] != known[2]


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(LingraftError, match=f"cannot read {tmp_path / 'gone.xml'}\nNo such file"):
        open_run(tmp_path / "out", SmallConfig(inputs=[tmp_path / "gone.xml"]))
    assert not (tmp_path / "out").exists()
