"""Any source of text as one stream: files, JSON lines, Parquet, a data set of the Hugging Face hub, a corpus.

The order is that of the files' names and of what stands in them; rank r of n gets every n-th document, so ranks may
differ in number of documents by one. Nothing is held but what is being read: a line, or a row group.

    for text in texts(TextSource(path=["notes.txt"], documents="line")): ...

A line that is not UTF-8 or not JSON stops the reading with its place, unless `skip_malformed`; a file that is cut off
or damaged gives what can be read. Everything left out is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from lingraft.config import Config, InputPaths, Probability
from lingraft.entities.anchors import is_held_out
from lingraft.errors import LingraftError, did_you_mean, missing_package
from lingraft.wikimedia.compressed import Problem, lines

MAX_DOCUMENT = 1 << 26
"""Bytes of the longest line, and of the longest file or block that is one document."""

ROWS = 256
_PACKED = (".gz", ".bz2", ".xz")
_FORMATS = {
    ".txt": "text", ".md": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet",
}  # fmt: skip


class TextSource(Config):
    """Where text comes from."""

    path: InputPaths = []
    """Files or folders: text, JSON lines (.jsonl, .json; also .gz, .bz2, .xz), Parquet, a corpus, a saved data set."""

    dataset: str | None = None
    """Name of a data set on the Hugging Face hub."""

    subset: str | None = None
    """Its configuration, as "20231101.el" of wikimedia/wikipedia."""

    split: str = "train"
    """Its split, also that of a saved data set."""

    format: Literal["auto", "text", "jsonl", "parquet"] = "auto"
    """How files are read; auto goes by the name, and takes a name that it does not know for text."""

    documents: Literal["file", "line", "block"] = "file"
    """What is one document in plain text: the file, each line, or each block between blank lines."""

    field: str = "text"
    """Key or column that holds the text."""

    held_out: Probability = 0.0
    """Of a corpus read only this share of the articles, by a hash of the page id: those that `augment` left out."""

    limit: int | None = Field(None, gt=0)
    """Read the first documents only."""

    skip_malformed: bool = False
    """Leave out lines that are not UTF-8 or not JSON, and count them, instead of stopping."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.path) == bool(self.dataset):
            raise ValueError("give either path (files or folders) or dataset (a name on the hub)")
        return self


@dataclass(frozen=True, slots=True)
class Document:
    """One text and where it stands: file and line, row or title."""

    place: str
    text: str


def texts(source: TextSource, drops: Counter[str] | None = None, *, rank: int = 0, ranks: int = 1) -> Iterator[str]:
    """Yield the texts of a source that belong to `rank`; see `documents`."""
    return (document.text for document in documents(source, drops, rank=rank, ranks=ranks))


def documents(
    source: TextSource, drops: Counter[str] | None = None, *, rank: int = 0, ranks: int = 1
) -> Iterator[Document]:
    """Yield the documents of a source that are not empty and belong to `rank` of `ranks`.

    `drops` counts, over all ranks: empty_text, malformed_line, oversized_line, truncated, corrupt, corrupt_stream.
    Raises LingraftError for what cannot be read (file, line and cure are named), for a field that is not there, and
    for a source without any text.
    """
    drops = Counter() if drops is None else drops
    found = _kept(_of_hub(source) if source.dataset else _of_paths(source, drops), drops)
    first = next(found, None)
    if first is None:
        name = source.dataset or ", ".join(str(path) for path in source.path)
        left_out = ", ".join(f"{count} {reason}" for reason, count in drops.items())
        raise LingraftError(f"{name} has no text", f"Left out: {left_out}." if left_out else "", "Check the source.")
    for index, document in enumerate(_first(source.limit, first, found)):
        if index % ranks == rank:
            yield document


def _first(limit: int | None, first: Document, rest: Iterator[Document]) -> Iterator[Document]:
    yield first
    yield from rest if limit is None else islice(rest, limit - 1)


