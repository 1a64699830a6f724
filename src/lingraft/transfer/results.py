"""What a matrix says: the gain of each donor for each recipient, by seed, from our own runs or a published table.

    results = read_results("out/matrix")            # a run of `lingraft transfer matrix`
    results = read_results("published.csv")         # donor, recipient, zero-shot, after, and perhaps seed
    results.gain.mean(axis=2)                       # (donors, recipients)

Our own runs are in bits per byte. A table holds perplexities, which are read as their natural logarithms. A gain is
positive where the donor helps: what the base needs less what the base needs after the donor.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lingraft import runs
from lingraft.errors import LingraftError, did_you_mean

STAGE = "transfer matrix"
BITS, LOG_PERPLEXITY = "bits per byte", "log perplexity"

COLUMNS = {
    "donor": ("donor", "source", "train"),
    "recipient": ("recipient", "target", "test"),
    "before": ("before", "zeroshot", "base"),
    "after": ("after", "finetuned", "trained"),
    "seed": ("seed", "run"),
}
"""Names that a table's columns may have, without case, blanks, - and _."""


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
    """Read a finished run of `transfer matrix`, or a table with a header (.csv, .tsv).

    Raises LingraftError that names file and line: a column that is not there, text in place of a number, a perplexity
    of zero or less, the same cell twice, no cell at all.
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
    import pyarrow.parquet as pq

    columns = ["donor", "recipient", "seed", "before", "after"]
    for number, row in enumerate(pq.read_table(path, columns=columns).to_pylist(), start=1):
        yield Cell(f"{path}, row {number:,}", *(row[name] for name in columns))


def _of_table(path: Path) -> Iterator[Cell]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LingraftError(
            f"cannot read {path}", str(error), "Give a folder of a matrix, or a table in UTF-8."
        ) from None
    first = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    names = _columns(rows.fieldnames or [], path)
    for row in rows:
        if not any(row.values()):
            continue
        place = f"{path}, line {rows.line_num:,}"
        donor, recipient = ((row[names[kind]] or "").strip() for kind in ("donor", "recipient"))
        if not donor or not recipient:
            raise LingraftError(f"{place}: no donor or no recipient", cure="Each line names both.")
        seed = int(_number(row, names["seed"], place)) if "seed" in names else 0
        before, after = (_log(_number(row, names[kind], place), names[kind], place) for kind in ("before", "after"))
        yield Cell(place, donor, recipient, seed, before, after)


def _columns(header: Sequence[str], path: Path) -> dict[str, str]:
    """Return kind -> the name that the table gives it."""
    plain = {"".join(letter for letter in name.lower() if letter.isalnum()): name for name in header}
    found = {kind: plain[name] for kind, names in COLUMNS.items() for name in names if name in plain}
    for kind in ("donor", "recipient", "before", "after"):
        if kind not in found:
            hint = did_you_mean(kind, header)
            raise LingraftError(
                f"{path} has no column for {kind}" + (f": {hint}" if hint else ""),
                f"Its columns: {', '.join(header) or 'none'}.",
                "Name them donor, recipient, zero-shot, after (perplexities), and seed where there are several.",
            )
    return found


def _number(row: Mapping[str, Any], name: str, place: str) -> float:
    """Return a number; NaN for an empty field, and for the ways in which tables say that there is none."""
    text = (row[name] or "").strip()
    if text.lower() in ("", "-", "na", "n/a", "nan", "none", "null"):
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise LingraftError(f"{place}: {name} is {text!r}, not a number", cure="Leave it empty if unknown.") from None


def _log(perplexity: float, name: str, place: str) -> float:
    if perplexity <= 0:
        raise LingraftError(
            f"{place}: {name} is {perplexity}, and no perplexity", "A perplexity is above 0.", "Mend the line."
        )
    return math.log(perplexity)
