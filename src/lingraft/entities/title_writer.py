"""Write the index of a wiki's titles in bounded memory: which title leads to which, and to which entity.

What is said of titles is split by their hashes into parts that fit into memory; each is sorted by itself, and one after
the other they are the index. Columns of numbers lie in mapped files. 20 million titles: benchmarks/titles.py.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.entities.titles import NO_ENTITY, VERSION, TitleIndex, title_hashes

SORTED_AT_ONCE = 1 << 19
"""Titles that are sorted in memory at a time."""

_SCATTERED_AT_ONCE = 1 << 17


def write_index(
    path: Path,
    seen: Sequence[pa.RecordBatch],
    aligned: pa.Table,
    tally: Counter[str],
    *,
    scratch: Path | None = None,
    sorted_at_once: int = SORTED_AT_ONCE,
) -> None:
    """Write the index of one wiki to `path`.

    `seen` (title, redirect: where the title leads; null for a page) and `aligned` (title, entity; a title once) hold
    normalised titles. Redirect chains are followed; cycles end nowhere and are counted. A title that is also a page is
    no redirect (dumps may overlap, and titles meet in their normal form). The entity of a redirect page goes to its
    final page when that has none (several: the smallest id).

    What is read is split by hash into files in a temporary folder in `scratch` (default: beside `path`), at most about
    twice the size of the index; columns of numbers lie in mapped files there, so that memory does not grow with them.
    """
    num_redirects = sum(len(batch) - batch.column("redirect").null_count for batch in seen)
    num_claims = sum(map(len, seen)) + num_redirects + len(aligned)
    bits = max(0, (num_claims - 1) // sorted_at_once).bit_length()
    with tempfile.TemporaryDirectory(dir=scratch or path.parent, prefix="titles-") as folder:
        columns = _Columns(Path(folder))
        source, target = columns.mapped("source", num_redirects), columns.mapped("target", num_redirects)
        for part in _scattered(_gathered(_claims(seen, aligned)), Path(folder), bits):
            columns.add(part, source, target)
            part.unlink()
        index = columns.index()
        _follow(index, source, target, tally)
        _write(path, index)


_PAGE, _SOURCE, _TARGET, _ENTITY = range(4)  # what is said of a title: it is a page, it redirects, ...
_CLAIMS = pa.schema([("title", pa.large_string()), ("role", pa.int8()), ("number", pa.int64())])
"""`number`: of the redirect that a title is the source or the target of; or the title's entity."""


def _claims(seen: Sequence[pa.RecordBatch], aligned: pa.Table) -> Iterator[pa.RecordBatch]:
    def claim(titles: pa.Array, role: int, numbers: pa.Array) -> pa.RecordBatch:
        roles = pa.repeat(pa.scalar(role, pa.int8()), len(titles))
        return pa.record_batch([titles.cast(pa.large_string()), roles, numbers], schema=_CLAIMS)

    num_redirects = 0
    for batch in seen:
        titles, redirects = batch.column("title"), batch.column("redirect")
        is_redirect = redirects.is_valid()
        pages, sources, targets = (
            titles.filter(pc.invert(is_redirect)),
            titles.filter(is_redirect),
            redirects.drop_null(),
        )
        numbers = pa.array(np.arange(num_redirects, num_redirects + len(sources)))
        num_redirects += len(sources)
        yield claim(pages, _PAGE, pa.repeat(pa.scalar(0), len(pages)))
        yield claim(sources, _SOURCE, numbers)
        yield claim(targets, _TARGET, numbers)
    for batch in aligned.to_batches():
        yield claim(batch.column("title"), _ENTITY, batch.column("entity"))


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` in batches of about `_SCATTERED_AT_ONCE`."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held += (batch.slice(start, _SCATTERED_AT_ONCE) for start in range(0, len(batch), _SCATTERED_AT_ONCE))
        while sum(map(len, held)) >= _SCATTERED_AT_ONCE:
            yield pa.concat_batches(held[:-1] if len(held) > 1 else held)
            held = held[-1:] if len(held) > 1 else []
    if held:
        yield pa.concat_batches(held)


def _scattered(batches: Iterable[pa.RecordBatch], folder: Path, bits: int) -> list[Path]:
    """Write each claim to the file of its hash's first `bits` bits, in the order of arrival; return the files."""
    paths = [folder / f"part-{number:05d}" for number in range(1 << bits)]
    schema = _CLAIMS.append(pa.field("hash", pa.uint64()))
    with ExitStack() as files:
        writers = [files.enter_context(pa.ipc.new_stream(str(path), schema)) for path in paths]
        for batch in batches:
            hashes = title_hashes(batch.column("title"))
            part = (hashes >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(hashes), np.int64)
            in_order = np.argsort(part, kind="stable")
            batch = batch.append_column("hash", pa.array(hashes)).take(pa.array(in_order))
            borders = np.searchsorted(part[in_order], np.arange(len(paths) + 1))
            for number in np.flatnonzero(np.diff(borders)):
                start, end = borders[number : number + 2]
                writers[number].write_batch(batch.slice(start, end - start))
    return paths


class _Columns:
    """The columns of an index while they grow, in files of `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.num_titles = self.num_bytes = 0
        self._append(offset=np.zeros(1, dtype=np.int64), title=b"", hash=b"", entity=b"", is_page=b"")

    def add(self, part: Path, source: np.ndarray, target: np.ndarray) -> None:
        """Append the distinct titles of a part, sorted by hash; say at which rows its redirects begin and end."""
        with pa.memory_map(str(part)) as file:
            claims = pa.ipc.open_stream(file).read_all()
            titles = claims.column("title").combine_chunks().dictionary_encode()
            codes, distinct = titles.indices.to_numpy(), titles.dictionary
            hash_, role, number = (claims.column(name).to_numpy() for name in ("hash", "role", "number"))
            hashes = np.empty(len(distinct), dtype=np.uint64)
            hashes[codes] = hash_
            in_order = np.argsort(hashes, kind="stable")
            rows = np.empty_like(in_order)
            rows[in_order] = np.arange(len(in_order))
            rows = rows[codes]
            is_page, entities = np.zeros(len(distinct), dtype=np.int8), np.zeros(len(distinct), dtype=np.int64)
            is_page[rows[role == _PAGE]] = 1
            entities[rows[role == _ENTITY]] = number[role == _ENTITY]
            for end, of in ((source, _SOURCE), (target, _TARGET)):
                end[number[role == of]] = rows[role == of] + self.num_titles
            _, offsets, data = distinct.take(pa.array(in_order)).buffers()
            offsets = np.frombuffer(offsets, dtype=np.int64, count=len(distinct) + 1)[1:] + self.num_bytes
            self._append(hash=hashes[in_order], offset=offsets, title=data or b"", entity=entities, is_page=is_page)
        self.num_titles += len(distinct)
        self.num_bytes = int(offsets[-1]) if len(offsets) else self.num_bytes

    def _append(self, **values: Any) -> None:
        for name, value in values.items():
            with (self.folder / name).open("ab") as file:
                file.write(value)

    def mapped(self, name: str, size: int, dtype: type = np.int32) -> np.ndarray:
        """Return the array in file `name`, which is made with zeros where it is not there."""
        with (self.folder / name).open("ab") as file:
            file.truncate(size * np.dtype(dtype).itemsize)
        return np.memmap(file.name, dtype, "r+", shape=(size,)) if size else np.zeros(0, dtype)

    def index(self) -> TitleIndex:
        """Return the index over these files; each title is its own final title."""
        final = self.mapped("final", self.num_titles)
        final[:] = np.arange(self.num_titles, dtype=np.int32)
        offsets = self.mapped("offset", self.num_titles + 1, np.int64)
        data = self.mapped("title", self.num_bytes, np.uint8)
        titles = pa.Array.from_buffers(
            pa.large_string(), self.num_titles, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        )
        numbers = {"hash": np.uint64, "entity": np.int64, "is_page": np.int8}
        hashes, entities, is_page = (self.mapped(name, self.num_titles, dtype) for name, dtype in numbers.items())
        return TitleIndex(titles, hashes, final, entities, is_page)


