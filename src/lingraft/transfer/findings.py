"""What the figures of a matrix say in plain sentences, what warns, and what they do not say."""

from collections.abc import Sequence

import numpy as np

from lingraft.transfer.analysis_tables import seed_rows, variance_name
from lingraft.transfer.effects import Side
from lingraft.transfer.explain import Analysis, Tested
from lingraft.transfer.panel import Floats

FEW = 0.1
"""Share of improved pairs below which training is taken to have damaged the model."""

SURE = 0.05


def findings(found: Analysis, *, unstable_runs: int = 0) -> list[dict[str, str]]:
    """Return rows of kind (says | warns | does not say), about, finding.

    `unstable_runs`: how many trainings the matrix calls unstable.
    """
    rows = [("says", "gains", _gains(found))]
    if unstable(found):
        rows.append(("warns", "gains", _UNSTABLE))
    if unstable_runs:
        rows.append(
            ("warns", "gains", f"Trainings that the matrix calls unstable: {unstable_runs}. They count here, too.")
        )
    rows.append(("says", "shares", _shares(found)))
    if lost := [variance_name(part.name, len(found.components)) for part in found.components if part.raw < 0]:
        rows.append(("warns", "shares", f"Below zero as estimated, counted as zero: {_listed(lost)}."))
    for about, side, names in (
        ("donors", found.effects.donor, found.results.donors),
        ("recipients", found.effects.recipient, found.results.recipients),
    ):
        rows.append(("says", about, _effects(about, side, names, found.results.unit)))
    if found.effects.apart:
        rows.append(("warns", "effects", _APART.format(number=found.effects.apart)))
    rows += [("says", "features", said) for said in _features(found)]
    rows += [("says", "features together", said) for said in _together(found)]
    rows += _seeds(found)
    rows += [("does not say", about, said) for about, said in _limits(found)]
    return [{"kind": kind, "about": about, "finding": said} for kind, about, said in rows if said]


def unstable(found: Analysis) -> bool:
    """Whether training seems to have damaged the model: the mean gain is below zero, or few pairs improve."""
    gains = found.gain[found.measured]
    return bool(found.effects.mean < 0 or (gains > 0).mean() < FEW)


def _gains(found: Analysis) -> str:
    gains, main = found.gain[found.measured], found.effects
    improved = int((gains > 0).sum())
    said = (
        f"{improved:,} of {len(gains):,} pairs improve ({improved / len(gains):.1%}). The mean gain is {main.mean:.3g}"
    )
    if np.isfinite(main.low):
        said += f" ({main.low:.3g} to {main.high:.3g} with other languages)"
    return f"{said}, the median {np.median(gains):.3g} {found.results.unit}."


def _shares(found: Analysis) -> str:
    parts = [
        f"{variance_name(part.name, len(found.components))} {part.share:.0%} "
        f"({part.share_low:.0%} to {part.share_high:.0%})"
        for part in found.components
        if np.isfinite(part.share)
    ]
    if not parts:
        return "What the gains vary with can't be told: that takes two donors and two recipients with unlike gains."
    return f"Of the variance of gains: {', '.join(parts)}."


def _effects(about: str, side: Side, names: Sequence[str], unit: str) -> str:
    known = [place for place in range(len(names)) if np.isfinite(side.value[place])]
    if len(known) < 2:
        return f"Too few {about} to compare."
    if np.ptp(side.value[known]) == 0:
        return f"All {about} are alike."
    surest = [place for place in known if np.isfinite(side.low[place])] or known  # not one that shone in a single cell
    best = sorted(surest, key=lambda place: -side.value[place])[:3]
    sure = [place for place in known if side.low[place] > 0 or side.high[place] < 0]
    word = "give" if about == "donors" else "gain"
    shown = ", ".join(f"{names[place]} {_with_interval(side, place)}" for place in best)
    return (
        f"The {about} that {word} most, above the average in {unit}: {shown}. {len(sure)} of {len(known)} intervals "
        f"leave out zero; about {0.05 * len(known):.1f} would by chance if all were alike."
    )


def _with_interval(side: Side, place: int) -> str:
    value = f"{side.value[place]:+.3g}"
    if not np.isfinite(side.low[place]):
        return f"{value} (no interval)"
    return f"{value} ({side.low[place]:.3g} to {side.high[place]:.3g})"


def passes(row: Tested) -> bool:
    """Whether a feature passes both tests: clustered errors after Holm, and permutation."""
    return row.slope is not None and row.holm <= SURE and row.slope.qap <= SURE


