"""A run folder: what was asked, what came out, and proof that it is complete.

`request.json` is written first: stage, config, identities of the inputs, versions. The lock is held while somebody
works in the folder and falls with the process, also with one that was killed. Outputs are written to a temporary
name and renamed. `manifest.json` is written last, so its presence means that the run is complete.

A folder that holds the same request is resumed, or left alone when it is complete; one that holds another request is
refused with the difference, or replaced with `overwrite`.

    with runs.open(out, "corpus build", config, versions=["pyarrow"]) as run:
        if not run.complete:
            with run.write("articles/part-00000.parquet") as path: ...
            run.finish(counters)
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from lingraft import __version__
from lingraft.config import Config, digest
from lingraft.errors import LingraftError

SAMPLE = 1 << 20
TableKind = Literal["table", "counts", "curve", "scores", "examples", "heatmap", "scatter", "effects", "map"]
_HOUSEKEEPING = {"request.json", "manifest.json", "lock", "log.jsonl"}
_TEMPORARY = re.compile(r"\.(.+)\.\d+\.tmp")


def open(
    path: str | Path, stage: str, config: Config, *, overwrite: bool = False, versions: Iterable[str] = ()
) -> "Run":
    """Open the folder `path` for `stage` with `config`; use the result in a `with` statement.

    Raises LingraftError when the folder holds another request (the difference is shown), holds files that lingraft
    did not write, or is locked by a live process.
    """
    return Run(Path(path), stage, config, overwrite=overwrite, versions=versions)


class Run:
    """One run folder, locked while it is open."""

    def __init__(self, path: Path, stage: str, config: Config, *, overwrite: bool, versions: Iterable[str]):
        self.path = path
        self.request = {
            "schema": 1,
            "stage": stage,
            "config_hash": digest(config.identity()),
            "config": config.model_dump(mode="json"),
            "identity": config.identity(),
            "inputs": [input_identity(source) for source in config.input_paths()],
            "versions": {"lingraft": __version__, "python": sys.version.split()[0]} | _versions(versions),
        }
        self.inputs = config.input_paths()
        self.overwrite = overwrite
        self.resumed = False
        self._started = time.time()
        self._seconds: dict[str, float] = {}

    def __enter__(self) -> "Run":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise LingraftError(f"cannot write to {self.path}", str(error), "Choose another --out.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "another process"
            self._lock.close()
            raise LingraftError(
                f"{self.path} is in use by {owner}", cure="Wait for it, or choose another --out."
            ) from None
        try:
            self._lock.truncate(0)
            os.write(self._lock.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
            self._claim()
        except OSError as error:
            self.__exit__()
            raise _unwritable(self.path, error) from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _claim(self) -> None:
        held = read_json(self.path / "request.json")
        made = self._made()
        if held is None and made:
            raise LingraftError(
                f"{self.path} is not a run folder and not empty: it holds {', '.join(made[:3])}",
                "lingraft never writes among files that it did not make.",
                "Choose another --out, or empty the folder yourself.",
            )
        if not made and not self.complete:
            held = None  # a run that failed before it made anything: nothing to resume, nothing to lose
        if held is not None and (difference := _difference(held, self.request, self.complete)):
            if not self.overwrite:
                raise LingraftError(
                    f"{self.path} holds another run:\n" + "\n".join(f"  {line}" for line in difference),
                    cure="Choose another --out, or replace the old run with --overwrite.",
                )
            self._clear()
            held = None
        elif held is not None and self.overwrite and not self.complete:
            self._clear()
            held = None
        self.resumed = held is not None
        if not self.complete:
            self._sweep()
        if held is None:
            write_json(self.path / "request.json", self.request)

    def _made(self) -> list[str]:
        """Return the names of what the folder holds besides the files that every run folder has."""
        names = (entry.name for entry in self.path.iterdir())
        return sorted(name for name in names if _final_name(name) not in _HOUSEKEEPING)

    def _sweep(self) -> None:
        """Remove what a killed process had half written; run folders inside have locks of their own, and sweep too."""
        for folder, inside, files in os.walk(self.path):
            inside[:] = [name for name in inside if not Path(folder, name, "lock").exists()]
            for name in files:
                if _TEMPORARY.fullmatch(name):
                    Path(folder, name).unlink()

    def _clear(self) -> None:
        for source in self.inputs:
            if source.resolve().is_relative_to(self.path.resolve()):
                raise LingraftError(
                    f"{self.path} is not removed: the input {source} lies in it", cure="Choose another --out."
                )
        # First of all, a half-cleared folder must look neither complete nor like one that can be resumed.
        (self.path / "manifest.json").unlink(missing_ok=True)
        write_json(self.path / "request.json", {"stage": "a removal that was interrupted"})
        for entry in self.path.iterdir():
            if entry.name in ("lock", "request.json"):
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    @property
    def complete(self) -> bool:
        """Whether the folder's run has been finished."""
        return (self.path / "manifest.json").exists()

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of a finished run."""
        return read_manifest(self.path)

    def write(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Give a temporary path; when the block ends well it becomes `name` in the folder, all at once."""
        return atomic(self.path / name)

    def write_table(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        kind: TableKind = "table",
        title: str = "",
        note: str = "",
        **extra: Any,
    ) -> None:
        """Write tables/{name}.json, which the report draws; the report knows the kinds, a stage need not know how.

        table: any columns. counts: name, value. curve: series, x, y and, for a band, low, high; title names the axes
        as "y by x". scores: group, label, value, low, high and, if known, chance and unit. examples: title, segments,
        a list of {text, kind} with kind text | mention | name | tag. heatmap: row, column, value and, if known, low,
        high, note. scatter: x, y, label, group; title as for a curve. effects: label, value, low, high, group.
        map: label, name, latitude, longitude, value, role. `extra` is kept beside the rows: what a kind needs once
        (unit, trees, a fitted line), listed in docs/report.md.
        """
        held = {"kind": kind, "title": title or name.replace("_", " "), "note": note} | extra | {"rows": list(rows)}
        write_json(self.path / "tables" / f"{name}.json", held)

    def log(self, event: str, **fields: Any) -> None:
        """Add one line to log.jsonl."""
        line = json.dumps({"time": round(time.time(), 3), "event": event} | fields, ensure_ascii=False, default=str)
        try:
            with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise _unwritable(self.path / "log.jsonl", error) from error

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the wall time of the block to the manifest's timings, under `part`."""
        started = time.perf_counter()
        yield
        self._seconds[part] = self._seconds.get(part, 0.0) + time.perf_counter() - started

    def finish(self, counters: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Write the manifest: the run is complete. `counters` are exact; timings cover this process only."""
        seconds = {part: round(value, 3) for part, value in self._seconds.items()}
        manifest = self.request | {
            "counters": dict(counters),
            "timings": {
                "total_seconds": round(time.time() - self._started, 3),
                "parts": seconds,
                "resumed": self.resumed,
            },
            **more,
        }
        write_json(self.path / "manifest.json", manifest)
        return manifest


def read_manifest(path: str | Path, stage: str | None = None) -> dict[str, Any]:
    """Read the manifest of a finished run; LingraftError when there is none, or it is of another stage."""
    manifest = read_json(Path(path) / "manifest.json")
    if manifest is None:
        begun = (Path(path) / "request.json").exists()
        raise LingraftError(
            f"{path} holds no finished run",
            "A run was begun there and not finished." if begun else "There is no manifest.json in it.",
            "Repeat the command that began it: it goes on where it stopped." if begun else "Check the path.",
        )
    if stage is not None and manifest["stage"] != stage:
        raise LingraftError(f"{path} holds a run of '{manifest['stage']}', not of '{stage}'", cure="Check the path.")
    return manifest


def state(path: str | Path, stage: str, config: Config) -> str:
    """Say in one line what a run of `config` in the folder `path` would find; nothing is written."""
    run = Run(Path(path), stage, config, overwrite=False, versions=[])
    held = read_json(run.path / "request.json")
    if held is None or not (run.complete or run._made()):
        return "output: new"
    difference = _difference(held, run.request, run.complete)
    if difference:
        return "output: holds another run, which --overwrite would replace:\n" + "\n".join(
            f"  {line}" for line in difference
        )
    return "output: complete, nothing would be done" if run.complete else "output: begun, would be resumed"


def input_identity(path: Path) -> dict[str, Any]:
    """Identify a file by its size and the sha256 of its first and last MiB; a run folder by its own request."""
    if path.is_dir():
        request = read_json(path / "manifest.json") or {}
        if "config_hash" in request:
            known = {key: request[key] for key in ("stage", "identity", "inputs")}
            return {"name": path.name, "run": digest(_without_names(known)), "stage": request["stage"]}
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        inside = [[str(entry.relative_to(path)), *_sample(entry)] for entry in files]
        return {"name": path.name, "files": len(files), "sha256": digest(inside)}
    try:
        size, sample = _sample(path)
    except OSError as error:
        raise LingraftError(f"cannot read {path}", error.strerror or str(error), "Check the path.") from None
    return {"name": path.name, "size": size, "sha256": sample}


def _sample(path: Path) -> tuple[int, str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        sample = hashlib.sha256(file.read(SAMPLE))
        file.seek(max(0, size - SAMPLE))
        sample.update(file.read(SAMPLE))
    return size, sample.hexdigest()[:32]


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_names(item) for key, item in value.items() if key != "name"}
    return [_without_names(item) for item in value] if isinstance(value, list) else value


def _difference(held: dict[str, Any], asked: dict[str, Any], complete: bool) -> list[str]:
    """Say in which config values and inputs two requests differ; an unfinished run also needs the same lingraft."""
    if held.get("stage") != asked["stage"]:
        return [f"stage: {held.get('stage')} there, {asked['stage']} asked"]
    before, now = _flatten(held.get("identity", {})), _flatten(asked["identity"])
    lines = [
        f"{key}: {before.get(key, 'not set')} there, {now.get(key, 'not set')} asked"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if _without_names(held.get("inputs")) != _without_names(asked["inputs"]):
        names = [", ".join(item["name"] for item in request.get("inputs", [])) or "none" for request in (held, asked)]
        lines.append(f"inputs (by content): {names[0]} there, {names[1]} asked")
    if not complete and held.get("versions", {}).get("lingraft") != asked["versions"]["lingraft"]:
        lines.append(f"unfinished, begun by lingraft {held.get('versions', {}).get('lingraft')}; this is {__version__}")
    return lines


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    What is written is either the whole file or nothing, also when the process is killed or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> LingraftError:
    cure = "Free some space (or choose another --out) and repeat the command: what is done stays done."
    return LingraftError(f"cannot write {path}", error.strerror or str(error), cure)


def _final_name(name: str) -> str:
    """Return the name that a temporary file of `atomic` would get; any other name is its own."""
    found = _TEMPORARY.fullmatch(name)
    return found[1] if found else name


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, all at once."""
    with atomic(path) as temporary:
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"
        temporary.write_bytes(text.encode("utf-8", errors="replace"))  # a lone surrogate must not lose a whole run


def read_json(path: Path) -> Any:
    """Read a JSON file, or None when there is none; LingraftError when it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise LingraftError(f"{path} is damaged", str(error), "Remove the folder and repeat the run.") from None
