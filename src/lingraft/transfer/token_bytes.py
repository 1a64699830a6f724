"""Which bytes of a text each of its tokens stands for: what makes scores comparable across tokenizers.

A token owns the bytes from the end of the token before it to its own end, so the bytes of all tokens of a line add up
to its UTF-8 bytes, also where a normalizer drops blanks or an unknown stretch becomes one token. Tokens that end at the
same character, as the pieces of an emoji do, share its bytes evenly.

    encode(tokenizer, ["ab 😀"])[0]    # (ids, bytes), both (tokens,)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lingraft.errors import LingraftError


def encode(tokenizer: Any, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each text its token ids and the bytes that each owns, int32 (tokens,), without special tokens.

    Raises LingraftError for a tokenizer that neither is a fast one nor makes one token of each byte (ByT5 does).
    """
    if tokenizer.is_fast:
        found = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            (np.array(ids, np.int32), owned_bytes(text, np.array([end for _, end in offsets], np.int64)))
            for text, ids, offsets in zip(texts, found["input_ids"], found["offset_mapping"], strict=True)
        ]
    found = tokenizer(list(texts), add_special_tokens=False, verbose=False)
    encoded = [np.array(ids, np.int32) for ids in found["input_ids"]]
    for text, ids in zip(texts, encoded, strict=True):
        if len(ids) != len(text.encode()) and not set(tokenizer.all_special_ids).intersection(ids.tolist()):
            raise LingraftError(
                f"the tokenizer of {tokenizer.name_or_path} ({type(tokenizer).__name__}) is not a fast one",
                "It does not say which characters a token covers, so no bytes can be counted.",
                "Choose a model whose folder holds a tokenizer.json, or one that reads bytes, as ByT5 does.",
            )
    return [(ids, np.ones(len(ids), np.int32)) for ids in encoded]


def owned_bytes(text: str, ends: np.ndarray) -> np.ndarray:
    """Return the bytes of each token, int32 (tokens,), given where each ends in `text`, in characters, (tokens,)."""
    if not len(ends):
        return np.zeros(0, np.int32)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    widths = 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000)
    ends = np.maximum.accumulate(np.concatenate([[0], widths]).cumsum()[ends])
    ends[ends == ends[-1]] = widths.sum()  # what follows the last token, such as blanks, is its own
    _, run, size = np.unique(ends, return_inverse=True, return_counts=True)
    last = size.cumsum() - 1
    end = ends[last]
    start = np.concatenate([[0], end[:-1]])
    place = np.arange(len(ends)) - (last - size + 1)[run] + 1
    bounds = start[run] + (end - start)[run] * place // size[run]
    return np.diff(bounds, prepend=0).astype(np.int32)
