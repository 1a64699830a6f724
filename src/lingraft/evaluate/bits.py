"""Bits per byte: how well a causal language model predicts a text, comparable across tokenizers and vocabularies.

bits per byte = sum of -ln p(token) / (ln 2 x bytes of the text in UTF-8), over all tokens of all documents

Each document stands alone after EOS, and each of its tokens is scored once. Documents longer than the window are read
in windows that overlap by half, so that a token has at least half a window of context behind it, or the whole document
so far: that costs twice the computing of windows without overlap, whose first tokens would be scored almost blindly.

    rows = bits(BitsConfig(model="out/model", texts=TextSource(path=["heldout.jsonl"])), "out/bits")["scores"]
"""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from lingraft import progress, runs, statistics
from lingraft.config import Config, ModelName
from lingraft.corpus.texts import TextSource, documents
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models

if TYPE_CHECKING:
    import torch

STAGE = "bits"
_DOCUMENTS = 64  # read at once: their windows are sorted by length into batches


class BitsConfig(Config):
    """A model, and the text that it is to predict."""

    model: ModelName
    """Folder with a Hugging Face causal language model and its tokenizer, or its name on the hub."""

    texts: TextSource
    """Documents, which the model should not have been trained on."""

    window: int = Field(1024, ge=2)
    """Tokens that the model sees at once."""

    batch_size: int = Field(8, gt=0)
    """Windows computed at once; it changes the sum only by rounding."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; `auto` takes them as stored. Log-probabilities are taken in float32."""

    device: str = "auto"
    """Where the model runs: auto (a GPU if there is one), cpu, cuda, cuda:1."""

    name: str | None = None
    """The model's label in tables; its folder's name unless given."""


