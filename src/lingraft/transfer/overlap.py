"""How much of what a recipient's text is made of, a donor's text has too: in tokens of a model, or in words.

For the units (types) A of a donor's text and B of a recipient's, with counts c, shares p of the donor and q of the
recipient:

    recall     |A & B| / |B|                                   Protasov et al. 2024, "token overlap"
    jaccard    |A & B| / |A | B|
    langrank   |A & B| / (|A| + |B|)                           Lin et al. 2019, ACL
    coverage   sum of c_B over A & B / sum of c_B              the share of the recipient's text, not of its types
    jsd        Jensen-Shannon divergence of p and q, base 2    0: the same text, 1: nothing in common

All but the last grow with the donor's text, whatever its language: the published matrix has r = .80 between overlap
and size. So each is also taken of texts cut to one size. Donors are cut to the smallest donor, since a longer text has
more types; recipients to the smallest recipient, since rare types, which no donor has, come with length. Lines are
taken in an order that (seed, language, key of the line) gives, until the size is reached, the last one in part.
The language is in it so that of parallel texts not the same verses are taken: that would be shared content.

    counts = count(lines, token_units(tokenizer), seed=0, language="quc")
    overlaps(donors, recipients)["recall"]       # (donors, recipients)

Comparing 158 donors of 134,000 types with 31 recipients takes 4 s of CPU (benchmarks/transfer_features.py); what takes
long is to tokenize.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lingraft.transfer.corpora import Line

MEASURES = ("recall", "jaccard", "langrank", "coverage", "jsd")

Units = Callable[[list[str]], list[list[int]]]
"""Texts to the ids of the units that each is made of."""

_LINES = 512  # tokenized at once
_BLOCK = 1 << 14  # units compared at once


def token_units(tokenizer: Any) -> Units:
    """Return the tokens of a Hugging Face tokenizer as units, without the special tokens that it would add."""
    return lambda texts: tokenizer(texts, add_special_tokens=False)["input_ids"]


def word_units() -> Units:
    """Return words as units: runs of letters, marks and digits, in lower case (NFC), with apostrophes inside of them.

    In scripts that are written without spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) every character
    with its marks is a word. Ids are given in the order in which words are first met.
    """
    import regex

    unspaced = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=Complex_Context}"
    letter = rf"[\p{{L}}\p{{M}}\p{{N}}--[{unspaced}]]"
    word = regex.compile(rf"(?V1)[{unspaced}]\p{{M}}*|{letter}+(?:['’]{letter}+)*")
    ids: dict[str, int] = {}

    def units(texts: list[str]) -> list[list[int]]:
        plain = (unicodedata.normalize("NFC", text).lower() for text in texts)
        return [[ids.setdefault(found, len(ids)) for found in word.findall(text)] for text in plain]

    return units


@dataclass(frozen=True)
class Counts:
    """How often each unit occurs in a text, and how its lines can be drawn."""

    units: np.ndarray
    """(types,) int64: ids of the units that occur, ascending."""
    times: np.ndarray
    """(types,) int64: how often each does."""
    lengths: np.ndarray
    """(lines,) int32: units of each line."""
    ranks: np.ndarray
    """(lines,) uint64: lines are taken from the smallest on."""
    num_bytes: int
    """Of the text in UTF-8."""

    @property
    def total(self) -> int:
        """Units of the whole text."""
        return int(self.times.sum())


def count(lines: Iterable["Line"], units: Units, *, seed: int, language: str) -> Counts:
    """Count the units of a text, read once; only a length and a rank of each line are held."""
    totals = np.zeros(0, np.int64)
    lengths: list[int] = []
    ranks: list[int] = []
    num_bytes = 0
    lines = iter(lines)
    while batch := list(islice(lines, _LINES)):
        found = units([line.text for line in batch])
        totals = _add(totals, found)
        lengths += map(len, found)
        ranks += (_rank(f"{seed}\t{language}\t{line.key}") for line in batch)
        num_bytes += sum(len(line.text.encode(errors="replace")) for line in batch)
    return _counts(totals, lengths, ranks, num_bytes)


def cut(lines: Iterable["Line"], whole: Counts, units: Units, size: int) -> Counts:
    """Count `size` units of a text of which `whole` are the counts; `lines` are the same lines, read again.

    Only the lines that are taken are tokenized. The text must have `size` units.
    """
    order = np.argsort(whole.ranks, kind="stable")
    before = np.cumsum(whole.lengths[order]) - whole.lengths[order]
    left = {int(line): int(size - begin) for line, begin in zip(order, before, strict=True) if begin < size}
    totals = np.zeros(0, np.int64)
    chosen = ((index, line.text) for index, line in enumerate(lines) if index in left)
    num_bytes = 0
    while batch := list(islice(chosen, _LINES)):
        found = units([text for _, text in batch])
        totals = _add(totals, [ids[: left[index]] for (index, _), ids in zip(batch, found, strict=True)])
        num_bytes += sum(len(text.encode(errors="replace")) for _, text in batch)
    return _counts(totals, [], [], num_bytes)


def overlaps(donors: Sequence[Counts], recipients: Sequence[Counts]) -> dict[str, np.ndarray]:
    """Return every measure of every pair, MEASURES -> (donors, recipients); NaN where a text has no units.

    All texts are counted by the same units. They are compared in dense blocks of units, those of the recipients only:
    what no recipient has counts in a donor's size alone.
    """
    types = [np.array([len(text.units) for text in side], float) for side in (donors, recipients)]
    totals = [np.array([max(text.total, 1) for text in side], float) for side in (donors, recipients)]
    shared, covered, divergence = np.zeros((3, len(donors), len(recipients)))
    for start in range(0, max((text.units[-1] + 1 for text in recipients if text.total), default=0), _BLOCK):
        theirs = _dense(recipients, start)
        used = theirs.any(axis=0)
        theirs, ours = theirs[:, used], _dense(donors, start)[:, used]
        present = (ours > 0).astype(float)
        shared += present @ (theirs > 0).astype(float).T
        covered += present @ theirs.T
        divergence += _divergence(ours / totals[0][:, None], theirs / totals[1][:, None])
    both = types[0][:, None] + types[1]
    with np.errstate(invalid="ignore"):
        found = {
            "recall": shared / types[1],
            "jaccard": shared / (both - shared),
            "langrank": shared / both,
            "coverage": covered / totals[1],
            "jsd": np.clip(1 + divergence / 2, 0.0, 1.0),
        }
    empty = (types[0] == 0)[:, None] | (types[1] == 0)
    return {name: np.where(empty, np.nan, values) for name, values in found.items()}


def _dense(texts: Sequence[Counts], start: int) -> np.ndarray:
    """Return the counts of a block of units, (texts, _BLOCK)."""
    found = np.zeros((len(texts), _BLOCK))
    for row, text in enumerate(texts):
        inside = slice(*np.searchsorted(text.units, [start, start + _BLOCK]))
        found[row, text.units[inside] - start] = text.times[inside]
    return found


def _divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the sum of p log2 p + q log2 q - (p + q) log2 (p + q) over some units, for shares (D, n) and (R, n).

    Over all units it is twice the Jensen-Shannon divergence less 2. A unit that the recipient lacks adds 0.
    """
    found = _plogp(p) @ (q > 0).astype(float).T + _plogp(q).sum(axis=1)
    for row, shares in enumerate(q):
        units = np.flatnonzero(shares)
        mixed = p[:, units] + shares[units]
        found[:, row] -= np.einsum("du,du->d", mixed, np.log2(mixed))
    return found


def _plogp(shares: np.ndarray) -> np.ndarray:
    return shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))


def _add(totals: np.ndarray, found: Sequence[Sequence[int]]) -> np.ndarray:
    """Add the ids of some lines to the totals by id, which grow as far as the ids go."""
    ids = np.fromiter((unit for line in found for unit in line), np.int64)
    added = np.bincount(ids, minlength=len(totals))
    added[: len(totals)] += totals
    return added


def _counts(totals: np.ndarray, lengths: Sequence[int], ranks: Sequence[int], num_bytes: int) -> Counts:
    units = np.flatnonzero(totals)
    return Counts(units, totals[units], np.array(lengths, np.int32), np.array(ranks, np.uint64), num_bytes)


def _rank(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "little")
