"""What is known of pairs of languages, for ranking: from texts, from typology, and from a table of one's own.

    known = pair_features(["deu", "kik"], ["swh"], typology=["wals"])
    known.values                                    # (donors, recipients, features), NaN where not known

Names in a published matrix may be of any kind ("Swahili", "sw"): each is looked up as a language, and one that is not
found has no typology. A table of one's own is matched by the names that the matrix uses. Columns that are made of
gains, as `transfer analyse` writes them beside its features, would tell the answer: they are left out, and counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft import runs
from lingraft.errors import LingraftError
from lingraft.transfer.features import FeatureSettings, features, notes

if TYPE_CHECKING:
    from lingraft.transfer.corpora import Card, Corpora, Line

_SIDES = ("donor", "recipient")
OUTCOMES = ("before", "after", "gain", "centred", "donor_effect", "recipient_effect", "perplexity", "residual", "seed")
"""Columns that begin like this come from the matrix, and are no features."""


@dataclass(frozen=True)
class PairFeatures:
    """Features of all pairs of some donors and recipients."""

    values: np.ndarray
    """(donors, recipients, features), NaN where not known."""
    names: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader should know: which entry of a data set was taken, which language is not known."""


def pair_features(
    donors: Sequence[str],
    recipients: Sequence[str],
    *,
    corpora: Path | None = None,
    tokenizer: Any = None,
    typology: Sequence[Path] = (),
    pairs: Path | None = None,
    texts: Mapping[str, Path] = MappingProxyType({}),
    settings: FeatureSettings | None = None,
    drops: Counter[str] | None = None,
    quiet: bool = False,
) -> PairFeatures:
    """Gather the features of each pair; without any source there are none.

    `texts`: recipient -> a file with its text, beside the corpora. `drops` counts what `features` counts, and
    columns_of_outcomes and pairs_without_features (of the table of one's own).
    Raises LingraftError for a source that cannot be read, and for a pair that stands in the table twice.
    """
    drops = Counter() if drops is None else drops
    shape = (len(donors), len(recipients))
    if texts and corpora is None:
        raise LingraftError(
            f"the text of {', '.join(texts)} has no other to be compared with",
            "Overlap is that of two texts.",
            "Give the corpora too, with the text of the donors.",
        )
    found: dict[str, np.ndarray] = {}
    told: list[str] = []
    if corpora is not None or typology:
        codes = [[code_of(name, typology) for name in names] for names in (donors, recipients)]
        unique = [list(dict.fromkeys(held)) for held in codes]
        table = features(
            None if corpora is None else _corpora(corpora, dict(zip(recipients, codes[1], strict=True)), texts),
            *unique,
            tokenizer=tokenizer,
            typology=typology,
            settings=settings,
            drops=drops,
            quiet=quiet,
        )
        told += notes(table)
        places = np.ix_(*([held.index(code) for code in side] for held, side in zip(unique, codes, strict=True)))
        found |= {name: values[places] for name, values in _columns(table, *unique).items()}
    if pairs is not None:
        table = _read_pairs(pairs)
        kept = [name for name in table.column_names if not name.startswith(OUTCOMES)]
        drops["columns_of_outcomes"] += table.num_columns - len(kept)
        own = _columns(table.select(kept), donors, recipients)
        if not own:
            raise LingraftError(
                f"{pairs} holds no features",
                f"Its columns: {', '.join(table.column_names)}.",
                "Beside donor and recipient it needs columns of numbers.",
            )
        unknown = np.isnan(np.stack(list(own.values()))).all(0)
        drops["pairs_without_features"] += int(unknown.sum())
        found |= own
    values = np.stack(list(found.values()), axis=-1) if found else np.empty((*shape, 0))
    return PairFeatures(values, tuple(found), tuple(told))


