"""What linguists know of languages, from CLDF tables: similarity by grammar, family and genus, area, distance.

Read are languages.csv, parameters.csv, codes.csv and values.csv (each also as .gz) of a CLDF StructureDataset: WALS,
Grambank and Glottolog have this shape. chapters.csv and areas.csv, which WALS adds, sort its features by field of
grammar.

    wals = read_typology("wals")
    wals.match("deu").note                      # "deu stands in wals with 6 entries: taken is ger ..."
    matches, shared = wals.agreement(["deu"], ["swh", "quc"])

A language is found by ISO 639-3 code, by Glottocode, or by the data set's own id (`wals:ger`). A bare code of three
letters is never an own id: `aar` is Afar in ISO 639-3, and Aari in WALS. A macrolanguage and its members find each
other (est and ekk, zho and cmn) where the code itself is not there. Of several entries the one with the most values is
taken: in WALS these are mostly dialects with a handful of values.
Source: https://cldf.clld.org (terms of the columns); Dryer and Haspelmath (eds.) 2013, WALS Online.
"""

import csv
import gzip
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer.languages import resolve

EARTH_RADIUS = 6371.0088
"""Mean radius in km: IUGG, 1980."""

_ISO = re.compile(r"[a-z]{3}")
_KNOWN = {"wals": {"1A", "81A"}, "grambank": {"GB020", "GB021"}}
_URIEL_AREAS = {"S": "syntactic", "P": "phonological", "INV": "inventory"}
_UNKNOWN = ("", "?")


@dataclass(frozen=True)
class Variety:
    """One entry of a data set: a language or a dialect; "" and None are unknown."""

    id: str
    name: str = ""
    iso: tuple[str, ...] = ()
    """ISO 639-3 codes; several where an entry stands for several languages."""
    glottocode: str = ""
    family: str = ""
    genus: str = ""
    area: str = ""
    """Macro-area, as Eurasia."""
    latitude: float | None = None
    longitude: float | None = None


class Match(NamedTuple):
    """The row of a language in a data set, and what a reader should know about the choice ("" if nothing)."""

    row: int
    note: str


