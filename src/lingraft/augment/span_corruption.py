"""Hide spans of tokens for encoder-decoder models: T5's span corruption, the objective of T5, mT5 and ByT5.

Each hidden span leaves one sentinel in the inputs; the targets say what stood behind each sentinel:

    The <extra_id_0> of Greece is <extra_id_1> </s>      <extra_id_0> capital <extra_id_1> Athens </s>

How many tokens and spans are hidden follows from the length alone, so sequences of one length give inputs of one length
and targets of one length: no padding anywhere, and nothing that is scored is padding. Where the spans lie is a hash of
(seed, number of the sequence, place), the same on any worker, and another one whenever the text comes again.

    SpanSequences(packed, SpanCorruption(), Sentinels.of(tokenizer), start=0)[7]["labels"]

Source: Raffel et al., Exploring the limits of transfer learning (JMLR 2020), section 3.1.4, and
`random_spans_noise_mask` of its code. As there, a sequence begins with text and ends with a hidden span, and all ways
to divide text and spans are equally likely.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from lingraft.augment.operators import IGNORED, uniform
from lingraft.augment.packing import Item, Mixed, PackedSequences
from lingraft.config import Config
from lingraft.errors import LingraftError


class SpanCorruption(Config):
    """How much of a text is hidden, and in spans of which length. The defaults are T5's."""

    density: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the tokens that are hidden."""

    mean_span: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0
    """Mean length of a hidden span, in tokens."""

    def hidden(self, length: int) -> tuple[int, int]:
        """Return how many of `length` tokens are hidden, and in how many spans; none of fewer than two tokens."""
        tokens = min(max(round(length * self.density), 1), max(length - 1, 0))
        spans = min(max(round(tokens / self.mean_span), 1), tokens, length - tokens)
        return tokens, spans

    def lengths(self, length: int) -> tuple[int, int]:
        """Return the lengths of the inputs and of the targets of `length` tokens, their closing tokens included."""
        tokens, spans = self.hidden(length)
        return length - tokens + spans + 1, tokens + spans + 1

    def raw_length(self, length: int) -> int:
        """Return how many tokens of text make inputs of exactly `length` tokens, at least 3: the most that do.

        Source: `random_spans_helper` of T5's code.
        """
        raw = length - 1
        while self.lengths(raw + 1)[0] <= length:
            raw += 1
        return raw


@dataclass(frozen=True)
class Sentinels:
    """The tokens that stand for hidden spans, and the one that closes inputs and targets."""

    ids: np.ndarray
    """Ids of <extra_id_0>, <extra_id_1> ..., in this order: T5's fall, mT5's and ByT5's need not."""

    eos: int

    @classmethod
    def of(cls, tokenizer: Any) -> Self:
        """Return those of a tokenizer, found by their text. LingraftError when it has none, or no end token."""
        known = tokenizer.get_vocab()
        ids: list[int] = []
        while (token := known.get(f"<extra_id_{len(ids)}>")) is not None:
            ids.append(token)
        for missing, what in ((not ids, "<extra_id_0>"), (tokenizer.eos_token_id is None, "end token")):
            if missing:
                raise LingraftError(
                    f"the tokenizer of {tokenizer.name_or_path} has no {what}",
                    "Span corruption puts <extra_id_0>, <extra_id_1> ... in place of what it hides, and closes with an"
                    " end token.",
                    "Choose a model of the T5, mT5 or ByT5 family; leave out spans to train one of another kind.",
                )
        return cls(np.array(ids, np.int64), tokenizer.eos_token_id)


def noise_mask(length: int, spans: SpanCorruption, *, seed: int, index: int) -> np.ndarray:
    """Return which tokens of sequence `index` are hidden: bools of shape (length,)."""
    return noise_masks(length, spans, seed=seed, indices=[index])[0]


def noise_masks(length: int, spans: SpanCorruption, *, seed: int, indices: Sequence[int]) -> np.ndarray:
    """Return which tokens of the sequences `indices` are hidden: bools of shape (batch, length)."""
    tokens, number = spans.hidden(length)
    index = np.asarray(indices, np.int64)[:, None]
    if number == 0:
        return np.zeros((len(index), length), bool)
    sizes = np.empty((len(index), 2 * number), np.int64)  # text, span, text, span ...
    sizes[:, ::2] = _divided(length - tokens, number, seed, index, 0)
    sizes[:, 1::2] = _divided(tokens, number, seed, index, 1)
    is_span = np.tile(np.array([False, True]), len(index) * number)
    return np.repeat(is_span, sizes.ravel()).reshape(-1, length)


def _divided(total: int, parts: int, seed: int, index: np.ndarray, which: int) -> np.ndarray:
    """Divide `total` into `parts` of at least 1, each division as likely as any other: (batch, parts)."""
    cuts = np.empty((len(index), parts + 1), np.int64)
    cuts[:, 0], cuts[:, -1] = 0, total
    if parts > 1:
        draws = uniform(seed, index, np.arange(1, total), which)
        cuts[:, 1:-1] = np.sort(np.argpartition(draws, parts - 2, axis=1)[:, : parts - 1], axis=1) + 1
    return np.diff(cuts, axis=1)


