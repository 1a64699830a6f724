"""Read the SQL dumps of Wikimedia's tables (mysqldump's, of MySQL and MariaDB), unpacked or .gz, .bz2, .xz.

Rows come as Arrow tables of the columns asked for, found by name in `CREATE TABLE`: another version of the schema is
read if it still has them, and refused with the names of both sides if not. An extended INSERT may have any length: what
is held is one chunk of the file and at most one row more.

mysqldump writes every line break inside a string as `\\n`, so raw ones part statements. Between them the rows are
turned into CSV (a few replacements over whole chunks) and go through Arrow's CSV reader; a piece whose strings hold
`),(` themselves is told by its number of rows and is split again, string by string. Speed beside gzip alone:
benchmarks/sources.py.

Counted: `rows` (yielded), `malformed_row` (a wrong number of values, or no number where one belongs; dropped),
`invalid_utf8` (values decoded with U+FFFD), `truncated`, `corrupt`, `corrupt_stream` (every complete row is kept).

    for batch in rows(Path("elwiki-latest-langlinks.sql.gz"), {"ll_from": int, "ll_lang": str, "ll_title": str}, tally):
        print(batch.column("ll_title"))

Source: https://www.mediawiki.org/wiki/Manual:Database_layout; escapes: https://mariadb.com/kb/en/string-literals/.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Chunks, Fault, Problem, unread_format

MAX_ROW = 16 << 20
"""Longest row, in bytes: MediaWiki's largest values are blobs of 64 KiB."""

_HEAD = 1 << 20
"""Bytes in which CREATE TABLE has to come."""

