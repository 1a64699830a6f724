"""The command line: one file a verb; each parses, then calls one library function of the same name."""

import sys

import typer

from lingraft.cli import (
    augment,
    corpus,
    demo,
    doctor,
    evaluate,
    experiment,
    report,
    reproduce,
    run,
    schema,
    train,
    transfer,
)
from lingraft.errors import LingraftError

app = typer.Typer(
    name="lingraft",
    help="Move knowledge between languages inside language models.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from lingraft import __version__

        print(__version__)
        raise typer.Exit


for verb in (demo, corpus, augment, train, evaluate, transfer, run, experiment, reproduce, report, schema, doctor):
    verb.register(app)


def main() -> None:
    """Run the command line; an error that the user can mend is one message and status 1."""
    try:
        app()
    except LingraftError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nstopped; repeat the command to go on where it stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
