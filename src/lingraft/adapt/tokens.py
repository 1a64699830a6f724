"""The two tags as tokens of a model: new rows, each the mean of the old ones, in the input and in the output."""

from typing import Any

from lingraft.augment.operators import TagIds
from lingraft.augment.tokenizer import CLOSE_TAG, OPEN_TAG


def add_tags(tokenizer: Any, model: Any, *, pad_to_multiple_of: int | None = None) -> TagIds:
    """Add <translate> and </translate> to a tokenizer and its model; return their ids.

    Tags that both know already keep their ids and rows. New rows are the mean of the vocabulary's old rows, also those
    of an untied output layer and its bias: left to `resize_token_embeddings` they would be drawn at random, or stay
    untouched in the output (METHODS.md 1, defects).
    """
    import torch

    known = tokenizer.get_vocab()
    old = len(tokenizer)
    tokenizer.add_tokens([OPEN_TAG, CLOSE_TAG], special_tokens=True)
    tags = TagIds(*tokenizer.convert_tokens_to_ids([OPEN_TAG, CLOSE_TAG]))
    rows = model.get_input_embeddings().weight.shape[0]
    new = [tag for tag, text in zip(tags, (OPEN_TAG, CLOSE_TAG), strict=True) if text not in known or tag >= rows]
    if not new:
        return tags
    if max(new) >= rows:
        model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=pad_to_multiple_of, mean_resizing=False)
    vocabulary = min(old, rows) - sum(tag < min(old, rows) for tag in new)
    output = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight]
    if output is not None and output.weight is not tables[0]:
        tables.append(output.weight)
    if output is not None and getattr(output, "bias", None) is not None:
        tables.append(output.bias)
    with torch.no_grad():
        for table in tables:
            table[new] = table[:vocabulary].float().mean(dim=0).to(table.dtype)
    return tags
