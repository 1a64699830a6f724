"""lingraft train: continued training of a recipe's model."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(train)


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).")],
    out: options.Out,
    encoded: Annotated[Path | None, typer.Option(help="Encoded corpus; without it, it is made in --out first.")] = None,
    arm: Annotated[str, typer.Option(help="names (as in augment.insertion) or plain.")] = "names",
    set_: options.Set = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
) -> None:
    """Continue the training of a model on text with names grafted in (or plain)."""
    from lingraft.errors import LingraftError, did_you_mean
    from lingraft.workflows.recipe import load_recipe
    from lingraft.workflows.run import train as library
    from lingraft.workflows.run import training_on

    if arm not in ("names", "plain"):
        raise LingraftError(
            f"no arm '{arm}' {did_you_mean(arm, ['names', 'plain'])}".rstrip(), cure="Say names or plain."
        )
    config = load_recipe(recipe, set_ or [])
    if dry_run and encoded:
        options.print_plan("train", training_on(config, encoded, arm), out)
        return
    if dry_run:
        options.print_plan("run", config, out)
        return
    folder = out if encoded else out / f"train-{arm}"
    manifest = options.carry_out(
        folder, lambda: library(config, out, encoded=encoded, arm=arm, workers=workers, overwrite=overwrite)
    )
    counters = manifest["counters"]
    model = folder / "model"
    print(
        f"{model}: {counters['steps']} steps, {counters['tokens_seen']:,} tokens, final loss {counters['final_loss']}"
    )
