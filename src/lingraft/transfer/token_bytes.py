"""Which bytes of a text each of its tokens stands for: what makes scores comparable across tokenizers.

A token owns the bytes from the end of the token before it to its own end, so the bytes of all tokens of a line add up
to its UTF-8 bytes, also where a normalizer drops blanks or an unknown stretch becomes one token. Tokens that end at the
same character, as the pieces of an emoji do, share its bytes evenly, unless the tokenizer is a byte-level BPE: there
each token says itself how many bytes it is.

    TokenBytes(tokenizer).encode(["ab 😀"])[0]    # (ids, bytes), both (tokens,)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lingraft.errors import LingraftError


class TokenBytes:
    """Encodes texts with one tokenizer, and tells the bytes of each token."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.own_lengths = _own_lengths(tokenizer) if tokenizer.is_fast else None

    def encode(self, texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each text its token ids and the bytes that each owns, int32 (tokens,), without special tokens.

        Raises LingraftError for a tokenizer that neither is a fast one nor makes one token of each byte (ByT5 does).
        """
        if not self.tokenizer.is_fast:
            return [self._of_bytes(text) for text in texts]
        found = self.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        encoded = []
        for text, ids, offsets in zip(texts, found["input_ids"], found["offset_mapping"], strict=True):
            ids = np.array(ids, np.int32)
            own = None if self.own_lengths is None else self.own_lengths[ids]
            if own is None or own.sum() != len(text.encode()):  # a normalizer may have changed the text
                own = owned_bytes(text, np.array([end for _, end in offsets], np.int64))
            encoded.append((ids, own))
        return encoded

    def _of_bytes(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        ids = np.array(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"], np.int32)
        is_plain = set(self.tokenizer.all_special_ids).isdisjoint(ids.tolist())
        if is_plain and len(ids) != len(text.encode()):
            raise LingraftError(
                f"the tokenizer of {self.tokenizer.name_or_path} ({type(self.tokenizer).__name__}) is not a fast one",
                "It does not say which characters a token covers, so no bytes can be counted.",
                "Choose a model whose folder holds a tokenizer.json, or one that reads bytes, as ByT5 does.",
            )
        return ids, np.ones(len(ids), np.int32)


def _own_lengths(tokenizer: Any) -> np.ndarray | None:
    """Return the bytes of each token of a byte-level BPE, whose tokens are spelled a letter a byte; else None."""
    from tokenizers.pre_tokenizers import ByteLevel

    known = tokenizer.get_vocab()
    if not known.keys() >= set(ByteLevel.alphabet()):
        return None
    lengths = np.zeros(max(known.values()) + 1, np.int32)
    for token, number in known.items():
        lengths[number] = len(token)
    return lengths


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
