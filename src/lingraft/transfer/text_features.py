"""The columns of a table of features that come from text: overlap, whole and size-matched, sizes, variety of units."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingraft import progress
from lingraft.augment.tokenizer import load_tokenizer
from lingraft.transfer import overlap
from lingraft.transfer.overlap import Counts, Units

if TYPE_CHECKING:
    from lingraft.transfer.corpora import Corpora, Line
    from lingraft.transfer.features import FeatureSettings

SMALLEST = 1000
"""A text of fewer units is too short to stand for its language in size-matched columns, and does not set the size."""

_NOTHING = overlap.count([], lambda texts: [], seed=0, language="")


@dataclass(frozen=True)
class Side:
    """The donors or the recipients, and which of their text counts."""

    role: str
    languages: Sequence[str]
    splits: Sequence[str]
    corpora: "Corpora"

    def lines(self, language: str) -> "Iterator[Line]":
        """Give the lines of a language, none where there is no text of it."""
        if language in self.corpora.languages:
            for split in self.splits:
                yield from self.corpora.lines(language, split)

    @property
    def scripts(self) -> list[str]:
        """Script of each language as its card has it (ISO 15924), "" where that is not known."""
        cards = (self.corpora.languages.get(language) for language in self.languages)
        return [(card.script or "") if card else "" for card in cards]

    @property
    def without_text(self) -> list[str]:
        """Languages that the corpora do not hold."""
        return [language for language in self.languages if language not in self.corpora.languages]


def of_texts(
    sides: Sequence[Side],
    tokenizer: Any,
    settings: "FeatureSettings",
    drops: Counter[str],
    told: list[str],
    quiet: bool,
) -> dict[str, np.ndarray]:
    """Return column -> (donors, recipients) of the two sides, donors first; NaN where a text is not there or too short.

    `tokenizer` may be None (words only), a loaded one, or its folder or name.
    """
    kinds = _kinds(tokenizer, settings)
    columns: dict[str, np.ndarray] = {}
    for side in sides:
        if missing := side.without_text:
            drops[f"{side.role}_without_text"] += len(missing)
            told.append(f"no text of the {side.role}s {', '.join(missing)}")
    texts = len(kinds) * sum(len(side.languages) for side in sides)
    with progress.bar("features", texts, "texts", quiet=quiet) as bar:
        for prefix, units in kinds.items():
            whole = [_count(side, units, settings.seed, bar) for side in sides]
            matched = []
            for side, counts in zip(sides, whole, strict=True):
                size = settings.matched_size or _common_size(counts)
                short = [name for name, text in zip(side.languages, counts, strict=True) if 0 < text.total < size]
                told.append(f"{prefix}: {side.role}s cut to {size:,} units" + _listed("; too short: ", short))
                drops[f"{side.role}_too_short"] = max(drops[f"{side.role}_too_short"], len(short))
                matched.append([_cut(side, *held, units, size) for held in zip(side.languages, counts, strict=True)])
            columns |= _overlaps(prefix, whole) | _overlaps(prefix, matched, "_matched")
            if "donor_tokens" not in columns:
                columns |= _sizes(whole) | _variety(matched)
    return columns


def _kinds(tokenizer: Any, settings: "FeatureSettings") -> dict[str, Units]:
    """Return what is counted, by the prefix of its columns; words where nothing else is."""
    kinds = {}
    if tokenizer is not None:
        loaded = load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
        kinds["overlap"] = overlap.token_units(loaded)
    if settings.words or not kinds:
        kinds["overlap_word"] = overlap.word_units()
    return kinds


def _count(side: Side, units: Units, seed: int, bar: progress.Bar) -> list[Counts]:
    counts = []
    for language in side.languages:
        counts.append(overlap.count(side.lines(language), units, seed=seed, language=language))
        bar.advance(1, language)
    return counts


def _cut(side: Side, language: str, whole: Counts, units: Units, size: int) -> Counts:
    return overlap.cut(side.lines(language), whole, units, size) if whole.total >= size else _NOTHING


def _common_size(texts: Sequence[Counts]) -> int:
    return min((text.total for text in texts if text.total >= SMALLEST), default=SMALLEST)


def _listed(words: str, names: Sequence[str]) -> str:
    return words + ", ".join(names) if names else ""


def _overlaps(prefix: str, sides: Sequence[Sequence[Counts]], end: str = "") -> dict[str, np.ndarray]:
    found = overlap.overlaps(*sides)
    return {f"{prefix}_{name}{end}": values for name, values in found.items()}


def _sizes(sides: Sequence[Sequence[Counts]]) -> dict[str, np.ndarray]:
    """Return lines, bytes and units of both sides, null for a language without text."""
    columns = {}
    shape = [len(texts) for texts in sides]
    for role, axis, texts in zip(("donor", "recipient"), ((-1, 1), (1, -1)), sides, strict=True):
        sizes = [(len(text.lengths), text.num_bytes, text.total) for text in texts]
        held = np.where(np.array(sizes, float) > 0, np.array(sizes, float), np.nan)
        for name, values in zip(("lines", "bytes", "tokens"), held.T, strict=True):
            columns[f"{role}_{name}"] = np.broadcast_to(values.reshape(axis), shape)
    return columns


def _variety(matched: Sequence[Sequence[Counts]]) -> dict[str, np.ndarray]:
    """Return the type-token ratio of the size-matched texts, and LangRank's distance of the two.

    Source: Lin et al. 2019, ACL, section 3.1: (1 - ratio of the donor / ratio of the recipient) squared.
    """
    ratios = [[len(text.units) / text.total if text.total else np.nan for text in texts] for texts in matched]
    donor, recipient = np.array(ratios[0])[:, None], np.array(ratios[1])[None, :]
    donor, recipient = np.broadcast_arrays(donor, recipient)
    return {"donor_ttr": donor, "recipient_ttr": recipient, "ttr_distance": (1 - donor / recipient) ** 2}
