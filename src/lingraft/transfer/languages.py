"""Which language is meant: any usual code or name -> one ISO 639-3 code, by which folders and tables call it.

    >>> resolve("sw").id, resolve("Swahili").id, resolve("swh").id, resolve("swh_Latn").id
    ('swh', 'swh', 'swh', 'swh')

Codes and English names: the IANA registry and CLDR, through the package langcodes. A three-letter code is read as
ISO 639-3 first, then 639-2/B (arm, baq), and only then as a code of WALS, for which a CLDF languages.csv must be given:
the two lists give the same letters to different languages (que: Quechua, or Quechan). A macro-language becomes the
language that its code stands for in published text, where there is one (languages.toml); else it keeps its code.
"""

import csv
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from lingraft.errors import LingraftError, missing_package

_GLOTTOCODE = re.compile(r"[a-z0-9]{4}\d{4}")
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)|\blanguage\b")


@dataclass(frozen=True)
class Language:
    """A language: `id` is ISO 639-3, `bcp47` its shortest tag, as Wikipedia and the hub write it."""

    id: str
    name: str
    bcp47: str
    is_macro: bool = False
    """Whether the code covers several languages, of which nobody said which is meant."""

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


def resolve(text: str, cldf: Sequence[Path] = ()) -> Language:
    """Return the language that a code or a name means.

    `text`: ISO 639-3, 639-2, 639-1, a BCP-47 tag (also as FLORES writes it: swh_Latn), an English name, `wals:xyz`,
    `glottolog:abcd1234`; with `cldf` (folders of CLDF, or their languages.csv) also bare Glottocodes and WALS codes.
    Raises LingraftError with the nearest names for what is unknown, with all candidates for what means several.
    """
    asked = str(text).strip()
    scheme, colon, code = asked.partition(":")
    if colon and scheme.lower() in ("wals", "glottolog"):
        return _of_cldf(code.strip(), scheme.lower(), cldf, asked)
    known = _registry()
    tag = _TAG.fullmatch(asked)
    if tag and (found := known.of_code(tag[1].lower())) is not None:
        return found
    if _GLOTTOCODE.fullmatch(asked):
        return _of_cldf(asked, "glottolog", cldf, asked)
    is_code = tag and asked.islower() and len(asked) <= 3  # nah is a code of many languages, and a name of Nihali
    if not is_code and (found := known.of_name(asked)):
        return found
    if is_code and cldf and asked in {row["ID"] for row in _rows(cldf)}:
        return _of_cldf(asked, "wals", cldf, asked)
    raise known.unknown(asked)


def resolve_all(texts: Iterable[str], cldf: Sequence[Path] = ()) -> list[Language]:
    """Return the languages of several texts, in their order; one LingraftError names all that are unknown."""
    found: list[Language] = []
    faults = []
    for text in texts:
        try:
            found.append(resolve(text, cldf))
        except LingraftError as error:
            faults.append(f"{error.what}. {error.why}".strip())
    if faults:
        raise LingraftError("\n".join(faults), cure="Name each language by its ISO 639-3 code.")
    return found


def family(code: str, cldf: Sequence[Path]) -> str | None:
    """Return the family that CLDF tables give to an ISO 639-3 code, None where they have none."""
    return next((row["Family"] for row in _rows(cldf) if row["ISO639P3code"] == code and row.get("Family")), None)


