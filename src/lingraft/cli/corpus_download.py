"""lingraft corpus download: fetch a wiki's dumps."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(corpus: typer.Typer) -> None:
    """Add the verb to `lingraft corpus`."""
    corpus.command(cls=options.ManyValues)(download)


def download(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; it may hold those of other wikis.")],
    wiki: Annotated[str | None, typer.Option(help="The wiki: el, elwiki, el.wikipedia, elwikivoyage.")] = None,
    date: Annotated[str | None, typer.Option(help="Run of the dumps, YYYYMMDD; default: the newest whole one.")] = None,
    what: Annotated[
        str | None,
        typer.Option(
            help="articles, page_props, langlinks, redirect, page, wb_items_per_site, wikidata, with commas; "
            "default: the first three."
        ),
    ] = None,
    mirror: Annotated[list[str] | None, typer.Option(help="Server of the dumps; several are tried in order.")] = None,
    contact: Annotated[str | None, typer.Option(help="Mail or web address, named to the server.")] = None,
    set_: options.Set = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print files, sizes and free space; fetch none.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch the dumps of a wiki; go on with what was begun, and check every sha1."""
    from lingraft.config import load
    from lingraft.wikimedia import download as library

    flags = options.given(wiki=wiki, date=date, what=what, mirrors=mirror, contact=contact)
    config = load(library.DownloadConfig, flags, set_ or [])
    if dry_run:
        _print_plan(library.plan(config, out))
        return
    done = library.download(config, out, quiet=quiet)
    print(f"{out}: {done['fetched']} files fetched, {done['kept']} were there, {done['bytes'] / 1e6:,.1f} MB in all")
    print(f"build a corpus of them: {library.build_command(config, done['files'])}")


def _print_plan(plan: "library.Plan") -> None:  # noqa: F821
    from lingraft.cli.tables import print_table

    print_table(plan.rows(), title=str(plan.out))
    print(f"{plan.size:,} bytes in all, {plan.to_fetch:,} to be fetched, {plan.free:,} free on the disk")