@dataclass(frozen=True)
class Typology:
    """The languages of a data set and the values of their features."""

    name: str
    varieties: tuple[Variety, ...]
    features: tuple[str, ...]
    areas: tuple[str, ...]
    """Field of grammar of each feature, as "word order"; "" where the data set names none."""
    values: np.ndarray
    """(varieties, features) int32: a number for each value, 0 where it is not known."""
    drops: Counter[str] = field(default_factory=Counter)
    """Counts: unknown_language, unknown_feature, unknown_value, uncoded_value, second_value, bad_coordinates."""

    def match(self, code: str) -> Match:
        """Find a language by ISO 639-3 code, Glottocode or own id; LingraftError names the nearest.

        Of several entries the one with the most values is taken, the first of the table among equals.
        """
        exact = self._exact(code)
        rows = exact or self._same_language(code)
        if not rows:
            raise self._unknown(code)
        row = max(rows, key=lambda row: (self._num_values[row], -row))
        found = self.varieties[row]
        named = f"{code} stands in {self.name}" + ("" if exact else f" as {' '.join(found.iso)}")
        named += f" with {len(rows)} entries" if len(rows) > 1 else ""
        note = f"{named}: taken is {found.id} ({found.name}), with {self._num_values[row]} values"
        return Match(row, "" if exact and len(rows) == 1 else note)

    def find(self, code: str) -> Variety:
        """Return the entry that `match` takes."""
        return self.varieties[self.match(code).row]

    def agreement(
        self, donors: Sequence[int], recipients: Sequence[int], area: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return in how many features each pair of rows agrees, and how many are known of both: 2 x (D, R) int64.

        With `area` only the features of that field of grammar count.
        """
        columns = [index for index, name in enumerate(self.areas) if area in (None, name)]
        first, second = self.values[np.ix_(donors, columns)], self.values[np.ix_(recipients, columns)]
        matches = np.zeros((len(donors), len(recipients)), np.int64)
        shared = matches.copy()
        for column, values in enumerate(second):
            known = (first > 0) & (values > 0)
            shared[:, column] = known.sum(axis=1)
            matches[:, column] = (known & (first == values)).sum(axis=1)
        return matches, shared

    @cached_property
    def _num_values(self) -> list[int]:
        return (self.values > 0).sum(axis=1).tolist()

    @cached_property
    def _rows(self) -> dict[str, dict[str, list[int]]]:
        """Rows by kind of code, and by code."""
        rows: dict[str, dict[str, list[int]]] = {kind: defaultdict(list) for kind in ("iso", "glottocode", "id")}
        for row, variety in enumerate(self.varieties):
            for iso in variety.iso:
                rows["iso"][iso].append(row)
            if variety.glottocode:
                rows["glottocode"][variety.glottocode].append(row)
            rows["id"][variety.id].append(row)
        return rows

    @cached_property
    def _rows_by_language(self) -> dict[str, list[int]]:
        """Rows by the code that stands for theirs."""
        rows = defaultdict(list)
        for iso, held in self._rows["iso"].items():
            rows[_language(iso)] += held
        return rows

    def _same_language(self, code: str) -> list[int]:
        """Return the rows of the language that a code or a name stands for."""
        known = _language(code)
        return self._rows["iso"].get(known) or self._rows_by_language.get(known, []) if known else []

    def _exact(self, code: str) -> list[int]:
        """Return the rows that a code names."""
        prefix, colon, own = code.partition(":")
        if colon:
            kind = {self.name: "id", "glottolog": "glottocode"}.get(prefix.lower())
            return self._rows[kind].get(own, []) if kind else []
        found = self._rows["iso"].get(code) or self._rows["glottocode"].get(code)
        return found or ([] if _ISO.fullmatch(code) else self._rows["id"].get(code, []))

    def _unknown(self, code: str) -> LingraftError:
        known = {*self._rows["iso"], *self._rows["glottocode"], *(f"{self.name}:{own}" for own in self._rows["id"])}
        hint = did_you_mean(code, known)
        return LingraftError(
            f"{self.name} has no language '{code}'" + (f": {hint}" if hint else ""),
            f"It is looked up as ISO 639-3 code, as Glottocode and as id ({self.name}:ID) of {len(self.varieties):,} "
            "entries.",
            "Give another code, or leave it: what depends on it is then unknown.",
        )


def distance_km(first: Variety, second: Variety) -> float | None:
    """Return the great-circle distance of the points by which two languages are mapped, None if one has none.

    Source: the haversine formula (Sinnott 1984, Sky and Telescope 68), on a sphere.
    """
    places = [(variety.latitude, variety.longitude) for variety in (first, second)]
    if any(part is None for place in places for part in place):
        return None
    (lat_a, lon_a), (lat_b, lon_b) = np.radians(np.array(places, float))
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return float(2 * EARTH_RADIUS * np.arcsin(np.sqrt(min(1.0, half))))


def read_typology(folder: str | Path) -> Typology:
    """Read the tables of a CLDF data set in `folder`.

    Raises LingraftError that names file and line: a table or a column that is not there, text that is not UTF-8.
    Values of languages, features or codes that no table lists are left out and counted.
    """
    folder = Path(folder)
    drops: Counter[str] = Counter()
    varieties = tuple(_varieties(folder, drops))
    features = {row["ID"]: row for row in _rows(folder, "parameters", ("ID",))}
    codes = {row["ID"]: row["Parameter_ID"] for row in _rows(folder, "codes", ("ID", "Parameter_ID"), optional=True)}
    values = _values(folder, varieties, list(features), codes, drops)
    name = next((name for name, ids in _KNOWN.items() if ids <= features.keys()), _plain(folder))
    return Typology(name, varieties, tuple(features), _areas(folder, features), values, drops)


def _varieties(folder: Path, drops: Counter[str]) -> Iterator[Variety]:
    for row in _rows(folder, "languages", ("ID",)):
        iso = row.get("ISO639P3code") or row.get("ISO_codes") or ""
        place = [_degrees(row.get(name, ""), most) for name, most in (("Latitude", 90), ("Longitude", 180))]
        if None in place:
            place = [None, None]
            if row.get("Latitude") or row.get("Longitude"):
                drops["bad_coordinates"] += 1
        yield Variety(
            id=row["ID"],
            name=row.get("Name", ""),
            iso=tuple(iso.split()),
            glottocode=row.get("Glottocode", ""),
            family=row.get("Family") or row.get("Family_name") or row.get("Family_ID") or "",
            genus=row.get("Genus", ""),
            area=row.get("Macroarea", ""),
            latitude=place[0],
            longitude=place[1],
        )


def _degrees(text: str, most: int) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= most else None


def _values(
    folder: Path, varieties: Sequence[Variety], features: Sequence[str], codes: dict[str, str], drops: Counter[str]
) -> np.ndarray:
    """Return the table of values, (varieties, features) int32; the first of two values of one cell stays.

    A data set that lists codes is read by them, since its other values are free text or numbers; one without is read
    by the values themselves.
    """
    rows = {variety.id: row for row, variety in enumerate(varieties)}
    columns = {name: column for column, name in enumerate(features)}
    numbers = {code: number for number, code in enumerate(codes, start=1)}
    found = np.zeros((len(rows), len(columns)), np.int32)
    for value in _rows(folder, "values", ("Language_ID", "Parameter_ID", "Code_ID" if codes else "Value")):
        row, column = rows.get(value["Language_ID"]), columns.get(value["Parameter_ID"])
        text = value["Code_ID" if codes else "Value"]
        if row is None or column is None:
            drops["unknown_language" if row is None else "unknown_feature"] += 1
        elif text in _UNKNOWN:
            drops["uncoded_value" if value.get("Value", "") not in _UNKNOWN else "unknown_value"] += 1
        elif codes and codes.get(text) != value["Parameter_ID"]:
            drops["unknown_value"] += 1
        elif found[row, column]:
            drops["second_value"] += 1
        else:
            found[row, column] = numbers.setdefault(text, len(numbers) + 1)
    return found


def _areas(folder: Path, features: dict[str, dict[str, str]]) -> tuple[str, ...]:
    names = {row["ID"]: row["Name"] for row in _rows(folder, "areas", ("ID", "Name"), optional=True)}
    chapters = {row["ID"]: row["Area_ID"] for row in _rows(folder, "chapters", ("ID", "Area_ID"), optional=True)}
    return tuple(names.get(chapters.get(row.get("Chapter_ID", ""), ""), "").lower() for row in features.values())


def _rows(folder: Path, table: str, needed: Sequence[str], *, optional: bool = False) -> Iterator[dict[str, str]]:
    """Yield the rows of a table with the blanks around their fields taken off."""
    path = next((path for end in (".csv", ".csv.gz") if (path := folder / f"{table}{end}").exists()), None)
    if path is None:
        if optional:
            return
        raise LingraftError(
            f"{folder} has no {table}.csv",
            "A CLDF data set has languages.csv, parameters.csv, codes.csv and values.csv, each perhaps as .gz.",
            "Give the folder that holds them, as wals/cldf.",
        )
    try:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""))
        if missing := [name for name in needed if name not in (rows.fieldnames or [])]:
            raise LingraftError(
                f"{path}, line 1: no column {', '.join(missing)}",
                f"Its columns: {', '.join(rows.fieldnames or []) or 'none'}.",
                "Columns are named by their CLDF terms: ID, Language_ID, Parameter_ID, Code_ID, Value ...",
            )
        for row in rows:
            if None in row.values() or None in row:
                raise LingraftError(
                    f"{path}, line {rows.line_num:,}: {'too few' if None in row.values() else 'too many'} fields",
                    f"The header has {len(rows.fieldnames)}.",
                    "Fetch the data set again, or mend the line.",
                )
            yield {name: value.strip() for name, value in row.items()}
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise LingraftError(f"cannot read {path}", str(error), "Fetch the data set again.") from None


def _plain(folder: Path) -> str:
    """Return a name for columns, made of the folder's; `cldf` is what every data set calls its inner folder."""
    folder = folder.resolve()
    name = folder.parent.name if folder.name == "cldf" else folder.name
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "typology"


def _language(code: str) -> str:
    """Return the ISO 639-3 code that a code or a name stands for, "" where that is not known."""
    try:
        return resolve(code).id
    except LingraftError:
        return ""


def uriel() -> Typology:
    """Return the typological features of URIEL+, of the package urielplus where it is installed.

    A feature that any of its sources has counts as present; -1, its mark for unknown, is unknown here too.
    Source: Khan et al. 2025, COLING, https://arxiv.org/abs/2409.18472.
    """
    try:
        from urielplus.urielplus import URIELPlus

        held = URIELPlus()
    except ImportError:
        raise LingraftError(
            "urielplus is not installed", "The similarities of URIEL+ need it.", "pip install urielplus"
        ) from None
    except SystemExit:  # that is how the package says that its files are missing
        raise LingraftError("urielplus cannot read its data base", cure="Install urielplus again.") from None
    features = [str(name) for name in held.get_typological_features_array()]
    by_source: Any = np.asarray(held.get_typological_data_array())
    present = by_source.reshape(*by_source.shape[:2], -1).max(axis=2)  # -1 only where no source knows
    values = np.where(present < 0, 0, 1 + (present > 0)).astype(np.int32)
    varieties = tuple(
        Variety(code, iso=(code,)) if _ISO.fullmatch(code) else Variety(code, glottocode=code)
        for code in map(str, held.get_typological_languages_array())
    )
    areas = tuple(_URIEL_AREAS.get(name.partition("_")[0], "") for name in features)
    return Typology("uriel", varieties, tuple(features), areas, values)