_CREATE = re.compile(rb"\nCREATE TABLE (?:IF NOT EXISTS )?[`\"]?(\w+)[`\"]? *\((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(rb"^\s*[`\"](\w+)[`\"] ", re.MULTILINE)
_DATABASE = re.compile(rb"\n-- Host: .*?Database: *(\w+)")
_BORDER = re.compile(rb"\),\s*\(")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED = {b"'": b"''", b"n": b"\n", b"0": b"\0", b"Z": b"\x1a", b"r": b"\r", b"t": b"\t", b"b": b"\b"}
_BORDER_OR_STRING = re.compile(rb"'[^']*+'|\),\(")
_LITERAL_OR_STRING = re.compile(rb"'[^']*+'|_binary (?=')|(?:(?<=[,(])|\A)0x((?:[0-9A-Fa-f]{2})++)")
_ATTEMPTS = 16
_AT_ONCE = 2 << 20
"""Bytes of rows that are turned into columns at a time."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a dump says before its first row."""

    name: str
    columns: tuple[str, ...]
    database: str | None
    """The wiki, as in `elwiki`; None where the dump has no comment that names it."""


def read_table(path: Path) -> Table:
    """Return name and columns of the first table of a dump; LingraftError for a file that is no SQL dump."""
    head, fault = b"\n", None
    for chunk in Chunks(path):
        if isinstance(chunk, Fault):
            fault = chunk
            break
        head += chunk
        if (found := _CREATE.search(head)) or len(head) > _HEAD:
            break
    else:
        found = _CREATE.search(head)
    if fault or not found:
        why = unread_format(path) or f"No CREATE TABLE was found; its unpacked data begins with {head[1:41]!r}."
        if fault:
            why = f"It is damaged at byte {fault.byte:,}, before its first table."
        cure = "Fetch it again: for example elwiki-latest-page_props.sql.gz of dumps.wikimedia.org."
        raise LingraftError(f"{path} is not an SQL dump", why, cure)
    database = _DATABASE.search(head, 0, found.start())
    columns = tuple(name.decode() for name in _COLUMN.findall(found[2]))
    return Table(found[1].decode(), columns, database[1].decode() if database else None)


def rows(
    path: Path,
    columns: Mapping[str, type],
    tally: Counter[str],
    problems: list[Problem] | None = None,
    *,
    where: Mapping[str, Collection[str]] | None = None,
    strict: bool = False,
) -> Iterator[pa.Table]:
    """Yield the rows of a dump's first table, many at a time: `columns` (int -> int64, str -> string), in that order.

    `where` keeps the rows with one of these values in a text column; others are counted and not decoded. NULL is null.
    Raises LingraftError for a file that is no SQL dump or whose table lacks one of `columns`; with
    `strict` also for a damaged one, once all complete rows before the damage were yielded.
    """
    table = read_table(path)
    require(path, table, columns)
    reader = _Reader(path, table, columns, where or {}, tally, problems, strict)
    for piece in reader.pieces():
        yield reader.parse(piece)
    reader.finish()


def require(path: Path, table: Table, columns: Collection[str]) -> None:
    """Raise LingraftError unless the table has all of `columns`."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise LingraftError(
            f"{path}: table `{table.name}` has no column {', '.join(missing)}",
            f"It has {', '.join(table.columns)}; needed are {', '.join(columns)}.",
            "The dump is of another version of MediaWiki's schema: fetch one of another date, or build without it.",
        )


class _Reader:
    """Reads one table of one file."""

    def __init__(
        self,
        path: Path,
        table: Table,
        columns: Mapping[str, type],
        where: Mapping[str, Collection[str]],
        tally: Counter[str],
        problems: list[Problem] | None,
        strict: bool,
    ):
        self.path, self.table, self.tally, self.problems, self.strict = path, table, tally, problems, strict
        self.columns = columns
        self.where = {name: pa.array([v.encode() for v in values], pa.binary()) for name, values in where.items()}
        self.num_rows = self.num_malformed = 0
        self.damage: tuple[str, str] | None = None
        quoted = re.escape(table.name.encode())
        self.insert = re.compile(
            rb"\nINSERT (?:IGNORE )?INTO [`\"]?" + quoted + rb"[`\"]?(?: *\(([^()]*)\))? VALUES\s*\("
        )
        self.parsing = pa.csv.ParseOptions(
            quote_char="'",
            double_quote=True,
            newlines_in_values=True,
            ignore_empty_lines=False,
        )
        number = r"-?\d{1,18}|NULL|'-?\d{1,18}'"
        kinds = [columns.get(name) for name in table.columns]
        values = [number if kind is int else r"'(?:[^']|'')*+'|[^',\n]*+" for kind in kinds]
        self.row = re.compile(",".join(f"(?:{value})" for value in values).encode())

    def pieces(self) -> Iterator[bytes]:
        """Yield rows as they stand in the file, `1,'a'),(2,'b'`, without the outermost parentheses."""
        chunks = Chunks(self.path)
        buffer, inside, completed = b"\n", False, False
        held: list[bytes] = []
        for chunk in chunks:
            if isinstance(chunk, Fault):
                yield from _joined(held)  # what was read before the damage is counted before it
                self._damaged(chunk)
                buffer, inside, completed = b"\n", False, True
                continue
            buffer += chunk
            completed = b"\n-- Dump completed" in buffer
            at = 0
            while True:
                if not inside:
                    found = self.insert.search(buffer, at)
                    if found is None:
                        buffer = buffer[max(at, len(buffer) - 4096) :]
                        break
                    self._check_order(found[1])
                    at, inside = found.end(), True
                piece, after, ended = _complete_rows(buffer, at)
                if piece:
                    held.append(piece)
                if sum(map(len, held)) > _AT_ONCE:
                    yield from _joined(held)
                at, inside = after, not ended
                if not ended:
                    buffer = buffer[at:]
                    if len(buffer) > MAX_ROW:
                        self._malformed(1)
                        buffer, inside = buffer[-4096:], False
                    break
        yield from _joined(held)
        if inside or not (completed or self._has_no_comments()):
            self._cut_off(chunks.unpacked)

    def parse(self, piece: bytes) -> pa.Table:
        """Return rows that stand in `piece` as columns; rows that are none are dropped and counted."""
        text = piece.replace(b"),(", b"\n")
        expected = (len(piece) - len(text)) // 2 + 1
        try:
            batch = self._read_csv(text)
        except pa.ArrowInvalid:
            batch = None
        if batch is None or len(batch) != expected or self._has_literals(batch):
            batch = self._read_csv(b"\n".join(self._good_rows(_LITERAL_OR_STRING.sub(_plain_literal, piece))))
        self.num_rows += len(batch)
        self.tally["rows"] += len(batch)
        for name, values in self.where.items():
            batch = batch.filter(pc.is_in(batch.column(name), value_set=values))
        texts = {name: self._text(batch.column(name)) for name, kind in self.columns.items() if kind is str}
        return pa.table({name: texts.get(name, batch.column(name)) for name in self.columns})

    def _has_literals(self, batch: pa.Table) -> bool:
        """Whether a value may have been written as 0x41 or `_binary 'x'`."""
        texts = [batch.column(name) for name, kind in self.columns.items() if kind is str]
        starts = (pc.starts_with(column, start) for column in texts for start in (b"0x", b"_binary '"))
        return any(pc.any(found).as_py() for found in starts)

    def _good_rows(self, piece: bytes) -> list[bytes]:
        """Return the rows of a piece, parted outside of strings; those that are none are counted."""
        borders = [found.start() for found in _BORDER_OR_STRING.finditer(piece) if found[0] == b"),("]
        starts, ends = [0, *(border + 3 for border in borders)], [*borders, len(piece)]
        parts = [piece[start:end] for start, end in zip(starts, ends, strict=True)]
        good = [part for part in parts if self.row.fullmatch(part)]
        if len(good) < len(parts):
            self._malformed(len(parts) - len(good))
        return good

    def _read_csv(self, text: bytes) -> pa.Table:
        types = {name: pa.int64() if kind is int else pa.binary() for name, kind in self.columns.items()}
        if not text:
            return pa.schema(list(types.items())).empty_table()
        conversion = pa.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=["NULL"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        reading = pa.csv.ReadOptions(column_names=self.table.columns, use_threads=False, block_size=len(text) + 1)
        return pa.csv.read_csv(pa.py_buffer(text), reading, self.parsing, conversion)

    def _text(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            return column.cast(pa.string())
        except pa.ArrowInvalid:
            values = [None if value is None else value.decode(errors="replace") for value in column.to_pylist()]
            self.tally["invalid_utf8"] += sum("\ufffd" in value for value in values if value)
            return pa.chunked_array([pa.array(values, pa.string())])

    def finish(self) -> None:
        """Report what was wrong with the file."""
        if self.num_malformed:
            count, name = self.num_malformed, self.table.name
            self._add(
                "malformed_row",
                f"{self.path.name}, table `{name}`: {count:,} rows are not as CREATE TABLE says; dropped.",
            )
        if self.damage:
            self._add(*self.damage)

    def _add(self, kind: str, message: str) -> None:
        problem = Problem(kind, f"{self.path.name}, table `{self.table.name}`, row {self.num_rows + 1:,}", message)
        if self.problems is not None:
            self.problems.append(problem)
        if self.strict:
            raise problem.error(f"{self.num_rows:,} complete rows were read.")

    def _malformed(self, count: int) -> None:
        self.num_malformed += count
        self.tally["malformed_row"] += count

    def _damaged(self, fault: Fault) -> None:
        self.tally[fault.kind] += 1
        row = f"row {self.num_rows + 1:,} of table `{self.table.name}`"
        if fault.kind == "truncated":
            message = f"dump is cut off: {self.path.name} ends at byte {fault.byte:,}, in {row}."
        else:
            rest = "reading goes on at the next stream" if fault.kind == "corrupt_stream" else "the rest is lost"
            message = f"dump is damaged: {self.path.name} cannot be unpacked at byte {fault.byte:,}, in {row}; {rest}."
        self.damage = self.damage or (fault.kind, message)

    def _cut_off(self, byte: int) -> None:
        self.tally["truncated"] += 1
        row = f"row {self.num_rows + 1:,} of table `{self.table.name}`"
        message = f"dump is cut off: {self.path.name} ends in {row}, at byte {byte:,} of its unpacked SQL."
        self.damage = self.damage or ("truncated", message)

    def _has_no_comments(self) -> bool:
        """Whether the dump was written without mysqldump's comments: then its end is not marked either."""
        return self.table.database is None

    def _check_order(self, listed: bytes | None) -> None:
        names = tuple(re.findall(rb"\w+", listed or b""))
        if names and names != tuple(name.encode() for name in self.table.columns):
            raise LingraftError(
                f"{self.path}: INSERT names other columns than CREATE TABLE, or in another order",
                f"Table `{self.table.name}`: {b', '.join(names).decode()}.",
                "Write the dump with mysqldump's defaults.",
            )


def _joined(pieces: list[bytes]) -> Iterator[bytes]:
    """Yield pieces as one, and empty the list."""
    if pieces:
        yield b"),(".join(pieces)
        pieces.clear()


def _complete_rows(buffer: bytes, at: int) -> tuple[bytes, int, bool]:
    """Return the complete rows from `at` on, unescaped, the place after them, and whether their statement ends there.

    `at` is behind the opening parenthesis of a row; so is the place returned, unless the statement ended.
    """
    end = at
    for _ in range(_ATTEMPTS):
        end = buffer.find(b");\n", end)
        if end < 0:
            break
        if (piece := _outside_strings(buffer[at:end])) is not None:
            return piece, end + 2, True
        end += 1
    cut = len(buffer)
    for _ in range(_ATTEMPTS):
        cut = buffer.rfind(b"),", at, cut)
        if cut < 0:
            break
        if (border := _BORDER.match(buffer, cut)) and (piece := _outside_strings(buffer[at:cut])) is not None:
            return piece, border.end(), False
    return b"", at, False


def _outside_strings(rows: bytes) -> bytes | None:
    """Return rows as one line of CSV values with quotes doubled; None when a string is open at their end."""
    if b"\n" in rows:
        rows = _BORDER.sub(b"),(", rows)
    if b"\\" in rows:
        rows = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), rows)
    return None if rows.count(b"'") % 2 else rows


def _plain_literal(found: re.Match[bytes]) -> bytes:
    """Write `_binary 'x'` as `'x'` and 0x41 as a string; leave strings as they are."""
    if found[1] is not None:
        return b"'" + bytes.fromhex(found[1].decode()).replace(b"'", b"''") + b"'"
    return found[0] if found[0][:1] == b"'" else b""
