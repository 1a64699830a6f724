"""Titles of one wiki: their normal form, and the index from title to entity that worker processes share.

The index is one Arrow file, memory-mapped: rows sorted by a 64-bit hash of the title, so a look-up is a binary search
over the hashes and one comparison of strings. Nothing is loaded, and processes share the pages of the file. A title
that redirects points to its final row.

Titles are hashed and looked up as Arrow columns, never one by one. Figures for 20 million titles: benchmarks/titles.py.
The index is written by `title_writer`.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.errors import LingraftError
from lingraft.wikimedia.siteinfo import Site

VERSION = b"2"
"""Of the index's hashes; it stands in the file's metadata under `lingraft.titles`."""

NO_ENTITY = 0
"""What the index holds for a title without an entity; Q0 does not exist."""

_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e]")
_DOTTED_I = frozenset(["tr", "az", "kaa"])
_MAX_TITLE_BYTES = 255

_LETTERS = (  # which stay themselves under NFC, whatever of them stands beside
    r"!-$&-^`-~\x{C0}-\x{24F}\x{386}\x{388}-\x{3CE}\x{400}-\x{481}\x{48A}-\x{52F}\x{5D0}-\x{5EA}\x{621}-\x{64A}"
    r"\x{2013}\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{30FC}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}"
)
_FIRST_LETTERS = (  # which are capitals, or have none
    r"0-9A-Z\x{C0}-\x{D6}\x{D8}-\x{DE}\x{391}-\x{3A1}\x{3A3}-\x{3AB}\x{410}-\x{42F}\x{5D0}-\x{5EA}\x{621}-\x{64A}"
    r"\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}"
)
_NORMAL = f"^[{_FIRST_LETTERS}](?: ?[{_LETTERS}])*$"
"""Most titles as they are written, in RE2's syntax: nothing in them is for `normalise` to change."""

_HASHED_AT_ONCE = 1 << 14
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # splitmix64, Steele et al. 2014


