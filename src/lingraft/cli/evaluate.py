"""lingraft evaluate: score a model, or compare two runs."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(cls=options.ManyValues)(evaluate)


def evaluate(
    model: Annotated[str | None, typer.Option(help="Model: a folder or a hub name.")] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks or groups, with commas; choice:FILE.jsonl for your own.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with X-CODAH/ and X-CSQA/; else the hub is asked.")] = None,
    include: Annotated[list[Path] | None, typer.Option(help="Folders with further lm-eval task files.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to write.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score the first items only.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Requests computed at once.")] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="Two finished runs: test their difference item by item.")
    ] = None,
    set_: options.Set = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
) -> None:
    """Ask a model the questions of tasks and score the answers, or compare two runs that did."""
    from lingraft import evaluate as library
    from lingraft import runs
    from lingraft.cli.tables import print_table
    from lingraft.config import load
    from lingraft.errors import LingraftError

    if compare:
        if len(compare) != 2:
            raise LingraftError(f"--compare takes two runs, not {len(compare)}", cure="--compare RUN_A RUN_B")
        compared = library.compare(*compare)
        columns = ("task", "n", "a", "b", "difference", "low", "high", "p_mcnemar", "p_holm")
        rows = [{name.removesuffix("_mcnemar"): row.as_row()[name] for name in columns} for row in compared]
        print_table(rows, title=f"a: {compare[0]}, b: {compare[1]}")
        for row in compared:
            if row.differs:
                print(f"note: {row.task}: the runs also differ in {', '.join(row.differs)}")
        return
    if out is None:
        raise LingraftError("--out is not given", cure="Name the run folder to write: --out out/eval")
    flags = options.given(model=model, tasks=tasks, data=data, include=include, limit=limit, batch_size=batch_size)
    config = load(library.EvaluateConfig, flags, set_ or [])
    if dry_run:
        options.print_plan("evaluate", config, out)
        return
    options.carry_out(out, lambda: library.evaluate(config, out, overwrite=overwrite))
    rows = runs.read_json(out / "tables" / "scores.json")["rows"]
    columns = ("group", "label", "value", "low", "high", "chance", "n")
    print_table([{name: row.get(name) for name in columns} for row in rows], title=f"accuracy, 95% interval: {out}")
