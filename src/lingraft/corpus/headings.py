"""Headings of the apparatus - references, see also, external links - found without a word of any language.

Retrieval and whoever trains on text want articles without them. What tells them from other headings in every wiki:
they stand in many articles, behind the last running text, and hold next to none of it. Running text is what stands in
paragraphs that end like sentences, and in items of lists that say something about what they link to; an item that is a
link and nothing else, or has no link (an address, a book), is none. What it finds on six wikis: docs/templates.md.

    for heading in headings(lingraft.corpus.open("out/el").articles(["text", "sections", "links"])):
        if heading.is_apparatus:
            print(heading)
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

LEAST_ARTICLES = 3
"""Articles in which a heading must stand to be judged at all."""

LEAST_SHARE = 0.002
"""Share of the articles in which it must stand."""

THRESHOLD = 0.6
"""Score from which a heading is apparatus."""

SENTENCE_ENDS = frozenset(".!?…。！？．।॥؟۔։።།៕။")
"""Marks that end sentences. Source: Sentence_Terminal of Unicode, the marks of living scripts."""

_BRACKETS = "\"'»”’)）」』]"
_SHORTEST = 40
_LONG_ITEM = 200
_REAL = 100
_LEAST_RUNNING = 500
_MOST_SECTIONS = 300  # more is no article, and would take quadratic time
_ROUNDS = 5


class _Section(Protocol):
    start: int
    end: int
    level: int
    heading: str


class _Link(Protocol):
    start: int
    end: int


class _Article(Protocol):
    """What is read of an article: lingraft.corpus.Article has it."""

    text: str
    sections: list[_Section]
    links: list[_Link]


@dataclass(frozen=True, slots=True)
class Heading:
    """What is known of a heading over all articles."""

    heading: str
    """In lower case, without white space and colons around it: spellings of one heading are one."""

    num_articles: int
    at_end: float
    """Share of its sections behind which no running text follows, but under headings of the apparatus."""

    running: float
    """Mean share of running text in its sections; an empty section has none."""

    is_frequent: bool

    @property
    def score(self) -> float:
        """Return how much it looks like apparatus, from 0 to 1."""
        return self.at_end * (1 - self.running)

    @property
    def is_apparatus(self) -> bool:
        """Return the decision: frequent, and score from `THRESHOLD`."""
        return self.is_frequent and self.score >= THRESHOLD


def normal_heading(heading: str) -> str:
    """Return a heading as `Heading.heading` has it, to look it up."""
    return " ".join(heading.strip(" :.").lower().split())


def headings(articles: Iterable[_Article]) -> list[Heading]:
    """Return every heading below the lead, most frequent first; memory holds headings and no text.

    Judged are articles with running text: on a wiki whose articles are mostly forms to fill in, all would be apparatus.
    Text behind a section counts against it only where it stands under a heading that is no apparatus itself, which
    takes a few rounds to settle.
    """
    seen: dict[str, list[_Seen]] = defaultdict(list)
    num_articles = 0
    for article in articles:
        sections = list(_sections(article))
        if sections:
            num_articles += 1
        for heading, section in sections:
            seen[heading].append(section)
    least = max(LEAST_ARTICLES, LEAST_SHARE * num_articles)
    known: frozenset[str] = frozenset()
    for _ in range(_ROUNDS):
        found = [_judge(heading, sections, known, least) for heading, sections in seen.items()]
        before, known = known, frozenset(heading.heading for heading in found if heading.is_apparatus)
        if known == before:
            break
    return sorted(found, key=lambda heading: (-heading.num_articles, heading.heading)) if seen else []


def apparatus(articles: Iterable[_Article]) -> frozenset[str]:
    """Return the headings of the apparatus; look up others with `normal_heading`."""
    return frozenset(heading.heading for heading in headings(articles) if heading.is_apparatus)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One section: its share of running text, and the headings of running text behind it."""

    running: float
    later: frozenset[str]


def _judge(heading: str, sections: list[_Seen], known: frozenset[str], least: float) -> Heading:
    num_at_end = sum(section.later <= known for section in sections)
    running = sum(section.running for section in sections)
    return Heading(heading, len(sections), num_at_end / len(sections), running / len(sections), len(sections) >= least)


def _sections(article: _Article) -> Iterator[tuple[str, _Seen]]:
    """Yield each heading of an article, once, with what is seen of its section; nothing without running text.

    A section's own text ends at its first subsection; one that holds nothing but subsections is judged by them all.
    """
    if len(article.sections) > _MOST_SECTIONS:
        return
    starts = [link.start for link in article.links]
    running: list[int] = []
    shares: list[float] = []
    for index, section in enumerate(article.sections):
        following = article.sections[index + 1].start if index + 1 < len(article.sections) else len(article.text)
        own_end = min(section.end, following)
        own = _running(article, section.start, own_end, starts)
        running.append(own)
        if section.end > own_end and own_end - section.start < 2 * _SHORTEST:
            own_end = section.end
            own = _running(article, section.start, own_end, starts)
        shares.append(min(1.0, own / max(1, own_end - section.start)))
    if sum(running) < _LEAST_RUNNING:
        return
    later: set[str] = set()
    told: dict[str, _Seen] = {}
    for section, own, share in zip(reversed(article.sections), reversed(running), reversed(shares), strict=True):
        heading = normal_heading(section.heading)
        if section.level and heading:
            inside = {
                normal_heading(other.heading) for other in article.sections if section.start < other.start < section.end
            }
            told[heading] = _Seen(share, frozenset(later - inside))
        if own >= _REAL:
            later.add(heading)
    yield from told.items()


def _running(article: _Article, start: int, end: int, link_starts: list[int]) -> int:
    """Count the characters of running text between two places."""
    num_running = 0
    for block in article.text[start:end].split("\n\n"):
        lines = block.split("\n")
        is_list = len(lines) > 1
        position = start
        for line in lines:
            if len(line) >= _SHORTEST and _is_running(article, position, line, is_list, link_starts):
                num_running += len(line)
            position += len(line) + 1
        start = position + 1
    return num_running


def _is_running(article: _Article, start: int, line: str, is_list: bool, link_starts: list[int]) -> bool:
    ends_sentence = line.rstrip(_BRACKETS)[-1:] in SENTENCE_ENDS
    if not is_list or (ends_sentence and len(line) >= _LONG_ITEM):
        return ends_sentence
    first = bisect_left(link_starts, start)
    last = bisect_left(link_starts, start + len(line))
    linked = sum(link.end - link.start for link in article.links[first:last])
    return 0 < linked < len(line) / 2
