"""Read pairs of titles, one pair a line: title, tab, title in the other language. Plain, .gz, .bz2 or .xz.

Counted: `pairs` (yielded), `wrong_columns` (not two), `empty_title`, `invalid_utf8` (decoded with U+FFFD and kept), and
the faults of `compressed.lines`. Empty lines are passed over; a byte order mark, UTF-16 and CRLF are understood.

    for title, english in pairs(Path("el-en-titles.tsv"), tally):
        print(title, english)
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Problem, lines, unread_format

MAX_LINE = 1 << 16
"""Longest line, in bytes; MediaWiki's titles have at most 255."""


def pairs(
    path: Path, tally: Counter[str], problems: list[Problem] | None = None, *, strict: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield the title pairs of a TSV file; LingraftError when less than a tenth of its lines are pairs."""
    num_pairs = 0
    bad_before = tally["wrong_columns"] + tally["empty_title"]
    for line in lines(path, tally, problems, max_bytes=MAX_LINE, strict=strict):
        columns = [column.strip() for column in _text(line, tally).split("\t")]
        if columns == [""]:
            continue
        if len(columns) != 2:
            tally["wrong_columns"] += 1
        elif not all(columns):
            tally["empty_title"] += 1
        else:
            tally["pairs"] += 1
            num_pairs += 1
            yield columns[0], columns[1]
    num_bad = tally["wrong_columns"] + tally["empty_title"] - bad_before
    if num_pairs and num_bad > 9 * num_pairs:
        raise LingraftError(
            f"{path} does not look like title pairs: {num_bad:,} of its {num_bad + num_pairs:,} lines are none",
            "A pair is two titles with one tab between them.",
            "Check that the file is the right one, and that its columns are parted by tabs.",
        )
    if num_pairs == 0:
        why = unread_format(path) or "Not one of its lines has two titles with a tab between them."
        raise LingraftError(f"{path} holds no title pairs", why, "Write one pair a line: title, tab, title.")


def _text(line: bytes, tally: Counter[str]) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        tally["invalid_utf8"] += 1
        return line.decode(errors="replace")
