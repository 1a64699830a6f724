"""How good linking is: precision and recall on articles that the anchor statistics have not seen.

A share of a wiki's articles is held out, by a hash of the page id. The anchors of the others link their text, and the
editors' own links are the truth. Two scores, because editors link a thing once, where it is mentioned first:

strict          a mention is right when the same characters link to the same target. An unlinked repetition of a linked
                thing counts as wrong, and so does a true mention that nobody linked.
first mention   each target counts once an article: it is right when the article links to it anywhere.

Both are lower bounds of what a reader would call right. Recall cannot pass `reachable`: the share of the truth whose
anchor and target the other articles have as a pair. A page's mentions of itself are left out: no page links to itself.
Intervals: bootstrap over articles, since the links of one article depend on each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from lingraft import runs
from lingraft.config import Config, InputPath, Probability
from lingraft.entities.anchors import AnchorConfig, Anchors, build_anchors, is_held_out
from lingraft.entities.mentions import Mention, MentionFinder, Mentions
from lingraft.entities.phrases import Found
from lingraft.errors import LingraftError
from lingraft.statistics import Interval, bootstrap

THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RESAMPLES = 2000


class MeasureConfig(Config):
    """On what linking is measured."""

    corpus: InputPath
    """Folder of a finished `corpus build`."""

    share: Probability = 0.1
    """Share of the articles that is held out."""

    mentions: Mentions = Field(default_factory=Mentions)
    """The thresholds of the scores; in the curve min_probability takes other values."""


@dataclass(frozen=True)
class Score:
    """Right mentions, all mentions and the truth, by article: shape (articles,) each."""

    right: np.ndarray
    found: np.ndarray
    truth: np.ndarray

    @property
    def precision(self) -> float:
        """Share of what was found that is right."""
        return _ratio(self.right.sum(), self.found.sum())

    @property
    def recall(self) -> float:
        """Share of the truth that was found."""
        return _ratio(self.right.sum(), self.truth.sum())

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return _ratio(2 * self.right.sum(), self.found.sum() + self.truth.sum())

    def interval(self, of: np.ndarray) -> Interval:
        """Return the interval of right divided by `of` (found or truth), articles drawn anew."""

        def ratio(drawn: np.ndarray, axis: int) -> np.ndarray:
            rows = drawn.astype(np.int64)
            return self.right[rows].sum(axis) / np.maximum(1, of[rows].sum(axis))

        return bootstrap(np.arange(len(of)), statistic=ratio, resamples=RESAMPLES)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


@dataclass(frozen=True)
class Measured:
    """What was measured: the scores at the config's threshold, and at each of THRESHOLDS."""

    articles: int
    reachable: float
    scores: dict[str, Score]
    curve: dict[float, dict[str, Score]]

    def rows(self) -> list[dict[str, Any]]:
        """Return rows (group, label, value, low, high) for a table of kind "scores"."""
        rows = []
        for name, score in self.scores.items():
            for label, of in (("precision", score.found), ("recall", score.truth)):
                low, high = score.interval(of)
                value = getattr(score, label)
                rows.append({"group": name, "label": label, "value": value, "low": low, "high": high})
        return rows

    def points(self) -> list[dict[str, Any]]:
        """Return rows (series, x, y) for a table of kind "curve"."""
        return [
            {"series": f"{label}, {name}", "x": threshold, "y": getattr(score, label)}
            for threshold, scores in self.curve.items()
            for name, score in scores.items()
            for label in ("precision", "recall", "f1")
        ]

    def write_tables(self, run: runs.Run) -> None:
        """Write both tables into a run folder."""
        note = (
            f"{self.articles:,} articles held out; the truth is what their editors linked. Strict: same characters, "
            "same target. First mention: each target once an article, right when the article links to it anywhere. "
            f"Unlinked mentions count as wrong. {self.reachable:.1%} of the links have an anchor that leads to the "
            "same target in other articles."
        )
        run.write_table("held_out", self.rows(), kind="scores", title="Linking held-out articles", note=note)
        title = "precision, recall and F1 by smallest link probability"
        run.write_table("threshold_curve", self.points(), kind="curve", title=title, note=note)


