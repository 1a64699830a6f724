"""Write report.html for a run folder and the run folders inside it.

Nothing is asked of the stages: what they write through `lingraft.runs` (request, manifest, tables, log) is all that
the report knows, so an unfinished run shows what it has, and a stage from tomorrow is drawn like those of today.

    lingraft report out/demo
"""

from pathlib import Path

from lingraft import runs
from lingraft.report.folders import read
from lingraft.report.page import page


def write(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of the run folder `run` to `out` (a file or a folder; report.html in `run` by default).

    Returns the file's path. Raises LingraftError when `run` is not a run folder or a file in it is damaged.
    """
    run = Path(run)
    target = Path(out) if out is not None else run
    if target.is_dir():
        target = target / "report.html"
    html = page(read(run))
    with runs.atomic(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target
