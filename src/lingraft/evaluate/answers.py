"""Questions + a model -> one row an item: every choice's log-probability, the likeliest one, and whether it is right.

The score of a choice is the sum of its tokens' log-probabilities, without length normalisation, as in LEIA.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lingraft.errors import LingraftError
from lingraft.evaluate.model import quiet_lm_eval
from lingraft.evaluate.questions import Item, Questions
from lingraft.progress import Bar

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

SCHEMA = pa.schema(
    [
        ("index", pa.int32()),
        ("id", pa.string()),
        ("group", pa.string()),
        ("context", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("loglikelihoods", pa.list_(pa.float64())),
        ("prediction", pa.int16()),
        ("gold", pa.int16()),
        ("correct", pa.bool_()),
    ]
)
"""Columns of predictions/{task}.parquet. Natural logarithms; `prediction` and `gold` index `choices`."""

_CHUNK = 64
"""Batches between two steps of the progress bar: requests are sorted by length within that many."""

Encoded = tuple[list[int], list[int]]
"""Token ids of a context and of its continuation."""


def answer(questions: Questions, scorer: "HFLM", bar: Bar) -> tuple[pa.Table, dict[str, int]]:
    """Score every item; return the predictions (SCHEMA) and counters.

    Counters: items; items_with_empty_choice, left out since an empty text has no probability to compare;
    contexts_cut, the requests that lost tokens on the left because they exceed the model's length.
    Raises LingraftError when a choice alone exceeds it, and when the model gives NaN.
    """
    counters = {"items": 0, "items_with_empty_choice": 0, "contexts_cut": 0}
    rows = []
    step = max(1, _CHUNK * int(scorer.batch_size) // len(questions.items[0].requests))
    for start in range(0, len(questions.items), step):
        items = questions.items[start : start + step]
        encoded = iter(_encode([pair for item in items for pair in item.requests], scorer))
        asked = [(item, [next(encoded) for _ in item.requests]) for item in items]
        fit = [(item, pairs) for item, pairs in asked if _fits(questions.task, item, pairs, scorer, counters)]
        scores = iter(_score([pair for _, pairs in fit for pair in pairs], scorer))
        rows += [_row(questions.task, item, [next(scores) for _ in pairs]) for item, pairs in fit]
        bar.advance(len(items), questions.task)
    if not rows:
        raise LingraftError(f"task {questions.task} has no item that can be scored", f"Left out: {counters}.")
    return pa.Table.from_pylist(rows, SCHEMA), counters | {"items": len(rows)}


def _score(pairs: list[Encoded], scorer: "HFLM") -> list[float]:
    """Return the summed log-probability of each continuation.

    lm-eval's `loglikelihood` would encode the texts one by one, which takes longer than a small model's forward pass;
    this is the step behind it.
    """
    with quiet_lm_eval():
        found = scorer._loglikelihood_tokens([(None, *pair) for pair in pairs], disable_tqdm=True)
    return [logprob for logprob, _ in found]


def _encode(requests: list[tuple[str, str]], scorer: "HFLM") -> list[Encoded]:
    """Encode contexts and continuations together and cut them between two tokens, as lm-eval does.

    Whitespace at a context's end goes to the continuation, where tokenizers keep it together with the word.
    """
    pairs = []
    for context, continuation in requests:
        trimmed = context.rstrip()
        pairs.append((trimmed, context[len(trimmed) :] + continuation) if context else (context, continuation))
    special = {} if scorer.add_bos_token is None else {"add_special_tokens": scorer.add_bos_token}
    contexts = list(dict.fromkeys(context for context, _ in pairs if context))
    known = dict(zip(contexts, _ids(scorer, contexts, special), strict=True))
    follow = iter(_ids(scorer, [context + continuation for context, continuation in pairs if context], special))
    alone = [continuation for context, continuation in pairs if not context]
    bare = iter(_ids(scorer, alone, {"add_special_tokens": False}))
    return [
        (known[context], next(follow)[len(known[context]) :]) if context else ([scorer.prefix_token_id], next(bare))
        for context, _ in pairs
    ]


def _ids(scorer: "HFLM", texts: list[str], special: dict[str, bool]) -> list[list[int]]:
    if not texts:
        return []
    return scorer.tokenizer(texts, return_attention_mask=False, verbose=False, **special)["input_ids"]


def _fits(task: str, item: Item, pairs: list[Encoded], scorer: "HFLM", counters: dict[str, int]) -> bool:
    """Say whether an item can be scored; count what is left out and what the model's length will cut."""
    if not all(continuation for _, continuation in pairs):
        counters["items_with_empty_choice"] += 1
        return False
    longest = max(len(continuation) for _, continuation in pairs)
    if longest > scorer.max_length:
        raise LingraftError(
            f"item {item.id} of task {task} has a choice of {longest} tokens",
            f"The model reads {scorer.max_length}.",
            "Take a model with a longer context, or remove the item.",
        )
    counters["contexts_cut"] += sum(len(ctx) + len(continuation) > scorer.max_length + 1 for ctx, continuation in pairs)
    return True


def _row(task: str, item: Item, scores: list[float]) -> dict[str, Any]:
    if np.isnan(scores).any():
        raise LingraftError(
            f"the model gives NaN for item {item.id} of task {task}",
            "Its training diverged, or its weights overflow in this type.",
            "Try --dtype float32; if that gives NaN too, the model is damaged.",
        )
    prediction = int(np.argmax(scores))
    return {
        "index": item.index,
        "id": item.id,
        "group": item.group,
        "context": item.requests[0][0],
        "choices": item.choices,
        "loglikelihoods": scores,
        "prediction": prediction,
        "gold": item.gold,
        "correct": prediction == item.gold,
    }