def measure(config: MeasureConfig, out: str | Path, *, workers: int | None = None) -> Measured:
    """Count the anchors of the articles that are not held out into the folder `out`, and link the others by them.

    Raises LingraftError when there are no links on either side.
    """
    build_anchors(AnchorConfig(corpus=config.corpus, held_out=config.share), out, workers=workers)
    anchors = Anchors(out)
    pairs = _pairs(anchors)
    asked = {config.mentions.min_probability, *THRESHOLDS}
    finders = {
        threshold: MentionFinder(anchors, config.mentions.replace(min_probability=threshold)) for threshold in asked
    }
    counts: dict[float, dict[str, list[_Counts]]] = {threshold: {name: [] for name in SCORES} for threshold in asked}
    num_articles = num_links = num_reachable = 0
    for articles in _held_out(config):
        texts = [article.text for article in articles]
        found = Found.joined(list(anchors.index.find(texts)))
        for threshold, finder in finders.items():
            for article, mentions in zip(articles, finder.choose(found, texts), strict=True):
                for name, what in SCORES.items():
                    counts[threshold][name].append(_compare(article, mentions, what))
        num_articles += len(articles)
        num_links += sum(len(article.links) for article in articles)
        num_reachable += sum(
            (article.text[link.start : link.end], link.target) in pairs
            for article in articles
            for link in article.links
        )
    if not num_links:
        raise LingraftError(
            f"no links to measure on among the {num_articles:,} held-out articles of {config.corpus}",
            "Without entities in the corpus, only_entities leaves nothing." if config.mentions.only_entities else "",
            "Hold out a larger share (measure), or say mentions.only_entities: false.",
        )
    scores = {
        threshold: {name: Score(*np.array(rows).T) for name, rows in of.items()} for threshold, of in counts.items()
    }
    return Measured(
        num_articles,
        num_reachable / num_links,
        scores[config.mentions.min_probability],
        {threshold: scores[threshold] for threshold in THRESHOLDS},
    )


@dataclass(frozen=True)
class _Article:
    title: str
    text: str
    links: list[Mention]


def _held_out(config: MeasureConfig) -> Iterator[list[_Article]]:
    """Yield the held-out articles in batches; where only entities are found, links without one are left out."""
    for part in sorted((config.corpus / "articles").glob("part-*.parquet")):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=256, columns=["id", "title", "text", "links"]):
                batch = batch.filter(pa.array(is_held_out(batch["id"].to_numpy(), config.share)))
                yield [
                    _Article(row["title"], row["text"], _truth(row["text"], row["links"], config.mentions))
                    for row in batch.to_pylist()
                ]


def _truth(text: str, links: Sequence[dict[str, Any]], asked: Mentions) -> list[Mention]:
    """Return the links as mentions without the white space at their ends, as anchors have none."""
    found = []
    for link in links:
        anchor = text[link["start"] : link["end"]]
        start = link["start"] + len(anchor) - len(anchor.lstrip())
        if anchor.strip() and not (asked.only_entities and link["entity"] is None):
            found.append(Mention(start, start + len(anchor.strip()), link["target"], link["entity"]))
    return found


SCORES: dict[str, Callable[[Iterable[Mention]], set[Any]]] = {
    "strict": lambda mentions: {(found.start, found.end, found.target) for found in mentions},
    "first mention": lambda mentions: {found.target for found in mentions},
}
"""What is compared of an article's mentions."""

_Counts = tuple[int, int, int]


def _compare(article: _Article, mentions: Iterable[Mention], what: Callable[[Iterable[Mention]], set[Any]]) -> _Counts:
    """Return how many mentions are right, how many there are, and how many links."""
    truth = what(article.links)
    ours = what(found for found in mentions if found.target != article.title)
    return len(truth & ours), len(ours), len(truth)


def _pairs(anchors: Anchors) -> set[tuple[str, str]]:
    """Return the pairs of anchor and target that the statistics hold."""
    lengths = pc.list_value_length(anchors.candidates).to_numpy()
    names = anchors.anchors.take(pa.array(np.repeat(np.arange(len(anchors)), lengths))).to_pylist()
    return set(zip(names, anchors.candidates.values.field("target").to_pylist(), strict=True))
