"""Fine-tune an encoder-decoder model on sentence pairs, and let it write: real translations, by beam search.

Padding is never a target and never read; each epoch is a permutation of all pairs by (seed, epoch), cut into batches of
like length; the last, shorter batch is trained on too. One model with one seed is one unit of work: it is small, so it
is done again when it was interrupted.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from lingraft.augment.operators import IGNORED
from lingraft.config import Config, Probability
from lingraft.errors import LingraftError
from lingraft.transfer.parallel import Sentence

Positive = Annotated[int, Field(gt=0)]
_POOL = 32  # batches whose rows are sorted by length together


class FineTuning(Config):
    """How long and how fast a model learns to translate."""

    steps: Positive = 1000
    """Optimiser steps."""

    batch_size: Positive = 16
    """Pairs of a step."""

    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Highest rate of AdamW; it rises over `warmup` and falls to zero in a line."""

    warmup: Probability = 0.1
    """Share of the steps over which the rate rises."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's weight decay."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the probability that is spread over the whole vocabulary."""

    clip: Annotated[float, Field(ge=0)] = 1.0
    """Largest norm of the gradient; 0 does not clip."""

    max_tokens: Positive = 128
    """Longest sentence in tokens, source (with its prefix) or target. Longer training pairs are left out; longer test
    sources are cut."""

    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """Precision of the arithmetic; auto takes bf16 on a GPU that has it."""


class Decoding(Config):
    """How translations are written."""

    beams: Positive = 5
    """Hypotheses that are followed at once; 1 is greedy."""

    max_tokens: Positive = 128
    """Most tokens of a translation; what reaches it is counted."""

    length_penalty: float = 1.0
    """Exponent of the length by which a hypothesis' log-probability is divided; above 1 favours longer ones."""

    no_repeat: Annotated[int, Field(ge=0)] = 0
    """Length of token sequences that may not come twice; 0 allows all. It hides what a weak model does."""

    batch_size: Positive = 32
    """Sentences at once."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of pairs, each closed by EOS."""

    sources: list[list[int]]
    targets: list[list[int]]


def encode(tokenizer: Any, pairs: Sequence[Sentence], prefix: str, max_tokens: int, counters: Counter[str]) -> Encoded:
    """Encode training pairs; `counters` gets long_pairs, which are left out."""
    sides = [
        _closed(tokenizer, texts)
        for texts in ([prefix + pair.source for pair in pairs], [pair.target for pair in pairs])
    ]
    kept = [both for both in zip(*sides, strict=True) if max(map(len, both)) <= max_tokens]
    counters["long_pairs"] += len(pairs) - len(kept)
    if not kept:
        raise LingraftError(
            f"none of {len(pairs):,} training pairs is within {max_tokens} tokens",
            cure="Set fine_tuning.max_tokens higher, or give sentences, not documents.",
        )
    return Encoded([source for source, _ in kept], [target for _, target in kept])


