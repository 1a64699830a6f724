"""Titles of one wiki: their normal form, and the index from title to entity that worker processes share.

The index is one Arrow file, memory-mapped: rows sorted by a 64-bit hash of the title, so a look-up is a binary search
over the hashes and one comparison of strings. Nothing is loaded, and processes share the pages of the file. A title
that redirects points to its final row.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.wikimedia.siteinfo import Site

NO_ENTITY = 0
"""What the index holds for a title without an entity; Q0 does not exist."""

_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e]")
_DOTTED_I = frozenset(["tr", "az", "kaa"])
_MAX_TITLE_BYTES = 255


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


def title_hashes(titles: Iterable[str]) -> np.ndarray:
    """Return the 64-bit hash of each title, shape (titles,), uint64."""
    return np.frombuffer(b"".join(blake2b(title.encode(), digest_size=8).digest() for title in titles), dtype="<u8")


@dataclass(frozen=True)
class TitleIndex:
    """Title -> final title and entity, over a memory-mapped file made by `write_index`."""

    titles: pa.Array
    hashes: np.ndarray
    final: np.ndarray
    entities: np.ndarray
    is_page: np.ndarray

    @classmethod
    def open(cls, path: Path) -> "TitleIndex":
        """Map the index file at `path`."""
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        numbers = [batch.column(name).to_numpy(zero_copy_only=True) for name in ("hash", "final", "entity")]
        return cls(batch.column("title"), *numbers, batch.column("is_page").to_numpy(zero_copy_only=True))

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, titles: Sequence[str]) -> np.ndarray:
        """Return the row of each (normalised) title after redirects, or -1, shape (titles,), int64."""
        if not len(titles) or not len(self):
            return np.full(len(titles), -1, dtype=np.int64)
        hashes = title_hashes(titles)
        rows = np.searchsorted(self.hashes, hashes)
        asked = pa.array(titles, type=pa.large_string())
        found = np.full(len(titles), -1, dtype=np.int64)
        for _ in range(4):  # more than one row has the hash only when hashes collide
            candidate = np.minimum(rows, len(self) - 1)
            same_hash = (self.hashes[candidate] == hashes) & (found < 0)
            if not same_hash.any():
                break
            equal = pc.equal(self.titles.take(pa.array(candidate)), asked).to_numpy(zero_copy_only=False)
            found = np.where(same_hash & equal, self.final[candidate], found)
            rows = rows + 1
        return found

    def title(self, rows: np.ndarray) -> pa.Array:
        """Return the titles at `rows`."""
        return self.titles.take(pa.array(rows))


def write_index(path: Path, pages: pa.Table, redirects: pa.Table, aligned: pa.Table, tally: Counter[str]) -> None:
    """Write the index of one wiki to `path`.

    `pages` (title), `redirects` (title, target) and `aligned` (title, entity; a title once) hold normalised titles.
    Redirect chains are followed; cycles end nowhere and are counted. A title that is also a page is no redirect
    (dumps may overlap, and titles meet in their normal form). The entity of a redirect page goes to its final
    page when that has none (several: the smallest id).
    """
    titles = pa.chunked_array(
        [
            column
            for table, name in ((pages, "title"), (redirects, "title"), (redirects, "target"), (aligned, "title"))
            for column in table.column(name).cast(pa.large_string()).chunks
        ],
        type=pa.large_string(),
    ).unique()
    hashes = title_hashes(titles.to_pylist())
    order = np.argsort(hashes, kind="stable")
    titles, hashes = titles.take(pa.array(order)), hashes[order]
    size = len(hashes)
    index = TitleIndex(titles, hashes, np.arange(size), np.zeros(size, np.int64), np.zeros(size, np.int8))

    redirect_rows, target_rows = (index.find(redirects.column(name).to_pylist()) for name in ("title", "target"))
    is_page = np.zeros(size, dtype=np.int8)
    is_page[index.find(pages.column("title").to_pylist())] = 1
    shadowed = is_page[redirect_rows] > 0
    tally["redirects_shadowed"] = int(shadowed.sum())
    redirect_rows, target_rows = redirect_rows[~shadowed], target_rows[~shadowed]
    final = np.arange(size, dtype=np.int64)
    final[redirect_rows] = target_rows
    tally["redirects"] = len(redirect_rows)
    tally["redirects_through_redirects"] = int((final[target_rows] != target_rows).sum())
    for _ in range(20):  # chains up to a million long
        further = final[final]
        if (further == final).all():
            break
        final = further
    in_cycle = final[final] != final
    # Pointer jumping leaves a cycle of a power of two at a fixed point that is itself a redirect.
    is_redirect = np.zeros(size, dtype=bool)
    is_redirect[redirect_rows] = True
    lost = in_cycle | is_redirect[final]
    tally["redirect_cycles"] = int(lost[redirect_rows].sum())
    final = np.where(lost, np.arange(size), final)

    tally["redirects_broken"] = int((~is_page[final[redirect_rows]].astype(bool) & ~lost[redirect_rows]).sum())

    entities = np.zeros(size, dtype=np.int64)
    entities[index.find(aligned.column("title").to_pylist())] = aligned.column("entity").to_numpy()
    redirected = np.flatnonzero((final != np.arange(size)) & (entities != NO_ENTITY))
    for row in redirected[np.argsort(entities[redirected], kind="stable")]:
        if entities[final[row]] == NO_ENTITY:
            entities[final[row]] = entities[row]
            tally["entities_through_redirects"] += 1

    columns = [hashes, titles, final, entities, is_page]
    batch = pa.record_batch(
        [pa.array(column) for column in columns], names=["hash", "title", "final", "entity", "is_page"]
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
