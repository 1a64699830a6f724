"""Scores of translations, chrF++ and BLEU, with intervals, and paired tests between systems.

Both are scores of a whole test set, not means over sentences. So what is drawn again and again are sentences, and each
time the counts that sacrebleu took of them are added up and scored anew (Koehn 2004, EMNLP). All systems are compared
on the same draws. Of a system with several seeds the draw also takes seeds, and the score is the mean over these; with
few seeds the interval is too narrow, since k of them show (k - 1) / k of the variance between trainings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lingraft.errors import missing_package
from lingraft.statistics import Difference, Interval, holm

RESAMPLES = 1000


@dataclass(frozen=True)
class Measure:
    """One of sacrebleu's measures."""

    name: str
    metric: Any

    def counts(self, outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Return what a sentence adds to the score, (sentences, counts)."""
        return np.array(self.metric._extract_corpus_statistics(outputs, [references]), np.float64)

    def score(self, counts: np.ndarray) -> np.ndarray:
        """Return the score, 0 to 100, of added-up counts: (..., counts) -> (...)."""
        flat = counts.reshape(-1, counts.shape[-1])
        found = [self.metric._compute_score_from_stats(row.tolist()).score for row in flat]
        return np.array(found).reshape(counts.shape[:-1])

    @property
    def signature(self) -> str:
        """sacrebleu's signature, as "nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0"."""
        return str(self.metric.get_signature())


def measures(bleu_tokenizer: str = "13a") -> list[Measure]:
    """Return chrF++ first, then BLEU. LingraftError when sacrebleu is not installed."""
    try:
        from sacrebleu.metrics import BLEU, CHRF
    except ImportError:
        raise missing_package("sacrebleu", "transfer", "Scoring translations") from None
    return [Measure("chrF++", CHRF(word_order=2)), Measure("BLEU", BLEU(tokenize=bleu_tokenizer))]


@dataclass(frozen=True)
class System:
    """The counts of one measure for a system's outputs, by seed: (seeds, sentences, counts)."""

    measure: Measure
    counts: np.ndarray

    @cached_property
    def by_seed(self) -> np.ndarray:
        """The score of each seed, (seeds,)."""
        return self.measure.score(self.counts.sum(axis=1))

    @property
    def value(self) -> float:
        """The mean score over the seeds."""
        return float(self.by_seed.mean())

    def drawn(self, resamples: int, seed: int, number: int) -> np.ndarray:
        """Return the score under each resample, (resamples,). Systems with one `seed` see the same sentences.

        `number` tells systems apart: each has seeds of its own, which are drawn independently.
        """
        seeds, sentences, _ = self.counts.shape
        generator = np.random.default_rng([seed, 0])
        times = generator.multinomial(sentences, np.full(sentences, 1 / sentences), resamples)
        scores = self.measure.score(np.einsum("rn,snc->rsc", times, self.counts, optimize=True))
        chosen = np.random.default_rng([seed, 1, number]).multinomial(seeds, np.full(seeds, 1 / seeds), resamples)
        return (scores * chosen).sum(axis=1) / seeds


class Compared(NamedTuple):
    """Scores of several systems, and how each differs from one of them; rows of tables."""

    scores: list[dict[str, Any]]
    """group (the measure), label (the system), value, low, high."""
    differences: list[dict[str, Any]]
    """measure, model, difference, low, high, p, Holm."""
    by_seed: dict[str, list[dict[str, float]]]
    """System -> for each of its seeds: measure -> score."""


def compare(
    outputs: Mapping[str, Sequence[Sequence[str]]],
    references: Sequence[str],
    found: Sequence[Measure],
    *,
    base: str,
    resamples: int = RESAMPLES,
) -> Compared:
    """Score the outputs of systems, of each seed a list, and compare all with `base`; p is corrected in a measure."""
    result = Compared([], [], {name: [{} for _ in of_seeds] for name, of_seeds in outputs.items()})
    for measure in found:
        systems = {
            name: System(measure, np.stack([measure.counts(one, references) for one in of_seeds]))
            for name, of_seeds in outputs.items()
        }
        drawn = {name: one.drawn(resamples, 0, place) for place, (name, one) in enumerate(systems.items())}
        for name, one in systems.items():
            row = {"group": measure.name, "label": name, "value": one.value}
            result.scores.append(row | interval(drawn[name])._asdict())
            for held, value in zip(result.by_seed[name], one.by_seed.tolist(), strict=True):
                held[measure.name] = value
        others = [name for name in systems if name != base]
        gaps = [difference(systems[name], systems[base], drawn[name], drawn[base]) for name in others]
        for name, gap, corrected in zip(others, gaps, holm([gap.p for gap in gaps]), strict=True):
            row = {"measure": measure.name, "model": name, "difference": gap.value, "low": gap.low, "high": gap.high}
            result.differences.append(row | {"p": gap.p, "Holm": corrected})
    return result


def interval(drawn: np.ndarray, level: float = 0.95) -> Interval:
    """Return the percentile interval of a resampled score."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def difference(one: System, other: System, drawn: np.ndarray, other_drawn: np.ndarray) -> Difference:
    """Compare two systems on the same draws: the difference, its interval, and the two-sided p that there is none.

    p is the share of the drawn differences that lie as far from the observed one as that lies from zero, with one
    added to both counts. Source: Koehn 2004; the shift to the null as in Berg-Kirkpatrick, Burkett and Klein 2012.
    """
    value = one.value - other.value
    gaps = drawn - other_drawn
    extreme = int(np.count_nonzero(np.abs(gaps - value) >= abs(value) - 1e-12))
    return Difference(value, *interval(gaps), (extreme + 1) / (len(gaps) + 1))
