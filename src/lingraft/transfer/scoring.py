"""How well a model predicts fixed sets of questions, in bits per byte and in perplexity.

bits per byte = sum of -ln p over the hidden text tokens / (ln 2 x bytes of the text they stand for)

It compares tokenizers, and leaves out sentinels and EOS, which say nothing of a language. `perplexity` counts all
targets as the published matrix does; it compares models of one tokenizer only.

Rows are sorted by length and read in batches of a token budget, and only predicted places go through the output layer:
4.9 times as fast as a padded loop that masks anew for every checkpoint, 54% of the speed of bare forward passes
(benchmarks/transfer_scoring.py: a tiny T5, 100 lines of each of six languages, two checkpoints).

    model, tokenizer = load_scorer("out/base/model", Objective())
    questions = scoring_set("quc", corpora.lines("quc", "test"), tokenizer, Objective(), seed=0, length=256)
    score(model, [questions])[0].bits_per_byte
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lingraft.augment.operators import IGNORED
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models
from lingraft.evaluate.bits import token_losses
from lingraft.transfer import seq2seq
from lingraft.transfer.scoring_sets import Objective, Row, ScoringSet, scoring_set
from lingraft.transfer.seq2seq import Loaded, place_of

if TYPE_CHECKING:
    import torch

__all__ = ["Loaded", "Objective", "Row", "Scores", "ScoringSet", "load_scorer", "score", "scoring_set"]

BATCH_TOKENS = 4096
PADDING = 0
MOST_PADDING = 0.1
_LOGITS = 1 << 27  # cells of one batch's output: 512 MB in float32


@dataclass(frozen=True)
class Scores:
    """What a model needs for each line of a scoring set; all arrays are float64 (lines,)."""

    language: str
    keys: tuple[str, ...]
    nats: np.ndarray
    """Sum of -ln p over the hidden text tokens."""
    tokens: np.ndarray
    """Number of these."""
    bytes: np.ndarray
    """UTF-8 bytes that these stand for."""
    nats_all: np.ndarray
    """The same over all targets, with sentinels and EOS."""
    tokens_all: np.ndarray

    @property
    def bits_per_byte(self) -> float:
        """Bits that the model needs for a byte of the hidden text."""
        return float(self.nats.sum() / (math.log(2) * self.bytes.sum()))

    @property
    def perplexity(self) -> float:
        """Perplexity of a target, with sentinels and EOS, as the paper has it; infinite where it is too large."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nats_all.sum() / self.tokens_all.sum()))


def load_scorer(model_folder: Any, objective: Objective, device: str = "auto", dtype: str = "float32") -> Loaded:
    """Load the model of a folder (or of the hub) that answers an objective, with its tokenizer.

    `device` is auto (a GPU if there is one) or torch's name; `dtype` is auto (as stored), float32 or another.
    Raises LingraftError when it cannot be loaded, is of another kind, or would get random weights.
    """
    name = str(model_folder)
    if objective.kind == "spans":
        return seq2seq.load(name, device, dtype, needed_by="The objective spans")
    found = models.load(name, dtype, device)
    if found.kind != objective.kind:
        raise LingraftError(
            f"{name} is a {found.kind} model, and the objective is '{objective.kind}'",
            "A model is scored by what it was trained to predict.",
            f"Say objective.kind: {found.kind}, or give another model.",
        )
    return Loaded(found.model, found.tokenizer)