def bits(config: BitsConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Measure bits per byte into the run folder `out`; return the manifest, with the row in `scores`.

    Written: documents.parquet (place, bytes, tokens, nats: one row a document) and the table `bits`, with the 95%
    bootstrap interval over documents. Raises LingraftError for a model that cannot be loaded, has no EOS or has fewer
    positions than the window, for text that cannot be read, and for a loss that is not a number.
    """
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["torch", "transformers", "tokenizers"]) as run:
        if run.complete:
            return run.manifest
        with run.timed("load model"):
            model = models.load(config.model, config.dtype, config.device)
            model.require_causal("bits per byte")
        check_window(model, config.window)
        drops: Counter[str] = Counter()
        rows: list[dict[str, Any]] = []
        with run.timed("score"), progress.bar(f"bits {config.model}", None, "documents") as bar:
            stream = documents(config.texts, drops)
            while held := list(islice(stream, _DOCUMENTS)):
                texts = [document.text for document in held]
                scored = nats(model, texts, window=config.window, batch_size=config.batch_size)
                for document, (loss, tokens) in zip(held, scored, strict=True):
                    size = len(document.text.encode())
                    rows.append({"place": document.place, "bytes": size, "tokens": tokens, "nats": loss})
                bar.advance(len(held))
        with run.write("documents.parquet") as path:
            pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
        row = {"model": config.name or Path(config.model).name} | summary(rows)
        run.write_table("bits", [row], title="Bits per byte", note="95% bootstrap interval over documents.")
        counters = {name: row[name] for name in ("documents", "bytes", "tokens")}
        return run.finish(counters | drops, scores=[row])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return bits per byte with its interval, and bytes, tokens and documents, of rows {bytes, tokens, nats}."""
    losses = np.array([row["nats"] for row in rows])
    sizes = np.array([row["bytes"] for row in rows], float)

    def ratio(drawn: np.ndarray, axis: int) -> np.ndarray:
        places = drawn.astype(int)
        return losses[places].sum(axis) / (math.log(2) * sizes[places].sum(axis))

    low, high = statistics.bootstrap(np.arange(len(rows)), statistic=ratio)
    return {
        "bits_per_byte": float(losses.sum() / (math.log(2) * sizes.sum())),
        "low": low,
        "high": high,
        "documents": len(rows),
        "bytes": int(sizes.sum()),
        "tokens": sum(row["tokens"] for row in rows),
    }


def nats(model: models.LoadedModel, texts: list[str], *, window: int, batch_size: int) -> list[tuple[float, int]]:
    """Return for each text (sum of -ln p of its tokens, number of tokens), in the order of `texts`."""
    encoded = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    eos = model.tokenizer.eos_token_id
    pieces = [(index, ids, first) for index, held in enumerate(encoded) for ids, first in windows(held, window, eos)]
    pieces.sort(key=lambda piece: len(piece[1]))
    losses = np.zeros(len(texts))
    for start in range(0, len(pieces), batch_size):
        batch = pieces[start : start + batch_size]
        for (index, _, _), loss in zip(batch, _losses(model.model, batch), strict=True):
            losses[index] += loss
    if not np.isfinite(losses).all():
        raise LingraftError(
            f"{model.name} gives probabilities that are not numbers",
            "Its weights are damaged, or too large for their type.",
            "Score with dtype float32; if that fails too, the model itself is broken.",
        )
    return [(float(loss), len(ids)) for loss, ids in zip(losses, encoded, strict=True)]


def check_window(model: models.LoadedModel, window: int) -> None:
    """Raise LingraftError when the model reads fewer tokens than `window`, or has no EOS to start from."""
    positions = getattr(model.model.config, "max_position_embeddings", None)
    if positions is not None and positions < window:
        raise LingraftError(
            f"the window is {window} tokens, but {model.name} reads at most {positions}",
            "That is max_position_embeddings in its config.json.",
            f"Say window: {positions} or less.",
        )
    if model.tokenizer.eos_token_id is None:
        raise LingraftError(
            f"the tokenizer of {model.name} has no EOS token",
            "Each document is predicted from one.",
            "Name one in the model's tokenizer_config.json (eos_token).",
        )


def windows(ids: list[int], window: int, eos: int) -> Iterator[tuple[list[int], int]]:
    """Cut EOS + ids into windows; give each with the place of the first token in it that is scored there."""
    tokens = [eos, *ids]
    scored = 1
    for start in range(0, len(tokens), max(1, window // 2)):
        stop = min(start + window, len(tokens))
        if stop > scored:
            yield tokens[start:stop], scored - start
            scored = stop
        if stop == len(tokens):
            return


def _losses(model: Any, batch: list[tuple[int, list[int], int]]) -> "list[float]":
    """Return the sum of -ln p over the scored tokens of each window; padding stands behind, where nothing sees it."""
    import torch

    longest = max(len(ids) for _, ids, _ in batch)
    inputs = torch.zeros(len(batch), longest, dtype=torch.long)
    scored = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, (_, ids, first) in enumerate(batch):
        inputs[row, : len(ids)] = torch.tensor(ids)
        scored[row, first : len(ids)] = True
    inputs, scored = inputs.to(model.device), scored[:, 1:].to(model.device)
    with torch.inference_mode():
        logits = model(input_ids=inputs, use_cache=False).logits[:, :-1]
        found = token_losses(logits[scored], inputs[:, 1:][scored])
    rows = scored.nonzero()[:, 0].cpu().numpy()
    return np.bincount(rows, found.double().cpu().numpy(), minlength=len(batch)).tolist()


def token_losses(logits: "torch.Tensor", targets: "torch.Tensor", size: int = 512) -> "torch.Tensor":
    """Return -ln p of each target (tokens,), in float32, from logits (tokens, vocabulary), some at a time."""
    import torch
    from torch.nn.functional import cross_entropy

    parts = zip(logits.split(size), targets.split(size), strict=True)
    found = [cross_entropy(part.float(), target, reduction="none") for part, target in parts]
    return torch.cat(found) if found else logits.new_zeros(0)
