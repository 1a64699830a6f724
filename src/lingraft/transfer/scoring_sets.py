"""Fixed questions to a model about one language: its lines with the same tokens hidden for every checkpoint.

What is hidden of a line is a function of the seed and the line's key alone. So all checkpoints of all donors answer the
same questions, and their differences are paired: between two checkpoints the choice of masks adds no noise.

    questions = scoring_set("quc", corpora.lines("quc", "test"), tokenizer, Objective(), seed=0, length=256)
    questions.save("out/quc.parquet")

Causal models predict every token; spans and masked hide about `density` or `masking_share` of each line, at least one
token. T5's masks end with a hidden span, which of a short line is the only one: its last words, whatever the seed. So
masks are rotated here, and every token of a line is as likely to be hidden as any other. Bytes are those of the text
tokens that are predicted (token_bytes.py).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.augment.masking import MaskTokens
from lingraft.augment.operators import IGNORED, uniform
from lingraft.augment.span_corruption import Sentinels, SpanCorruption, corrupt, noise_mask
from lingraft.config import Config, Probability
from lingraft.errors import LingraftError
from lingraft.evaluate.bits import windows
from lingraft.transfer.token_bytes import TokenBytes

if TYPE_CHECKING:
    from lingraft.transfer.corpora import Line

MIN_TOKENS = 100
_AT_ONCE = 512
_SHIFT = 2
_COLUMNS = ("line", "key", "inputs", "labels", "counted", "bytes")


class Objective(Config):
    """What a model is asked to predict: what it was trained to."""

    kind: Literal["spans", "masked", "causal"] = "spans"
    """spans: T5, mT5, ByT5; masked: XLM-R and its like; causal: Llama, Qwen, GPT-2."""

    spans: SpanCorruption = SpanCorruption()
    """What is hidden from a span corruption model."""

    masking_share: Probability = 0.15
    """Share of a line's tokens that a masked model has to predict; each is replaced by the mask token."""


class Row(NamedTuple):
    """One window of a line: what the model reads, and what it has to predict; int32 arrays."""

    line: int
    """Number of the line in `ScoringSet.keys`."""
    inputs: np.ndarray
    """What the encoder reads; for a masked or causal model, the whole row."""
    labels: np.ndarray
    """spans: what the decoder writes. masked, causal: as long as `inputs`, IGNORED where nothing is predicted."""
    counted: np.ndarray
    """bool, as long as `labels`: hidden text; not so are sentinels, EOS and what is IGNORED."""
    bytes: int
    """UTF-8 bytes of the text that is counted."""