def score(
    model: Any, sets: Sequence[ScoringSet], *, batch_tokens: int = BATCH_TOKENS, device: str = "auto"
) -> list[Scores]:
    """Score each set, in the order given; the scores depend on `batch_tokens` only by rounding.

    `batch_tokens` bounds the tokens of a batch, padding and decoder included; a longer row is a batch of its own.
    Sets are all of one objective. Raises LingraftError for a row that the model cannot read, and for a probability that
    is not a number; both name model and language.
    """
    import torch

    kinds = {one.objective.kind for one in sets}
    if len(kinds) != 1:
        raise ValueError(f"sets of one objective are scored together, not of {', '.join(sorted(kinds)) or 'none'}")
    kind = kinds.pop()
    for one in sets:
        _check(model, one)
    model = model.to(place_of(device)).eval()
    asked = [(place, row) for place, one in enumerate(sets) for row in one.rows]
    vocabulary = model.get_input_embeddings().num_embeddings
    sums = [np.zeros((2, len(one.keys))) for one in sets]
    with torch.inference_mode():
        for members in _batches([row for _, row in asked], kind, batch_tokens, _LOGITS // vocabulary):
            rows = [asked[member][1] for member in members]
            which, losses, counted = _losses(model, kind, rows)
            of_row = np.zeros((2, len(rows)))
            np.add.at(of_row[0], which[counted], losses[counted])
            np.add.at(of_row[1], which, losses)
            for member, found in zip(members, of_row.T, strict=True):
                place, row = asked[member]
                sums[place][:, row.line] += found
    return [_scores(model, one, *found) for one, found in zip(sets, sums, strict=True)]


def _scores(model: Any, asked: ScoringSet, nats: np.ndarray, nats_all: np.ndarray) -> Scores:
    if not np.isfinite(nats_all).all():
        line = asked.keys[int(np.flatnonzero(~np.isfinite(nats_all))[0])]
        raise LingraftError(
            f"{_name(model)} gives {asked.language} probabilities that are not numbers, first in {line}",
            "Its weights are damaged, or its training went astray (a rate that is too high does that).",
            "Score with dtype float32; if that fails too, train it again with a lower learning_rate.",
        )
    totals = np.zeros((3, len(asked.keys)))
    for row in asked.rows:
        totals[:, row.line] += row.counted.sum(), row.bytes, np.count_nonzero(row.labels != IGNORED)
    tokens, sizes, tokens_all = totals
    return Scores(asked.language, asked.keys, nats, tokens, sizes, nats_all, tokens_all)


def _batches(rows: Sequence[Row], kind: str, batch_tokens: int, max_predicted: int) -> Iterator[list[int]]:
    """Give the numbers of the rows of each batch, shortest first: padded size and predicted tokens are bounded.

    A batch that is a quarter full is also closed where the next row would make more than a tenth of it padding.
    """
    shapes = [(len(row.inputs), len(row.labels) if kind == "spans" else 0) for row in rows]  # encoder, decoder
    batch: list[int] = []
    shape, filled, predicted = (0, 0), 0, 0
    for number in sorted(range(len(rows)), key=shapes.__getitem__):
        of_row, more = shapes[number], int(np.count_nonzero(rows[number].labels != IGNORED))
        wider = max(shape[0], of_row[0]), max(shape[1], of_row[1])
        size = (len(batch) + 1) * sum(wider)
        is_loose = filled >= batch_tokens // 4 and filled + sum(of_row) < (1 - MOST_PADDING) * size
        if batch and (size > batch_tokens or predicted + more > max_predicted or is_loose):
            yield batch
            batch, wider, filled, predicted = [], of_row, 0, 0
        batch.append(number)
        shape, filled, predicted = wider, filled + sum(of_row), predicted + more
    if batch:
        yield batch


def _losses(model: Any, kind: str, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each predicted token of a batch: its row, -ln p (float64), and whether it counts as text."""
    import torch

    inputs = _padded([row.inputs for row in rows], PADDING)
    labels = _padded([row.labels for row in rows], IGNORED)
    predicted = labels != IGNORED
    given: dict[str, Any] = {"input_ids": inputs}
    wanted = predicted
    if kind == "causal":
        wanted = np.zeros_like(predicted)
        wanted[:, :-1] = predicted[:, 1:]  # a token is predicted where the one before it is read
    else:
        given["attention_mask"] = np.arange(inputs.shape[1]) < np.array([[len(row.inputs)] for row in rows])
    if kind == "spans":
        start = model.config.decoder_start_token_id
        shifted = np.concatenate([np.full((len(rows), 1), start), labels[:, :-1]], axis=1)
        given["decoder_input_ids"] = np.where(shifted == IGNORED, PADDING, shifted)
    if kind != "masked":
        given["use_cache"] = False
    ready = {
        name: torch.from_numpy(values).to(model.device) if isinstance(values, np.ndarray) else values
        for name, values in given.items()
    }
    at = torch.from_numpy(wanted).to(model.device)
    targets = torch.from_numpy(labels[predicted]).to(model.device)
    with _only(model, at):
        logits = model(**ready).logits
    losses = token_losses(logits if logits.dim() == 2 else logits[at], targets).double().cpu().numpy()
    return np.nonzero(predicted)[0], losses, _padded([row.counted for row in rows], False)[predicted]


@contextlib.contextmanager
def _only(model: Any, wanted: "torch.Tensor") -> Iterator[None]:
    """Let only the `wanted` places, (batch, length) bool, through the output layer: logits (places, vocabulary).

    The rest would cost most of the time and memory of a model with a large vocabulary. A model whose output layer
    is not given (batch, length, width) keeps all its logits.
    """

    def choose(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        hidden = given[0]
        return (hidden[wanted], *given[1:]) if hidden.shape[:-1] == wanted.shape else None

    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(choose) if head is not None else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _padded(arrays: Sequence[np.ndarray], value: Any) -> np.ndarray:
    """Return arrays of unlike length as one (rows, longest), int64 or bool, with `value` behind their ends."""
    filled = np.full((len(arrays), max(map(len, arrays))), value, bool if arrays[0].dtype == bool else np.int64)
    for row, values in zip(filled, arrays, strict=True):
        row[: len(values)] = values
    return filled


def _check(model: Any, asked: ScoringSet) -> None:
    """Raise LingraftError when a set holds tokens or rows that the model cannot read."""
    vocabulary = model.get_input_embeddings().num_embeddings
    largest = max(int(max(row.inputs.max(), row.labels.max())) for row in asked.rows)
    if largest >= vocabulary:
        raise LingraftError(
            f"the scoring set of {asked.language} was not made for {_name(model)}",
            f"It holds token {largest:,}; the model knows {vocabulary:,}.",
            "Make it with the tokenizer of this model.",
        )
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is None:
        return
    if "roberta" in model.config.model_type:
        positions -= 1 + model.config.pad_token_id  # RoBERTa counts places from behind its padding token
    longest = max(len(row.inputs) for row in asked.rows)
    if longest > positions:
        raise LingraftError(
            f"{asked.language}: the longest row has {longest:,} tokens, but {_name(model)} reads at most {positions:,}",
            "Lines are cut into windows of `length` tokens; a masked model's frame takes two more.",
            f"Say length: {positions - 2} or less.",
        )


def _name(model: Any) -> str:
    return model.name_or_path or type(model).__name__
