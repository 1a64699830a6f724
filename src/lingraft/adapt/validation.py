"""The loss on held-out corpora while a model is trained: by corpus, a mean over scored tokens, the same at each step.

Each corpus gives its first sequences, with names as its own insertion says, so plain text and text with names may stand
side by side. For plain text of a causal model the loss is also told in bits per byte, which compares across tokenizers.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.adapt.data import Data, training_data
from lingraft.adapt.settings import Source, TrainConfig
from lingraft.augment.operators import TagIds
from lingraft.runs import read_manifest


@dataclass(frozen=True)
class Held:
    """One validation corpus."""

    data: Data
    num_bytes: int | None
    """Bytes of the text whose tokens are scored; None where they do not follow from the tokens."""


class Validation:
    """The validation corpora of a training."""

    def __init__(self, config: TrainConfig, model: Any, tokenizer: Any, tags: TagIds | None):
        self.batch_size = config.training.batch_size
        self.corpora: dict[str, Held] = {}
        for name, source in zip(_names(config.validation), config.validation, strict=True):
            alone = only(config, source)
            tokens = read_manifest(source.encoded, "augment")["counters"]["tokens"]
            number = min(config.training.validation_sequences, max(1, tokens // config.training.length))
            data = training_data(alone, model, tokenizer, tags, number)
            plain = source.insertion.operation == "none" and config.masking is None and config.spans is None
            self.corpora[name] = Held(data, _bytes(data, tokenizer) if plain else None)

    def losses(self, trainer: Any) -> dict[str, dict[str, float]]:
        """Return by corpus {"loss", and where known "bits_per_byte"}, in nats a scored token and bits a byte."""
        found = {}
        for name, held in self.corpora.items():
            loss, number = self._sums(held.data, trainer)
            found[name] = {"loss": loss / number}
            if held.num_bytes:
                found[name]["bits_per_byte"] = loss / math.log(2) / held.num_bytes
        return found

    def _sums(self, data: Data, trainer: Any) -> tuple[float, int]:
        """Return the sum of the losses of all scored tokens, and their number. Each rank takes its share."""
        import torch

        accelerator, model = trainer.accelerator, trainer.model_wrapped
        ranks, rank = accelerator.num_processes, accelerator.process_index
        starts = range(0, len(data.sequences), self.batch_size)
        rounds = -(-len(starts) // ranks)  # all ranks make as many: a sharded model needs every one of them
        sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
        model.eval()
        for turn in range(rounds):
            own = turn * ranks + rank
            start = starts[min(own, len(starts) - 1)]
            indices = range(start, min(start + self.batch_size, len(data.sequences)))
            batch = trainer._prepare_inputs(data.collate([data.sequences[i] for i in indices]))
            labels = batch["labels"][..., 1:] if trainer._loss_shifts_labels else batch["labels"]
            number = labels.ne(-100).sum()
            with torch.no_grad():
                loss = _sum_of_losses(trainer, model, batch, number)
            if own < len(starts):
                sums += torch.stack([loss.double(), number.double()])
        total, number = accelerator.reduce(sums).tolist()
        return total, int(number)


def only(config: TrainConfig, source: Source) -> TrainConfig:
    """Return a config that reads one source alone."""
    training = config.training.replace(validate_every=None, patience=None, keep_best=False)
    sources = [source.replace(weight=None)]
    return config.replace(sources=sources, temperature=1.0, validation=[], training=training)


def _sum_of_losses(trainer: Any, model: Any, batch: dict[str, Any], number: Any) -> Any:
    if trainer.compute_loss_func is not None:
        labels = batch.pop("labels")
        return trainer.compute_loss_func(model(**batch), labels, 1)
    if trainer.model_accepts_loss_kwargs:
        return model(**batch, num_items_in_batch=1).loss.detach()
    return model(**batch).loss.detach() * number


def _bytes(data: Data, tokenizer: Any) -> int:
    """Return the bytes of the text of all sequences, without the first token of each, which nothing predicts."""
    texts = tokenizer.batch_decode(
        [data.sequences[i]["input_ids"][1:] for i in range(len(data.sequences))], skip_special_tokens=True
    )
    return sum(len(text.encode()) for text in texts)


def _names(sources: list[Source]) -> list[str]:
    """Return a name for each corpus: that of its folder, with a number where two have the same."""
    names: list[str] = []
    for source in sources:
        name, number = Path(source.encoded).name, 2
        while name in names:
            name, number = f"{Path(source.encoded).name} {number}", number + 1
        names.append(name)
    return names
