"""Whole folders of text as sources by language: the parallel Bible corpus, NLLB-Seed, Universal Dependencies.

Languages are told by metadata.csv and the files' headers (Bible), by file names (eng_Latn, quc_iu-ud-test.conllu). What
cannot be told, and two Bibles of one language, are named together in one error with the cure.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lingraft.errors import LingraftError
from lingraft.transfer.bible import language_of
from lingraft.transfer.languages import Language, facts, resolve
from lingraft.transfer.sources import Source, commonest, conllu_files

_SUFFIXES = (".gz", ".bz2", ".xz", ".txt")
_CC = re.compile(r"(?:licenses/|Attribution)(?:(by[a-z-]*)/|((?:-[A-Z]\w+)*) )(\d\.\d)", re.IGNORECASE)
_LETTERS = {"noncommercial": "nc", "sharealike": "sa", "noderivatives": "nd", "noderivs": "nd"}
SEED_LICENCE = "CC BY-SA 4.0"
"""Licence of NLLB-Seed, https://github.com/facebookresearch/flores, nllb_seed/README."""


@dataclass(frozen=True)
class Found:
    """A source in a folder and the language that it is said to be in."""

    language: str
    source: Source
    place: str


def bible(folder: Path) -> Iterator[Found]:
    """Yield the files of the parallel Bible corpus; metadata.csv, where it is there, knows more than the headers."""
    listed = _metadata(folder)
    licence = licence_of(folder)
    for file in _files(folder, "*.xml*"):
        name = file.name.partition(".xml")[0] + ".xml"
        language = listed.get(name)
        if language is None:
            said, code = language_of(file)
            language = facts()["bible"].get(said, code or said)
        source = Source(kind="bible", path=[file], licence=licence)
        yield Found(language, source, file.name)


def _metadata(folder: Path) -> dict[str, str]:
    """Return file name -> ISO 639-3 code, as metadata.csv of the corpus has it; nothing where there is none."""
    file = folder / "metadata.csv"
    if not file.exists():
        return {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"Filename", "ISO_639-3"} <= rows[0].keys():
        raise LingraftError(
            f"{file} has no columns Filename and ISO_639-3", cure="Take the file of the Bible corpus, or remove it."
        )
    return {row["Filename"]: row["ISO_639-3"] for row in rows if row["ISO_639-3"]}


def seed(folder: Path, pivot: str = "eng_Latn") -> Iterator[Found]:
    """Yield the translations of NLLB-Seed, folders of two files `eng_Latn`, `bam_Latn`, and once the pivot itself.

    The editions of the pivot differ in order and in some words: the one that the others agree with most names the keys.
    """
    inside = [sorted(path.iterdir()) for path in sorted(folder.iterdir()) if path.is_dir()]
    pairs = [{_stem(file): file for file in files} for files in inside]
    pairs = [files for files in pairs if len(files) == 2 and pivot in files]
    if not pairs:
        raise LingraftError(
            f"{folder} holds no folders of NLLB-Seed",
            f"Each has two files with a sentence a line, one of them named {pivot}.",
            "Check the path, or list the files under languages: with kind: parallel.",
        )
    reference = commonest([files[pivot] for files in pairs])
    for files in pairs:
        for name, file in files.items():
            if name != pivot or file == reference:
                source = Source(
                    kind="parallel",
                    path=[file],
                    pivot=files[pivot],
                    reference=reference,
                    name="seed",
                    licence=SEED_LICENCE,
                )
                yield Found(name, source, f"{file.parent.name}/{file.name}")


def _stem(file: Path) -> str:
    name = file.name
    while name.endswith(_SUFFIXES):
        name = name.rpartition(".")[0]
    return name


def ud(folder: Path) -> Iterator[Found]:
    """Yield the treebanks of a folder: folders UD_Language-Treebank, or one folder of .conllu files."""
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.conllu*"))]
    if not inside and not any(folder.glob("*.conllu*")):
        raise LingraftError(f"{folder} holds no treebanks", "A treebank is a folder with .conllu files.")
    for treebank in inside or [folder]:
        by_name = defaultdict(list)
        for file in conllu_files(treebank):
            by_name[file.name.partition("-ud-")[0].partition(".")[0]].append(file)
        for name, files in by_name.items():
            source = Source(kind="ud", path=files, name=f"ud {name}", licence=licence_of(treebank))
            yield Found(name.partition("_")[0], source, treebank.name)


READERS: Mapping[str, Callable[[Path], Iterator[Found]]] = {"bible": bible, "seed": seed, "ud": ud}


def gather(
    folders: Mapping[str, Path | None], skip: Sequence[str], only: Sequence[str], cldf: Sequence[Path] = ()
) -> dict[str, list[Source]]:
    """Return ISO 639-3 code -> sources, in the order of the kinds and of their files' names.

    `skip` names files or treebanks that are not read, `only` the languages that are wanted ([]: all).
    Raises one LingraftError for all languages that cannot be told and all Bibles of one language.
    """
    sources: dict[str, list[Source]] = defaultdict(list)
    faults: list[str] = []
    bibles: dict[str, str] = {}
    for kind, folder in folders.items():
        if folder is None:
            continue
        if not folder.is_dir():
            raise LingraftError(f"no folder at {folder}", cure=f"Check the path of {kind}:.")
        for found in READERS[kind](folder):
            if found.place in skip or found.place.partition(".")[0] in skip:
                continue
            language = _told(found, only, cldf, faults)
            if language is None or (only and language.id not in only):
                continue
            if kind == "bible" and language.id in bibles:
                faults.append(f"{found.place} and {bibles[language.id]} are both {language}")
            if kind == "bible":
                bibles[language.id] = found.place
            sources[language.id].append(found.source)
    if faults:
        raise LingraftError(
            f"{len(faults)} of the sources cannot be taken as they are:\n"
            + "\n".join(f"  {fault}" for fault in faults),
            cure="Leave files out by their names (skip: [NAME]), or list them with their language under languages:.",
        )
    return dict(sources)


def _told(found: Found, only: Sequence[str], cldf: Sequence[Path], faults: list[str]) -> Language | None:
    try:
        return resolve(found.language, cldf)
    except LingraftError as error:
        if not only:  # who says which languages are wanted need not name the others
            faults.append(f"{found.place}: {error.what}. {error.why}".strip())
        return None


def licence_of(folder: Path) -> str | None:
    """Return the licence that a LICENSE file in the folder tells of, short ("CC BY-SA 4.0") where it can be told."""
    file = next((path for path in sorted(folder.glob("LICEN[SC]E*"))), None)
    if file is None:
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    if found := _CC.search(text):
        parts = found[1].split("-") if found[1] else ["by", *found[2].strip("-").split("-")]
        letters = "-".join(_LETTERS.get(part.lower(), part.lower()) for part in parts if part)
        return f"CC {letters.upper()} {found[3]}"
    if "CC0" in text:
        return "CC0 1.0"
    if "GNU GENERAL PUBLIC LICENSE" in text.upper():
        return "GPL"
    return next((line.strip()[:80] for line in text.splitlines() if line.strip()), None)


def _files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not files:
        raise LingraftError(f"{folder} holds no files {pattern}", cure="Check the path.")
    return files