def corrupt(ids: np.ndarray, mask: np.ndarray, sentinels: Sentinels) -> tuple[np.ndarray, np.ndarray]:
    """Return (inputs, targets) of the tokens `ids`, of which those under `mask` are hidden; all of shape (length,).

    Any mask will do, also one that begins with a span. LingraftError for more spans than there are sentinels.
    """
    inputs, targets = _corrupted(ids[None], mask[None], sentinels, ids[None])
    return np.append(inputs, inputs.dtype.type(sentinels.eos)), np.append(targets, targets.dtype.type(sentinels.eos))


def _corrupted(
    ids: np.ndarray, mask: np.ndarray, sentinels: Sentinels, told: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat inputs and targets of a batch, not closed; the targets hold what `told` has under the mask."""
    begins = mask.copy()
    begins[:, 1:] &= ~mask[:, :-1]
    ordinal = np.cumsum(begins, axis=1)
    most = int(ordinal[:, -1].max()) if ids.size else 0
    if most > len(sentinels.ids):
        raise LingraftError(
            f"{most} spans are hidden in one sequence, but the tokenizer has {len(sentinels.ids)} sentinels",
            "Each span leaves one of its own behind.",
            "Choose shorter sequences, a lower spans.density, or a longer spans.mean_span.",
        )
    sentinel = sentinels.ids[ordinal[begins] - 1]
    inputs = ids.copy()
    inputs[begins] = sentinel
    inputs = inputs[begins | ~mask]
    first = begins[mask]  # of the hidden tokens, those before which a sentinel goes
    place = np.arange(len(first)) + np.cumsum(first)
    targets = np.empty(len(first) + len(sentinel), told.dtype)
    targets[place] = told[mask]
    targets[place[first] - 1] = sentinel
    return inputs, targets


def restore(inputs: np.ndarray, targets: np.ndarray, sentinels: Sentinels) -> np.ndarray:
    """Return the ids that `corrupt` made into `inputs` and `targets`; they must hold no sentinel of their own.

    LingraftError when the two do not name the same sentinels in the same order.
    """
    inputs, targets = inputs[:-1], targets[:-1]
    gaps, marks = (np.flatnonzero(np.isin(part, sentinels.ids)) for part in (inputs, targets))
    if not np.array_equal(inputs[gaps], targets[marks]):
        raise LingraftError(
            f"inputs with {len(gaps)} sentinels and targets with {len(marks)} do not belong together",
            "Both have to name the same ones in the same order.",
        )
    before, *after = np.split(inputs, gaps)
    _, *hidden = np.split(targets, marks)
    pairs = zip(hidden, after, strict=True)
    return np.concatenate([before, *(part[1:] for pair in pairs for part in pair)])


class SpanSequences:
    """Sequences with spans hidden, as an encoder-decoder model is trained: {input_ids, decoder_input_ids, labels}.

    `sequences` is a map-style dataset of items {input_ids, labels} (packing.py) of one length, best one of
    `SpanCorruption.raw_length`. Names and tags are hidden like all else; a hidden token that has no label (a tag, or
    what `Insertion.scored` leaves out) is read by the decoder, but not scored. `start` is what the decoder reads first.
    """

    def __init__(
        self,
        sequences: PackedSequences | Mixed,
        spans: SpanCorruption,
        sentinels: Sentinels,
        *,
        start: int,
        seed: int = 0,
    ):
        self.sequences, self.spans, self.sentinels, self.start, self.seed = sequences, spans, sentinels, start, seed

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> Item:
        """Return item `index`. IndexError past the end."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Return several items at once, as torch's loader asks for a batch."""
        items = self.sequences.__getitems__(indices)
        ids, labels = (np.stack([item[name] for item in items]) for name in ("input_ids", "labels"))
        mask = noise_masks(ids.shape[1], self.spans, seed=self.seed, indices=indices)
        inputs, targets = _corrupted(ids, mask, self.sentinels, ids)
        batch = {"input_ids": self._closed(inputs, len(ids)), "labels": self._closed(targets, len(ids))}
        batch["decoder_input_ids"] = np.roll(batch["labels"], 1, axis=1)
        batch["decoder_input_ids"][:, 0] = self.start
        if (labels[mask] == IGNORED).any():
            batch["labels"] = self._closed(_corrupted(ids, mask, self.sentinels, labels)[1], len(ids))
        return [{name: values[place] for name, values in batch.items()} for place in range(len(items))]

    def _closed(self, flat: np.ndarray, batch: int) -> np.ndarray:
        """Return rows of one length, each closed by the end token."""
        rows = flat.reshape(batch, -1)
        return np.concatenate([rows, np.full((batch, 1), self.sentinels.eos, rows.dtype)], axis=1)
