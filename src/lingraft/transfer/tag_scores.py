"""How good tags are: accuracy and macro-F1 with intervals, and what one gets without any model.

Macro-F1 is the mean F1 of the tags that occur in the treebank; a word without a predicted tag is wrong, and predicted
as nothing. Intervals are the bootstrap over sentences, whose words hang together, and over seeds where there are
several; the draws of one treebank are the same for all models, so that differences are paired.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lingraft.statistics import Interval
from lingraft.transfer.treebanks import NO_TAG, UPOS, Tagged

RIGHT, PREDICTED, GOLD = range(3)
BASELINES = MAJORITY, OF_FORM = "majority tag", "tag of the form"
_BLOCK = 100  # resamples at once


def counts(sentences: Sequence[Tagged], predicted: Sequence[np.ndarray]) -> np.ndarray:
    """Return how often each tag is right, predicted and there, sentence by sentence: (sentences, 3, tags) int64.

    Words without a tag of their own do not count at all.
    """
    found = np.zeros((len(sentences), 3, len(UPOS)), np.int64)
    for row, sentence, tags in zip(found, sentences, predicted, strict=True):
        gold = np.array(sentence.tags)
        known = gold != NO_TAG
        gold, tags = gold[known], np.asarray(tags)[known]
        for place, chosen in ((RIGHT, gold[gold == tags]), (PREDICTED, tags[tags != NO_TAG]), (GOLD, gold)):
            row[place] = np.bincount(chosen, minlength=len(UPOS))
    return found


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Return the share of words with the right tag, from counts (..., 3, tags)."""
    return sums[..., RIGHT, :].sum(axis=-1) / np.maximum(sums[..., GOLD, :].sum(axis=-1), 1)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the tags that occur, from counts (..., 3, tags)."""
    occurs = sums[..., GOLD, :] > 0
    f1 = 2 * sums[..., RIGHT, :] / np.maximum(sums[..., PREDICTED, :] + sums[..., GOLD, :], 1)
    return (f1 * occurs).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


MEASURES = {"accuracy": accuracy, "macro_f1": macro_f1}


@dataclass(frozen=True)
class Score:
    """A measure of one system on one treebank: the mean over seeds, and what resampling gives for it."""

    value: float
    drawn: np.ndarray
    """(resamples,)"""

    @property
    def interval(self) -> Interval:
        """The 95% interval."""
        return interval(self.drawn)

    def minus(self, other: "Score") -> "Score":
        """Return the paired difference of two systems on the same treebank."""
        return Score(self.value - other.value, self.drawn - other.drawn)


def scores(by_seed: Sequence[np.ndarray], *, resamples: int, seed: int = 0) -> dict[str, Score]:
    """Return measure -> score of one system on one treebank, from the `counts` of each of its seeds."""
    generator = np.random.default_rng([seed, 0])
    of_seeds = np.random.default_rng([seed, 1, len(by_seed)])
    number, num_seeds = len(by_seed[0]), len(by_seed)
    flat = np.concatenate([held.reshape(number, -1) for held in by_seed], axis=1).astype(float)
    drawn: dict[str, list[np.ndarray]] = defaultdict(list)
    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        times = generator.multinomial(number, np.full(number, 1 / number), rows).astype(float)
        sums = (times @ flat).reshape(rows, num_seeds, 3, len(UPOS))
        chosen = of_seeds.integers(0, num_seeds, (rows, num_seeds))
        for name, measure in MEASURES.items():
            drawn[name].append(np.take_along_axis(measure(sums), chosen, axis=1).mean(axis=1))
    whole = np.stack([held.sum(axis=0) for held in by_seed])
    return {
        name: Score(float(measure(whole).mean()), np.concatenate(drawn[name])) for name, measure in MEASURES.items()
    }


def interval(drawn: np.ndarray) -> Interval:
    """Return the 95% percentile interval of resampled values."""
    return Interval(*map(float, np.quantile(drawn, [0.025, 0.975])))


class Baselines(NamedTuple):
    """What a training treebank says without any model."""

    majority: int
    """Its most frequent tag."""
    by_form: dict[str, int]
    """The most frequent tag of each word form."""

    @classmethod
    def of(cls, sentences: Sequence[Tagged]) -> "Baselines":
        """Return those of a treebank; of tags that are equally frequent the first in UPOS."""
        forms: dict[str, Counter[int]] = defaultdict(Counter)
        for sentence in sentences:
            for word, tag in zip(sentence.words, sentence.tags, strict=True):
                if tag != NO_TAG:
                    forms[word][tag] += 1
        whole = sum(forms.values(), Counter())
        return cls(_commonest(whole), {form: _commonest(tags) for form, tags in forms.items()})

    def predict(self, sentences: Sequence[Tagged]) -> dict[str, list[np.ndarray]]:
        """Return name -> predictions: the majority tag, and the tag of the form (else the majority tag)."""
        return {
            MAJORITY: [np.full(len(one.words), self.majority) for one in sentences],
            OF_FORM: [
                np.array([self.by_form.get(word, self.majority) for word in one.words], np.int64) for one in sentences
            ],
        }


def _commonest(tags: Counter[int]) -> int:
    return min(tags, key=lambda tag: (-tags[tag], tag))
