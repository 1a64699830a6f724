"""lingraft transfer corpora: text by language, cleaned and split."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(transfer: typer.Typer) -> None:
    """Add the verb to `lingraft transfer`."""
    transfer.command(cls=options.ManyValues)(corpora)


def corpora(
    out: options.Out,
    bible: Annotated[Path | None, typer.Option(help="Folder of the parallel Bible corpus (CES XML).")] = None,
    seed: Annotated[Path | None, typer.Option(help="Folder of NLLB-Seed.")] = None,
    ud: Annotated[Path | None, typer.Option(help="Folder of Universal Dependencies treebanks.")] = None,
    only: Annotated[str | None, typer.Option(help="Languages taken from these folders, as in quc,swh.")] = None,
    skip: Annotated[str | None, typer.Option(help="Files and treebanks in them that are not read, by name.")] = None,
    cldf: Annotated[
        list[Path] | None, typer.Option(help="CLDF folders (WALS, Glottolog): their codes, and families.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Model whose tokens are counted: a folder or hub name.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe whose section `corpora` is used.")] = None,
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Read text by language, clean it, and split it so that no donor has seen a recipient's content."""
    from lingraft.config import load, read_yaml
    from lingraft.transfer.corpora import CorporaConfig, plan
    from lingraft.transfer.corpora import corpora as library

    section = read_yaml(recipe).get("corpora") if recipe else None
    flags = options.given(bible=bible, seed=seed, ud=ud, only=only, skip=skip, cldf=cldf, tokenizer=tokenizer)
    config = load(CorporaConfig, options.merged(section, flags), set_ or [])
    if dry_run:
        from lingraft.cli.tables import print_table

        found = plan(config, out)
        print_table(found["languages"], title=f"transfer corpora -> {out}")
        print(found["state"])
        return
    manifest = options.carry_out(out, lambda: library(config, out, workers=workers, overwrite=overwrite, quiet=quiet))
    counters = manifest["counters"]
    lines = ", ".join(
        f"{counters[f'lines_{split}']:,} {split}"
        for split in ("train", "validation", "test")
        if f"lines_{split}" in counters
    )
    print(f"{out}: {counters['languages']} languages; lines: {lines}")
    print(f"look at it: lingraft report {out}")
