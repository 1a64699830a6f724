"""The tables of an analysis: rows that the report draws, and that other programs read."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from lingraft import runs
from lingraft.errors import LingraftError
from lingraft.transfer.clusters import tree
from lingraft.transfer.effects import Side
from lingraft.transfer.explain import Analysis, Tested
from lingraft.transfer.panel import Panel, two_way
from lingraft.transfer.regression import Slope
from lingraft.transfer.typology import Variety, read_typology

Rows = list[dict[str, Any]]


def write(run: runs.Run, found: Analysis, said: Rows, typology: Sequence[Path]) -> None:
    """Write all tables that have rows."""
    unit = found.results.unit
    places = _places([*found.results.donors, *found.results.recipients], typology)
    families = {name: place.family for name, place in places.items()}
    run.write_table("findings", said, title="What it says, and what it does not")
    _write(run, "variance", variance_rows(found), title="What the gains vary with", note=_SHARES)
    for name, side, languages in (
        ("donor_effects", found.effects.donor, found.results.donors),
        ("recipient_effects", found.effects.recipient, found.results.recipients),
    ):
        kind = name.partition("_")[0]
        note = _EFFECTS.format(other="recipients" if kind == "donor" else "donors")
        rows = effect_rows(side, languages, families)
        _write(
            run,
            name,
            rows,
            kind="effects",
            title=f"{kind.capitalize()}s: gain above the average {kind}",
            note=note,
            unit=unit,
        )
    run.write_table(
        "gain_clustered",
        heat_rows(found),
        kind="heatmap",
        title="Gain of each donor (row) for each recipient (column)",
        note="Languages stand beside those of like centred gains: what donor and recipient explain is taken out first.",
        unit=unit,
        diverging=True,
        row_tree=tree(found.effects.centred),
        column_tree=tree(found.effects.centred.T),
    )
    _write(run, "features", [feature_row(row) for row in found.tested], title="Features, each alone", note=_FEATURES)
    together = [slope_row(slope) | {"vif": slope.vif} for slope in found.together.slopes]
    _write(run, "partial", together, title="Features together, each with the others held fixed", note=_note(found))
    _write_overlap(run, found)
    _write(run, "by_seed", seed_rows(found), title="Do seeds agree?", note=_SEEDS)
    rows = map_rows(found, places)
    _write(run, "map", rows, kind="map", title="Mean gain, as donor and as recipient", unit=unit)


def variance_rows(found: Analysis) -> Rows:
    """Return each component with its share and interval."""
    return [
        {
            "component": variance_name(part.name, len(found.components)),
            "share": _known(part.share),
            "share_low": _known(part.share_low),
            "share_high": _known(part.share_high),
            "variance": part.variance,
            "low": part.low,
            "high": part.high,
            "estimate": part.raw,
            "levels": part.levels,
        }
        for part in found.components
    ]


def variance_name(name: str, components: int) -> str:
    """Return how a component is called, which depends on what could be told apart."""
    return name if components > 3 else {"donor": "donor (and its training)", "pair": "pair and noise"}.get(name, name)


def effect_rows(side: Side, languages: Sequence[str], families: Mapping[str, str]) -> Rows:
    """Return the effect of each language of one side, with its family where that is known."""
    rows = [
        {
            "label": language,
            "value": _known(side.value[place]),
            "low": _known(side.low[place]),
            "high": _known(side.high[place]),
            "pooled": _known(side.pooled[place]),
            "cells": int(side.cells[place]),
        }
        for place, language in enumerate(languages)
    ]
    if not any(families.get(language) for language in languages):
        return rows
    return [row | {"group": families.get(row["label"], "")} for row in rows]


def heat_rows(found: Analysis) -> Rows:
    """Return the gain of every pair, null where it is not known."""
    low, high = found.gain - found.half, found.gain + found.half
    return [
        {
            "row": donor,
            "column": recipient,
            "value": _known(found.gain[i, j]),
            "low": _known(low[i, j]),
            "high": _known(high[i, j]),
        }
        for i, donor in enumerate(found.results.donors)
        for j, recipient in enumerate(found.results.recipients)
    ]


def feature_row(row: Tested) -> dict[str, Any]:
    """Return one feature on its own, with dashes where it has no slope."""
    figures = slope_row(row.slope) if row.slope else dict.fromkeys(_COLUMNS)
    return {
        "feature": row.feature,
        "varies_with": row.varies,
        "pairs": row.pairs,
        **{name: figures[name] for name in _COLUMNS},
        "holm": _known(row.holm),
        "bh": _known(row.bh),
        "qap_bh": _known(row.qap_bh),
        "r_donor": _known(row.r_donor),
        "p_donor": _known(row.p_donor),
        "r_recipient": _known(row.r_recipient),
        "p_recipient": _known(row.p_recipient),
        "left_out": row.why,
    }


_COLUMNS = ("r", "per_sd", "slope", "low", "high", "p", "qap")


def slope_row(slope: Slope) -> dict[str, Any]:
    """Return the figures of one slope."""
    return {
        "feature": slope.feature,
        "r": _known(slope.r),
        "per_sd": _known(slope.slope * slope.spread),
        "slope": _known(slope.slope),
        "low": _known(slope.low),
        "high": _known(slope.high),
        "p": _known(slope.p),
        "qap": _known(slope.qap),
    }


def seed_rows(found: Analysis) -> Rows:
    """Return for each two seeds how their gains correlate, as they are and centred."""
    gain = found.results.gain
    rows = []
    for one, other in combinations(range(len(found.results.seeds)), 2):
        both = np.isfinite(gain[:, :, one]) & np.isfinite(gain[:, :, other])
        held = [np.where(both, gain[:, :, seed], np.nan) for seed in (one, other)]
        plain = _correlation(*(table[both] for table in held))
        centred = _correlation(*(two_way(table).centred[both] for table in held))
        if both.any():
            names = f"{found.results.seeds[one]} and {found.results.seeds[other]}"
            rows.append({"seeds": names, "pairs": int(both.sum()), "r_gain": plain, "r_centred_gain": centred})
    return rows


def map_rows(found: Analysis, places: Mapping[str, Variety]) -> Rows:
    """Return the languages that can be mapped, with their mean gain in each role."""
    gain = found.results.gain
    rows = []
    for role, names, axis in (("donor", found.results.donors, 1), ("recipient", found.results.recipients, 0)):
        total = np.nansum(found.gain, axis=axis)
        number = np.isfinite(gain).any(axis=2).sum(axis=axis)
        for name, value, cells in zip(names, total, number, strict=True):
            place = places.get(name)
            if place is not None and place.latitude is not None and cells:
                rows.append(
                    {
                        "label": name,
                        "name": place.name,
                        "latitude": place.latitude,
                        "longitude": place.longitude,
                        "value": float(value / cells),
                        "role": role,
                    }
                )
    return rows


def _write(run: runs.Run, name: str, rows: Rows, **more: Any) -> None:
    if rows:
        run.write_table(name, rows, **more)


def _write_overlap(run: runs.Run, found: Analysis) -> None:
    """Write the centred overlap of each pair against its centred gain, with the fitted line."""
    slope = next((row.slope for row in found.tested if row.feature == found.overlap), None)
    if found.overlap is None or slope is None:
        return
    measured = found.measured & np.isfinite(found.known[found.overlap])
    panel = Panel(measured)
    at = panel.donor, panel.recipient
    held = panel.centre(np.stack([found.known[found.overlap][at], found.gain[at]], axis=1))
    donors, recipients = found.results.donors, found.results.recipients
    rows = [
        {"x": float(x), "y": float(y), "label": f"{donors[donor]} \u2192 {recipients[recipient]}"}
        for (x, y), donor, recipient in zip(held, *at, strict=True)
    ]
    said = (
        f"r = {slope.r:.2f}, slope {slope.slope:.3g} ({slope.low:.3g} to {slope.high:.3g}), p = {slope.qap:.2g} (QAP)"
    )
    run.write_table(
        "overlap_gain",
        rows,
        kind="scatter",
        title=f"centred gain by centred {found.overlap}",
        note="One point a pair; what donors and recipients explain is taken out of both axes.",
        line={"slope": slope.slope, "intercept": 0.0, "note": said},
    )


def _places(languages: Sequence[str], typology: Sequence[Path]) -> dict[str, Variety]:
    """Return what the first data set that knows a language says of it."""
    found: dict[str, Variety] = {}
    for source in map(read_typology, typology):
        for language in dict.fromkeys(languages):
            if language not in found:
                found |= dict(_find(source, language))
    return found


def _find(source: Any, language: str) -> Iterator[tuple[str, Variety]]:
    try:
        yield language, source.find(language)
    except LingraftError:
        return


def _correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _note(found: Analysis) -> str:
    fit = found.together
    explained = (
        f"; together they explain {fit.r2:.0%} of what donors and recipients leave" if np.isfinite(fit.r2) else ""
    )
    left_out = "".join(f" Left out: {name} ({why})." for name, why in fit.dropped.items())
    return (
        f"{fit.pairs:,} pairs of {fit.donors} donors and {fit.recipients} recipients for which all are known"
        f"{explained}. vif above 10: hardly told apart from the others.{left_out}"
    )


_SHARES = (
    "Shares of the variance of gains, with 95% intervals. estimate: as it comes out, below zero where a component is "
    "lost in the others; it then counts as zero."
)
_EFFECTS = (
    "With 95% intervals: what other {other} and other trainings would have given. pooled: drawn towards zero by as "
    "much as the effect is uncertain, the better guess for new {other}."
)
_FEATURES = (
    "slope: gain for one unit of the feature, after donors and recipients (two-way fixed effects, errors clustered by "
    "both, 95%); per_sd: for a usual difference; r: correlation of the centred values. qap: p by permuted donors and "
    "recipients. holm, bh, qap_bh: p and qap corrected for all features here. r_donor, r_recipient: do languages with "
    "more of it give, or take, more? left_out: unknown, absorbed (the same for all pairs of a donor or a recipient), "
    "too_few."
)
_SEEDS = "Correlations over pairs; centred: without what donors and recipients explain."