def _kept(found: Iterator[Document], drops: Counter[str]) -> Iterator[Document]:
    for document in found:
        text = document.text.replace("\r\n", "\n").strip()
        if text:
            yield Document(document.place, text)
        else:
            drops["empty_text"] += 1


def _of_paths(source: TextSource, drops: Counter[str]) -> Iterator[Document]:
    for path in source.path:
        if not path.exists():
            raise LingraftError(
                f"no text at {path}",
                cure="Check the path. For a data set of the hub say dataset: NAME instead.",
            )
        if not path.is_dir():
            yield from _of_file(path, source, drops)
        elif (path / "articles").is_dir():
            yield from _of_corpus(path, source.held_out)
        elif (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
            yield from _of_saved(path, source)
        else:
            files = sorted(file for file in path.rglob("*") if file.is_file() and _format(file, source, None))
            if not files:
                raise LingraftError(
                    f"{path} holds no text files",
                    f"Files that are read in a folder end in: {', '.join(_FORMATS)}.",
                    "Name the files themselves, or say format: text.",
                )
            for file in files:
                yield from _of_file(file, source, drops)


def _format(file: Path, source: TextSource, otherwise: str | None) -> str | None:
    if source.format != "auto":
        return source.format
    suffix = Path(file.stem).suffix if file.suffix in _PACKED else file.suffix
    return _FORMATS.get(suffix.lower(), otherwise)


def _of_file(path: Path, source: TextSource, drops: Counter[str]) -> Iterator[Document]:
    kind = _format(path, source, "text")
    if kind == "parquet":
        yield from _of_parquet(path, source.field)
    elif kind == "jsonl":
        yield from _of_json_lines(path, source, drops)
    elif source.documents == "line":
        for number, line in numbered_lines(path, source, drops):
            yield Document(f"{path.name}, line {number:,}", line)
    else:
        yield from _of_text(path, source, drops)


def _of_text(path: Path, source: TextSource, drops: Counter[str]) -> Iterator[Document]:
    """Yield the blocks of a file, or all of it as one document."""
    held: list[str] = []
    size, first = 0, 1
    for number, line in numbered_lines(path, source, drops):
        if not line.strip() and source.documents == "block":
            if held:
                yield Document(f"{path.name}, line {first:,}", "\n".join(held))
            held, size = [], 0
            continue
        if not held:
            first = number
        held.append(line)
        size += len(line)
        if size > MAX_DOCUMENT:
            raise LingraftError(
                f"{path}, line {number:,}: a {source.documents} of more than {MAX_DOCUMENT >> 20} MiB of text",
                "It would be one document, held in memory as a whole.",
                "Say what is a document in this file: documents: line, or documents: block.",
            )
    if held or source.documents == "file":
        yield Document(path.name if source.documents == "file" else f"{path.name}, line {first:,}", "\n".join(held))


def _of_json_lines(path: Path, source: TextSource, drops: Counter[str]) -> Iterator[Document]:
    import orjson

    for number, line in numbered_lines(path, source, drops):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if source.skip_malformed:
                drops["malformed_line"] += 1
                continue
            raise LingraftError(
                f"{path}, line {number:,}: not JSON ({error})",
                "A file of JSON lines holds one object on each line; an array over several lines is not read.",
                "Mend the line, write an array as lines (jq -c '.[]'), or leave such lines out: skip_malformed: true.",
            ) from None
        place = f"{path.name}, line {number:,}"
        if not isinstance(row, dict):
            raise LingraftError(
                f"{path}, line {number:,}: a JSON {type(row).__name__}, not an object",
                cure="Write one {\"text\": ...} a line; an array of objects becomes lines with: jq -c '.[]'",
            )
        yield Document(place, _field(row, source.field, f"{path}, line {number:,}"))


def _field(row: Mapping[str, Any], field: str, place: str) -> str:
    """Return the text at `field`; null is no text."""
    if field not in row:
        raise _no_field(field, list(row), place)
    value = row[field]
    if value is not None and not isinstance(value, str):
        raise LingraftError(f"{place}: '{field}' holds a {type(value).__name__}, not text", cure=_cure(list(row)))
    return value or ""


def _no_field(field: str, fields: list[str], place: str) -> LingraftError:
    hint = did_you_mean(field, fields)
    return LingraftError(f"{place}: no field '{field}'" + (f": {hint}" if hint else ""), cure=_cure(fields))


def _cure(fields: list[str]) -> str:
    return f"Say which field holds the text: field: NAME. There are: {', '.join(fields) or 'none'}."


def numbered_lines(path: Path, source: TextSource, drops: Counter[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers, the first is 1; `source` says what a malformed one does."""
    problems: list[Problem] = []
    for number, line in enumerate(lines(path, drops, problems, max_bytes=MAX_DOCUMENT), start=1):
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            if source.skip_malformed:
                drops["malformed_line"] += 1
                continue
            raise LingraftError(
                f"{path}, line {number:,}, byte {error.start + 1:,} of it: not UTF-8",
                f"The byte is 0x{line[error.start]:02x}.",
                "Convert the file (iconv -f THEIRS -t UTF-8), or leave such lines out: skip_malformed: true.",
            ) from None


def _of_parquet(path: Path, field: str) -> Iterator[Document]:
    for place, text, _ in _rows(path, field):
        yield Document(f"{path.name}, row {place:,}", text)


def _rows(path: Path, field: str, *more: str) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if field not in file.schema_arrow.names:
                raise _no_field(field, file.schema_arrow.names, str(path))
            if not _is_text(file.schema_arrow.field(field).type):
                raise LingraftError(
                    f"{path}: '{field}' holds {file.schema_arrow.field(field).type}, not text",
                    cure=_cure(file.schema_arrow.names),
                )
            row = 0
            for batch in file.iter_batches(batch_size=ROWS, columns=[field, *more]):
                for values in zip(*(batch[name].to_pylist() for name in (field, *more)), strict=True):
                    row += 1
                    yield row, values[0] or "", values[1:]
    except (pa.ArrowInvalid, OSError) as error:
        raise LingraftError(
            f"{path} cannot be read as Parquet", " ".join(str(error).split()), "Fetch or write the file again."
        ) from None


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _of_corpus(path: Path, held_out: float) -> Iterator[Document]:
    for part in sorted((path / "articles").glob("part-*.parquet")):
        for _, text, (title, page) in _rows(part, "text", "title", "id"):
            if not held_out or is_held_out(np.array([page]), held_out)[0]:
                yield Document(title, text)


def _of_saved(path: Path, source: TextSource) -> Iterator[Document]:
    datasets = _datasets()
    held = _loaded(lambda: datasets.load_from_disk(str(path)), str(path))
    if isinstance(held, datasets.DatasetDict):
        if source.split not in held:
            hint = did_you_mean(source.split, held)
            raise LingraftError(
                f"{path}: no split '{source.split}'" + (f": {hint}" if hint else ""),
                cure=f"Say which: split: NAME. There are: {', '.join(held)}.",
            )
        held = held[source.split]
    yield from _of_data_set(held, path.name, source.field)


def _of_hub(source: TextSource) -> Iterator[Document]:
    datasets = _datasets()

    def load() -> Any:
        return datasets.load_dataset(source.dataset, source.subset, split=source.split, streaming=True)

    yield from _of_data_set(_loaded(load, source.dataset), source.dataset, source.field)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise missing_package("datasets", "eval", "Reading a Hugging Face data set") from None
    return datasets


def _loaded(load: Callable[[], Any], name: str) -> Any:
    try:
        return load()
    except Exception as error:  # the library raises its own kinds for a missing name, a split, the network
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LingraftError(
            f"cannot load the data set {name}", why, "Check dataset, subset and split; a file is given as path."
        ) from error


def _of_data_set(rows: Any, name: str, field: str) -> Iterator[Document]:
    for number, row in enumerate(rows, start=1):
        yield Document(f"{name}, row {number:,}", _field(row, field, f"{name}, row {number:,}"))
