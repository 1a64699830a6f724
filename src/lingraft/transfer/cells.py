"""The store of a matrix: what each checkpoint needs for each line, in nats, one Parquet file a donor and seed.

A file grows by a checkpoint at a time and is replaced all at once, so a killed run loses the checkpoint it was at.
Every cell names the questions that were asked and the training that made the model: one that does not fit is an error,
never an old number in a new table. Figures are sums over what is stored (float32), so the store alone gives them again.

The base's file, base.parquet, also says what every other is compared by: the lines' keys, bytes and predicted tokens.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.errors import LingraftError

if TYPE_CHECKING:
    from lingraft.transfer.scoring import Scores

Split = Literal["test", "validation"]

SCHEMA = pa.schema(
    [
        ("language", pa.string()),
        ("split", pa.string()),
        ("step", pa.int32()),
        ("questions", pa.string()),
        ("training", pa.string()),
        ("nats", pa.list_(pa.float32())),
        ("nats_all", pa.list_(pa.float32())),
    ]
)
LINES = pa.schema([("keys", pa.list_(pa.string())), ("bytes", pa.list_(pa.int32())), ("targets", pa.list_(pa.int32()))])


class Asked(NamedTuple):
    """Whose lines are scored: the test lines of a recipient, or the validation lines of the donor itself."""

    language: str
    split: Split


@dataclass(frozen=True)
class Cell:
    """What one checkpoint needs for the lines of one language; arrays of shape (lines,)."""

    questions: str
    """Digest of the scoring set."""
    training: str
    """Digest of the request that made the model."""
    nats: np.ndarray
    """Of the hidden text."""
    nats_all: np.ndarray
    """Of all targets, with sentinels and EOS."""


@dataclass(frozen=True)
class Lines:
    """What is the same for every checkpoint; arrays of shape (lines,)."""

    keys: tuple[str, ...]
    bytes: np.ndarray
    """UTF-8 bytes of the hidden text."""
    targets: np.ndarray
    """Predicted tokens, with sentinels and EOS."""

    def bits_per_byte(self, cell: Cell, which: np.ndarray | None = None) -> float:
        """Return the bits that a byte of the lines `which` takes, of all lines without it."""
        held = slice(None) if which is None else which
        return float(cell.nats[held].sum() / (math.log(2) * self.bytes[held].sum()))

    def perplexity(self, cell: Cell, which: np.ndarray | None = None) -> float:
        """Return the perplexity of a target; infinite where it is too large for a number."""
        held = slice(None) if which is None else which
        with np.errstate(over="ignore"):
            return float(np.exp(cell.nats_all[held].sum() / self.targets[held].sum()))


def halves(keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (lines on which a checkpoint is chosen, lines on which it is reported): bools, by a hash of the key."""
    hashes = (hashlib.blake2b(f"half\n{key}".encode(), digest_size=1).digest()[0] for key in keys)
    side = np.array([number & 1 for number in hashes])
    return side == 0, side == 1


Cells = dict[tuple[int, Asked], Cell]
"""By step and by what was asked."""


def cell_of(scores: "Scores", questions: str, training: str) -> Cell:
    """Return the cell of some scores, rounded as it is stored."""
    nats, nats_all = (values.astype(np.float32).astype(float) for values in (scores.nats, scores.nats_all))
    return Cell(questions, training, nats, nats_all)


def lines_of(scores: "Scores") -> Lines:
    """Return what of some scores is the same for every checkpoint."""
    return Lines(scores.keys, scores.bytes.astype(np.int64), scores.tokens_all.astype(np.int64))


def read(path: Path) -> Cells:
    """Read the cells of a file; none when there is no file. LingraftError when it is damaged."""
    table = _read(path, SCHEMA)
    plain = table.drop_columns(["nats", "nats_all"]).to_pylist()
    nats, nats_all = ([held.values.to_numpy().astype(float) for held in table[name]] for name in ("nats", "nats_all"))
    return {
        (row["step"], Asked(row["language"], row["split"])): Cell(row["questions"], row["training"], *values)
        for row, *values in zip(plain, nats, nats_all, strict=True)
    }


def read_lines(path: Path) -> dict[Asked, Lines]:
    """Read what the base's file says of the lines."""
    return {
        Asked(row["language"], row["split"]): Lines(
            tuple(row["keys"]), np.array(row["bytes"], np.int64), np.array(row["targets"], np.int64)
        )
        for row in _read(path, pa.unify_schemas([SCHEMA, LINES])).to_pylist()
    }


def write(path: Path, cells: Cells, lines: Mapping[Asked, Lines] | None = None) -> None:
    """Write cells all at once, sorted, with the `lines` of each when it is the base's file."""
    rows = []
    for (step, asked), cell in sorted(cells.items()):
        row: dict[str, Any] = {"step": step, **asked._asdict(), **vars(cell)}
        rows.append(row | vars(lines[asked]) if lines is not None else row)
    schema = SCHEMA if lines is None else pa.unify_schemas([SCHEMA, LINES])
    with runs.atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")


def check(path: Path, cells: Cells, questions: Mapping[Asked, str], training: str) -> None:
    """Raise LingraftError for a cell that was made of another training, or asked other questions."""
    for (step, asked), cell in cells.items():
        other = "of another training" if cell.training != training else "asked other questions"
        if cell.training != training or (asked in questions and cell.questions != questions[asked]):
            raise LingraftError(
                f"{path}: the cell of {asked.language} ({asked.split}) at step {step} was {other}",
                "Model, text or settings have changed since, and numbers of two experiments do not make one matrix.",
                "Give another --out, or remove this one to begin anew.",
            )


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.exists():
        return schema.empty_table()
    try:
        return pq.read_table(path, columns=schema.names)
    except (OSError, pa.ArrowException) as error:
        raise LingraftError(
            f"{path} is damaged", " ".join(str(error).split()), "Remove it and repeat the command: it is made again."
        ) from None
