"""The model that is trained: loaded, given adapters, and written as one that loads like any other."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingraft.adapt.arguments import attention
from lingraft.adapt.card import model_card
from lingraft.adapt.settings import TrainConfig
from lingraft.adapt.training import Lora
from lingraft.augment.operators import TagIds
from lingraft.augment.tokenizer import cannot_load
from lingraft.errors import LingraftError


def load_model(config: TrainConfig) -> Any:
    """Load the model of a config in float32, with the attention that its settings and the machine allow."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours is the only bar
    kind = AutoModelForCausalLM if config.masking is None else AutoModelForMaskedLM
    kind = kind if config.spans is None else AutoModelForSeq2SeqLM
    chosen = attention(config.training)
    try:
        return kind.from_pretrained(
            config.model, dtype=torch.float32, **({"attn_implementation": chosen} if chosen else {})
        )
    except Exception as error:  # transformers raises whatever its parsers and the network raise
        if chosen and chosen in str(error):
            raise LingraftError(
                f"{config.model} has no {chosen} attention", str(error), "Set train.attention to auto or eager."
            ) from error
        raise cannot_load(config.model, "weights", error) from error


def with_adapters(model: Any, lora: Lora, tags: TagIds | None) -> Any:
    """Return the model with low-rank adapters; of the embeddings, only the rows of the tags are trained."""
    from peft import LoraConfig, get_peft_model

    rows: dict[str, list[int]] = {}
    if tags is not None:
        layers = {id(model.get_input_embeddings().weight): model.get_input_embeddings()}
        output = model.get_output_embeddings()
        if output is not None:
            layers.setdefault(id(output.weight), output)
        names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
        rows = {names[id(layer)]: list(tags) for layer in layers.values()}
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    adapters = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        use_dora=lora.dora,
        target_modules=targets,
        task_type=_task(model),
        trainable_token_indices=rows or None,
    )
    return get_peft_model(model, adapters)


def _task(model: Any) -> str | None:
    """Return what peft calls the task of a model; None where its own class would only stand in the way."""
    if not model.can_generate():
        return None
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"


def save_model(
    trainer: Any,
    weights: Mapping[str, Any] | None,
    tokenizer: Any,
    config: TrainConfig,
    facts: Mapping[str, Any],
    run: Path,
) -> None:
    """Write the final model to run/model, and an adapter to run/adapter, each all at once.

    `weights` are those of a model that is sharded over devices. `facts` stand in the model card.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    lora = config.training.lora
    if lora is not None:
        if lora.keep_adapter:
            write_folder(run / "adapter", model, tokenizer)
        model = model.merge_and_unload()
    card = model_card(config, facts)
    write_folder(run / "model", model, tokenizer, card, weights)


def write_folder(folder: Path, model: Any, tokenizer: Any, card: str = "", weights: Any = None) -> None:
    """Write a model and its tokenizer to `folder`, all at once; what was there is replaced."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    for leftover in (temporary, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(temporary, **({"state_dict": weights} if weights is not None else {}))
    tokenizer.save_pretrained(temporary)
    if card:
        (temporary / "README.md").write_text(card, encoding="utf-8")
    temporary.replace(folder)