@dataclass(frozen=True)
class ScoringSet:
    """The rows of one language, sorted by line. Every checkpoint answers them; `digest` tells two sets apart."""

    language: str
    objective: Objective
    seed: int
    length: int
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    counters: Counter[str] = field(default_factory=Counter)
    """lines, cut_lines (into windows), tokens (counted), unknown_tokens (of all), and lines left out by reason."""

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides a model's score."""
        found = hashlib.sha256(json.dumps([self.language, self.objective.kind, self.keys]).encode())
        for row in self.rows:
            found.update(np.array([row.line, len(row.inputs), len(row.labels), row.bytes], "<i8").tobytes())
            found.update(row.inputs.astype("<i4").tobytes() + row.labels.astype("<i4").tobytes())
            found.update(row.counted.tobytes())
        return found.hexdigest()[:16]

    def save(self, path: str | Path) -> None:
        """Write the set as one Parquet file, all at once."""
        columns = {
            "line": pa.array([row.line for row in self.rows], pa.int32()),
            "key": pa.array([self.keys[row.line] for row in self.rows], pa.string()),
            "inputs": pa.array([row.inputs for row in self.rows], pa.list_(pa.int32())),
            "labels": pa.array([row.labels for row in self.rows], pa.list_(pa.int32())),
            "counted": pa.array([row.counted for row in self.rows], pa.list_(pa.bool_())),
            "bytes": pa.array([row.bytes for row in self.rows], pa.int32()),
        }
        facts = {name: getattr(self, name) for name in ("language", "seed", "length", "counters", "digest")}
        facts["objective"] = self.objective.model_dump(mode="json")
        table = pa.table(columns).replace_schema_metadata({"lingraft.scoring_set": json.dumps(facts)})
        with runs.atomic(Path(path)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. LingraftError when it is damaged or no such file."""
        try:
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[b"lingraft.scoring_set"])
            columns = {
                name: table[name].to_pylist() for name in ("line", "key", "inputs", "labels", "counted", "bytes")
            }
            objective = Objective(**facts["objective"])
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise _damaged(path, " ".join(str(error).split()) or type(error).__name__) from None
        rows = tuple(
            Row(line, np.array(inputs, np.int32), np.array(labels, np.int32), np.array(counted, bool), size)
            for line, _, inputs, labels, counted, size in zip(*columns.values(), strict=True)
        )
        keys = tuple(dict(zip(columns["line"], columns["key"], strict=True)).values())
        found = cls(
            facts["language"], objective, facts["seed"], facts["length"], keys, rows, Counter(facts["counters"])
        )
        if found.digest != facts["digest"]:
            raise _damaged(path, f"Its content has the hash {found.digest}, not {facts['digest']}.")
        return found


def scoring_set(
    language: str,
    lines: "Iterable[Line]",
    tokenizer: Any,
    objective: Objective,
    *,
    seed: int,
    length: int,
    min_tokens: int = MIN_TOKENS,
) -> ScoringSet:
    """Hide tokens of each line once and for all; a line of more than `length` tokens becomes several windows.

    Left out and counted: empty (no tokens), special_token (the text spells one), nothing_hidden (too short to hide a
    part of it). Raises LingraftError when fewer than `min_tokens` text tokens are left to predict, and for a tokenizer
    that has no sentinels (spans), no mask token (masked) or no EOS (causal), or tells no bytes.
    """
    ask = _asker(tokenizer, objective, seed, length)
    tokens = TokenBytes(tokenizer)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    counters: Counter[str] = Counter()
    keys: list[str] = []
    rows: list[Row] = []
    stream = iter(lines)
    while held := list(islice(stream, _AT_ONCE)):
        for line, (ids, sizes) in zip(held, tokens.encode([line.text for line in held]), strict=True):
            reason, asked = "", []
            if not len(ids):
                reason = "empty"
            elif not special.isdisjoint(ids.tolist()):
                reason = "special_token"
            elif not (asked := [row for row in ask(len(keys), line.key, ids, sizes) if row.counted.any()]):
                reason = "nothing_hidden"
            if reason:
                counters[reason] += 1
                continue
            keys.append(line.key)
            rows += asked
            counters["cut_lines"] += len(ids) > length
            counters["unknown_tokens"] += int(np.count_nonzero(ids == tokenizer.unk_token_id))
            counters["tokens"] += sum(int(row.counted.sum()) for row in asked)
    counters["lines"] = len(keys)
    if counters["tokens"] < min_tokens:
        left_out = ", ".join(f"{counters[why]:,} {why}" for why in ("empty", "special_token", "nothing_hidden"))
        raise LingraftError(
            f"{language}: only {counters['tokens']:,} tokens to predict, in {len(keys):,} lines",
            f"At least {min_tokens:,} are needed for a score that says something. Left out: {left_out}.",
            f"Give more text of {language}, or take it out of the recipients.",
        )
    return ScoringSet(language, objective, seed, length, tuple(keys), tuple(rows), counters)


def _asker(tokenizer: Any, objective: Objective, seed: int, length: int) -> Any:
    """Return the function that makes the rows of a line: (number, key, ids, bytes of each) -> rows."""
    if objective.kind == "causal":
        if tokenizer.eos_token_id is None:
            raise LingraftError(
                f"the tokenizer of {tokenizer.name_or_path} has no EOS token",
                "Each line is predicted from one.",
                "Name one in the model's tokenizer_config.json (eos_token).",
            )
        return lambda *line: _causal(*line, length, tokenizer.eos_token_id)
    if objective.kind == "masked":
        tokens = MaskTokens.of(tokenizer)
        return lambda *line: _masked(*line, length, objective.masking_share, tokens, seed)
    sentinels = Sentinels.of(tokenizer)
    return lambda *line: _spans(*line, length, objective.spans, sentinels, seed)


def _spans(
    number: int,
    key: str,
    ids: np.ndarray,
    sizes: np.ndarray,
    length: int,
    spans: SpanCorruption,
    sentinels: Sentinels,
    seed: int,
) -> Iterator[Row]:
    for index, part, size in _windows(key, ids, sizes, length):
        shift = int(uniform(seed, index, _SHIFT)[0] * len(part))
        hidden = np.roll(noise_mask(len(part), spans, seed=seed, index=index), shift)
        inputs, targets = corrupt(part, hidden, sentinels)
        counted = ~np.isin(targets, [*sentinels.ids, sentinels.eos])
        yield Row(number, inputs.astype(np.int32), targets.astype(np.int32), counted, int(size[hidden].sum()))


def _masked(
    number: int,
    key: str,
    ids: np.ndarray,
    sizes: np.ndarray,
    length: int,
    share: float,
    tokens: MaskTokens,
    seed: int,
) -> Iterator[Row]:
    for index, part, size in _windows(key, ids, sizes, length):
        draws = uniform(seed, index, np.arange(len(part)))
        hidden = np.zeros(len(part), bool)
        hidden[np.argsort(draws, kind="stable")[: max(1, round(share * len(part)))]] = True
        inputs = np.concatenate([[tokens.begin], np.where(hidden, tokens.mask, part), [tokens.end]])
        labels = np.concatenate([[IGNORED], np.where(hidden, part, IGNORED), [IGNORED]])
        yield Row(number, inputs.astype(np.int32), labels.astype(np.int32), labels != IGNORED, int(size[hidden].sum()))


def _causal(number: int, key: str, ids: np.ndarray, sizes: np.ndarray, length: int, eos: int) -> Iterator[Row]:
    scored = 0
    for tokens, first in windows(ids.tolist(), length, eos):
        inputs = np.array(tokens, np.int32)
        counted = np.arange(len(inputs)) >= first
        end = scored + int(counted.sum())
        yield Row(
            number, inputs, np.where(counted, inputs, IGNORED).astype(np.int32), counted, int(sizes[scored:end].sum())
        )
        scored = end


def _windows(key: str, ids: np.ndarray, sizes: np.ndarray, length: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Cut a line into windows of nearly equal size; give each with a hash of the line's key and its place."""
    number = -(-len(ids) // length)
    for window, places in enumerate(np.array_split(np.arange(len(ids)), number)):
        index = int.from_bytes(hashlib.blake2b(f"{key}\n{window}".encode(), digest_size=8).digest()) >> 1
        yield index, ids[places], sizes[places]


def _damaged(path: str | Path, why: str) -> LingraftError:
    return LingraftError(f"{path} is no scoring set, or damaged", why, "Remove it and repeat the command.")
