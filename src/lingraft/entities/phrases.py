"""Find millions of phrases in text, on word borders, all matches, by hashes in numpy.

A phrase is looked up word by word: the hash of what stands between two borders comes from one running sum over the
text, and a binary search over the sorted hashes of all phrases and their beginnings says whether a phrase ends here and
whether a longer one goes on. So the index is a few plain columns that processes share by memory map, and a border is a
matter of script: letters of scripts with spaces hold together, elsewhere (Han, kana, Hangul, Thai, Khmer, ...) every
character may begin or end a phrase. Speed and memory beside pyahocorasick and ahocorasick_rs, whose automata are held
by each process and report matches inside words too: benchmarks/mentions.py.

A false match needs two equal 64-bit hashes; `find` does not compare strings.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

BATCH_CHARACTERS = 1 << 19
"""Text searched at once; the arrays of one search take some 60 bytes a character."""

MAX_PHRASE = 255
"""Characters of the longest phrase; a text longer than a batch is read in pieces that overlap by as much."""

SEPARATOR = "\n"
"""Stands between texts that are searched together; no phrase may hold it."""

_BASE = 0x9E3779B97F4A7C15
_SPACE, _LETTER, _MARK = 1, 2, 4
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0x19E0, 0x19FF), (0x3040, 0x30FF), (0x3100, 0x312F),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
"""Thai, Lao, Tibetan, Burmese, Khmer, kana, bopomofo, Han, Hangul (whose particles are joined to the word)."""


@dataclass(frozen=True)
class Found:
    """Matches in the order of their start, then the longest first; columns of shape (matches,)."""

    text: np.ndarray
    start: np.ndarray
    end: np.ndarray
    phrase: np.ndarray

    @classmethod
    def joined(cls, several: Sequence["Found"]) -> "Found":
        """Return the matches of several batches as one."""
        columns = [[getattr(one, name) for one in several] for name in ("text", "start", "end", "phrase")]
        return cls(*(np.concatenate([*arrays, np.empty(0, np.int64)]).astype(np.int64) for arrays in columns))


@dataclass(frozen=True)
class _Piece:
    """Text to search; matches count from `first` on, and only those that begin before `own` of its characters."""

    text: int
    offset: int
    first: int
    own: int
    string: str


@dataclass(frozen=True)
class PhraseIndex:
    """Phrases by number, over a memory-mapped file made by `write_index`."""

    hashes: np.ndarray
    phrase: np.ndarray
    goes_on: np.ndarray

    @classmethod
    def open(cls, path: Path) -> "PhraseIndex":
        """Map the index file at `path`."""
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        return cls(*(batch.column(name).to_numpy(zero_copy_only=True) for name in ("hash", "phrase", "goes_on")))

    def find(self, texts: Sequence[str]) -> Iterator[Found]:
        """Yield all matches in `texts`, batch by batch, matches inside of longer ones too; offsets are code points."""
        held: list[_Piece] = []
        size = 0
        for piece in _pieces(texts):
            if held and size + len(piece.string) > BATCH_CHARACTERS:
                yield self._find(held)
                held, size = [], 0
            held.append(piece)
            size += len(piece.string) + 1
        if held:
            yield self._find(held)

    def _find(self, pieces: Sequence[_Piece]) -> Found:
        read = _Read(SEPARATOR.join(piece.string for piece in pieces))
        open_starts = np.flatnonzero(read.border[:-1] & ~read.space)
        next_end = np.searchsorted(read.ends, open_starts, side="right")
        levels = []
        while len(open_starts):
            inside = next_end < len(read.ends)
            open_starts, next_end = open_starts[inside], next_end[inside]
            stops = read.ends[next_end]
            rows = self._rows(read.hashes(open_starts, stops))
            known = rows >= 0
            open_starts, next_end, stops, rows = (column[known] for column in (open_starts, next_end, stops, rows))
            whole = self.phrase[rows] >= 0
            levels.append((open_starts[whole], stops[whole], self.phrase[rows[whole]]))
            longer = self.goes_on[rows] > 0
            open_starts, next_end = open_starts[longer], next_end[longer] + 1
        if not levels:
            return Found.joined([])
        start, end, phrase = (np.concatenate(columns).astype(np.int64) for columns in zip(*levels, strict=True))
        order = np.lexsort((-end, start))
        start, end, phrase = start[order], end[order], phrase[order]
        begins = np.cumsum([0, *(len(piece.string) + 1 for piece in pieces)])
        place = np.searchsorted(begins, start, side="right") - 1
        start, end = start - begins[place], end - begins[place]
        text, offset, first, own = (
            np.array([getattr(piece, name) for piece in pieces])[place] for name in ("text", "offset", "first", "own")
        )
        mine = (start >= first) & (start < own)
        return Found(text[mine], (start + offset)[mine], (end + offset)[mine], phrase[mine])

    def _rows(self, hashes: np.ndarray) -> np.ndarray:
        """Return the row of each hash, -1 where it is not in the index."""
        if not len(self.hashes):
            return np.full(len(hashes), -1)
        order = np.argsort(hashes)  # sorted keys are found several times faster
        ordered = hashes[order]
        rows = np.minimum(np.searchsorted(self.hashes, ordered), len(self.hashes) - 1)
        found = np.empty(len(hashes), np.int64)
        found[order] = np.where(self.hashes[rows] == ordered, rows, -1)
        return found


def _pieces(texts: Sequence[str]) -> Iterator[_Piece]:
    """Cut texts that are longer than a batch; a piece sees the character before it and a phrase's length beyond it."""
    for place, text in enumerate(texts):
        for begin in range(0, len(text), BATCH_CHARACTERS):
            first = min(begin, 1)
            string = text[begin - first : begin + BATCH_CHARACTERS + MAX_PHRASE + 1]
            yield _Piece(place, begin - first, first, BATCH_CHARACTERS + first, string)


