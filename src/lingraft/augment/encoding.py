"""Encode a corpus for one tokenizer: token ids, the mentions as token spans, and the names that belong to them.

Names are kept beside the tokens and written into the text only when a sequence is drawn, so one encoded corpus serves
every operation, probability and epoch. Each articles shard becomes one Arrow file, on one worker, in batches of about
BATCH_CHARACTERS; memory holds one batch of encodings and one shard's token ids; an article of 2 MB takes 300 MB.
Speed beside `tokenizers.encode_batch` alone, and memory: benchmarks/encoding.py.

    lingraft augment --corpus out/el --model out/tiny --out out/el-encoded
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from lingraft import engine, runs
from lingraft.augment.names import NameTable, check_languages, encode_names
from lingraft.augment.ragged import offsets_of, ranges
from lingraft.augment.spans import token_span
from lingraft.augment.store import Shard, write_shard
from lingraft.augment.tokenizer import fingerprint, load_tokenizer
from lingraft.config import Config, InputPath, ModelName, Names
from lingraft.errors import LingraftError
from lingraft.progress import bar

BATCH_CHARACTERS = 1_000_000
"""Text encoded at once: an encoding takes some 150 bytes a token until its ids are taken out of it."""


class EncodeConfig(Config):
    """Which corpus is encoded, with whose tokenizer, and with names in which languages."""

    corpus: InputPath
    """Folder of a finished `corpus build` or `corpus link`."""

    model: ModelName
    """Model whose tokenizer is used: a folder, or a name on the Hugging Face hub."""

    names: Names = Field(default=["en"])
    """Languages of the names; a mention with names in several gets one, drawn evenly. Empty list: plain text."""

    @field_validator("names")
    @classmethod
    def _named_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError(f"a language is named twice: {', '.join(names)}")
        return names


@dataclass(frozen=True)
class _Job:
    """What a worker needs for one shard, or for the names of one language: paths only, so that it pickles."""

    source: Path
    out: Path
    tokenizer: Path
    names: tuple[Path, ...]
    languages: tuple[str, ...]
    one_of_many: bool


def encode(
    config: EncodeConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Encode a corpus into the run folder `out` and return its manifest.

    Writes encoded/part-*.arrow (one an articles shard), names/{lang}.arrow, tokenizer/. The bytes do not depend on
    `workers` (default: all cores). Raises LingraftError when the corpus is not finished or has no names in a language
    that is asked for, or the model's tokenizer cannot be loaded or is not a fast one.
    """
    out = Path(out)
    corpus = runs.read_manifest(config.corpus)
    parts = sorted((config.corpus / "articles").glob("part-*.parquet"))
    if not parts:
        raise LingraftError(f"{config.corpus} holds no articles", "There is no articles/part-*.parquet in it.")
    check_languages(config.corpus / "names.parquet", config.names)
    with runs.open(out, "augment", config, overwrite=overwrite, versions=["tokenizers", "pyarrow", "numpy"]) as run:
        if run.complete:
            return run.manifest
        tokenizer = load_tokenizer(config.model)
        tokenizer.save_pretrained(out / "tokenizer")
        workers = min(workers or engine.default_workers(), len(parts))
        tables = tuple(out / "names" / f"{language}.arrow" for language in config.names)

        def job(source: Path, target: Path, languages: tuple[str, ...], of: int = workers) -> _Job:
            return _Job(source, target, out / "tokenizer", tables, languages, one_of_many=of > 1)

        with run.timed("names"):
            tasks = [
                engine.Task(f"names-{language}", job(config.corpus / "names.parquet", table, (language,), len(tables)))
                for language, table in zip(config.names, tables, strict=True)
            ]
            names = engine.run(_encode_names, tasks, out / "markers", workers=min(workers, len(tasks)))
        with run.timed("articles"), bar("encode", len(parts), "shards") as shown:
            tasks = [
                engine.Task(part.stem, job(part, out / "encoded" / f"{part.stem}.arrow", tuple(config.names)))
                for part in parts
            ]
            results = engine.run(
                _encode_shard, tasks, out / "markers", workers=workers, on_done=lambda key, _: shown.advance(1, key)
            )
        counters: Counter[str] = Counter()
        for result in results.values():
            counters.update(result)
        for language, result in zip(config.names, names.values(), strict=True):
            counters.update({f"names_{language}_{key}".removesuffix("_names"): n for key, n in result.items()})
        run.write_table(
            "encoding",
            [{"name": name, "value": value} for name, value in counters.items()],
            kind="counts",
            title="Encoded corpus",
        )
        return run.finish(
            counters,
            languages=config.names,
            corpus={key: corpus.get(key) for key in ("stage", "config")},
            tokenizer={
                "fingerprint": fingerprint(tokenizer),
                "vocabulary": len(tokenizer),
                "eos": tokenizer.eos_token_id,
            },
        )


