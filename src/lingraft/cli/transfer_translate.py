"""lingraft transfer translate: what donors are worth in translation."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(translate)


def translate(
    out: options.Out,
    source: Annotated[str | None, typer.Option(help="Language that is translated (ISO 639-3).")] = None,
    target: Annotated[str | None, typer.Option(help="Language that it is translated into.")] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Pairs to learn from: two files, a .tsv, or a folder of `corpora`.")
    ] = None,
    test: Annotated[list[Path] | None, typer.Option(help="Pairs to be translated and scored, in the same way.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="Folder of a matrix; its base is the one to beat.")] = None,
    donors: Annotated[str | None, typer.Option(help="Donors of the matrix, with commas.")] = None,
    models: Annotated[list[str] | None, typer.Option(help="Further models, each as NAME=FOLDER.")] = None,
    base: Annotated[str | None, typer.Option(help="Model that all are compared with.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Text put before each source.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe: one of the directions in its section translate.")
    ] = None,
    direction: Annotated[str | None, typer.Option(help="Which one of the recipe; not needed where it has one.")] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune donors' models on sentence pairs, translate a test set, and compare them with the base."""
    from lingraft.cli.tables import print_table
    from lingraft.config import load
    from lingraft.transfer.translation import STAGE, TranslateConfig
    from lingraft.transfer.translation import translate as library

    section = _section(recipe, direction) if recipe else None
    flags = options.given(
        source=source,
        target=target,
        training=_pairs("train", train, "train"),
        test=_pairs("test", test, "test"),
        matrix=matrix,
        donors=donors,
        models=[_named(model) for model in models or []],
        base=base,
        prefix=prefix,
    )
    config = load(TranslateConfig, options.merged(section, flags), set_ or [])
    if dry_run:
        options.print_plan(STAGE, config, out)
        return
    manifest = options.carry_out(out, lambda: library(config, out, overwrite=overwrite, quiet=quiet))
    for note in manifest["notes"]:
        print(f"note: {note}")
    print_table(manifest["scores"], title=f"{config.source} to {config.target}, 95% interval: {out}")
    print_table(manifest["differences"], title="against the base, paired bootstrap")


def _section(recipe: Path, direction: str | None) -> dict[str, Any]:
    """Return the settings of a direction; the section holds a name and settings for each."""
    from lingraft.config import read_yaml
    from lingraft.errors import LingraftError, did_you_mean

    held = read_yaml(recipe).get("translate") or {}
    name = next(iter(held), "") if direction is None and len(held) == 1 else direction
    if name not in held:
        raise LingraftError(
            f"{recipe} has no direction '{name}'" if name else f"{recipe}: which direction is not said",
            did_you_mean(name or "", held),
            f"Say --direction NAME, one of: {', '.join(held) or 'none: its section translate is empty'}.",
        )
    return held[name]


def _pairs(option: str, paths: list[Path] | None, split: str) -> dict[str, Any] | None:
    """Return what is read from one folder, one table or two files."""
    from lingraft.errors import LingraftError

    if not paths:
        return None
    if len(paths) == 2:
        return {"source": paths[0], "target": paths[1]}
    if len(paths) > 2:
        raise LingraftError(
            f"--{option} takes one or two paths, not {len(paths)}",
            cure=f"Say --{option} SOURCE TARGET (two files), --{option} FILE.tsv, or --{option} CORPORA (a folder).",
        )
    return {"corpora": paths[0], "split": split} if paths[0].is_dir() else {"tsv": paths[0]}


def _named(model: str) -> dict[str, str]:
    from lingraft.errors import LingraftError

    name, equals, folder = model.partition("=")
    if not equals or not name or not folder:
        raise LingraftError(f"--models {model}: no name", cure="Say --models NAME=FOLDER, as in swh=out/swh/model.")
    return {"name": name, "model": folder}
