"""lingraft report: the HTML report of a run."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(report)


def report(
    run: Annotated[Path, typer.Argument(help="Run folder of any stage or workflow.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default: report.html in the run folder.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Folder for the drawings as .svg files of their own.")] = None,
) -> None:
    """Write one self-contained HTML page about a run."""
    from lingraft.report import write

    print(write(run, out, svg=svg))