def _encode_names(job: _Job) -> dict[str, int]:
    return encode_names(job.source, job.languages[0], _load(job.tokenizer, job.one_of_many), job.out)


def _encode_shard(job: _Job) -> dict[str, int]:
    """Encode one articles shard; return its counters."""
    tokenizer, tables = _load(job.tokenizer, job.one_of_many), [NameTable(path) for path in job.names]
    counters: Counter[str] = Counter(
        dict.fromkeys(
            ["articles", "empty_articles", "bytes", "tokens", "mentions", "mentions_with_name", "no_entity"]
            + [f"no_name_{language}" for language in job.languages]
            + ["no_name", "off_token_border", "in_empty_article"],
            0,
        )
    )
    builder = _Builder()
    for articles in _batches(job.source):
        _encode_batch(articles, tokenizer, tables, job.languages, builder, counters)
    write_shard(job.out, builder.shard(), list(job.languages))
    return dict(counters)


@lru_cache(maxsize=1)
def _load(folder: Path, one_of_many: bool) -> Any:
    """Load the tokenizer once a process: with a large vocabulary that takes a second."""
    if one_of_many:  # one process a core: threads in each would only fight
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "</s>" in an article about HTML is text, not the end of a document
    return tokenizer


@dataclass(frozen=True)
class _Articles:
    """Some articles of a shard: ids and texts, and their links as flat arrays with `link_offsets`."""

    article: np.ndarray
    texts: list[str]
    link_offsets: np.ndarray
    start: np.ndarray
    end: np.ndarray
    entity: np.ndarray
    has_entity: np.ndarray


def _batches(path: Path) -> Iterator[_Articles]:
    """Read a shard in batches of about BATCH_CHARACTERS, whatever the size of its row groups."""
    with pq.ParquetFile(path) as file:
        for group in file.iter_batches(batch_size=256, columns=["id", "text", "links"]):
            sizes = np.cumsum(pc.utf8_length(group["text"]).to_numpy()) // BATCH_CHARACTERS
            cuts = [0, *(np.flatnonzero(np.diff(sizes)) + 1), len(sizes)]
            for begin, end in pairwise(cuts):
                yield _articles(group.slice(begin, end - begin))


def _articles(rows: pa.RecordBatch) -> _Articles:
    links = rows["links"]
    flat = links.flatten()  # starts at the slice's first link
    lengths = pc.fill_null(pc.list_value_length(links), 0).to_numpy()
    entity = flat.field("entity")
    return _Articles(
        article=rows["id"].to_numpy(),
        texts=rows["text"].to_pylist(),
        link_offsets=offsets_of(lengths),
        start=flat.field("start").to_numpy(),
        end=flat.field("end").to_numpy(),
        entity=pc.fill_null(entity, 0).to_numpy(zero_copy_only=False),
        has_entity=entity.is_valid().to_numpy(zero_copy_only=False),
    )


class _Builder:
    """Collects the columns of a shard, batch by batch, as lists of arrays."""

    def __init__(self) -> None:
        self.columns: dict[str, list[np.ndarray]] = {}

    def add(self, **columns: np.ndarray) -> None:
        for name, column in columns.items():
            self.columns.setdefault(name, []).append(column)

    def shard(self) -> Shard:
        def joined(name: str, kind: type) -> np.ndarray:
            return np.concatenate([*self.columns.get(name, []), np.empty(0, kind)], dtype=kind)

        return Shard(
            article=joined("article", np.int64),
            bytes=joined("bytes", np.int32),
            ids=joined("ids", np.int32),
            id_offsets=offsets_of(joined("num_ids", np.int64)),
            starts=joined("starts", np.int32),
            ends=joined("ends", np.int32),
            mention_offsets=offsets_of(joined("num_mentions", np.int64)),
            name_offsets=offsets_of(joined("num_names", np.int64)),
            name_mention=joined("name_mention", np.int32),
            name_lang=joined("name_lang", np.int16),
            name_ids=joined("name_ids", np.int32),
            name_id_offsets=offsets_of(joined("num_name_ids", np.int64)),
        )


