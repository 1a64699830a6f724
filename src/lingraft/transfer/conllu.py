"""Sentences of CoNLL-U, with what other tools stop at: no `# text`, no `# sent_id`, fewer columns, empty nodes.

Source of the format: https://universaldependencies.org/format.html.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lingraft.corpus.texts import TextSource, numbered_lines
from lingraft.errors import LingraftError

COLUMNS = 10


@dataclass(slots=True)
class Sentence:
    """A sentence: the line on which it begins, its comments (`# name = value`), its rows split at tabs."""

    line: int
    comments: dict[str, str] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The id of the sentence, "" where there is none."""
        return self.comments.get("sent_id", "")

    @property
    def words(self) -> list[list[str]]:
        """The rows of syntactic words: ranges (1-2) and empty nodes (2.1) are none."""
        return [row for row in self.rows if row[0].isdecimal()]

    def written(self) -> str:
        """Return the text: as the file says it, else its forms, with a space behind each but SpaceAfter=No.

        Treebanks of speech have their text without marks of pauses and repairs as `# text_ortho`. The form of a range
        stands for the words that it covers.
        """
        if said := self.comments.get("text_ortho") or self.comments.get("text"):
            return said
        pieces: list[str] = []
        covered = 0
        for row in self.rows:
            first, dash, last = row[0].partition("-")
            if "." in row[0] or (not dash and int(first) <= covered):
                continue
            covered = int(last) if dash else covered
            pieces += row[1], "" if "SpaceAfter=No" in row[-1].split("|") else " "
        return "".join(pieces).strip()


def sentences(path: Path, drops: Counter[str] | None = None) -> Iterator[Sentence]:
    """Yield the sentences of a CoNLL-U file (also .gz, .bz2, .xz); a file that is cut off is counted in `drops`.

    Raises LingraftError (file, line) for a row without id and form, an id that is none, text that is not UTF-8.
    """
    held: Sentence | None = None
    for number, line in numbered_lines(path, TextSource(path=[path]), Counter() if drops is None else drops):
        if not line.strip():
            if held is not None and held.rows:
                yield held
            held = None
            continue
        held = held or Sentence(number)
        if line.startswith("#"):
            name, _, value = line[1:].partition("=")
            held.comments[name.strip()] = value.strip()
        else:
            held.rows.append(_row(line, path, number))
    if held is not None and held.rows:
        yield held


def _row(line: str, path: Path, number: int) -> list[str]:
    row = line.rstrip("\r\n").split("\t")
    if len(row) < 2 or not row[0].replace("-", "").replace(".", "").isdecimal():
        raise LingraftError(
            f"{path}, line {number:,}: no row of CoNLL-U: {line[:60]!r}",
            f"A row has {COLUMNS} columns with tabs between them, first an id (1, 1-2 or 1.1), then the form.",
            "Mend the line; a comment begins with #.",
        )
    return row
