"""lingraft corpus link and quality: mentions in plain text, and how well a corpus's links are aligned."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(corpus: typer.Typer) -> None:
    """Add the verbs to `lingraft corpus`."""
    corpus.command(cls=options.ManyValues)(link)
    corpus.command()(quality)


def link(
    out: options.Out,
    text: Annotated[list[Path] | None, typer.Option(help="Text: files or folders (.txt, .jsonl, .parquet).")] = None,
    dataset: Annotated[str | None, typer.Option(help="Text: name of a data set on the Hugging Face hub.")] = None,
    with_: Annotated[
        Path | None, typer.Option("--with", help="Corpus of the wiki in the text's language, or its anchors.")
    ] = None,
    documents: Annotated[str | None, typer.Option(help="What is a document in plain text: file, line, block.")] = None,
    field: Annotated[str | None, typer.Option(help="Key or column that holds the text.")] = None,
    min_probability: Annotated[float | None, typer.Option(help="Smallest link probability of an anchor.")] = None,
    measure: Annotated[
        float | None, typer.Option(help="Share of the wiki's articles to measure precision and recall on.")
    ] = None,
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Find mentions of entities in plain text by a wiki's anchors: a corpus that augment reads."""
    from lingraft.config import load
    from lingraft.corpus import linking

    texts = options.given(path=text, dataset=dataset, documents=documents, field=field)
    mentions = options.given(min_probability=min_probability)
    flags = options.given(wiki=with_, measure=measure, texts=texts, mentions=mentions or None)
    config = linking.resolved(load(linking.LinkConfig, flags, set_ or []))
    if dry_run:
        options.print_plan(linking.STAGE, config, out)
        return
    manifest = options.carry_out(
        out, lambda: linking.link(config, out, workers=workers, overwrite=overwrite, quiet=quiet)
    )
    counters = manifest["counters"]
    print(f"{out}: {counters['articles']:,} articles, {counters['links']:,} links")
    if config.measure:
        print(f"precision and recall: lingraft report {out}")
    print(f"look at it: lingraft corpus preview {out}")


def quality(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder.")],
    out: options.Out,
    encoded: Annotated[Path | None, typer.Option(help="An encoding of it, to count anchors off token borders.")] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="Links on the sheet to read.")] = None,
    seed: Annotated[int | None, typer.Option(help="Which links they are.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Say what share of the links has an entity and a name, and why the rest has none; write samples to read."""
    from lingraft.cli.tables import print_table
    from lingraft.config import load
    from lingraft.entities.quality import QualityConfig
    from lingraft.entities.quality import quality as library

    flags = options.given(corpus=corpus, encoded=encoded, samples=samples, seed=seed)
    found = library(load(QualityConfig, flags, set_ or []), out, overwrite=overwrite)
    if json:
        options.print_json(found)
        return
    for name in ("outcomes", "bands", "not_links", "conflicts"):
        print_table(found[name][:20], title=name.replace("_", " "))
    print(f"{len(found['samples'])} links to read: {out / 'samples.tsv'}")
