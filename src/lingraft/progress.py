"""Progress for people: a rich bar with rate and remaining time on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_INTERVAL = 30.0
"""Seconds between two lines when standard error is not a terminal."""


class Bar(Protocol):
    """What a stage sees of its progress."""

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount` units to what is done; `note` stands behind the bar."""


@contextmanager
def bar(title: str, total: float | None, unit: str = "", *, quiet: bool = False) -> Iterator[Bar]:
    """Show progress of `title` towards `total` units (None: unknown) on standard error.

    `unit` "B" prints bytes as MB. Nothing is printed when `quiet`.
    """
    if quiet:
        yield _Silent()
    elif sys.stderr.isatty():
        with _rich_bar(title, total, unit) as shown:
            yield shown
    else:
        plain = _Plain(title, total, unit)
        yield plain
        plain.close()


class _Silent:
    def advance(self, amount: float, note: str = "") -> None:
        pass


class _Plain:
    def __init__(self, title: str, total: float | None, unit: str):
        self.title, self.total, self.unit = title, total, unit
        self.done = 0.0
        self.note = ""
        self.started = self.printed = time.monotonic()

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount
        self.note = note
        if time.monotonic() - self.printed >= PLAIN_INTERVAL:
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        self.printed = time.monotonic()
        seconds = max(self.printed - self.started, 1e-9)
        of = f" of {_amount(self.total, self.unit)}" if self.total else ""
        rate = f"{_amount(self.done / seconds, self.unit)}/s"
        note = f", {self.note}" if self.note else ""
        print(
            f"{self.title}: {_amount(self.done, self.unit)}{of}, {rate}, {seconds:.0f} s{note}",
            file=sys.stderr,
            flush=True,
        )


def _amount(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 1e6:,.1f} MB"
    return f"{value:,.0f} {unit}".rstrip() if value >= 10 or value == int(value) else f"{value:.2f} {unit}".rstrip()


@contextmanager
def _rich_bar(title: str, total: float | None, unit: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, amount="", note="")

        class Shown:
            def advance(self, amount: float, note: str = "") -> None:
                progress.advance(task, amount)
                state = progress.tasks[task]
                of = f"/{_amount(total, unit)}" if total else ""
                rate = f" {_amount(state.speed, unit)}/s" if state.speed else ""
                progress.update(task, amount=f"{_amount(state.completed, unit)}{of}{rate}", note=note)

        yield Shown()