def write_index(path: Path, phrases: Iterable[str]) -> None:
    """Write the index of distinct `phrases`; their numbers are their places.

    Memory: some 60 bytes for each phrase and each of its beginnings. Raises ValueError for a phrase that is empty,
    longer than MAX_PHRASE, or holds SEPARATOR.
    """
    hashes, numbers = [], []
    held: list[str] = []
    size = first = 0

    def add() -> None:
        of_batch = _beginnings(held, first)
        hashes.append(of_batch[0])
        numbers.append(of_batch[1])

    for phrase in phrases:
        if not 0 < len(phrase) <= MAX_PHRASE or SEPARATOR in phrase:
            place = first + len(held)
            raise ValueError(f"phrase {place} is empty, too long, or holds a line feed: {phrase[:80]!r}")
        held.append(phrase)
        size += len(phrase) + 1
        if size > BATCH_CHARACTERS:
            add()
            first += len(held)
            held, size = [], 0
    if held:
        add()
    keys = np.concatenate([*hashes, np.empty(0, np.uint64)])
    phrase = np.concatenate([*numbers, np.empty(0, np.int32)])
    order = np.argsort(keys, kind="stable")
    keys, phrase = keys[order], phrase[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] + np.uint64(1)))
    if len(keys):
        goes_on = np.maximum.reduceat((phrase < 0).astype(np.int8), first)
        phrase = np.maximum.reduceat(phrase, first)
    else:
        goes_on = np.empty(0, np.int8)
    batch = pa.record_batch(
        [pa.array(column) for column in (keys[first], phrase, goes_on)], names=["hash", "phrase", "goes_on"]
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _beginnings(phrases: Sequence[str], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the hash of every beginning of each phrase up to a border, and the phrase's number where it is whole."""
    read = _Read(SEPARATOR.join(phrases))
    lengths = np.array([len(phrase) for phrase in phrases])
    starts = np.cumsum(lengths + 1) - lengths - 1
    last = starts + lengths
    ends = np.union1d(read.ends, last)  # a phrase may end in white space
    owner = np.searchsorted(starts, ends, side="left") - 1
    return read.hashes(starts[owner], ends), np.where(ends == last[owner], owner + first, -1).astype(np.int32)


class _Read:
    """A text as arrays: where borders are, and what gives the hash of any part of it."""

    def __init__(self, text: str):
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        kinds = _kinds()[codes]
        letter = (kinds & _LETTER) > 0
        self.space = (kinds & _SPACE) > 0
        self.border = np.ones(len(codes) + 1, bool)
        self.border[1:-1] = ~(letter[:-1] & letter[1:])
        self.border[:-1] &= (kinds & _MARK) == 0
        self.ends = np.flatnonzero(self.border[1:] & ~self.space) + 1
        powers, self._inverse = _powers(1 << max(20, len(codes).bit_length()))
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(_mixed(codes) * powers[: len(codes)], out=self._sums[1:])

    def hashes(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the hash of each part [start, end): sum of character i times BASE ** (i - start), modulo 2 ** 64."""
        return (self._sums[ends] - self._sums[starts]) * self._inverse[starts]


def _mixed(codes: np.ndarray) -> np.ndarray:
    """Give each character a random-looking number of 64 bits. Source: the finalizer of splitmix64 (Vigna 2015)."""
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@lru_cache(maxsize=1)
def _powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the powers of BASE and of its inverse, modulo 2 ** 64, shape (size,) each."""

    def powers(base: int) -> np.ndarray:
        factors = np.full(size, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors, dtype=np.uint64)

    return powers(_BASE), powers(pow(_BASE, -1, 1 << 64))


@lru_cache(maxsize=1)
def _kinds() -> np.ndarray:
    """Return what each code point is, shape (0x110000,)."""
    characters = [chr(code) for code in range(0x110000)]
    mark = np.array([category[0] == "M" for category in map(unicodedata.category, characters)])
    letter = np.array([character.isalnum() for character in characters]) | mark
    for first, last in _UNSPACED:
        letter[first : last + 1] = False
    space = np.array([character.isspace() for character in characters])
    return (space * _SPACE + letter * _LETTER + mark * _MARK).astype(np.uint8)
