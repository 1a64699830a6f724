"""lingraft augment: encode a corpus for one tokenizer, with names beside the tokens."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(augment)


def augment(
    out: options.Out,
    corpus: Annotated[Path | None, typer.Option(help="Corpus folder.")] = None,
    model: Annotated[str | None, typer.Option(help="Model whose tokenizer is used: a folder or a hub name.")] = None,
    names: Annotated[str | None, typer.Option(help="Languages of the names, with commas.")] = None,
    preview: Annotated[int, typer.Option(min=0, help="Print so many articles as the model will read them.")] = 0,
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
) -> None:
    """Encode a corpus for one tokenizer, with the entities' names kept beside the tokens.

    --set insertion.operation=left (or any key of `insertion`) changes what --preview shows; nothing else needs it,
    because names are drawn when sequences are.
    """
    from lingraft.augment import EncodeConfig, Insertion
    from lingraft.augment import encode as library
    from lingraft.augment import preview as examples
    from lingraft.cli.tables import print_segments
    from lingraft.config import load

    overrides = set_ or []
    shown = [override.removeprefix("insertion.") for override in overrides if override.startswith("insertion.")]
    insertion = load(Insertion, None, shown)
    rest = [override for override in overrides if not override.startswith("insertion.")]
    config = load(EncodeConfig, options.given(corpus=corpus, model=model, names=names), rest)
    if dry_run:
        options.print_plan("augment", config, out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, workers=workers, overwrite=overwrite))
    counters = manifest["counters"]
    print(f"{out}: {counters['articles']:,} articles, {counters['tokens']:,} tokens")
    print(f"{counters['mentions_with_name']:,} of {counters['mentions']:,} mentions have a name")
    for article in examples(out, preview, insertion) if preview else []:
        print_segments(article["title"], article["segments"])
