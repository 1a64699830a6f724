"""lingraft transfer: which language helps which; one file a verb."""

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    transfer = typer.Typer(no_args_is_help=True, help="Which donor language helps which recipient, and why.")
    for verb in ():
        verb.register(transfer)
    app.add_typer(transfer, name="transfer")
