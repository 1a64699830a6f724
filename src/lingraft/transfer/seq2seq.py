"""Encoder-decoder models (T5, mT5, ByT5), loaded with their tokenizers: for scoring spans, and for translation."""

from typing import Any, NamedTuple

from lingraft.augment.tokenizer import cannot_load
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models


class Loaded(NamedTuple):
    """A model and its tokenizer."""

    model: Any
    tokenizer: Any


def check(name: str, *, needed_by: str) -> None:
    """Raise LingraftError when a folder or hub name has no encoder-decoder model; `needed_by` asks for one."""
    models.check(name)
    from transformers import AutoConfig

    try:
        kind = AutoConfig.from_pretrained(name)
    except Exception as error:  # transformers raises whatever its parsers and the network raise
        raise cannot_load(name, "configuration", error) from error
    if not kind.is_encoder_decoder:
        raise LingraftError(
            f"{name} has no encoder and decoder: it is a {kind.model_type}",
            f"{needed_by} needs a model that reads one text and writes another.",
            "Give a model of the T5, mT5 or ByT5 family; donors of such a kind come from a matrix of objective spans.",
        )


def load(name: str, device: str, dtype: str = "float32", *, needed_by: str) -> Loaded:
    """Load an encoder-decoder model of a folder or of the hub onto a device, ready to be asked.

    Raises LingraftError when it cannot be loaded, is of another kind, or would get random weights.
    """
    check(name, needed_by=needed_by)
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours is the only bar
    part = "tokenizer"
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        part = "weights"
        model, found = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=dtype, output_loading_info=True)
    except Exception as error:  # as above
        raise cannot_load(name, part, error) from error
    if missing := sorted(found["missing_keys"]):
        raise LingraftError(
            f"the weights of {name} are not those of an encoder-decoder model",
            f"It lacks {len(missing)} of them, such as {', '.join(missing[:3])}: they would be random.",
            "Give the folder of a whole model, not of an encoder.",
        )
    return Loaded(model.to(place_of(device)).eval(), tokenizer)


def place_of(device: str) -> str:
    """Return torch's name of a device; `auto` is a GPU if there is one."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
