"""lingraft transfer matrix: every donor on every recipient."""

from pathlib import Path
from typing import Annotated

import typer

from lingraft.cli import options


def register(transfer: typer.Typer) -> None:
    """Add the verb to `lingraft transfer`."""
    transfer.command(cls=options.ManyValues)(matrix)


def matrix(
    out: options.Out,
    corpora: Annotated[Path | None, typer.Option(help="Folder of a finished `transfer corpora`.")] = None,
    model: Annotated[str | None, typer.Option(help="Base that every donor starts from: a folder or hub name.")] = None,
    donors: Annotated[str | None, typer.Option(help="Languages that are trained on, with commas: spa,swh.")] = None,
    recipients: Annotated[str | None, typer.Option(help="Languages that are scored, with commas: quc,wol.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, with commas: 0,1,2.")] = None,
    choose: Annotated[str | None, typer.Option(help="Checkpoint: last, donor_validation or half.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe whose section `matrix` is used.")] = None,
    set_: options.Set = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local, slurm, or a YAML file with settings of one; --set engine.key=value.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Donors at once; default: one a core, one on a GPU.")
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the speed here, for the plan.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train the base on each donor and score it on every recipient, before and after, with several seeds."""
    from lingraft.cli.tables import print_table
    from lingraft.config import load, read_yaml
    from lingraft.engine_ranks import choose as choose_engine
    from lingraft.transfer import matrix_cluster
    from lingraft.transfer.matrix import MatrixConfig, state
    from lingraft.transfer.results import STAGE

    section = read_yaml(recipe).get("matrix") if recipe else None
    flags = options.given(corpora=corpora, model=model, donors=donors, recipients=recipients, choose=choose)
    if seeds is not None:
        flags["seeds"] = [part.strip() for part in seeds.split(",")]
    place, overrides = choose_engine(engine, set_ or [])
    config = load(MatrixConfig, options.merged(section, flags), overrides)
    if dry_run or measure:
        from lingraft.transfer.cost import plan

        options.print_plan(STAGE, config, out, state(config, out))
        print_table(plan(config, out, workers=workers, measure=measure), title="what it takes")
        if place.kind == "slurm":
            for stage, script in matrix_cluster.scripts(place, config, out).items():
                print(f"\n--- job '{stage}'\n{script.rstrip()}")
        return
    if place.kind == "slurm":
        jobs = matrix_cluster.submit(place, config, out, overwrite=overwrite)
        for stage, job in jobs.items():
            print(f"job {job}: {stage}")
        print(f"queued: see squeue --me, and the logs in {out / 'jobs'}" if jobs else f"{out} is complete already")
        return
    manifest = options.carry_out(
        out,
        lambda: matrix_cluster.matrix_on(place, config, out, workers=workers, overwrite=overwrite, quiet=quiet),
    )
    for note in manifest["notes"]:
        print(f"note: {note}")
    counters = manifest["counters"]
    print(f"{out}: {counters['donors']} donors, {counters['recipients']} recipients, {counters['seeds']} seeds")
    print(f"look at it: lingraft report {out}; explain it: lingraft transfer analyse")
