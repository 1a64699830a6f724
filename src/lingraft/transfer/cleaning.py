"""Lines made fit for training: normalised, of a sensible length, each once, in one script, no more than asked for.

Order: NFC and white space, length, repeated keys and texts, language identification, the most lines, script. Every line
that goes is counted by the reason. Memory holds the kept lines, at most twice `max_lines` of them, and a hash of each
key and text seen.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from lingraft.config import Config, InputPath, Probability
from lingraft.errors import LingraftError
from lingraft.transfer.languages import facts, resolve
from lingraft.transfer.sources import Line

AnyLine = TypeVar("AnyLine", bound=Line)

Identify = Callable[[str], tuple[str, float]]
"""Text -> (ISO 639-3 code, probability)."""

# Soft hyphens, zero-width spaces, byte order marks and control characters; joiners stay, Persian and Hindi need them.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\ufeff]+")

JAPANESE = 0.1
"""Share of kana among the letters from which Chinese characters count as Japanese."""


class Cleaning(Config):
    """Which lines are kept."""

    min_characters: int = Field(3, ge=1)
    """Shorter lines are left out."""

    max_characters: int = Field(5_000, ge=1)
    """Longer lines are left out: they are whole documents, or no text."""

    duplicates: bool = False
    """Keep lines that have stood before in the same language."""

    max_lines: int | None = Field(500_000, gt=0)
    """Most lines of a language, chosen by a hash of the key, so languages keep the same verses. The paper: 500,000."""

    script_share: Probability = 0.0
    """Leave out lines in which a smaller share of the letters is in the language's main script; 0 keeps all."""

    identifier: InputPath | None = None
    """A fastText model of language identification, such as GlotLID; needs the package fasttext."""

    min_probability: Probability = 0.5
    """With an identifier: leave out lines that it gives another language, or this one with less."""


def clean(
    lines: Iterable[AnyLine], cleaning: Cleaning, language: str, *, seed: int = 0, drops: Counter[str]
) -> list[AnyLine]:
    """Return the lines that are kept, in their order; `drops` counts the others by reason.

    A line may have more fields than Line; they stay with it.
    """
    identify = identifier(cleaning.identifier) if cleaning.identifier else None
    keys: set[bytes] = set()
    texts: set[bytes] = set()
    kept: list[AnyLine] = []
    for line in lines:
        text = normalised(line.text)
        reason = _length(text, cleaning)
        if not reason and not cleaning.duplicates:
            reason = _repeated(line.key, text, keys, texts)
        if not reason and identify and not _is_in(language, identify(text), cleaning.min_probability):
            reason = "other_language"
        if reason:
            drops[reason] += 1
            continue
        kept.append(line._replace(text=text))
        if cleaning.max_lines and len(kept) >= 2 * cleaning.max_lines:
            kept = first_by_hash(kept, cleaning.max_lines, seed, drops, "beyond_max_lines")
    if cleaning.max_lines:
        kept = first_by_hash(kept, cleaning.max_lines, seed, drops, "beyond_max_lines")
    return _in_main_script(kept, cleaning.script_share, drops)


def normalised(text: str) -> str:
    """Return a text in NFC, each run of white space as one space, without characters that nobody sees."""
    return " ".join(unicodedata.normalize("NFC", _UNSEEN.sub("", text)).split())


def first_by_hash(lines: list[AnyLine], number: int, seed: int, drops: Counter[str], reason: str) -> list[AnyLine]:
    """Return `number` lines, those with the smallest hashes of their keys, in the order in which they came."""
    if len(lines) <= number:
        return lines
    ranks = [blake2b(f"order/{seed}/{line.key}".encode(), digest_size=8).digest() for line in lines]
    chosen = sorted(sorted(range(len(lines)), key=ranks.__getitem__)[:number])
    drops[reason] += len(lines) - number
    return [lines[place] for place in chosen]


def _length(text: str, cleaning: Cleaning) -> str:
    if not text:
        return "empty"
    if len(text) < cleaning.min_characters:
        return "too_short"
    return "too_long" if len(text) > cleaning.max_characters else ""


def _repeated(key: str, text: str, keys: set[bytes], texts: set[bytes]) -> str:
    for reason, value, seen in (("repeated_key", key, keys), ("repeated_text", text, texts)):
        digest = blake2b(value.encode("utf-8", errors="replace"), digest_size=8).digest()
        if digest in seen:
            return reason
        seen.add(digest)
    return ""


def _in_main_script(lines: list[AnyLine], share: float, drops: Counter[str]) -> list[AnyLine]:
    if not share:
        return lines
    main = script(line.text for line in lines)
    kept = [line for line in lines if _share_of(main, line.text) >= share]
    drops["other_script"] += len(lines) - len(kept)
    return kept


def script(texts: Iterable[str]) -> str:
    """Return the script (ISO 15924) of most letters; Zyyy where there are none."""
    counts = _scripts(texts)
    return max(counts, key=lambda name: (counts[name], name), default="Zyyy")


def _share_of(main: str, text: str) -> float:
    counts = _scripts([text])
    if main == "Jpan":
        counts["Jpan"] += counts.pop("Hani", 0)
    return counts[main] / counts.total() if counts else 1.0


def _scripts(texts: Iterable[str]) -> Counter[str]:
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    counts: Counter[str] = Counter()
    for character, number in characters.items():
        if name := _script_of(character):
            counts[name] += number
    if counts["Jpan"] > JAPANESE * counts.total():
        counts["Jpan"] += counts.pop("Hani", 0)
    return +counts


@cache
def _script_of(character: str) -> str:
    """Return the script of a letter by the first word of its name; "" for what is no letter or belongs to many."""
    if not character.isalpha():
        return ""
    word = unicodedata.name(character, "").partition(" ")[0]
    return facts()["scripts"].get(word, word.title()[:4])


def _is_in(language: str, found: tuple[str, float], least: float) -> bool:
    return found[0] == language and found[1] >= least


@cache
def identifier(path: Path) -> Identify:
    """Return the language identification of a fastText model, whose labels are codes as __label__swh_Latn."""
    try:
        import fasttext
    except ImportError:
        raise LingraftError(
            "fasttext is not installed",
            "cleaning.identifier needs it, and lingraft does not install it: it has to be compiled.",
            "pip install fasttext, or leave identifier out.",
        ) from None
    model: Any = fasttext.load_model(str(path))

    @cache
    def code(label: str) -> str:
        try:
            return resolve(label.removeprefix("__label__")).id
        except LingraftError:
            return label

    def identify(text: str) -> tuple[str, float]:
        labels, probabilities = model.predict(text)
        return code(labels[0]), float(probabilities[0])

    return identify
