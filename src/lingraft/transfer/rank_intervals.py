"""The gain to expect of a donor, and how far off that may be.

A gain has two parts. The recipient's level, what an average donor gives it, is not known before anything is measured:
the mean of the other recipients stands in for it. The advantage, what a donor gives above an average one, is what the
order is about. So both the gain and the advantage get an interval.

Intervals come from the errors on recipients that were left out. Each recipient counts once, however many donors it
has, since its errors have much in common, and one more with an unbounded error is added for the new one. At level .8 a
gain so predicted should be met in four of five cases; n recipients allow a level of n / (n + 1) at most.
Source: Lee, Barber and Willett 2023, Distribution-free inference with hierarchical data, section 3. Theirs splits the
data; errors of recipients left out in turn use all of it, but then the level is not guaranteed. In the simulations of
benchmarks/transfer_analysis.py --coverage intervals at .8 hold .93, .85 and .84 of gains with 4, 12
and 31 recipients, and .98, .86 and .83 of advantages.
"""

from dataclasses import dataclass

import numpy as np

from lingraft.transfer.rankers import Method, Study, donor_effects


@dataclass(frozen=True)
class Predicted:
    """Gains predicted for one recipient, with the half-widths of their intervals (infinite with too few recipients)."""

    gain: np.ndarray
    """(candidates,)"""
    advantage: np.ndarray
    """(candidates,): above the recipient's average donor."""
    half: float
    advantage_half: float


def predict(method: Method, study: Study, scores: np.ndarray, *, left_out: int | None, level: float) -> Predicted:
    """Predict gains from a method's scores (candidates,) for one recipient.

    `left_out` is the place of that recipient in the study, whose own errors then do not count; None: it is another.
    """
    levels = np.diagonal(donor_effects(study.gain, study.others)[1])
    usual = (levels.sum() - levels) / (len(levels) - 1)
    held_out, advantage = method.held_out, scores
    if method.kind == "measure":
        held_out, slopes = _in_gains(held_out, study.gain - levels)
        advantage = slopes[-1 if left_out is None else left_out] * (scores - _mean(scores))
    errors = study.gain - levels - held_out
    is_other = np.arange(len(levels)) != left_out
    return Predicted(
        (levels.mean() if left_out is None else usual[left_out]) + advantage,
        advantage,
        half_width((errors + levels - usual)[:, is_other], level),
        half_width(errors[:, is_other], level),
    )


def half_width(errors: np.ndarray, level: float) -> float:
    """Return what `level` of the errors (donors, recipients) of a new recipient stay below; NaN is no error.

    Infinite where there are too few recipients for the level: n of them allow n / (n + 1).
    """
    is_known = np.isfinite(errors)
    number = is_known.sum(0)
    weights = np.where(is_known, 1 / np.maximum(number, 1) / (np.count_nonzero(number) + 1), 0)
    order = np.argsort(np.abs(errors[is_known]))
    sums = np.cumsum(weights[is_known][order])
    enough = np.searchsorted(sums, level - 1e-12)
    return float(np.abs(errors[is_known])[order][enough]) if enough < len(sums) else np.inf


def _in_gains(scores: np.ndarray, centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn scores in a unit of their own into gains by a slope, which never sees the recipient that it is used on.

    Scores are taken from their mean over the donors of a recipient. Returns (donors, recipients), and the slopes
    (recipients + 1,): without each recipient, and of all.
    """
    apart = scores - _mean(scores)
    is_known = np.isfinite(apart) & np.isfinite(centred)
    x, y = np.where(is_known, apart, 0), np.where(is_known, centred, 0)
    products, squares = (x * y).sum(0), (x * x).sum(0)
    top, bottom = (np.append(held.sum() - held, held.sum()) for held in (products, squares))
    slopes = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return slopes[:-1] * apart, slopes


def _mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the scores that are known, over the first axis; 0 where none is."""
    is_known = np.isfinite(scores)
    return np.where(is_known, scores, 0).sum(0) / np.maximum(is_known.sum(0), 1)
