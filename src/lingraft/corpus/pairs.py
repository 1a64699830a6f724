"""Parallel sentence pairs as a corpus: each article is a sentence and its translation, one below the other.

Translated text is the rival of grafted names, so it is read, encoded, mixed and trained on like any other corpus. The
pairs are read as a stream, line by line; memory holds one shard, and eight bytes a pair to count repeated ones. Nothing
can tell that two files of equal length are aligned: look at them with `lingraft corpus preview`.

    lingraft corpus pairs --source a.en --target a.el --langs en,el --out out/en-el
    lingraft corpus pairs --tsv a.tsv.gz --langs en,el --out out/en-el
"""

import shutil
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, computed_field, field_validator, model_validator

from lingraft import engine, progress, runs
from lingraft.config import Config, InputPath, Names, Size
from lingraft.corpus.linking import article_row, count, finish
from lingraft.corpus.schema import ARTICLE, part_name, write_articles
from lingraft.corpus.texts import MAX_DOCUMENT, Document
from lingraft.entities.names import NAMES_SCHEMA
from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Problem, lines

STAGE = "corpus pairs"
PARALLEL = "parallel"
"""The flag of articles that are pairs."""


class PairsConfig(Config):
    """Which sentence pairs become a corpus."""

    source: InputPath | None = None
    """File with one sentence a line (also .gz, .bz2, .xz)."""

    target: InputPath | None = None
    """File with the translation of each line of `source`."""

    tsv: InputPath | None = None
    """In place of both: one file of lines with source, tab, target; further columns are not read."""

    langs: Names
    """Languages of source and target, as in [en, el]. The corpus counts as text in the second."""

    order: Literal["random", "source_first", "target_first"] = "random"
    """Which sentence stands above: drawn for each pair by `seed`, or always the same."""

    seed: int = 0
    """Seed of the order."""

    max_characters: Annotated[int, Field(gt=0)] = 10_000
    """Pairs with a longer sentence are left out: such lines are whole documents, or no text."""

    skip_malformed: bool = False
    """Leave out lines that are not UTF-8 or have no tab, and count them, instead of stopping."""

    limit: int | None = Field(None, gt=0)
    """Keep the first pairs only."""

    shard_size: Size = 4 << 20
    """Characters of text in a shard."""

    @field_validator("langs")
    @classmethod
    def _two_languages(cls, langs: list[str]) -> list[str]:
        if len(langs) != 2:
            raise ValueError(f"a pair has two languages, source and target, as in en,el; {len(langs)} are given")
        return langs

    @model_validator(mode="after")
    def _one_kind_of_input(self) -> Self:
        if (self.tsv is None) == (self.source is None) or (self.source is None) != (self.target is None):
            raise ValueError("give either tsv, or source and target, two files with a sentence a line")
        return self

    @computed_field
    @property
    def lang(self) -> str:
        """Language that the corpus counts as."""
        return self.langs[1]

    @computed_field
    @property
    def names(self) -> list[str]:
        """Languages of names: there are none, since no mention is known."""
        return []


class Pair(NamedTuple):
    """A sentence, its translation, and the line on which they stand; the first is 1."""

    line: int
    source: str
    target: str


