"""lingraft transfer analyse: what a matrix says, and how far it can be trusted."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(transfer: typer.Typer) -> None:
    """Add the verb to `lingraft transfer`."""
    transfer.command(cls=options.ManyValues)(analyse)


def analyse(
    out: options.Out,
    matrix: Annotated[
        Path | None, typer.Option(help="Folder of a matrix, or a table: donor, recipient, zero-shot, after, seed.")
    ] = None,
    corpora: Annotated[Path | None, typer.Option(help="Texts by language; default: those of the matrix.")] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Model whose tokens are compared; default: the base of the matrix.")
    ] = None,
    typology: Annotated[list[Path] | None, typer.Option(help="Folders of CLDF data sets, as WALS.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Features of your own: a table with donor, recipient and numbers.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Features to test, with commas; default: all.")] = None,
    together: Annotated[str | None, typer.Option(help="Features to fit together, with commas.")] = None,
    resamples: Annotated[int | None, typer.Option(min=1, help="Permutations of each test.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of permutations and intervals.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe: its section analyse.")] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Say who gives, who takes and what makes a good pair of languages, with intervals; write all of it as a table."""
    from lingraft.cli.tables import print_table
    from lingraft.config import load, read_yaml
    from lingraft.transfer.analysis import STAGE, AnalyseConfig
    from lingraft.transfer.analysis import analyse as library

    flags = options.given(
        matrix=matrix,
        corpora=corpora,
        tokenizer=tokenizer,
        typology=typology,
        pairs=pairs,
        test=test,
        together=together,
        resamples=resamples,
        seed=seed,
    )
    section = read_yaml(recipe).get("analyse") if recipe else None
    config = load(AnalyseConfig, options.merged(section, flags), set_ or [])
    if dry_run:
        options.print_plan(STAGE, config.resolved(), out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, overwrite=overwrite, quiet=quiet))
    print_table(manifest["findings"], title=f"what it says, and what it does not: {out}")
    print(f"one row a pair, for models of your own: {out / 'pairs.parquet'}")
    print(f"all tables and figures: lingraft report {out}")
