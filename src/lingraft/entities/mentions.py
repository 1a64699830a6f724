"""Mentions of entities in plain text, by the anchor statistics of a wiki.

An anchor text is taken for a mention when the wiki links it often enough where it stands (link probability) and when
one target has most of these links (commonness). From left to right the longest such anchor wins; the context plays no
part, so an ambiguous anchor is either left out or always the same entity. Precision and recall on held-out articles,
by threshold: benchmarks/mentions.py and docs/link.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pydantic import Field

from lingraft.config import Config, Probability
from lingraft.entities.anchors import Anchors
from lingraft.entities.phrases import Found

BLOCK = "\n\n"


class Mentions(Config):
    """Which anchors are taken for mentions."""

    min_probability: Probability = 0.2
    """Link probability from which an anchor is a mention: links divided by all its occurrences."""

    min_share: Probability = 0.5
    """Share of the anchor's links that its most frequent target must have."""

    min_characters: int = Field(2, ge=1)
    """Shorter anchors are left out."""

    min_links: int = Field(1, ge=1)
    """Anchors with fewer links in the wiki are left out."""

    first_in_block: bool = False
    """Take only the first mention of a target in each block, as articles do; blocks are set off by a blank line."""

    only_entities: bool = True
    """Leave out mentions whose target has no entity; they still keep shorter anchors from being found inside them."""


@dataclass(frozen=True)
class Mention:
    """`text[start:end]` is a mention of `target`; offsets are code points."""

    start: int
    end: int
    target: str
    entity: int | None


class MentionFinder:
    """Finds mentions by the anchors of one wiki; `allowed` are the anchors that the config lets through."""

    def __init__(self, anchors: Anchors, config: Mentions):
        self.anchors, self.config = anchors, config
        self.allowed = (
            (anchors.probability >= config.min_probability)
            & (anchors.share >= config.min_share)
            & (anchors.length >= config.min_characters)
            & (anchors.linked >= config.min_links)
        )

    def find(self, texts: Sequence[str]) -> list[list[Mention]]:
        """Return the mentions of each text, sorted, not overlapping; all matches in `texts` are held in memory."""
        return self.choose(Found.joined(list(self.anchors.index.find(texts))), texts)

    def choose(self, found: Found, texts: Sequence[str]) -> list[list[Mention]]:
        """Return the mentions of each text among all its matches."""
        kept = self.allowed[found.phrase]
        place, start, end, phrase = (column[kept] for column in (found.text, found.start, found.end, found.phrase))
        taken = longest(place, start, end)
        if self.config.only_entities:
            taken = taken[self.anchors.has_entity[phrase[taken]]]
        place, start, end, phrase = (column[taken] for column in (place, start, end, phrase))
        targets, entities = self.anchors.best(phrase)
        mentions = list(map(Mention, start.tolist(), end.tolist(), targets, entities))
        borders = np.searchsorted(place, np.arange(len(texts) + 1))
        of_texts = [mentions[begin:stop] for begin, stop in pairwise(borders)]
        if self.config.first_in_block:
            return [first_in_block(text, of_text) for text, of_text in zip(texts, of_texts, strict=True)]
        return of_texts


def longest(text: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the matches that are taken from left to right, none reaching into the one before, shape (taken,).

    Matches are sorted by text and start, the longest first.
    """
    taken = []
    of, until = -1, 0
    for row, (place, begin, stop) in enumerate(zip(text.tolist(), start.tolist(), end.tolist(), strict=True)):
        if place != of or begin >= until:
            taken.append(row)
            of, until = place, stop
    return np.array(taken, np.int64)


def first_in_block(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Return the first mention of each target in each block of the text."""
    kept: list[Mention] = []
    seen: set[str] = set()
    block_end = 0
    for mention in mentions:
        if mention.start >= block_end:
            border = text.find(BLOCK, mention.start)
            block_end = len(text) if border < 0 else border
            seen = set()
        if mention.target not in seen:
            seen.add(mention.target)
            kept.append(mention)
    return kept
