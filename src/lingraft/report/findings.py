"""Findings: sentences, what each is about beside it, warnings marked, and last what cannot be said."""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report.markup import Html, tag

_CSS = {"warns": "warns", "does not say": "silent"}


def are_findings(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each row is a sentence: it has a column finding."""
    return bool(rows) and all(isinstance(row.get("finding"), str) for row in rows)


def draw(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Draw rows (kind, about, finding); kind is says, warns, or does not say."""
    return tag("dl", *(_one(row) for row in rows), class_="findings")


def _one(row: Mapping[str, Any]) -> Html:
    kind = str(row.get("kind") or "says")
    spoken = f"{kind}: " if kind in _CSS else None
    return tag(
        "div",
        tag("dt", str(row.get("about") or ""), dir="auto"),
        tag("dd", tag("b", spoken.capitalize()) if spoken else None, row["finding"], dir="auto"),
        class_=_CSS.get(kind),
    )
