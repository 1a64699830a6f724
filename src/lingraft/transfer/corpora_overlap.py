"""What the languages of a corpora folder share, read from what was written: leaks between splits, one text twice.

Texts and keys are compared by 64-bit hashes, so 16 bytes a line are held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from lingraft.corpus.read import damage_named


@dataclass(frozen=True)
class Shared:
    """Two languages and their identical lines; `share` is of the lines of the smaller one."""

    one: str
    other: str
    lines: int
    share: float

    def row(self) -> dict[str, Any]:
        """Return the row of a table."""
        return {"language": self.one, "other": self.other, "identical lines": self.lines, "share": round(self.share, 4)}


@dataclass(frozen=True)
class Leak:
    """A key or a text that stands in train of one language and in validation or test of another."""

    what: str
    train: str
    other: str
    split: str


@dataclass(frozen=True)
class Leaks:
    """All leaks of a corpora folder; empty lists prove that there are none."""

    keys: list[Leak]
    texts: list[Leak]

    def __bool__(self) -> bool:
        return bool(self.keys or self.texts)


def leaks(folder: str | Path) -> Leaks:
    """Return the keys and the texts that stand in train of one language and in validation or test of another one.

    Keys cannot leak, as a key's hash decides its split: this reads the written files and proves it. A text can, where
    two languages share a line under different keys (a name, a formula, a verse that comes twice).
    """
    inside = Path(folder) / "languages"
    languages = sorted(path.name for path in inside.iterdir() if path.is_dir())
    return Leaks(*(_leaked(inside, languages, column) for column in ("title", "text")))


def _leaked(folder: Path, languages: list[str], column: str) -> list[Leak]:
    """Return the leaks of a column: one for each value and language that trains on it."""
    tested: dict[int, list[tuple[str, str]]] = {}
    for language in languages:
        for split in ("validation", "test"):
            for value in _values(folder / language / split, column):
                tested.setdefault(hash(value), []).append((language, split))
    return [
        Leak(value, language, other, split)
        for language in languages
        for value in _values(folder / language / "train", column)
        for other, split in tested.get(hash(value), ())
        if other != language
    ]


def identical_lines(folder: Path, languages: list[str]) -> list[Shared]:
    """Return the pairs of languages that have lines in common, those with most first."""
    texts = {language: _hashes(folder / language) for language in languages}
    values, counts = np.unique(np.concatenate(list(texts.values())), return_counts=True)
    common = values[counts > 1]
    reduced = {language: np.intersect1d(held, common, assume_unique=True) for language, held in texts.items()}
    found = []
    for one, other in combinations(languages, 2):
        number = len(np.intersect1d(reduced[one], reduced[other], assume_unique=True))
        if number:
            found.append(Shared(one, other, number, number / min(len(texts[one]), len(texts[other]))))
    return sorted(found, key=lambda pair: (-pair.share, pair.one, pair.other))


def _hashes(folder: Path) -> np.ndarray:
    """Return the hashes of a language's texts, each once; they hold in this process only."""
    splits = [path for path in sorted(folder.iterdir()) if (path / "articles").is_dir()]
    return np.unique(np.fromiter((hash(text) for split in splits for text in _values(split, "text")), np.int64))


def _values(split: Path, column: str) -> Iterator[str]:
    for part in sorted((split / "articles").glob("part-*.parquet")):
        with damage_named(part), pq.ParquetFile(part) as file:
            for batch in file.iter_batches(4096, columns=[column]):
                yield from batch[column].to_pylist()
