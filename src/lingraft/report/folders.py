"""Read a run folder and the run folders inside it: requests, manifests, tables, and nothing else."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingraft import runs
from lingraft.errors import LingraftError

DEPTH = 4
"""How many folders deep inner runs are looked for."""


@dataclass(frozen=True)
class Table:
    """One file of tables/: what `Run.write_table` wrote."""

    name: str
    kind: str
    title: str
    note: str
    rows: list[dict[str, Any]]
    extra: dict[str, Any] = field(default_factory=dict)
    """What a kind needs once: a unit, a fitted line, a tree."""


@dataclass(frozen=True)
class Folder:
    """What one run folder tells: its request or, when it is finished, its manifest; its tables; its last log entry."""

    name: str
    finished: bool
    when: float
    record: dict[str, Any]
    tables: list[Table]
    last_event: dict[str, Any] | None = None
    inner: list["Folder"] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """What kind of run it is, "corpus build" for one."""
        return str(self.record.get("stage") or "run")


def read(run: Path) -> Folder:
    """Read `run` and the run folders inside it, these in the order in which they were finished or, if not, begun."""
    outer = _read_one(run, run.resolve().name)
    if outer is None:
        runs.read_manifest(run)  # says what is wrong with the folder
        raise LingraftError(
            f"{run} was not written by lingraft", "Its manifest.json names no stage.", "Check the path."
        )
    found = [folder for path in _folders(run) if (folder := _read_one(path, str(path.relative_to(run)))) is not None]
    outer.inner.extend(sorted(found, key=lambda folder: (folder.when, folder.name)))
    return outer


def _folders(run: Path) -> Iterator[Path]:
    for place, inner, _ in os.walk(run):
        depth = len(Path(place).relative_to(run).parts)
        inner[:] = sorted(name for name in inner if not name.startswith(".")) if depth < DEPTH else []
        yield from (Path(place) / name for name in inner)


def _read_one(path: Path, name: str) -> Folder | None:
    manifest, request = (_mapping(path / f"{file}.json") for file in ("manifest", "request"))
    record = manifest or request
    if record is None or "stage" not in record:  # other programs name files like this, too
        return None
    marker = path / ("manifest.json" if manifest else "request.json")
    files = sorted((path / "tables").glob("*.json"))
    return Folder(
        name=name,
        finished=manifest is not None,
        when=marker.stat().st_mtime,
        record=record,
        tables=[_read_table(file) for file in files],
        last_event=None if manifest else _last_event(path / "log.jsonl"),
    )


def _mapping(path: Path) -> dict[str, Any] | None:
    value = runs.read_json(path)
    return value if isinstance(value, dict) else None


def _read_table(path: Path) -> Table:
    held = _mapping(path) or {}
    rows = held.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LingraftError(
            f"{path} is not a table",
            "The report draws what Run.write_table writes: a mapping with kind, title, note and a list of rows.",
            "Move the file out of tables/, or repeat the run that wrote it.",
        )
    title = str(held.get("title") or path.stem.replace("_", " "))
    extra = {key: value for key, value in held.items() if key not in ("kind", "title", "note", "rows")}
    return Table(path.stem, str(held.get("kind") or "table"), title, str(held.get("note") or ""), rows, extra)


def _last_event(log: Path) -> dict[str, Any] | None:
    """Return the last whole line of the log; a killed run may have left half a line behind it."""
    if not log.exists():
        return None
    *whole, _ = log.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        return dict(json.loads(whole[-1])) if whole else None
    except (ValueError, TypeError):  # half a line of a killed run, with the next run's first line on its end
        return {"event": "not readable"}
