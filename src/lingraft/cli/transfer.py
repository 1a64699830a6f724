"""lingraft transfer: which language helps which; one file a verb."""

import typer

from lingraft.cli import (
    transfer_analyse,
    transfer_corpora,
    transfer_matrix,
    transfer_rank,
    transfer_tag,
    transfer_translate,
)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    transfer = typer.Typer(no_args_is_help=True, help="Which donor language helps which recipient, and why.")
    for verb in (transfer_corpora, transfer_matrix, transfer_analyse, transfer_rank, transfer_translate, transfer_tag):
        verb.register(transfer)
    app.add_typer(transfer, name="transfer")
