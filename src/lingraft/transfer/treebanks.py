"""Words with their parts of speech (UPOS), from the CoNLL-U files of Universal Dependencies.

A word is a row whose id is a whole number: ranges (1-2, what is written as one) and empty nodes (2.1, what is not
written) are left out and counted. Source: https://universaldependencies.org/format.html, /u/pos/.

    sentences = read_treebank(treebank.files, drops)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lingraft.config import Config, InputPaths
from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer import folders
from lingraft.transfer.conllu import Sentence, sentences
from lingraft.transfer.languages import resolve_all

UPOS = tuple("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split())
NO_TAG = -1
"""In place of a tag: a word that has none (_)."""

_NUMBERS = {tag: number for number, tag in enumerate(UPOS)}
_COLUMNS = 4  # id, form, lemma, UPOS


class Treebank(Config):
    """A language and the files that are read for it."""

    language: str = Field(pattern=r"^[\w:-]+$")
    """ISO 639-3 code."""

    files: InputPaths = Field(min_length=1)
    """CoNLL-U files (also .gz, .bz2, .xz)."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence: its id, and its words with the numbers of their tags in UPOS."""

    id: str
    words: list[str]
    tags: list[int]


def as_treebanks(value: Any) -> Any:
    """Read `{language: files}` as a list of treebanks."""
    if not isinstance(value, Mapping):
        return value
    return [{"language": language, "files": files} for language, files in value.items()]


def treebanks_of(folder: Path, languages: Sequence[str], part: Literal["train", "test"]) -> list[Treebank]:
    """Return the training or test files of languages in a folder of UD treebanks; without languages all that have any.

    Where a language has no file to train on, its dev file is taken. LingraftError for a language without any.
    """
    wanted = list(dict.fromkeys(language.id for language in resolve_all(languages)))
    found = {
        language: [path for source in sources for path in source.path]
        for language, sources in folders.gather({"ud": folder}, [], wanted).items()
    }
    chosen = {language: _files(paths, part) for language, paths in found.items()}
    if missing := [language for language in wanted if not chosen.get(language)]:
        has = sorted(language for language, files in chosen.items() if files)
        raise LingraftError(
            f"{folder} has no {part} file of {', '.join(missing)}",
            f"Of those asked for it has: {', '.join(has)}." if has else "",
            f"Choose others, or name the files: {part}: {{language: [files]}}.",
        )
    order = wanted or sorted(chosen)
    return [Treebank(language=language, files=chosen[language]) for language in order if chosen[language]]


def _files(paths: Iterable[Path], part: str) -> list[Path]:
    by_part = {name: [path for path in paths if f"-ud-{name}.conllu" in path.name] for name in ("train", "dev", "test")}
    return by_part[part] or (by_part["dev"] if part == "train" else [])


def read_treebank(files: Iterable[Path], drops: Counter[str]) -> list[Tagged]:
    """Return the sentences of some files that have words.

    `drops` counts ranges, empty_nodes, words_without_tag (these are read, but neither learnt nor scored).
    Raises LingraftError (file and line) for a file without sentences or without a tag, for a row without its UPOS
    column, and for a tag that is none.
    """
    found = []
    for path in files:
        held = [_tagged(sentence, path, drops) for sentence in sentences(path, drops)]
        if not any(tag != NO_TAG for sentence in held for tag in sentence.tags):
            raise LingraftError(
                f"{path} holds {'no UPOS tags' if held else 'no sentences'}",
                "The fourth column of CoNLL-U has the tag." if held else "The download probably failed.",
                "Give a treebank that is annotated.",
            )
        found += [sentence for sentence in held if sentence.words]
    return found


def _tagged(sentence: Sentence, path: Path, drops: Counter[str]) -> Tagged:
    words = sentence.words
    drops["ranges"] += sum("-" in row[0] for row in sentence.rows)
    drops["empty_nodes"] += sum("." in row[0] for row in sentence.rows)
    tags = []
    for row in words:
        tag = row[3] if len(row) >= _COLUMNS else None
        if tag == "_":
            drops["words_without_tag"] += 1
        elif tag not in _NUMBERS:
            place = f"{path}, line {sentence.line:,}: word {row[0]} ('{row[1]}') of this sentence"
            if tag is None:
                raise LingraftError(
                    f"{place} has {len(row)} columns, and no UPOS tag",
                    "The tag is the fourth of ten, with tabs between them.",
                    "Fetch the treebank again, or mend the line.",
                )
            hint = did_you_mean(tag.upper(), UPOS)
            raise LingraftError(
                f"{place}: '{tag}' is no UPOS tag" + (f": {hint}" if hint else ""),
                f"UPOS has {', '.join(UPOS)}.",
                "Give a treebank of Universal Dependencies 2, or mend the line.",
            )
        tags.append(_NUMBERS.get(tag, NO_TAG))
    return Tagged(sentence.id, [row[1] for row in words], tags)
