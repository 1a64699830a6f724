"""What a run found, before how: its findings and drawings or, where it has none of a kind, those of the runs inside it.

The order is that of the questions: what was found, for which pairs, by whom, why, how well it can be foretold, where,
and how it came about.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import figures
from lingraft.report.charts import Palette
from lingraft.report.folders import Folder, Table
from lingraft.report.markup import Html, tag

KINDS = ("heatmap", "effects", "scatter", "scores", "map")
MOST = 12
"""More drawings of one kind than this are left with the runs that made them."""

Told = set[tuple[str, str]]
"""Name of the run and of its table, for tables that need not be drawn a second time."""


@dataclass(frozen=True)
class Shown:
    """A table of the headline; `sources` are the tables that it tells."""

    table: Table
    sources: Told


def shown(outer: Folder) -> list[Shown]:
    """Return the tables of the headline in their order."""
    return [
        *_of(outer, lambda table: table.name == figures.FINDINGS and table.kind == "table"),
        *(one for kind in KINDS for one in (_scores(outer) if kind == "scores" else _of_kind(outer, kind))),
        *_curves(outer),
    ]


def section(tables: Iterable[Shown], palette: Palette) -> Html | None:
    """Draw the headline, or nothing where there is nothing to tell."""
    drawn = [figures.figure(one.table, palette) for one in tables]
    return tag("section", tag("h2", "Results"), *drawn, id="results") if drawn else None


def _of_kind(outer: Folder, kind: str) -> list[Shown]:
    found = _of(outer, lambda table: table.kind == kind)
    return found if len(found) <= MOST else []


def _of(outer: Folder, asked: Any) -> list[Shown]:
    own = [Shown(table, {(outer.name, table.name)}) for table in outer.tables if asked(table)]
    return own or [
        Shown(table, {(folder.name, table.name)}) for folder in outer.inner for table in folder.tables if asked(table)
    ]


def _scores(outer: Folder) -> list[Shown]:
    """Own scores or, where there are none, those of the inner runs: what has one title stands together."""
    found = _of(outer, lambda table: table.kind == "scores")
    titles = dict.fromkeys(one.table.title for one in found)
    if len(titles) == len(found) or any(table.kind == "scores" for table in outer.tables):
        return found
    return [
        Shown(Table("scores", "scores", title, _note(outer.inner, title), rows), set())
        for title in titles
        if (rows := _together(outer.inner, "scores", ("group", "label"), title=title))
    ]


def _note(inner: Sequence[Folder], title: str) -> str:
    """Return the notes of the tables that stand together under `title`, each once."""
    notes = (
        table.note for folder in inner for table in folder.tables if (table.kind, table.title) == ("scores", title)
    )
    return " ".join(dict.fromkeys(note for note in notes if note))


def _curves(outer: Folder) -> list[Shown]:
    """Where the run has no curve of its own, put together the curves that more than one inner run has."""
    if any(table.kind == "curve" for table in outer.tables):
        return []
    found = [(table.name, table.title) for folder in outer.inner for table in folder.tables if table.kind == "curve"]
    shared = {name: title for name, title in found if sum(other == name for other, _ in found) > 1}
    return [
        Shown(Table(name, "curve", title, "", _together(outer.inner, "curve", ("series",), name=name)), set())
        for name, title in shared.items()
    ]


def _together(
    inner: Sequence[Folder], kind: str, key: Sequence[str], *, name: str | None = None, title: str | None = None
) -> list[dict[str, Any]]:
    """Put the rows of the inner runs' tables together; where two runs use one key, the run's name is added to it."""
    rows = [
        (folder.name, row)
        for folder in inner
        for table in folder.tables
        if table.kind == kind and name in (None, table.name) and title in (None, table.title)
        for row in table.rows
    ]
    owners: dict[tuple[str, ...], set[str]] = {}
    for run, row in rows:
        owners.setdefault(tuple(str(row.get(part)) for part in key), set()).add(run)
    contested = {str(known[-1]) for known, runs in owners.items() if len(runs) > 1}
    last = key[-1]
    return [
        row | {last: f"{row.get(last)} ({run})" if str(row.get(last)) in contested else row.get(last)}
        for run, row in rows
    ]