def fine_tune(
    model: Any,
    pairs: Encoded,
    how: FineTuning,
    *,
    seed: int,
    name: str,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Train the model in place; return the mean loss of the last tenth of the steps.

    Raises LingraftError when the loss is not a number.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import get_linear_schedule_with_warmup

    device = model.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    schedule = get_linear_schedule_with_warmup(optimizer, round(how.warmup * how.steps), how.steps)
    lengths = [len(source) + len(target) for source, target in zip(pairs.sources, pairs.targets, strict=True)]
    stream = batches(lengths, how.batch_size, seed)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.train()
        for step in range(1, how.steps + 1):
            members = next(stream)
            inputs = _padded([pairs.sources[member] for member in members], model.config.pad_token_id, device)
            labels = _padded([pairs.targets[member] for member in members], IGNORED, device)["input_ids"]
            with _precision(how.dtype, device):
                logits = model(**inputs, decoder_input_ids=_shifted(labels, model), use_cache=False).logits
            loss = cross_entropy(
                logits.float().flatten(0, 1),
                labels.flatten(),
                ignore_index=IGNORED,
                label_smoothing=how.label_smoothing,
            )
            loss.backward()
            if how.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise LingraftError(
                    f"{name}: the loss is {losses[-1]} at step {step} of fine-tuning",
                    "The rate is too high for this model, or its weights are damaged.",
                    f"Set fine_tuning.learning_rate below {how.learning_rate:g}.",
                )
            on_step(step, losses[-1])
    model.eval()
    return float(np.mean(losses[-max(1, how.steps // 10) :]))


def batches(lengths: Sequence[int], batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """Give batches of rows for ever: each epoch every row once, in an order that is a function of (seed, epoch).

    A batch holds rows of like length; a batch of an epoch may be shorter than the others.
    """
    sizes = np.asarray(lengths)
    epoch = 0
    while True:
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(sizes))
        pools = [order[start : start + _POOL * batch_size] for start in range(0, len(order), _POOL * batch_size)]
        sorted_pools = [pool[np.argsort(sizes[pool], kind="stable")] for pool in pools]
        cut = [pool[start : start + batch_size] for pool in sorted_pools for start in range(0, len(pool), batch_size)]
        for place in generator.permutation(len(cut)):
            yield cut[place]
        epoch += 1


def translate_texts(
    model: Any,
    tokenizer: Any,
    sources: Sequence[str],
    how: Decoding,
    counters: Counter[str],
    *,
    max_source: int,
    on_done: Callable[[int], None] = lambda number: None,
) -> list[str]:
    """Return the translation of each source, which begins with the prefix already.

    `counters` gets cut_sources (longer than `max_source` tokens), cut_outputs (that reached how.max_tokens without
    an end) and empty_outputs.
    """
    import torch
    from transformers import GenerationConfig

    settings = GenerationConfig(
        num_beams=how.beams,
        max_new_tokens=how.max_tokens,
        length_penalty=how.length_penalty,
        no_repeat_ngram_size=how.no_repeat,
        do_sample=False,
        decoder_start_token_id=model.config.decoder_start_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    encoded = _closed(tokenizer, sources)
    counters["cut_sources"] += sum(len(ids) > max_source for ids in encoded)
    encoded = [ids if len(ids) <= max_source else [*ids[: max_source - 1], tokenizer.eos_token_id] for ids in encoded]
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
    outputs = [""] * len(sources)
    for start in range(0, len(order), how.batch_size):
        members = order[start : start + how.batch_size]
        inputs = _padded([encoded[member] for member in members], model.config.pad_token_id, model.device)
        with torch.inference_mode():
            written = model.generate(**inputs, generation_config=settings)
        for member, ids in zip(members, written.tolist(), strict=True):
            outputs[member] = " ".join(tokenizer.decode(ids, skip_special_tokens=True).split())
            counters["cut_outputs"] += tokenizer.eos_token_id not in ids[1:]
            counters["empty_outputs"] += not outputs[member]
        on_done(len(members))
    return outputs


def _closed(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, with EOS behind them."""
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [[*ids, tokenizer.eos_token_id] for ids in encoded]


def _padded(rows: Sequence[Sequence[int]], value: int, device: Any) -> dict[str, Any]:
    """Return rows of unlike length as {input_ids, attention_mask}, (rows, longest) int64, with `value` behind them."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def _shifted(labels: Any, model: Any) -> Any:
    """Return what the decoder reads to write `labels`: the start token, then what it should have written so far."""
    read = labels.roll(1, dims=1)
    read[:, 0] = model.config.decoder_start_token_id
    return read.masked_fill(read == IGNORED, model.config.pad_token_id)


def _precision(dtype: str, device: Any) -> contextlib.AbstractContextManager[Any]:
    import torch

    fast = dtype == "bf16" or (dtype == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16) if fast else contextlib.nullcontext()
