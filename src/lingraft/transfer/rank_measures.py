"""How good a ranking of donors is: NDCG with LangRank's grades, and regret in the unit of the gain.

NDCG@k = sum over the first k of (2^grade - 1) / log2(1 + place), divided by the same sum of the true order

The best donor of a recipient has grade 10, the second 9, ... the tenth 1, all others 0 (Lin et al. 2019, Choosing
Transfer Languages for Cross-Lingual Learning, ACL, and the code of LangRank). So NDCG asks above all whether the best
few were found: the best donor alone weighs half of all grades. Regret@k says what a wrong choice costs: the gain of
the best donor less that of the best among the first k.

Ties are taken by expectation: tied donors share what their places are worth. One score for all is therefore random
choice, exactly and not one draw: over 158 donors its NDCG@3 is .019 and its NDCG@10 .037. Half of all random orders
have none of the ten best among their first ten, so the mean of one draw for each of 31 recipients lies anywhere in
.01 to .07 (in 24% of draws below .025).
With ten donors or fewer each has a grade, and NDCG of random choice is high: compare with it, not with 0.

    ndcg([[.3, .1, .2]], [[5, 4, 4]], 3)        # array([0.98...]): the last two are tied, and lose a little
"""

from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_GRADES = 10


def ndcg(gain: ArrayLike, scores: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return NDCG@k (...,) of rankings by `scores`, highest first, where `gain` is true, both (..., donors).

    A donor with a gain of NaN is no candidate; one with a score of NaN comes after all that have one. A row without
    candidates is NaN.
    """
    gain, scores = np.asarray(gain, float), np.asarray(scores, float)
    places = np.arange(gain.shape[-1])
    grades = np.where(places < NUM_GRADES, 2.0 ** (NUM_GRADES - places) - 1, 0)
    discounts = np.where(places < k, 1 / np.log2(places + 2), 0)
    is_candidate = np.isfinite(gain)
    worth = np.where(is_candidate, _shared(grades, gain, is_candidate), 0)
    found = (worth * _shared(discounts, scores, is_candidate)).sum(-1)
    best = (worth * _shared(discounts, gain, is_candidate)).sum(-1)
    with np.errstate(invalid="ignore"):
        return found / best


def regret(gain: ArrayLike, scores: ArrayLike, k: int) -> NDArray[np.float64]:
    """Return the best gain less the best among the first k by `scores`; shapes, NaN and ties as in `ndcg`."""
    gain, scores = np.broadcast_arrays(np.asarray(gain, float), np.asarray(scores, float))
    rows = zip(gain.reshape(-1, gain.shape[-1]), scores.reshape(-1, gain.shape[-1]), strict=True)
    return np.array([_regret(*row, k) for row in rows]).reshape(gain.shape[:-1])


def _shared(table: np.ndarray, scores: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    """Return what `table` (donors,) expects at each donor's place when those with one score are ordered at random."""
    from scipy.stats import rankdata

    lowest = np.finfo(float).max
    negative = np.where(is_candidate, np.where(np.isnan(scores), lowest, -scores), np.inf)
    first, last = (rankdata(negative, method, axis=-1).astype(int) for method in ("min", "max"))
    sums = np.concatenate([[0.0], np.cumsum(table)])
    return (sums[last] - sums[first - 1]) / (last - first + 1)


def _regret(gain: np.ndarray, scores: np.ndarray, k: int) -> float:
    is_candidate = np.isfinite(gain)
    gain, scores = gain[is_candidate], np.nan_to_num(scores[is_candidate], nan=-np.inf)
    if not len(gain):
        return np.nan
    k = min(k, len(gain))
    last = np.sort(scores)[-k]
    best = gain[scores > last].max(initial=-np.inf)
    tied = np.sort(gain[scores == last])[::-1]
    drawn = k - int((scores > last).sum())
    chances = [comb(len(tied) - place - 1, drawn - 1) / comb(len(tied), drawn) for place in range(len(tied))]
    return float(gain.max() - np.dot(chances, np.maximum(tied, best)))