def normalise(title: str, site: Site) -> str:
    """Return the title as MediaWiki stores it (with spaces), or "" when it cannot be one.

    Underscores and runs of white space become one space, percent-encoding is decoded, direction marks go, the form
    is NFC, and the first letter is a capital where the wiki has them. Source: MediaWiki's TitleCodec,
    https://www.mediawiki.org/wiki/Manual:Page_title.
    """
    if "%" in title and _decodes(title):
        title = unquote(title)
    is_ascii = title.isascii()
    if not is_ascii and _DIRECTION_MARKS.search(title):
        title = _DIRECTION_MARKS.sub("", title)
    if "_" in title:
        title = title.replace("_", " ")
    title = " ".join(title.split()).removeprefix(":").lstrip()
    if not is_ascii and not unicodedata.is_normalized("NFC", title):
        title = unicodedata.normalize("NFC", title)
    if not title or (len(title) > _MAX_TITLE_BYTES // 4 and len(title.encode()) > _MAX_TITLE_BYTES):
        return ""
    return capitalise(title, site.lang) if site.first_letter else title


def normalise_all(titles: pa.StringArray, normal: Callable[[str], str]) -> pa.StringArray:
    """Return the normal form of each title by `normal`, which is asked only where a title may not be normal."""
    is_normal = pc.and_(
        pc.match_substring_regex(titles, _NORMAL), pc.less_equal(pc.binary_length(titles), _MAX_TITLE_BYTES)
    )
    is_odd = pc.invert(is_normal)
    odd = [normal(title) for title in titles.filter(is_odd).to_pylist()]
    return pc.replace_with_mask(titles, is_odd, pa.array(odd, titles.type))


def _decodes(title: str) -> bool:
    try:
        unquote(title, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def capitalise(title: str, lang: str) -> str:
    """Raise the first letter as MediaWiki does: one letter for one letter, Georgian left alone, dotted İ in Turkish."""
    first = title[0]
    if first.isupper() or "\u10d0" <= first <= "\u10ff":
        return title
    if first == "i" and lang in _DOTTED_I:
        return "İ" + title[1:]
    raised = first.upper()
    return raised + title[1:] if len(raised) == 1 else title


def title_hashes(titles: Sequence[str] | pa.Array) -> np.ndarray:
    """Return the 64-bit hash of each title, shape (titles,), uint64.

    The sum of the title's mixed 8-byte words, so that columns of titles are hashed by a few operations of numpy.
    """
    column = _as_column(titles)
    hashes = np.empty(len(column), dtype=np.uint64)
    for start in range(0, len(column), _HASHED_AT_ONCE):
        hashes[start : start + _HASHED_AT_ONCE] = _hashes(column.slice(start, _HASHED_AT_ONCE))
    return hashes


def _hashes(column: pa.LargeStringArray) -> np.ndarray:
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, dtype="<i8", count=len(column) + 1, offset=8 * column.offset)
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    padded = np.zeros(offsets[-1] - offsets[0] + 8, dtype=np.uint8)
    if data is not None:
        padded[:-8] = np.frombuffer(data, dtype=np.uint8, count=len(padded) - 8, offset=offsets[0])
    word_at = np.ndarray(len(padded) - 7, dtype="<u8", buffer=padded, strides=(1,))
    num_words = lengths // 8 + 1
    ends = np.cumsum(num_words)
    firsts = ends - num_words
    positions = np.arange(ends[-1]) - np.repeat(firsts, num_words)
    words = word_at[np.repeat(starts, num_words) + 8 * positions]
    words[ends - 1] &= (np.uint64(1) << (8 * (lengths % 8)).astype(np.uint64)) - np.uint64(1)
    words += (positions + 1).astype(np.uint64) * np.uint64(_MIX[0])
    return _mixed(np.add.reduceat(_mixed(words), firsts) + lengths.astype(np.uint64))


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mix the bits of each value, in place; no two values become one."""
    for shift, factor in ((30, _MIX[1]), (27, _MIX[2])):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values


def _as_column(titles: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    if isinstance(titles, pa.ChunkedArray):
        titles = titles.combine_chunks()
    return titles.cast(pa.large_string()) if isinstance(titles, pa.Array) else pa.array(titles, pa.large_string())


@dataclass(frozen=True)
class TitleIndex:
    """Title -> final title and entity, over a memory-mapped file made by `title_writer.write_index`."""

    titles: pa.Array
    hashes: np.ndarray
    final: np.ndarray
    entities: np.ndarray
    is_page: np.ndarray

    @classmethod
    def open(cls, path: Path) -> "TitleIndex":
        """Map the index file at `path`; LingraftError when a lingraft wrote it that hashed titles in another way."""
        file = pa.ipc.open_file(pa.memory_map(str(path)))
        if (file.schema.metadata or {}).get(b"lingraft.titles") != VERSION:
            raise LingraftError(
                f"{path} is of another version of lingraft",
                "Its titles are hashed in another way, so none would be found.",
                "Build the corpus again, with --overwrite.",
            )
        batch = file.get_batch(0)
        numbers = [batch.column(name).to_numpy(zero_copy_only=True) for name in ("hash", "final", "entity", "is_page")]
        return cls(batch.column("title"), *numbers)

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, titles: Sequence[str] | pa.Array) -> np.ndarray:
        """Return the row of each (normalised) title after redirects, or -1, shape (titles,), int64."""
        asked = _as_column(titles)
        found = np.full(len(asked), -1, dtype=np.int64)
        if not len(asked) or not len(self):
            return found
        hashes = title_hashes(asked)
        in_order = np.argsort(hashes)  # one walk through the file instead of leaps to and fro
        rows = np.empty_like(found)
        rows[in_order] = np.searchsorted(self.hashes, hashes[in_order])
        open_questions = self._with_same_hash(np.arange(len(asked)), rows, hashes)
        while len(open_questions):  # more than once only where hashes collide
            candidates = rows[open_questions]
            equal = pc.equal(self.title(candidates), asked.take(pa.array(open_questions)))
            equal = equal.to_numpy(zero_copy_only=False)
            found[open_questions[equal]] = self.final[candidates[equal]]
            rows[open_questions] += 1
            open_questions = self._with_same_hash(open_questions[~equal], rows, hashes)
        return found

    def _with_same_hash(self, questions: np.ndarray, rows: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        questions = questions[rows[questions] < len(self)]
        return questions[self.hashes[rows[questions]] == hashes[questions]]

    def title(self, rows: np.ndarray) -> pa.Array:
        """Return the titles at `rows`."""
        return self.titles.take(pa.array(rows))
