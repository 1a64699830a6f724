"""Tables and coloured text on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

_STYLES = {"text": "", "mention": "underline cyan", "name": "bold magenta", "tag": "dim", "heading": "bold"}


def print_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows as a table; numbers stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    # Text, because rich takes what stands in [brackets] of a plain string for a style and leaves it out.
    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for column in rows[0]:
        numeric = all(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(column))) for column in rows[0]))
    Console().print(table)


def print_segments(title: str, segments: Sequence[Mapping[str, str]]) -> None:
    """Print text of several kinds in colour; without colours, mentions stand in [brackets] and names in {braces}."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    text = Text()
    for segment in segments:
        shown = segment["text"]
        if not console.is_terminal:
            shown = {"mention": f"[{shown}]", "name": f"{{{shown}}}"}.get(segment["kind"], shown)
        text.append(shown, style=_STYLES.get(segment["kind"], ""))
    console.print(Text(title, style="bold reverse"))
    console.print(text)
    console.print()


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
