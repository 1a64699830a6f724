"""lingraft transfer rank: which donor to take, and how well each way of choosing does."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from lingraft.cli import options

SHOWN = 12
"""Ways of choosing that the terminal shows, beside random choice."""


def register(transfer: typer.Typer) -> None:
    """Add the verb to `lingraft transfer`."""
    transfer.command(cls=options.ManyValues)(rank)


def rank(
    matrix: Annotated[
        Path | None, typer.Option(help="Folder of a matrix, or a table: donor, recipient, zero-shot, after, seed.")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option(help="Languages to find donors for, with commas; also such as no matrix has.")
    ] = None,
    corpora: Annotated[Path | None, typer.Option(help="Texts by language; default: those of the matrix.")] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Model whose tokens are compared; default: the base of the matrix.")
    ] = None,
    typology: Annotated[list[Path] | None, typer.Option(help="Folders of CLDF data sets, as WALS.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Features of your own: a table with donor, recipient and numbers.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Text of the recipient, if the corpora have none.")] = None,
    candidates: Annotated[
        str | None, typer.Option(help="Donors to choose among, with commas; also such as were never trained.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Way of choosing; default: the best one on recipients left out.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Donors to show.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of trees, draws and intervals.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to write; without it the answer is only shown.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe: its section rank.")] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure ways of choosing a donor language on recipients left out, and choose one for a recipient."""
    from lingraft.config import load, read_yaml
    from lingraft.transfer.ranking import STAGE, RankConfig
    from lingraft.transfer.ranking import rank as library

    flags = options.given(
        matrix=matrix,
        recipients=recipient,
        corpora=corpora,
        tokenizer=tokenizer,
        typology=typology,
        pairs=pairs,
        text=text,
        candidates=candidates,
        method=method,
        top=top,
        seed=seed,
    )
    section = read_yaml(recipe).get("rank") if recipe else None
    config = load(RankConfig, options.merged(section, flags), set_ or [])
    if dry_run:
        options.print_plan(STAGE, config.resolved(), out or Path("a folder that is not kept"))
        return
    if out is None:
        with TemporaryDirectory() as folder:
            _show(library(config, folder, quiet=quiet), config.recipients)
        return
    _show(options.carry_out(out, lambda: library(config, out, overwrite=overwrite, quiet=quiet)), config.recipients)
    print(f"all tables and figures: lingraft report {out}")


def _show(manifest: dict[str, Any], asked: list[str]) -> None:
    from lingraft.cli.tables import print_table

    methods = manifest["methods"]
    shown = [row for place, row in enumerate(methods) if place < SHOWN or row["method"] == "random"]
    number = manifest["counters"]["recipients"]
    print_table(shown, title=f"mean over {number} recipients, each left out; regret: {manifest['unit']}")
    if len(shown) < len(methods):
        print(f"{len(methods) - len(shown)} more ways are not shown, none of them better than the first {SHOWN}\n")
    for answer in manifest["answers"] if asked else ():
        print(f"donors for {answer['recipient']} by {answer['method']} (NDCG@10 {answer['ndcg']:.2f})")
        for row in answer["rows"]:
            gain, advantage = (_interval(row, name) for name in ("", "advantage_"))
            expected = f": gain {gain}, {advantage} above an average donor" if gain else ""
            print(f"{row['place']:3d}. {row['donor']}{expected}\n     {row['reasons']}")
        for note in answer["notes"]:
            print(f"note: {note}")
    if asked:
        print(f"gains: {manifest['unit']}, with intervals of {manifest['config']['level']:.0%}")


def _interval(row: dict[str, Any], name: str) -> str:
    """Write a gain, or an advantage, with its interval, as far as they are known."""
    value, low, high = row[name.rstrip("_") or "gain"], row[f"{name}low"], row[f"{name}high"]
    if value is None:
        return ""
    return f"{value:+.3f}" + ("" if low is None else f" ({low:+.3f} to {high:+.3f})")
