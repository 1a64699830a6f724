"""One language of a corpora folder: read all its sources, clean, split by key, write each split as a corpus."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, computed_field, model_validator

from lingraft import runs
from lingraft.config import Config, ModelName, Probability
from lingraft.corpus.linking import article_row, count, finish
from lingraft.corpus.schema import ARTICLE, part_name, write_articles
from lingraft.corpus.texts import Document
from lingraft.entities.names import NAMES_SCHEMA
from lingraft.transfer.cleaning import Cleaning, clean, first_by_hash, script
from lingraft.transfer.sources import Source, read

LANGUAGE_STAGE = "transfer corpora, one language"
SPLIT_STAGE = "transfer corpora, one split"

Split = Literal["train", "validation", "test"]

SHARD = 4 << 20
"""Characters of text in a shard."""


class Splits(Config):
    """How lines are shared out. A key's hash decides, so it falls into the same split in every language."""

    validation: Probability = 0.05
    """Share of validation; 0: there is none."""

    test: Probability = 0.05
    """Share of test; 0: there is none."""

    max_test_lines: int | None = Field(None, gt=0)
    """Most lines of validation and of test, chosen by hash; what is beyond is left out, never put into train."""

    seed: int = 0
    """Another number gives another split."""

    @model_validator(mode="after")
    def _train_is_left(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing for train: their shares must add up to less than 1")
        return self

    def of(self, key: str) -> Split:
        """Return the split of a key."""
        drawn = int.from_bytes(blake2b(f"{self.seed}/{key}".encode(), digest_size=8).digest(), "big") / 2**64
        if drawn < self.test:
            return "test"
        return "validation" if drawn < self.test + self.validation else "train"

    @property
    def names(self) -> list[Split]:
        """The splits that there are."""
        return ["train", *(["validation"] if self.validation else []), *(["test"] if self.test else [])]


class LanguageConfig(Config):
    """What decides the text of one language."""

    lang: str
    name: str
    bcp47: str
    family: str | None = None
    sources: list[Source]
    cleaning: Cleaning
    splits: Splits
    min_lines: int
    tokenizer: ModelName | None = None


class _SplitConfig(Config):
    """What decides the text of one split; read like the config of any corpus."""

    language: LanguageConfig
    split: Split

    def input_paths(self) -> list[Path]:
        """Return what the language is read from."""
        return self.language.input_paths()

    @computed_field
    @property
    def lang(self) -> str:
        """ISO 639-3 code of the text."""
        return self.language.lang

    @computed_field
    @property
    def names(self) -> list[str]:
        """Languages of names: there are none, since no mention is known."""
        return []


@dataclass(frozen=True)
class Card:
    """What a corpora folder has of one language; the figures are by split."""

    id: str
    name: str
    bcp47: str
    script: str
    """ISO 15924, by most letters."""
    family: str | None
    sources: list[dict[str, Any]]
    """title, kind, licence (null: not known) and lines of each source, of all splits together."""
    licences: list[str]
    lines: dict[str, int]
    words: dict[str, int]
    """Runs of characters without white space."""
    characters: dict[str, int]
    bytes: dict[str, int]
    tokens: dict[str, int] | None
    """Of the tokenizer that was given."""

    def row(self) -> dict[str, Any]:
        """Return the row of a table."""
        figures = {"lines": self.lines, "words": self.words, "bytes": self.bytes}
        return {
            "language": self.id,
            "name": self.name,
            "script": self.script,
            **({"family": self.family} if self.family else {}),
            **{name: sum(by_split.values()) for name, by_split in figures.items()},
            **({"tokens": sum(self.tokens.values())} if self.tokens else {}),
            **{f"{split} lines": number for split, number in self.lines.items()},
            "sources": "; ".join(f"{source['title']}: {source['lines']:,}" for source in self.sources),
            "licences": ", ".join(self.licences) or "not known",
        }


def write_language(folder: Path, config: LanguageConfig, *, overwrite: bool = False) -> dict[str, Any]:
    """Write the splits of a language under `folder`/{id}; return its card, what was dropped and the counters.

    A language with too few lines gets no card, and `left_out` says why.
    """
    with runs.open(
        folder / config.lang, LANGUAGE_STAGE, config, overwrite=overwrite, versions=["pyarrow", "langcodes"]
    ) as run:
        if run.complete:
            manifest = run.manifest
            return {key: manifest[key] for key in ("card", "left_out", "drops", "counters")}
        drops: Counter[str] = Counter()
        read_lines = _of_sources(config.sources, drops)
        lines = clean(read_lines, config.cleaning, config.lang, seed=config.splits.seed, drops=drops)
        splits = _split(lines, config.splits, drops)
        left_out = _why_left_out(splits, lines, config)
        card = None
        if not left_out:
            for split, held in splits.items():
                _write_split(run.path / split, held, _SplitConfig(language=config, split=split))
            card = asdict(_card(config, splits))
        counters = Counter({_counter(reason): number for reason, number in drops.items()})
        if card:
            counters.update({f"lines_{split}": len(held) for split, held in splits.items()})
        else:
            counters["lines_of_languages_left_out"] = len(lines)
        result = {"card": card, "left_out": left_out, "drops": dict(sorted(drops.items()))}
        run.finish(dict(sorted(counters.items())), **result)
        return result | {"counters": dict(sorted(counters.items()))}


def _counter(reason: str) -> str:
    return reason if reason.startswith("repaired_") else f"left_out_{reason}"


class _Sourced(NamedTuple):
    """A line and the number of its source."""

    key: str
    text: str
    source: int


def _of_sources(sources: list[Source], drops: Counter[str]) -> Iterator[_Sourced]:
    for number, source in enumerate(sources):
        for key, text in read(source, drops):
            yield _Sourced(key, text, number)


def _split(lines: list[_Sourced], splits: Splits, drops: Counter[str]) -> dict[Split, list[_Sourced]]:
    """Return the lines of each split; test and validation have at most what was asked for."""
    shared: dict[Split, list[_Sourced]] = {split: [] for split in splits.names}
    for line in lines:
        shared[splits.of(line.key)].append(line)
    if splits.max_test_lines:
        for split in splits.names[1:]:
            reason = f"beyond_max_test_lines_{split}"
            shared[split] = first_by_hash(shared[split], splits.max_test_lines, splits.seed, drops, reason)
    return shared


def _why_left_out(splits: dict[Split, list[_Sourced]], lines: list[_Sourced], config: LanguageConfig) -> str:
    if len(lines) < config.min_lines:
        return f"{len(lines):,} lines, fewer than min_lines ({config.min_lines:,})"
    empty = [split for split, held in splits.items() if not held]
    return f"no line of its {len(lines):,} falls into {' and '.join(empty)}" if empty else ""


def _write_split(path: Path, lines: list[_Sourced], config: _SplitConfig) -> None:
    """Write one split as a corpus."""
    with runs.open(path, SPLIT_STAGE, config, overwrite=True, versions=["pyarrow"]) as run:
        if run.complete:
            return
        tally: Counter[str] = Counter()
        for index, (first, held) in enumerate(_shards(lines)):
            texts = [line.text for line in held]
            rows = [
                article_row(first + place, Document(line.key, line.text), config.lang, [])
                for place, line in enumerate(held)
            ]
            with run.write(part_name(index)) as temporary:
                write_articles(temporary, pa.Table.from_pylist(rows, schema=ARTICLE))
            tally.update(count(texts, [[] for _ in texts], {}))
        with run.write("names.parquet") as temporary:
            pq.write_table(NAMES_SCHEMA.empty_table(), temporary)
        finish(run, config, tally)


def _shards(lines: list[_Sourced]) -> Iterator[tuple[int, list[_Sourced]]]:
    """Cut the lines into shards by their size; the number of the first line of each goes with it, the first is 1."""
    start = size = 0
    for place, line in enumerate(lines, start=1):
        size += len(line.text)
        if size >= SHARD or place == len(lines):
            yield start + 1, lines[start:place]
            start, size = place, 0


def _card(config: LanguageConfig, splits: dict[Split, list[_Sourced]]) -> Card:
    texts = {split: [line.text for line in held] for split, held in splits.items()}
    by_source = Counter(line.source for held in splits.values() for line in held)
    sources = [
        {"title": source.title, "kind": source.kind, "licence": licence(source), "lines": by_source[number]}
        for number, source in enumerate(config.sources)
    ]
    return Card(
        id=config.lang,
        name=config.name,
        bcp47=config.bcp47,
        script=script(text for held in texts.values() for text in held),
        family=config.family,
        sources=sources,
        licences=sorted({source["licence"] for source in sources if source["licence"] and source["lines"]}),
        lines={split: len(held) for split, held in texts.items()},
        words={split: sum(len(text.split()) for text in held) for split, held in texts.items()},
        characters={split: sum(map(len, held)) for split, held in texts.items()},
        bytes={split: sum(len(text.encode()) for text in held) for split, held in texts.items()},
        tokens=_tokens(config.tokenizer, texts) if config.tokenizer else None,
    )


def licence(source: Source) -> str | None:
    """Return the licence of a source: the one that was given, or that of the corpus."""
    if source.licence or source.kind != "corpus":
        return source.licence
    from lingraft.corpus.read import open as open_corpus

    found = {open_corpus(path).licence for path in source.path}
    return ", ".join(sorted(held.name for held in found if held)) or None


def _tokens(model: str, texts: dict[Split, list[str]]) -> dict[str, int]:
    """Count tokens without the special ones."""
    from lingraft.augment.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model)
    return {
        split: sum(map(len, tokenizer(held, add_special_tokens=False)["input_ids"])) for split, held in texts.items()
    }
