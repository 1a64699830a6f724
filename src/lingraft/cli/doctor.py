"""lingraft doctor: what is installed, and what this machine offers."""

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(doctor)


def doctor() -> None:
    """Print versions of the packages, the cores, memory and accelerators, and which optional parts are missing."""
    from lingraft.cli.tables import print_table
    from lingraft.workflows.doctor import examine

    found = examine()
    print_table(found.packages, title="packages")
    print_table(found.machine, title="machine")
    for problem in found.problems:
        print(f"problem: {problem}")
    raise typer.Exit(1 if found.problems else 0)
