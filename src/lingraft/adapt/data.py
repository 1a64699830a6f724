"""The data of a training: each source's sequences, mixed by their shares, hidden where asked, as batches of tensors.

Everything is checked against the model first. Sequence k of the training is a function of the config and k alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lingraft.adapt.attention import arrangement, first_position
from lingraft.adapt.settings import Source, TrainConfig
from lingraft.adapt.tokens import num_rows
from lingraft.augment.masking import FRAME, MaskedSequences, MaskTokens, end_of
from lingraft.augment.operators import TagIds, mixed
from lingraft.augment.packing import Mixed, PackedSequences
from lingraft.augment.span_corruption import Sentinels, SpanSequences
from lingraft.augment.tokenizer import fingerprint
from lingraft.errors import LingraftError
from lingraft.runs import read_manifest

Batch = dict[str, Any]
Sequences = Mixed | MaskedSequences | SpanSequences


@dataclass(frozen=True)
class Data:
    """The sequences of a training, how they become batches, and how often each source is read."""

    sequences: Sequences
    """Map-style dataset of items {input_ids, labels, ...}, each of shape (length,); of spans the labels are shorter."""

    collate: Callable[[list[dict[str, Any]]], Batch]
    """Makes one batch of some items; tensors of shape (batch, length), and what the model's attention needs."""

    sources: list[dict[str, Any]]
    """One row a source: encoded, share, sequences, tokens (of the corpus, without names), padding (tokens), epochs."""

    @property
    def counters(self) -> dict[str, float]:
        """How often the sources are read (`epochs` of the first, `epochs_2` of the second ...), and the padding."""
        read = {f"epochs_{n}" if n > 1 else "epochs": row["epochs"] for n, row in enumerate(self.sources, 1)}
        repeated = sum(row["epochs"] > 1 for row in self.sources)
        return read | {"sources_repeated": repeated, "padding": sum(row["padding"] for row in self.sources)}

    @property
    def notes(self) -> list[str]:
        """One line for each source that is read more than once, or not at all."""
        repeated = [
            f"{row['encoded']} ({row['tokens']:,} tokens) is read {row['epochs']:.2f} times: the training asks for "
            "more tokens than it has"
            for row in self.sources
            if row["epochs"] > 1
        ]
        unread = [
            f"{row['encoded']} gives no sequence: its share of {row['share']} is too small for this training"
            for row in self.sources
            if row["sequences"] == 0
        ]
        return repeated + unread


def training_data(config: TrainConfig, model: Any, tokenizer: Any, tags: TagIds | None, number: int) -> Data:
    """Return the `number` sequences that `config` trains on. `tags` are the ids of the tags, where any source has them.

    Call `check_fit` first, while the tokenizer is still the one that the sources were encoded with.
    """
    seeds = [config.training.seed]  # one each: a text that comes twice comes in another order, with other draws
    seeds += [int(mixed(config.training.seed, place)[0] >> 1) for place in range(1, len(config.sources))]
    parts = [
        packed(source, config, tokenizer, tags, number, seed)
        for source, seed in zip(config.sources, seeds, strict=True)
    ]
    tokens = [read_manifest(source.encoded)["counters"]["tokens"] for source in config.sources]
    shares = _shares(config, tokens)
    mix = Mixed(list(zip(parts, shares, strict=True)), number)
    rows = [
        {
            "encoded": str(source.encoded),
            "share": round(share, 4),
            "sequences": taken,
            "tokens": size,
            "padding": part.padding(taken),
            "epochs": round(part.epochs(taken), 4),
        }
        for source, part, share, size, taken in zip(config.sources, parts, shares, tokens, mix.taken(), strict=True)
    ]
    return Data(as_read(mix, config, model, tokenizer), collator(config, model), rows)


def _shares(config: TrainConfig, tokens: list[int]) -> list[float]:
    """Return the share of each source, together 1: by weights, else by tokens to the power of the temperature."""
    weights = [
        float(size**config.temperature) if source.weight is None else source.weight
        for source, size in zip(config.sources, tokens, strict=True)
    ]
    return [weight / sum(weights) for weight in weights]


def packed(
    source: Source, config: TrainConfig, tokenizer: Any, tags: TagIds | None, number: int, seed: int
) -> PackedSequences:
    """Return the sequences of one source, with what masking and the borders of documents need besides."""
    how, masked = config.training, config.masking is not None
    extra = (["documents"] if masked or how.separate_documents else []) + (["kinds"] if masked else [])
    return PackedSequences(
        source.encoded,
        source.insertion,
        _tokens_of_text(config),
        number,
        eos_id=end_of(tokenizer) if masked else tokenizer.eos_token_id,
        tag_ids=tags,
        seed=seed,
        packing=how.packing,
        pad_id=tokenizer.pad_token_id,
        extra=extra,
    )