def pairs(
    config: PairsConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Write the pairs into the corpus folder `out`; return its manifest. A finished folder is left as it is.

    An article's id is the number of its line. The bytes do not depend on `workers`. Raises LingraftError for files of
    unlike length, lines that are not UTF-8 or have no tab (file and line are named), and input without any pair.
    """
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["pyarrow"]) as run:
        work = run.path / "work"
        if run.complete:
            shutil.rmtree(work, ignore_errors=True)
            return run.manifest
        reading = PairReading(config)
        writing = _Writing(run.path, config.langs[0], config.langs[1], config.order, config.seed, _name(config))
        with run.timed("pairs"), progress.bar("pairs", None, "characters", quiet=quiet) as bar:
            results = engine.run(
                writing,
                _tasks(reading.kept(), config.shard_size),
                work / "markers",
                workers=workers or 1,
                on_done=lambda key, counters: bar.advance(counters["characters"], f"{counters['articles']:,} pairs"),
            )
        if not results:
            left_out = ", ".join(f"{number:,} {reason}" for reason, number in reading.tally.items() if number)
            raise LingraftError(
                f"{_name(config)} has no pairs", f"Left out: {left_out}." if left_out else "", "Check the files."
            )
        tally = Counter(reading.tally)
        tally["repeated_pairs"] = reading.num_repeated()
        for counters in results.values():
            tally.update(counters)
        with run.write("names.parquet") as path:
            pq.write_table(NAMES_SCHEMA.empty_table(), path)
        for problem in reading.problems:
            run.log("problem", message=problem)
            print(f"warning: {problem}", file=sys.stderr)
        manifest = finish(run, config, tally, reading.problems)
        shutil.rmtree(work, ignore_errors=True)
        return manifest


def _name(config: PairsConfig) -> str:
    return " and ".join(path.name for path in (config.tsv, config.source, config.target) if path is not None)


class PairReading:
    """The pairs of the input, what was left out of it, and how often a pair came again."""

    def __init__(self, config: PairsConfig):
        self.config = config
        self.tally: Counter[str] = Counter(
            empty_source=0, empty_target=0, identical_sides=0, too_long=0, malformed_line=0
        )
        self.faults: list[Problem] = []
        self._seen = array("Q")

    @property
    def problems(self) -> list[str]:
        return [problem.message for problem in self.faults]

    def kept(self) -> Iterator[Pair]:
        """Give the pairs that have two different sentences of a sensible length, stripped."""
        return islice(self._good(self.read()), self.config.limit)

    def read(self) -> Iterator[Pair]:
        """Give all pairs, stripped, also those that `kept` leaves out."""
        found = self._of_tsv(self.config.tsv) if self.config.tsv else self._of_files()
        return (Pair(line, *(side.strip() for side in sides)) for line, *sides in found)

    def num_repeated(self) -> int:
        """Return how many pairs have stood before; they are kept."""
        return len(self._seen) - len(np.unique(np.frombuffer(self._seen, np.uint64)))

    def _good(self, read: Iterator[Pair]) -> Iterator[Pair]:
        for pair in read:
            reason = self._why_not(pair)
            if reason:
                self.tally[reason] += 1
            else:
                digest = blake2b(f"{pair.source}\t{pair.target}".encode(), digest_size=8).digest()
                self._seen.append(int.from_bytes(digest, "little"))
                yield pair

    def _why_not(self, pair: Pair) -> str:
        if not pair.source:
            return "empty_source"
        if not pair.target:
            return "empty_target"
        if pair.source == pair.target:
            return "identical_sides"
        return "too_long" if max(map(len, pair[1:])) > self.config.max_characters else ""

    def _of_files(self) -> Iterator[tuple[int, str, str]]:
        source, target = self.config.source, self.config.target
        for number, held in enumerate(zip_longest(self._lines(source), self._lines(target)), start=1):
            if self.faults:
                raise LingraftError(
                    self.problems[0],
                    "Behind it the lines of the two files no longer belong together.",
                    "Fetch it again.",
                )
            if None in held:
                short, long = (source, target) if held[0] is None else (target, source)
                raise LingraftError(
                    f"{short} ends after line {number - 1:,}, {long} goes on",
                    "Line by line, two files of unlike length do not translate each other.",
                    "Fetch both files again, or align them first.",
                )
            sides = [self._text(line, path, number) for line, path in zip(held, (source, target), strict=True)]
            if None in sides:
                self.tally["malformed_line"] += 1
            else:
                yield number, *sides

    def _of_tsv(self, path: Path) -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(self._lines(path), start=1):
            text = self._text(line, path, number)
            columns = [] if text is None else text.split("\t")
            if len(columns) >= 2:
                yield number, columns[0], columns[1]
            elif not self.config.skip_malformed and text.strip():
                raise LingraftError(
                    f"{path}, line {number:,}: no tab",
                    "Each line holds source, tab, target.",
                    "Mend the line, or leave such lines out: skip_malformed: true.",
                )
            else:
                self.tally["malformed_line"] += 1

    def _lines(self, path: Path) -> Iterator[bytes]:
        before = self.tally["oversized_line"]
        for line in lines(path, self.tally, self.faults, max_bytes=MAX_DOCUMENT):
            if self.tally["oversized_line"] > before:
                break
            yield line
        if self.tally["oversized_line"] > before:
            raise LingraftError(
                f"{path} has a line of more than {MAX_DOCUMENT >> 20} MiB",
                "It is not a file of sentences, one a line.",
                "Check the file.",
            )

    def _text(self, line: bytes, path: Path, number: int) -> str | None:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            if self.config.skip_malformed:
                return None
            raise LingraftError(
                f"{path}, line {number:,}, byte {error.start + 1:,} of it: not UTF-8",
                f"The byte is 0x{line[error.start]:02x}.",
                "Convert the file (iconv -f THEIRS -t UTF-8), or leave such lines out: skip_malformed: true.",
            ) from None


def _tasks(found: Iterator[Pair], shard_size: int) -> Iterator[engine.Task]:
    """Cut the pairs into shards by their size."""
    held: list[Pair] = []
    size = index = 0
    for pair in found:
        held.append(pair)
        size += len(pair.source) + len(pair.target)
        if size >= shard_size:
            yield engine.Task(f"{index:05d}", (index, held))
            held, size, index = [], 0, index + 1
    if held:
        yield engine.Task(f"{index:05d}", (index, held))


@dataclass(frozen=True)
class _Writing:
    """What the writing of every shard has in common; it can be pickled."""

    out: Path
    source_lang: str
    lang: str
    order: str
    seed: int
    name: str

    def __call__(self, given: tuple[int, list[Pair]]) -> dict[str, int]:
        """Write one shard of the corpus; return counters."""
        index, held = given
        texts = ["\n".join(self._ordered(pair)) for pair in held]
        rows = [
            article_row(pair.line, Document(f"{self.name}, line {pair.line:,}", text), self.lang, [])
            | {"flags": [PARALLEL, self.source_lang]}
            for pair, text in zip(held, texts, strict=True)
        ]
        with runs.atomic(self.out / part_name(index)) as path:
            write_articles(path, pa.Table.from_pylist(rows, schema=ARTICLE))
        return count(texts, [[] for _ in texts], {})

    def _ordered(self, pair: Pair) -> tuple[str, str]:
        if self.order == "random":
            source_first = blake2b(f"{self.seed}/{pair.line}".encode(), digest_size=1).digest()[0] & 1
        else:
            source_first = self.order == "source_first"
        return (pair.source, pair.target) if source_first else (pair.target, pair.source)