@cache
def facts() -> Mapping[str, Any]:
    """Return what languages.toml holds."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Registry:
    """The languages of the IANA registry: names and scope by ISO 639-3 code, and the ways in which each is called."""

    names: dict[str, list[str]] = field(default_factory=dict)
    macros: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    by_short_name: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def of_code(self, code: str) -> Language | None:
        found = self.codes.get(code)
        return None if found is None else self.language(found)

    def language(self, code: str) -> Language:
        """Return the language of an ISO 639-3 code, a macro-language already put in the place of its main one."""
        stands_for = facts()["macrolanguages"]
        whole = {main: macro for macro, main in stands_for.items()}.get(code, code)
        whole = code if code in stands_for else whole
        main = stands_for.get(code, code)
        return Language(main, self.name(whole), self.tags[whole], main in self.macros)

    def name(self, code: str) -> str:
        from langcodes import Language as Tag

        shown = Tag.get(self.tags[code], normalize=False).display_name()
        if "[" in shown or shown == "Unknown language":
            shown = self.names[code][0]
        return _IN_BRACKETS.sub("", shown).strip()

    def of_name(self, text: str) -> Language | None:
        """Return the one language of a name; LingraftError when it is that of several."""
        plain = _plain(text)
        if plain in facts()["names"]:
            return self.language(facts()["names"][plain])
        for index in (self.by_name, self.by_short_name):
            found = {self.language(code).id for code in index.get(plain, ())}
            if len(found) > 1:
                raise LingraftError(
                    f"'{text}' is the name of {len(found)} languages",
                    "; ".join(f"{code}: {', '.join(self.names[code])}" for code in sorted(found)),
                    "Say the code of the one that you mean.",
                )
            if found:
                return self.language(found.pop())
        return self._of_cldr(text)

    def _of_cldr(self, text: str) -> Language | None:
        import langcodes

        try:
            found = langcodes.find(text)
        except LookupError:
            return None
        return self.of_code(found.language) if found.to_tag() == found.language else None

    def unknown(self, text: str) -> LingraftError:
        near = get_close_matches(_plain(text), sorted(self.by_short_name), n=3, cutoff=0.7)
        near += sorted(name for name in self.by_short_name if _plain(text) in name.split())[:5]
        held = [self.language(code) for name in near for code in sorted(self.by_short_name[name])]
        shown = ", ".join(dict.fromkeys(map(str, held)))
        return LingraftError(
            f"no language '{text}'",
            f"Near it: {shown}." if shown else "",
            "Give its ISO 639-3 code, a BCP-47 tag, its English name, wals:xyz or glottolog:abcd1234.",
        )


@cache
def _registry() -> _Registry:
    try:
        from langcodes import data_dicts
        from language_data.registry_parser import parse_registry
    except ImportError:
        raise missing_package("langcodes[data]", "transfer", "Telling languages by code and name") from None
    known = _Registry()
    entries = [entry for entry in parse_registry() if entry["Type"] == "language"]
    for entry in entries:
        subtag = entry["Subtag"]
        code = data_dicts.LANGUAGE_ALPHA3.get(subtag, subtag)
        if entry.get("Scope") in ("collection", "special", "private-use") or len(code) != 3:
            continue
        if "Preferred-Value" in entry:
            continue
        known.names[code], known.tags[code] = entry["Description"], subtag
        known.codes.update({subtag: code, code: code})
        if entry.get("Scope") == "macrolanguage":
            known.macros.add(code)
        for name in entry["Description"]:
            known.by_name[_plain(name)].add(code)
            known.by_short_name[_plain(_IN_BRACKETS.sub("", name))].add(code)
    for subtag, code in data_dicts.LANGUAGE_ALPHA3_BIBLIOGRAPHIC.items():
        known.codes.setdefault(code, known.codes[subtag])
    for entry in entries:  # retired codes, as iw for Hebrew
        if entry.get("Preferred-Value") in known.codes:
            known.codes.setdefault(entry["Subtag"], known.codes[entry["Preferred-Value"]])
    return known


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^\w\s()]", "", name.casefold().replace("-", " ").replace("_", " ")).split())


def _of_cldf(code: str, scheme: str, cldf: Sequence[Path], asked: str) -> Language:
    column = {"wals": "ID", "glottolog": "Glottocode"}[scheme]
    if not cldf:
        raise LingraftError(
            f"'{asked}' is a code of {scheme}, and no list of these is given",
            "Which language it is stands in a CLDF languages.csv, of WALS, Grambank or Glottolog.",
            "Name its folder (cldf: FOLDER), or give the ISO 639-3 code.",
        )
    rows = [row for row in _rows(cldf) if row.get(column) == code]
    isos = sorted({row["ISO639P3code"] for row in rows if row.get("ISO639P3code")})
    if len(isos) == 1:
        known = _registry()
        return known.of_code(isos[0]) or Language(isos[0], rows[0]["Name"], isos[0])
    if isos:
        raise LingraftError(f"'{asked}' is the code of {len(isos)} languages", cure=f"Say which: {', '.join(isos)}.")
    near = get_close_matches(code, sorted({row.get(column) or "" for row in _rows(cldf)}), n=3)
    where = ", ".join(str(path) for path in cldf)
    why = f"{rows[0]['Name']} has no ISO 639-3 code there." if rows else ""
    raise LingraftError(f"no language '{asked}' in {where}", why or f"Near it: {', '.join(near)}." * bool(near))


def _rows(cldf: Sequence[Path]) -> list[dict[str, str]]:
    return [row for path in cldf for row in _table(Path(path))]


@cache
def _table(path: Path) -> list[dict[str, str]]:
    file = path / "languages.csv" if path.is_dir() else path
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LingraftError(f"cannot read {file}", str(error), "Give a CLDF folder, or its languages.csv.") from None
    missing = [name for name in ("ID", "Name", "Glottocode", "ISO639P3code") if not rows or name not in rows[0]]
    if missing:
        raise LingraftError(f"{file} is no CLDF table of languages", f"It has no column {', '.join(missing)}.")
    return rows