def _columns(table: pa.Table, donors: Sequence[str], recipients: Sequence[str]) -> dict[str, np.ndarray]:
    """Return column -> (donors, recipients) of the columns of numbers and truth values; NaN for what is not there."""
    places = [{name: place for place, name in enumerate(held)} for held in (donors, recipients)]
    sides = zip(places, _SIDES, strict=True)
    at = np.array([[side.get(name, -1) for name in table[kind].to_pylist()] for side, kind in sides], int)
    is_asked = (at >= 0).all(0)
    donor, recipient = at[:, is_asked]
    found = {}
    for field in table.schema:
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
            values = pc.cast(table[field.name], pa.float64()).to_numpy().astype(float)[is_asked]
            found[field.name] = np.full((len(donors), len(recipients)), np.nan)
            found[field.name][donor, recipient] = np.where(np.isfinite(values), values, np.nan)
    return found


def _read_pairs(path: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet as pq

    file = path / "pairs.parquet" if path.is_dir() else path
    if path.is_dir():
        runs.read_manifest(path, "transfer analyse")
    try:
        if file.suffix == ".parquet":
            table = pq.read_table(file)
        else:
            with file.open(encoding="utf-8-sig") as lines:
                first = lines.readline()
            options = pyarrow.csv.ParseOptions(delimiter=max(",;\t", key=first.count))
            table = pyarrow.csv.read_csv(file, parse_options=options)
    except (OSError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise LingraftError(
            f"cannot read {file}", " ".join(str(error).split()), "Give a table with a header: .parquet, .csv or .tsv."
        ) from None
    if missing := [name for name in _SIDES if name not in table.column_names]:
        raise LingraftError(
            f"{file} has no column {' and '.join(missing)}",
            f"Its columns: {', '.join(table.column_names)}.",
            "Name them donor and recipient, with the names that the matrix uses.",
        )
    sides = [table[name].cast(pa.string()).to_pylist() for name in _SIDES]
    for place, name in enumerate(_SIDES):
        table = table.set_column(table.column_names.index(name), name, pa.array(sides[place], pa.string()))
    pair, times = next(iter(Counter(zip(*sides, strict=True)).most_common(1)), (None, 0))
    if times > 1:
        raise LingraftError(
            f"{file}: {pair[0]} -> {pair[1]} stands there {times} times", cure="Leave one row for each pair."
        )
    return table


def code_of(name: str, typology: Sequence[Path] = ()) -> str:
    """Return the ISO 639-3 code of a language; one that is not found keeps its name, by which nothing is known."""
    from lingraft.transfer.languages import resolve

    try:
        return resolve(name, typology).id
    except LingraftError:
        return name


def _corpora(folder: Path, codes: Mapping[str, str], texts: Mapping[str, Path]) -> "Corpora | _WithTexts":
    from lingraft.transfer.corpora import Corpora

    corpora = Corpora(folder)
    return _WithTexts(corpora, {codes[name]: file for name, file in texts.items()}) if texts else corpora


@dataclass(frozen=True)
class _WithTexts:
    """Corpora, and the text of further languages from files; where they hold a language already, the file counts."""

    corpora: "Corpora"
    files: Mapping[str, Path]

    @cached_property
    def languages(self) -> "dict[str, Card]":
        from lingraft.transfer.cleaning import script

        cards = {name: _Card(script(line.text for line in self._lines(file))) for name, file in self.files.items()}
        return {**self.corpora.languages, **cards}

    def lines(self, language: str, split: str) -> "Iterator[Line]":
        """Give the lines of a language; all of a file's are in the split train."""
        if language not in self.files:
            yield from self.corpora.lines(language, split)
        elif split == "train":
            yield from self._lines(self.files[language])

    def _lines(self, file: Path) -> "Iterator[Line]":
        from lingraft.corpus.texts import TextSource, documents
        from lingraft.transfer.corpora import Line

        for document in documents(TextSource(path=[file]), Counter()):
            yield Line(document.place, document.text)


@dataclass(frozen=True)
class _Card:
    script: str
