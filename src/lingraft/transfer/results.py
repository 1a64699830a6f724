"""What a matrix says: the gain of each donor for each recipient, by seed, from our own runs or a published table.

    results = read_results("out/matrix")            # a run of `lingraft transfer matrix`
    results = read_results("published.csv")         # donor, recipient, zero-shot, after, and perhaps seed
    results.gain.mean(axis=2)                       # (donors, recipients)

Our own runs are in bits per byte. A table holds perplexities, which are read as their natural logarithms. A gain is
positive where the donor helps: what the base needs less what the base needs after the donor.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lingraft import runs
from lingraft.errors import LingraftError, did_you_mean

STAGE = "transfer matrix"
BITS, LOG_PERPLEXITY = "bits per byte", "log perplexity"

COLUMNS = {
    "donor": ("donor", "source", "transfer", "train"),
    "recipient": ("recipient", "target", "task", "test"),
    "before": ("perplexitybefore", "zeroshot", "before", "base"),
    "after": ("perplexityafter", "after", "finetuned", "trained"),
    "seed": ("seed", "run"),
}
"""Names that a table's columns may have, without case, blanks, - and _; the first that is there counts. The words
language and perplexity may follow. Perplexities come first: beside them a run of ours has bits per byte."""


@dataclass(frozen=True)
class Results:
    """A matrix of donors, recipients and seeds; what was not measured is NaN, and so is a donor on itself."""

    donors: tuple[str, ...]
    recipients: tuple[str, ...]
    seeds: tuple[int, ...]
    before: np.ndarray
    """(donors, recipients, seeds): the base on the recipient, in `unit`."""
    after: np.ndarray
    """The same after training on the donor."""
    unit: str
    """BITS or LOG_PERPLEXITY."""
    drops: Counter[str] = field(default_factory=Counter)
    """Counts: missing (of all cells), own_language."""

    @property
    def gain(self) -> np.ndarray:
        """(donors, recipients, seeds): positive where the donor helps."""
        return self.before - self.after


class Cell(NamedTuple):
    """One measured pair, and where it stands in its table."""

    place: str
    donor: str
    recipient: str
    seed: int
    before: float
    after: float


def read_results(path: str | Path) -> Results:
    """Read a finished run of `transfer matrix`, or a table with a header; commas, semicolons or tabs part its columns.

    Raises LingraftError that names file and line: a column that is not there or there twice, a line with other fields
    than the header, text in place of a number, a perplexity of zero or less, the same cell twice, no cell at all.
    """
    path = Path(path)
    if path.is_dir():
        runs.read_manifest(path, STAGE)
        return _results(_of_run(path / "matrix.parquet"), BITS, str(path))
    return _results(_of_table(path), LOG_PERPLEXITY, str(path))


def _results(cells: Iterator[Cell], unit: str, name: str) -> Results:
    found: dict[tuple[str, str, int], Cell] = {}
    own: set[tuple[str, str, int]] = set()
    for cell in cells:
        key = (cell.donor, cell.recipient, cell.seed)
        if key in found:
            raise LingraftError(
                f"{cell.place}: {cell.donor} -> {cell.recipient} (seed {cell.seed}) stands there twice",
                f"First in {found[key].place}.",
                "Leave one of them, or add a column seed that tells them apart.",
            )
        found[key] = cell
        if cell.donor == cell.recipient:
            own.add(key)
    usable = {key: cell for key, cell in found.items() if key not in own and math.isfinite(cell.before - cell.after)}
    if not usable:
        raise LingraftError(f"{name} holds no measured pair of two languages", cure="Check the file.")
    donors, recipients = (tuple(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    seeds = tuple(sorted({key[2] for key in found}))
    before = np.full((len(donors), len(recipients), len(seeds)), np.nan)
    after = before.copy()
    at = [{name: place for place, name in enumerate(names)} for names in (donors, recipients, seeds)]
    for key, cell in usable.items():
        place = tuple(names[part] for names, part in zip(at, key, strict=True))
        before[place], after[place] = cell.before, cell.after
    drops = Counter(own_language=len(own), missing=before.size - len(usable) - len(own))
    return Results(donors, recipients, seeds, before, after, unit, drops)


def _of_run(path: Path) -> Iterator[Cell]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["donor", "recipient", "seed", "before", "after"]
    try:
        rows = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise LingraftError(
            f"cannot read {path}", " ".join(str(error).split()), "Repeat the run of `transfer matrix`."
        ) from None
    for number, row in enumerate(rows, start=1):
        before, after = (math.nan if row[name] is None else row[name] for name in ("before", "after"))
        yield Cell(f"{path}, row {number:,}", row["donor"], row["recipient"], row["seed"], before, after)


def _of_table(path: Path) -> Iterator[Cell]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LingraftError(
            f"cannot read {path}", str(error), "Give a folder of a matrix, or a table in UTF-8."
        ) from None
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    try:
        names = _columns(rows.fieldnames or [], path)
        for row in rows:
            place = f"{path}, line {rows.line_num:,}"
            if None in row or None in row.values():
                raise LingraftError(
                    f"{place}: {'more' if None in row else 'fewer'} fields than in the header",
                    "The line is cut off, or a field with the mark between columns in it is not quoted.",
                    "Mend the line.",
                )
            if any(value.strip() for value in row.values()):
                yield _cell(row, names, place, decimal="," if mark == ";" else ".")
    except csv.Error as error:
        raise LingraftError(
            f"{path}, line {rows.line_num + 1:,}: {error}", cure="Give a table of text, one line a cell."
        ) from None


def _cell(row: Mapping[str, str], names: Mapping[str, str], place: str, decimal: str) -> Cell:
    donor, recipient = (row[names[kind]].strip() for kind in ("donor", "recipient"))
    if not donor or not recipient:
        raise LingraftError(f"{place}: no donor or no recipient", cure="Each line names both.")
    seed = _number(row[names["seed"]], names["seed"], place, decimal) if "seed" in names else 0.0
    if not seed.is_integer():
        raise LingraftError(
            f"{place}: {names['seed']} is {row[names['seed']]!r}, and no whole number", cure="Number the seeds."
        )
    before, after = (
        _log(_number(row[names[kind]], names[kind], place, decimal), names[kind], place) for kind in ("before", "after")
    )
    return Cell(place, donor, recipient, int(seed), before, after)


def _columns(header: Sequence[str], path: Path) -> dict[str, str]:
    """Return kind -> the name that the table gives it."""
    plain: dict[str, str] = {}
    for name in header:
        key = "".join(letter for letter in name.lower() if letter.isalnum())
        for word in ("language", "perplexity", "ppl"):
            key = key.removesuffix(word) or key
        if key in plain and any(key in names for names in COLUMNS.values()):
            raise LingraftError(
                f"{path} has two columns for one thing: '{plain[key]}' and '{name}'", cure="Leave one, or rename it."
            )
        plain[key] = name
    found: dict[str, str] = {}
    for kind, names in COLUMNS.items():
        if held := [plain[name] for name in names if name in plain]:
            found[kind] = held[0]
    for kind in ("donor", "recipient", "before", "after"):
        if kind not in found:
            hint = did_you_mean(kind, header)
            raise LingraftError(
                f"{path} has no column for {kind}" + (f": {hint}" if hint else ""),
                f"Its columns: {', '.join(header) or 'none'}.",
                "Name them donor, recipient, zero-shot, after (perplexities), and seed where there are several.",
            )
    return found


def _number(text: str, name: str, place: str, decimal: str) -> float:
    """Return a number; NaN for an empty field, and for the ways in which tables say that there is none."""
    text = text.strip()
    if text.lower() in ("", "-", "na", "n/a", "nan", "none", "null"):
        return math.nan
    try:
        if "_" in text:  # Python reads 1_5 as 15
            raise ValueError
        return float(text.replace(decimal, ".") if decimal not in text.replace(decimal, "", 1) else text)
    except ValueError:
        raise LingraftError(
            f"{place}: {name} is {text!r}, not a number",
            cure="Write plain numbers, as 12.5, without signs for thousands or per cent; leave empty what is unknown.",
        ) from None


def _log(perplexity: float, name: str, place: str) -> float:
    if perplexity <= 0:
        raise LingraftError(
            f"{place}: {name} is {perplexity}, and no perplexity", "A perplexity is above 0.", "Mend the line."
        )
    return math.log(perplexity)
