"""lingraft corpus export: write a corpus in the forms of other tools."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(corpus: typer.Typer) -> None:
    """Add the verb to `lingraft corpus`."""
    corpus.command()(export)


def export(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder.")],
    out: options.Out,
    to: Annotated[str | None, typer.Option(help="hf, jsonl, wikiextractor or datatrove.")] = None,
    limit: Annotated[int | None, typer.Option(help="The first articles only.")] = None,
    with_names: Annotated[
        str | None, typer.Option(help="Languages, with commas, in which articles and links get their entity's name.")
    ] = None,
    doc: Annotated[bool, typer.Option("--doc", help="wikiextractor: <doc> elements instead of JSON lines.")] = False,
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a corpus as a Hugging Face dataset, JSON lines, WikiExtractor's files or datatrove's Documents."""
    from lingraft.config import load
    from lingraft.corpus.export import STAGE, ExportConfig
    from lingraft.corpus.export import export as library

    flags = options.given(corpus=corpus, to=to, limit=limit, with_names=with_names, doc=doc or None)
    config = load(ExportConfig, flags, set_ or [])
    if dry_run:
        options.print_plan(STAGE, config, out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, workers=workers, overwrite=overwrite, quiet=quiet))
    print(f"{out}: {manifest['counters']['articles']:,} articles; source and licence: {out / 'README.md'}")
