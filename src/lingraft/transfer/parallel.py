"""Sentence pairs for translation: read, checked, and training kept apart from the test.

A training pair of which either sentence stands in the test, but for case, white space and Unicode form, is left out and
counted: a score on sentences that were trained on says nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from lingraft.config import Config, InputPath
from lingraft.corpus.pairs import PairReading, PairsConfig
from lingraft.errors import LingraftError
from lingraft.transfer.cleaning import normalised


class ParallelText(Config):
    """Sentences and their translations: two files, one table, or two languages of a corpora folder."""

    source: InputPath | None = None
    """File with one sentence a line (also .gz, .bz2, .xz)."""

    target: InputPath | None = None
    """File with the translation of each line of `source`."""

    tsv: InputPath | None = None
    """In place of both: one file of lines with source, tab, target."""

    corpora: InputPath | None = None
    """In place of files: a folder of `transfer corpora`; lines with the same key translate each other."""

    split: Literal["train", "validation", "test"] = "train"
    """Which split of the corpora."""

    limit: int | None = Field(None, gt=0)
    """Take the first pairs only."""

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        given = [self.tsv is not None, self.corpora is not None, self.source is not None or self.target is not None]
        if sum(given) != 1 or (self.source is None) != (self.target is None):
            raise ValueError("give source and target (two files with a sentence a line), or tsv, or corpora")
        return self

    @property
    def name(self) -> str:
        """The files' names, for messages."""
        return " and ".join(str(path) for path in (self.source, self.target, self.tsv, self.corpora) if path)


class Sentence(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def read(text: ParallelText, languages: tuple[str, str], drops: Counter[str]) -> list[Sentence]:
    """Return the pairs of a text in which both sides have words; `drops` counts empty_source, empty_target.

    Raises LingraftError for files of unlike length, what is not UTF-8, a language that is not there, and when no pair
    is left.
    """
    found: list[Sentence] = []
    for pair in _of_corpora(text, languages) if text.corpora else _of_files(text, languages):
        if not pair.source or not pair.target:
            drops["empty_target" if pair.source else "empty_source"] += 1
        elif text.limit is None or len(found) < text.limit:
            found.append(pair)
    if not found:
        left_out = ", ".join(f"{number:,} {reason}" for reason, number in drops.items())
        raise LingraftError(
            f"{text.name}: no pair of {languages[0]} and {languages[1]}",
            f"Left out: {left_out}." if left_out else "",
            "Check the files; of corpora, the two languages must share keys in this split.",
        )
    return found


def _of_files(text: ParallelText, languages: tuple[str, str]) -> Iterator[Sentence]:
    asked = PairsConfig(source=text.source, target=text.target, tsv=text.tsv, langs=list(languages))
    return (Sentence(pair.source, pair.target) for pair in PairReading(asked).read())


def _of_corpora(text: ParallelText, languages: tuple[str, str]) -> Iterator[Sentence]:
    from lingraft.transfer.corpora import Corpora

    held = Corpora(text.corpora)
    targets = {line.key: line.text for line in held.lines(languages[1], text.split)}
    for line in held.lines(languages[0], text.split):
        if line.key in targets:
            yield Sentence(line.text.strip(), targets[line.key].strip())


def without_test(training: Iterable[Sentence], test: Iterable[Sentence], drops: Counter[str]) -> list[Sentence]:
    """Return the training pairs of which no side stands in the test on that side; `drops` counts in_test."""
    seen = [{_plain(pair[side]) for pair in test} for side in (0, 1)]
    kept = []
    for pair in training:
        if any(_plain(text) in of_side for text, of_side in zip(pair, seen, strict=True)):
            drops["in_test"] += 1
        else:
            kept.append(pair)
    return kept


def unknown_share(tokenizer: Any, texts: list[str]) -> float:
    """Return the share of the texts' tokens that the tokenizer does not know; 0 for one that knows all bytes."""
    if tokenizer.unk_token_id is None:
        return 0.0
    ids = [token for held in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] for token in held]
    return ids.count(tokenizer.unk_token_id) / max(1, len(ids))


def _plain(text: str) -> str:
    return normalised(text).casefold()