def _encode_batch(
    articles: _Articles,
    tokenizer: Any,
    tables: list[NameTable],
    languages: tuple[str, ...],
    builder: _Builder,
    counters: Counter[str],
) -> None:
    """Encode some articles, add their columns to `builder`, and count what was kept and dropped."""
    encodings = tokenizer.encode_batch(articles.texts, add_special_tokens=False)
    name_rows = np.stack([np.full(len(articles.entity), -1), *(table.find(articles.entity) for table in tables)])[1:]
    name_rows[:, ~articles.has_entity] = -1
    named = (name_rows >= 0).any(axis=0)

    spans: list[tuple[int, int, int, int]] = []  # place of the article, link, first token, last token + 1
    filled: list[int] = []
    for place, (text, encoding) in enumerate(zip(articles.texts, encodings, strict=True)):
        first, last = articles.link_offsets[place], articles.link_offsets[place + 1]
        if not len(encoding):
            counters["empty_articles"] += 1
            counters["in_empty_article"] += int(named[first:last].sum())
            continue
        links = np.flatnonzero(named[first:last]) + first
        hint = 0
        for link, start, end in zip(
            links.tolist(), articles.start[links].tolist(), articles.end[links].tolist(), strict=True
        ):
            span = token_span(encoding, text, start, end, hint)
            if span is None:
                counters["off_token_border"] += 1
            else:
                spans.append((len(filled), link, *span))
                hint = span[0]
        filled.append(place)
        builder.add(ids=np.array(encoding.ids, np.int32))

    held = np.array(spans, np.int64).reshape(-1, 4)
    num_mentions = np.bincount(held[:, 0], minlength=len(filled))
    ordinal = np.arange(len(held)) - offsets_of(num_mentions)[:-1][held[:, 0]]
    mention, language = np.nonzero(name_rows[:, held[:, 1]].T >= 0)  # sorted by mention, then language
    rows = name_rows[language, held[mention, 1]]
    name_lengths, name_ids = _take_names(tables, language, rows)
    sizes = np.array([len(articles.texts[place].encode()) for place in filled], np.int64)
    num_ids = np.array([len(encodings[place]) for place in filled], np.int64)
    builder.add(
        article=articles.article[filled],
        bytes=sizes,
        num_ids=num_ids,
        num_mentions=num_mentions,
        starts=held[:, 2],
        ends=held[:, 3],
        num_names=np.bincount(held[mention, 0], minlength=len(filled)),
        name_mention=ordinal[mention],
        name_lang=language,
        name_ids=name_ids,
        num_name_ids=name_lengths,
    )
    counters["articles"] += len(filled)
    counters["bytes"] += int(sizes.sum())
    counters["tokens"] += int(num_ids.sum())
    counters["mentions"] += len(articles.entity)
    counters["mentions_with_name"] += len(held)
    counters["no_entity"] += int((~articles.has_entity).sum())
    counters["no_name"] += int((articles.has_entity & ~named).sum())
    for name, found in zip(languages, name_rows, strict=True):
        counters[f"no_name_{name}"] += int((articles.has_entity & (found < 0)).sum())


def _take_names(tables: list[NameTable], language: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths and the flat token ids of the names (language, row), in this order."""
    lengths = np.zeros(len(rows), np.int64)
    for index, table in enumerate(tables):
        of = language == index
        lengths[of] = table.offsets[rows[of] + 1] - table.offsets[rows[of]]
    begins = offsets_of(lengths)
    ids = np.empty(begins[-1], np.int32)
    for index, table in enumerate(tables):
        of = language == index
        ids[ranges(begins[:-1][of], lengths[of])] = table.values[ranges(table.offsets[rows[of]], lengths[of])]
    return lengths, ids
