"""Checkpoints that count only when they are whole: the marker is written last, after everything else is on the disk."""

import os
import re
import shutil
from pathlib import Path

from lingraft.runs import write_json

MARKER = "complete.json"


def seal(folder: Path) -> None:
    """Bring all files of a checkpoint to the disk, then mark it as complete."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as held:
                os.fsync(held.fileno())
    write_json(folder / MARKER, {"step": _step(folder)})


def latest(folder: Path) -> tuple[Path, int] | None:
    """Remove the half-written checkpoints in `folder`; return the newest whole one and its step."""
    whole = []
    for checkpoint in _all(folder):
        if (checkpoint / MARKER).exists():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return (whole[-1], _step(whole[-1])) if whole else None


def keep_newest(folder: Path, number: int) -> None:
    """Remove all but the newest `number` checkpoints; each loses its marker first."""
    for checkpoint in _all(folder)[:-number]:
        (checkpoint / MARKER).unlink(missing_ok=True)
        shutil.rmtree(checkpoint)


def _all(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))