def _follow(index: TitleIndex, source: np.ndarray, target: np.ndarray, tally: Counter[str]) -> None:
    """Lead each redirect to its final page, and its entity there; a slice of the redirects at a time."""
    final, entities, is_page = index.final, index.entities, index.is_page
    kept = 0
    for part in _slices(len(source)):
        is_redirect = is_page[source[part]] == 0
        sources, targets = source[part][is_redirect], target[part][is_redirect]
        source[kept : kept + len(sources)], target[kept : kept + len(sources)] = sources, targets
        final[sources] = targets
        kept += len(sources)
    tally["redirects_shadowed"] = len(source) - kept
    tally["redirects"] = kept
    source, target = source[:kept], target[:kept]
    tally["redirects_through_redirects"] = sum(
        int((final[target[part]] != target[part]).sum()) for part in _slices(kept)
    )
    for _ in range(20):  # chains up to a million long
        if not sum(_leap(final, source[part]) for part in _slices(kept)):
            break
    is_source = np.zeros(len(index), dtype=bool)
    is_source[source] = True
    tally.update(redirect_cycles=0, redirects_broken=0)
    for part in _slices(kept):
        _end(index, source[part], is_source, tally)
    redirected = [
        rows[(final[rows] != rows) & (entities[rows] != NO_ENTITY) & (entities[final[rows]] == NO_ENTITY)]
        for rows in (source[part] for part in _slices(kept))
    ]
    redirected = np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *redirected]))
    redirected = redirected[np.argsort(entities[redirected], kind="stable")]
    pages, firsts = np.unique(final[redirected], return_index=True)
    entities[pages] = entities[redirected[firsts]]
    tally["entities_through_redirects"] = len(pages)


def _slices(size: int) -> Iterator[slice]:
    step = SORTED_AT_ONCE
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _leap(final: np.ndarray, rows: np.ndarray) -> bool:
    """Lead each row to where its title leads; return whether that is farther."""
    held = final[rows]
    farther = final[held]
    final[rows] = farther
    return bool((farther != held).any())


def _end(index: TitleIndex, rows: np.ndarray, is_source: np.ndarray, tally: Counter[str]) -> None:
    """Count redirects that end at no page; those in a cycle, or on the way into one, lead to themselves."""
    ends = index.final[rows]
    is_lost = is_source[ends]
    tally["redirect_cycles"] += int(is_lost.sum())
    tally["redirects_broken"] += int((index.is_page[ends] == 0)[~is_lost].sum())
    index.final[rows[is_lost]] = rows[is_lost]


def _write(path: Path, index: TitleIndex) -> None:
    numbers = [pa.array(column) for column in (index.hashes, index.final, index.entities, index.is_page)]
    batch = pa.record_batch([*numbers, index.titles], names=["hash", "final", "entity", "is_page", "title"])
    batch = batch.replace_schema_metadata({"lingraft.titles": VERSION})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
