"""lingraft demo: the whole story on the small world."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Run folder to write.")] = Path("out/demo"),
    write_dumps: Annotated[
        Path | None, typer.Option("--write-dumps", metavar="DIR", help="Only write the small world's dumps to DIR.")
    ] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Adapt a tiny model on an invented two-language world, in minutes on a CPU, and report what crossed over."""
    from lingraft.config import load
    from lingraft.workflows.demo import DemoConfig

    config = load(DemoConfig, None, set_ or [])
    if write_dumps is not None:
        from lingraft.smallworld import write_dumps as library

        for kind, path in library(write_dumps, config.world).items():
            print(f"{kind}: {path}")
        return
    from lingraft import report, runs
    from lingraft.cli.tables import print_table
    from lingraft.workflows.demo import demo as library

    library(out, config, overwrite=overwrite)
    scores = runs.read_json(out / "tables" / "scores.json")
    columns = ("group", "label", "value", "low", "high", "chance", "n")
    print_table([{name: row.get(name) for name in columns} for row in scores["rows"]], title=scores["title"])
    print(f"report: {report.write(out)}")
