"""lingraft run: every stage of a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(run)


def run(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    out: options.Out,
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Carry out every stage that a recipe needs, skipping those already done."""
    from lingraft import report
    from lingraft.config import read_yaml
    from lingraft.workflows.recipe import load_recipe
    from lingraft.workflows.run import STAGE
    from lingraft.workflows.run import run as library

    if "matrix" in read_yaml(recipe):
        _transfer(recipe, set_ or [], out, workers, dry_run=dry_run, overwrite=overwrite, quiet=quiet)
        return
    config = load_recipe(recipe, set_ or [])
    if dry_run:
        options.print_plan(STAGE, config, out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, workers=workers, overwrite=overwrite, quiet=quiet))
    for note in manifest["notes"]:
        print(f"note: {note}")
    print(f"report: {report.write(out)}")


def _transfer(
    recipe: Path, set_: list[str], out: Path, workers: int | None, *, dry_run: bool, overwrite: bool, quiet: bool
) -> None:
    """Carry out a recipe of the transfer lab."""
    from lingraft import report
    from lingraft.workflows import transfer

    config = transfer.load_transfer(recipe, set_)
    if dry_run:
        for stage in transfer.stages(config, out):
            print(f"{stage.name} -> {stage.folder}: {stage.state()}")
        return
    transfer.run(config, out, workers=workers, overwrite=overwrite, quiet=quiet)
    print(f"report: {report.write(out)}")
