"""Write report.html for a run folder and the run folders inside it.

Nothing is asked of the stages: what they write through `lingraft.runs` (request, manifest, tables, log) is all that
the report knows, so an unfinished run shows what it has, and a stage from tomorrow is drawn like those of today.

    lingraft report out/demo
"""

import re
from pathlib import Path

from lingraft import runs
from lingraft.report import drawing, figures, headline
from lingraft.report.charts import Palette
from lingraft.report.folders import Folder, Table, read
from lingraft.report.page import page


def write(run: str | Path, out: str | Path | None = None, *, svg: str | Path | None = None) -> Path:
    """Write the report of the run folder `run` to `out` (a file or a folder; report.html in `run` by default).

    `svg` is a folder for the drawings as files of their own, one a drawing, for papers and slides.
    Returns the file's path. Raises LingraftError when `run` is not a run folder or a file in it is damaged.
    """
    run = Path(run)
    target = Path(out) if out is not None else run
    if target.is_dir():
        target = target / "report.html"
    folder = read(run)
    if svg is not None:
        write_pictures(folder, Path(svg))
    html = page(folder)
    with runs.atomic(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target


def write_pictures(outer: Folder, out: Path) -> list[Path]:
    """Write each drawing of `outer` and of the runs inside it to {out}/{run}-{table}.svg; return the paths."""
    palette = Palette()
    written = []
    for name, table in _drawn(outer):
        drawn = figures.drawing(table, palette)
        if drawn is None or drawn.picture is None:
            continue
        path = out / f"{name}.svg"
        with runs.atomic(path) as temporary:
            temporary.write_text(drawing.standalone(drawn.picture, figures.named(table.title)), encoding="utf-8")
        written.append(path)
    return written


def _drawn(outer: Folder) -> list[tuple[str, Table]]:
    """Return all tables by the name of their file in the order of the page, so that a label has the same colour."""
    shown = headline.shown(outer)
    held = {(outer.name, table.name): (table.name, table) for table in outer.tables}
    for folder in outer.inner:
        held |= {(folder.name, table.name): (f"{folder.name}-{table.name}", table) for table in folder.tables}
    found = {
        name: table
        for one in shown
        for name, table in [held.pop(source) for source in one.sources] or [(one.table.name, one.table)]
    }
    return [(re.sub(r"[^\w.-]+", "-", name), table) for name, table in (found | dict(held.values())).items()]