def _features(found: Analysis) -> list[str]:
    if not found.tested:
        return ["No features are known: give corpora, typology or pairs."]
    tested = [row for row in found.tested if row.slope is not None]
    if not tested:
        return ["No feature of pairs could be tested."]
    passed = [row for row in tested if passes(row)]
    permuted = [row for row in tested if row not in passed and row.qap_bh <= SURE]
    said = [
        f"{len(passed)} of {len(tested)} features of pairs go with the gain once donor and recipient are taken out, by "
        f"clustered errors after Holm and by permutation{_with_r(passed)}."
    ]
    if permuted:
        said.append(
            f"By permutation alone (Benjamini and Hochberg, a share of {SURE:.0%} of them false), "
            f"{len(permuted)} more{_with_r(permuted)}."
        )
    overlap = next((row for row in found.tested if row.feature == found.overlap), None)
    if overlap is not None and overlap.slope is not None and np.isfinite(overlap.slope.r):
        of_donors = f"the donors' effects r = {overlap.r_donor:+.2f} (p {overlap.p_donor:.2g})"
        said.append(
            f"{overlap.feature}: with what is the pair's own r = {overlap.slope.r:+.2f} (p {overlap.slope.qap:.2g} by "
            f"permutation)" + (f"; with {of_donors}." if np.isfinite(overlap.r_donor) else ".")
        )
    return said


def _with_r(rows: Sequence[Tested], most: int = 5) -> str:
    """Return the strongest features with their correlations, ready to be added to a sentence."""
    ordered = sorted(rows, key=lambda row: -abs(row.slope.r))
    shown = ", ".join(f"{row.feature} (r {row.slope.r:+.2f})" for row in ordered[:most])
    return (f": {shown}" if shown else "") + (f" and {len(rows) - most} others" if len(rows) > most else "")


def _together(found: Analysis) -> list[str]:
    fit = found.together
    if len(fit.slopes) < 2:
        return []
    stay = [slope.feature for slope in fit.slopes if slope.p <= SURE and slope.qap <= SURE]
    close = [slope.feature for slope in fit.slopes if slope.vif > 10]
    said = [
        f"Of {_listed([slope.feature for slope in fit.slopes])}, held against each other on {fit.pairs:,} pairs, "
        + (
            f"{_listed(stay)} still {'goes' if len(stay) == 1 else 'go'} with the gain."
            if stay
            else "none goes with the gain."
        )
    ]
    if close:
        said.append(f"{_listed(close)} can hardly be told apart from the others (VIF above 10).")
    return said


def _seeds(found: Analysis) -> list[tuple[str, str, str]]:
    """Say how far seeds agree; the mean over seeds is more reliable than one of them (Spearman and Brown 1910)."""
    rows = [row for row in seed_rows(found) if row["r_centred_gain"] is not None]
    if not rows:
        return []
    plain, centred = (float(np.mean([row[name] for row in rows])) for name in ("r_gain", "r_centred_gain"))
    seeds = float(np.isfinite(found.results.gain).sum(axis=2)[found.measured].mean())
    reliable = max(0.0, seeds * centred / (1 + (seeds - 1) * max(centred, 0.0)))
    said = (
        f"Two seeds' gains correlate {plain:.2f}, and {centred:.2f} once donor and recipient are taken out; of what "
        f"makes single pairs differ in the mean over seeds, {reliable:.0%} would come out again."
    )
    if reliable < 0.5:
        return [("warns", "seeds", said + " What is said of single pairs is mostly noise.")]
    return [("says", "seeds", said)]


def _limits(found: Analysis) -> list[tuple[str, str]]:
    limits = [("causes", _CAUSES)]
    if not np.isfinite(found.half).any():
        limits.append(("training", _ONE_SEED))
    fewest = min(_of_cells(found.measured, axis) for axis in (0, 1))
    if fewest < 10:
        limits.append(
            (
                "other languages",
                f"With {fewest} languages on one side, tests have {max(0, fewest - 1)} degrees of freedom: only large "
                "effects show.",
            )
        )
    missing = int((found.between_two & ~found.measured).sum())
    if missing:
        limits.append(
            ("gaps", f"{missing:,} pairs of two languages were not measured; they are left out, not guessed.")
        )
    return limits


def _of_cells(measured: Floats, axis: int) -> int:
    return int(measured.any(axis=axis).sum())


def _listed(names: Sequence[str]) -> str:
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last


_UNSTABLE = (
    "On average, training on a donor makes the model worse on other languages. A good donor may only be one that "
    "damaged it least, and the donors' effects may show how stable training was. Lower the learning rate before "
    "trusting them."
)
_APART = (
    "{number} languages share no pair with the rest of the matrix, directly or through others: their effects can't be "
    "compared and are left empty."
)
_CAUSES = (
    "That a feature goes with the gain is no proof that it makes it: languages with much overlap are often related, "
    "near and written alike, and languages were not drawn at random."
)
_ONE_SEED = (
    "With one seed nobody knows what another training would have given: intervals cover other languages only, luck in "
    "training counts as the donor's, and noise as the pair's."
)