def _tokens_of_text(config: TrainConfig) -> int:
    """Return how many tokens of a source make one sequence of `length`."""
    if config.masking is not None:
        return config.training.length - FRAME
    return config.training.length if config.spans is None else config.spans.raw_length(config.training.length)


def as_read(sequences: Mixed, config: TrainConfig, model: Any, tokenizer: Any) -> Sequences:
    """Return the sequences as the model reads them: with tokens or spans hidden, where it is not a causal one."""
    seed = config.training.seed
    if config.masking is not None:
        return MaskedSequences(sequences, config.masking, MaskTokens.of(tokenizer), seed)
    if config.spans is not None:
        start = model.config.decoder_start_token_id
        return SpanSequences(sequences, config.spans, Sentinels.of(tokenizer), start=start, seed=seed)
    return sequences


def collator(config: TrainConfig, model: Any) -> Callable[[list[dict[str, Any]]], Batch]:
    """Return what makes a batch of some items. LingraftError when the model can't keep documents apart."""
    arrange = arrangement(model, masked=config.masking is not None, separate=config.training.separate_documents)
    return Collator(arrange)


@dataclass(frozen=True)
class Collator:
    """Stacks sequences to tensors of shape (batch, length), and arranges what attention needs."""

    arrange: Callable[[Batch], Batch] | None

    def __call__(self, items: list[dict[str, Any]]) -> Batch:
        import numpy as np
        import torch

        batch = {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}
        return batch if self.arrange is None else self.arrange(batch)


def check_fit(config: TrainConfig, model: Any, tokenizer: Any) -> None:
    """Raise LingraftError unless all sources were encoded with the model's tokenizer and the model reads `length`."""
    for source in config.sources:
        held = read_manifest(source.encoded, "augment")
        if held["tokenizer"]["fingerprint"] != fingerprint(tokenizer):
            raise LingraftError(
                f"{source.encoded} was encoded with another tokenizer than that of {config.model}",
                f"It was encoded for {held['config']['model']}; its token ids mean other words to this model.",
                f"Encode the corpus again with: lingraft augment --model {config.model}",
            )
    if config.masking is not None:
        MaskTokens.of(tokenizer)
    elif config.spans is not None:
        _check_sentinels(config, model, tokenizer)
    elif tokenizer.eos_token_id is None:
        raise LingraftError(
            f"the tokenizer of {config.model} has no end-of-text token",
            "Each document is closed with one.",
            "Set eos_token in the model's tokenizer_config.json.",
        )
    collator(config, model)
    length, positions = config.training.length, getattr(model.config, "max_position_embeddings", None)
    positions = None if positions is None else positions - first_position(model.config)
    if positions is not None and positions < length:
        raise LingraftError(
            f"training.length is {length}, but {config.model} reads at most {positions} tokens",
            "That follows from max_position_embeddings in its config.json.",
            f"Say --set train.length={positions} or less.",
        )


def _check_sentinels(config: TrainConfig, model: Any, tokenizer: Any) -> None:
    """Raise LingraftError unless the model has a row for each sentinel, and a sequence gets no more than there are."""
    sentinels, rows = Sentinels.of(tokenizer), num_rows(model)
    if model.config.decoder_start_token_id is None:
        raise LingraftError(
            f"{config.model} does not say what its decoder reads first",
            "There is no decoder_start_token_id in its config.json.",
            "Set it there; T5's is the id of the padding token.",
        )
    if sentinels.ids.max() >= rows:
        raise LingraftError(
            f"the sentinels of {config.model} reach up to id {sentinels.ids.max():,}, but it has {rows:,} embeddings",
            "Tokenizer and model do not belong together.",
            "Take both from one model, or give it rows with model.resize_token_embeddings.",
        )
    length = config.training.length
    number = config.spans.hidden(config.spans.raw_length(length))[1]
    if number > len(sentinels.ids):
        raise LingraftError(
            f"sequences of {length} tokens have {number} hidden spans, but {config.model} has {len(sentinels.ids)} "
            "sentinels",
            "Each span leaves one of its own behind.",
            "Choose a smaller train.length, a lower spans.density, or a longer spans.mean_span.",
        )
