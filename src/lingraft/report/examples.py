"""Examples of augmented text: the mention underlined, the name next to it marked, the tags dim.

Each piece is isolated (<bdi>), so a Latin name inside Arabic text stays where it was written.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report import words
from lingraft.report.markup import Html, join, tag

MAX_EXAMPLES = 20
MAX_CHARACTERS = 3000
KINDS = ("mention", "name", "tag")


def draw(rows: Sequence[Mapping[str, Any]]) -> Html:
    """Draw rows (title, segments); a segment is a mapping with text and kind, text | mention | name | tag."""
    key = join([tag("span", kind, class_=kind) for kind in KINDS], " ")
    left_out = len(rows) - MAX_EXAMPLES
    return join(
        [
            tag("p", "Key: ", key, class_="key"),
            *(_example(row) for row in rows[:MAX_EXAMPLES]),
            tag("p", f"{words.several(left_out, 'more example')} left out here.", class_="aside")
            if left_out > 0
            else None,
        ]
    )


def _example(row: Mapping[str, Any]) -> Html:
    pieces, room = [], MAX_CHARACTERS
    segments = [segment for segment in row.get("segments") or [] if isinstance(segment, Mapping)]
    for segment in segments:
        text = str(segment.get("text") or "")
        kind = segment.get("kind")
        pieces.append(tag("bdi", text[:room], class_=kind) if kind in KINDS else text[:room])
        room -= len(text)
        if room <= 0:
            break
    if (total := sum(len(str(segment.get("text") or "")) for segment in segments)) > MAX_CHARACTERS:
        pieces.append(tag("span", f" … ({total - MAX_CHARACTERS:,} characters more)", class_="tag"))
    title = row.get("title")
    return tag(
        "article",
        tag("h4", title, dir="auto") if title else None,
        tag("p", *pieces, dir="auto", class_="text"),
        class_="example",
    )
