"""What the verbs have in common: options, and commands whose options take several values (`--wikidata A B`)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Out = Annotated[Path, typer.Option("--out", help="Run folder to write; one that holds the same run is resumed.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a folder that holds another run.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any value: section.key=value.")
]
Engine = Annotated[
    str,
    typer.Option("--engine", help="local, slurm, ray, or a YAML file with settings of one; --set engine.key=value."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: all cores.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and what would be reused; do nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


class ManyValues(TyperCommand):
    """A command in which an option that may be repeated also takes several values at once: `--wikidata A B`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write `--name A B` as `--name A --name B`."""
        repeatable = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spelled: list[str] = []
        current = None
        for index, arg in enumerate(args):
            if arg.startswith("-") and len(arg) > 1:
                name = arg.partition("=")[0]
                current = name if name in repeatable else None
                spelled.append(arg)
            elif current and args[index - 1] != current:
                spelled += current, arg
            else:
                spelled.append(arg)
        return super().parse_args(ctx, spelled)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value not in (None, [], ())}


def merged(recipe_section: Mapping[str, Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section of a recipe with the given options on top."""
    return dict(recipe_section or {}) | dict(options)


def carry_out(out: Path, verb: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Call a library function that fills the folder `out`; say so when its run was complete already."""
    from lingraft import runs

    before = runs.read_json(out / "manifest.json")
    manifest = verb()
    if manifest == before:
        print(f"{out} is complete already: nothing to do")
    return manifest


def print_plan(stage: str, config: Any, out: Path, state: str | None = None) -> None:
    """Print what a verb would do: the resolved config, its inputs with sizes, and the state of the output folder."""
    import yaml

    from lingraft import runs

    print(f"{stage} -> {out}")
    print(yaml.safe_dump(config.model_dump(mode="json"), allow_unicode=True, sort_keys=False).rstrip())
    missing = [path for path in config.input_paths() if not path.exists()]
    if missing:
        print("".join(f"input: {path} (not there)\n" for path in missing) + "output: not looked at: inputs are missing")
        return
    for path in config.input_paths():
        identity = runs.input_identity(path)
        size = (
            f"{identity['size'] / 1e6:,.1f} MB" if "size" in identity else f"run of '{identity.get('stage', 'files')}'"
        )
        print(f"input: {path} ({size})")
    print(state or runs.state(out, stage, config))


def print_json(value: Any) -> None:
    """Print JSON for other programs."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))
