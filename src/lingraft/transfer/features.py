"""What is known of each pair of a donor and a recipient before any training: overlap, sizes, typology, distance.

    table = features(Corpora("out/corpora"), donors, recipients, tokenizer="out/base/model", typology=["wals"])
    table = features(None, donors, recipients, typology=["wals"])         # a published matrix: no text at hand
    notes(table)                                                           # what a reader should know about it

One row a pair, in the order of `donors` and then of `recipients`; what is not known is null, never 0 and never a guess.
docs/transfer-features.md explains every column. Nothing here looks at a label or at a score.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from lingraft.config import Config
from lingraft.errors import LingraftError
from lingraft.transfer.text_features import Side, of_texts
from lingraft.transfer.typology import Typology, Variety, distance_km, read_typology, uriel

if TYPE_CHECKING:
    from lingraft.transfer.corpora import Corpora

_SAME = {"same_family": "family", "same_genus": "genus", "same_area": "area"}
_WHOLE = ("_lines", "_bytes", "_tokens", "_shared")


class FeatureSettings(Config):
    """What of the texts and of the data sets is compared."""

    words: bool = True
    """Compare words too, not only the tokens of the model."""

    recipient_splits: list[Literal["train", "validation", "test"]] = ["train", "validation", "test"]
    """Splits that are the recipient's text. All of it by default: whoever asks for a donor has this text, since it
    holds no labels. Say [train] to leave out what the matrix scores."""

    matched_size: int | None = Field(None, gt=0)
    """Units to which every text is cut for the size-matched columns. By default donors are cut to the smallest donor
    and recipients to the smallest recipient, those with fewer than 1,000 units aside."""

    min_shared: int = Field(10, gt=0)
    """Features known of both languages from which on a similarity is given."""

    min_shared_area: int = Field(5, gt=0)
    """The same for the similarity within one field of grammar."""

    uriel: bool = False
    """Compare by URIEL+ too; the package urielplus must be installed."""

    seed: int = 0
    """Decides which lines size-matched texts are made of."""


def features(
    corpora: "Corpora | None",
    donors: Sequence[str],
    recipients: Sequence[str],
    *,
    tokenizer: Any = None,
    typology: Sequence[str | Path] = (),
    settings: FeatureSettings | None = None,
    drops: Counter[str] | None = None,
    quiet: bool = False,
) -> pa.Table:
    """Return one row of features for each donor and recipient (languages by ISO 639-3 code).

    `tokenizer`: that of the model, loaded or by folder or name; without one only words are compared. `typology`:
    folders of CLDF data sets; family, genus and area come from the first that knows both languages.
    `drops` counts languages: donor_without_text, recipient_without_text, donor_too_short and recipient_too_short (no
    size-matched columns), {data set}_unknown; and, by data set, what reading it left out.
    Raises LingraftError for a data set that cannot be read, or that knows none of the languages.
    """
    settings = settings or FeatureSettings()
    drops = Counter() if drops is None else drops
    told: list[str] = []
    columns: dict[str, np.ndarray] = {}
    if corpora is not None:
        sides = (
            Side("donor", donors, ["train"], corpora),
            Side("recipient", recipients, settings.recipient_splits, corpora),
        )
        columns |= of_texts(sides, tokenizer, settings, drops, told, quiet)
        columns["same_script"] = _same(*(side.scripts for side in sides))
    sources = [read_typology(folder) for folder in typology] + ([uriel()] if settings.uriel else [])
    columns |= _of_typology(sources, donors, recipients, settings, drops, told)
    held = {
        "donor": pa.array([donor for donor in donors for _ in recipients], pa.string()),
        "recipient": pa.array([recipient for _ in donors for recipient in recipients], pa.string()),
    }
    held |= {name: _column(name, values.ravel()) for name, values in columns.items()}
    return pa.table(held).replace_schema_metadata({"notes": json.dumps(told, ensure_ascii=False)})


def notes(table: pa.Table) -> list[str]:
    """Return what a reader should know about a table of features: which entry was taken, who is not known, sizes."""
    return json.loads((table.schema.metadata or {}).get(b"notes", b"[]"))


def _of_typology(
    sources: Sequence[Typology],
    donors: Sequence[str],
    recipients: Sequence[str],
    settings: FeatureSettings,
    drops: Counter[str],
    told: list[str],
) -> dict[str, np.ndarray]:
    """Return column -> (donors, recipients) of data sets; family, area and distance from the first that knows both."""
    shape = (len(donors), len(recipients))
    columns: dict[str, np.ndarray] = (
        {name: np.full(shape, np.nan) for name in (*_SAME, "distance_km")} if sources else {}
    )
    for source in sources:
        rows = _rows(source, dict.fromkeys([*donors, *recipients]), drops, told)
        sides = [[rows[name] for name in names] for names in (donors, recipients)]
        columns |= _similarities(source, *sides, settings)
        places = [[None if row is None else source.varieties[row] for row in side] for side in sides]
        known = {name: _same(*([_trait(v, trait) for v in side] for side in places)) for name, trait in _SAME.items()}
        known["distance_km"] = np.array([[_distance(a, b) for b in places[1]] for a in places[0]], float)
        columns |= {name: np.where(np.isnan(columns[name]), values, columns[name]) for name, values in known.items()}
    return columns


def _rows(source: Typology, languages: Iterable[str], drops: Counter[str], told: list[str]) -> dict[str, int | None]:
    """Return language -> its row in a data set, None where it has none."""
    rows: dict[str, int | None] = {}
    errors = []
    for language in languages:
        try:
            rows[language], note = source.match(language)
        except LingraftError as error:
            rows[language], note = None, error.what
            errors.append(error)
        told += filter(None, [note])
    if len(errors) == len(rows) and errors:
        raise errors[0]
    drops.update(
        {f"{source.name}_unknown": len(errors)} | {f"{source.name}_{name}": n for name, n in source.drops.items()}
    )
    return rows


def _similarities(
    source: Typology, donors: Sequence[int | None], recipients: Sequence[int | None], settings: FeatureSettings
) -> dict[str, np.ndarray]:
    """Return matches / shared of a data set, as a whole and by field of grammar, and the number shared."""
    known = [[index for index, row in enumerate(side) if row is not None] for side in (donors, recipients)]
    rows = [[side[index] for index in kept] for side, kept in zip((donors, recipients), known, strict=True)]
    place = np.ix_(*known)
    columns = {}
    for name, area, least in _fields(source, settings):
        matches, shared = source.agreement(*rows, area=area)
        similarity = np.full((len(donors), len(recipients)), np.nan)
        similarity[place] = np.where(shared >= least, matches / np.maximum(shared, 1), np.nan)
        columns[f"{name}_similarity"] = similarity
        if area is None:
            columns[f"{name}_shared"] = np.full(similarity.shape, np.nan)
            columns[f"{name}_shared"][place] = shared
    return columns


def _fields(source: Typology, settings: FeatureSettings) -> Iterable[tuple[str, str | None, int]]:
    """Yield name, field and fewest shared features: of all features, then of each field that has enough of them."""
    yield source.name, None, settings.min_shared
    for area, number in Counter(filter(None, source.areas)).items():
        if number >= settings.min_shared_area:
            yield f"{source.name}_{area.replace(' ', '_')}", area, settings.min_shared_area


def _trait(variety: Variety | None, name: str) -> str:
    return "" if variety is None else getattr(variety, name)


def _distance(first: Variety | None, second: Variety | None) -> float | None:
    return None if first is None or second is None else distance_km(first, second)


def _same(donors: Sequence[str], recipients: Sequence[str]) -> np.ndarray:
    """Return 1 where two names are the same, 0 where they differ, NaN where one is "": (donors, recipients)."""
    first, second = np.array(donors, object)[:, None], np.array(recipients, object)[None, :]
    return np.where((first == "") | (second == ""), np.nan, (first == second).astype(float))


def _column(name: str, values: np.ndarray) -> pa.Array:
    """Return a column with null for NaN, of truth values or whole numbers where it holds them."""
    column = pa.array(values, pa.float64(), from_pandas=True)
    if name.startswith("same_"):
        return column.cast(pa.bool_())
    return column.cast(pa.int64()) if name.endswith(_WHOLE) else column
