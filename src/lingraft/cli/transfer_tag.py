"""lingraft transfer tag: what a donor is worth in part-of-speech tagging."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(transfer: typer.Typer) -> None:
    """Add the verb to `lingraft transfer`."""
    transfer.command(cls=options.ManyValues)(tag)


def tag(
    out: options.Out,
    ud: Annotated[Path | None, typer.Option(help="Folder of Universal Dependencies treebanks.")] = None,
    train_on: Annotated[str | None, typer.Option(help="Languages of --ud to learn from, with commas.")] = None,
    test_on: Annotated[str | None, typer.Option(help="Languages of --ud to tag, with commas; default: all.")] = None,
    base: Annotated[str | None, typer.Option(help="Model to compare with; default: the base of the matrix.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="Folder of a matrix, whose donors are compared.")] = None,
    donors: Annotated[str | None, typer.Option(help="Donors of the matrix, with commas; default: all.")] = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Leave the encoders as they are: a probe.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="A recipe: its section tag.")] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a tagger on one treebank from each donor's model, and tag languages that it has never seen tagged."""
    from lingraft.cli.tables import print_table
    from lingraft.config import load, read_yaml
    from lingraft.transfer.tagging import STAGE, TagConfig
    from lingraft.transfer.tagging import tag as library

    flags = options.given(ud=ud, train_on=train_on, test_on=test_on, base=base, matrix=matrix, donors=donors)
    section = read_yaml(recipe).get("tag") if recipe else None
    overrides = [*(["tagger.frozen=true"] if frozen else []), *(set_ or [])]
    config = load(TagConfig, options.merged(section, flags), overrides)
    if dry_run:
        options.print_plan(STAGE, config, out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, overwrite=overwrite, quiet=quiet))
    rows = [
        {
            "model": row["model"],
            "train": row["train"],
            "test": row["test"],
            "accuracy": row["accuracy"],
            "95% interval": f"{row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}",
            "macro-F1": row["macro_f1"],
        }
        for row in manifest["scores"]
    ]
    print_table(rows, title=f"tags: {out}")
    for note in manifest["notes"]:
        print(f"note: {note}")
    print(f"look at it: lingraft report {out}")
