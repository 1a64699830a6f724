"""Which donor to take for a recipient: how well each way of choosing does, and its answer for a new language.

    lingraft transfer rank --matrix out/matrix --corpora out/corpora --typology wals --out out/rank
    lingraft transfer rank --matrix published.csv --typology wals --recipient quc

Every way of choosing (rankers.py) is measured on recipients that it has not seen (rank_measures.py), with bootstrap
intervals over recipients and paired differences from random choice and from size, corrected after Holm. Asked for a
recipient, the way with the best NDCG@10 among those that can answer gives the order, with intervals and reasons
(recommend.py). That choice is made on the same recipients, so its NDCG flatters a little where ways are close.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from lingraft import runs, statistics
from lingraft.config import InputPath, Names
from lingraft.transfer.measured_pairs import MeasuredPairs
from lingraft.transfer.rank_measures import ndcg, regret
from lingraft.transfer.rank_question import Question, read_question, several
from lingraft.transfer.rankers import FEATURES, ORACLE, RANDOM, SIZE, Method, methods, probe_scores
from lingraft.transfer.recommend import Answer, answers

STAGE = "transfer rank"

MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "NDCG@3": lambda gain, scores: ndcg(gain, scores, 3),
    "NDCG@10": lambda gain, scores: ndcg(gain, scores, 10),
    "regret@1": lambda gain, scores: regret(gain, scores, 1),
    "regret@3": lambda gain, scores: regret(gain, scores, 3),
}
CHOICE = "NDCG@10"
PROBES = (1, 3)

Scores = dict[str, np.ndarray]
"""Measure -> (recipients,)."""


class RankConfig(MeasuredPairs):
    """A matrix, what is known of its pairs, and the recipients that somebody asks for."""

    recipients: Names = []
    """Languages to find donors for. One that stands in the matrix is left out of what is learnt."""

    text: InputPath | None = None
    """Text of the one recipient that is asked for, where the corpora do not hold it."""

    candidates: Names = []
    """Donors to choose among: all of the matrix by default. Others are judged by their features alone."""

    method: str | None = None
    """The way of choosing; the one with the best NDCG@10 on recipients left out unless given."""

    top: int = Field(10, gt=0)
    """Donors shown for each recipient that is asked for."""

    level: float = Field(0.8, gt=0, lt=1)
    """How often a gain should lie in its interval; n recipients allow n / (n + 1) at most."""

    draws: int = Field(50, gt=0)
    """Random sets of probe recipients for each number of them."""

    resamples: int = Field(2000, gt=0)
    """Resamples of the bootstrap over recipients."""

    seed: int = 0
    """Seed of trees, draws and resamples."""

    @model_validator(mode="after")
    def _text_is_of_one_language(self) -> Self:
        if self.text is not None and len(self.recipients) != 1:
            raise ValueError("text is that of one recipient: say which")
        return self


def rank(config: RankConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Measure every way of choosing donors, and choose for `config.recipients`, into the run folder `out`.

    Returns the manifest; `methods` and `answers` in it hold what the tables hold. Written: scores.parquet (donor,
    recipient, method, score: each recipient left out) and the tables methods, comparisons, k_probe, per_recipient,
    recommendations and, with features, importance.
    Raises LingraftError for a matrix of fewer than two donors or recipients, an unknown method, and candidates or
    recipients of which nothing is known.
    """
    config = config.resolved()
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["numpy", "scipy", "scikit-learn"]) as run:
        if run.complete:
            return run.manifest
        drops: Counter[str] = Counter()
        with run.timed("read"):
            question = read_question(config, drops, quiet)
        gain = question.study.gain
        with run.timed("methods"):
            found = methods(question.study, question.of_asked if question.asked else None, seed=config.seed)
            scores = {method.name: _measure(gain, method.held_out) for method in found}
        with run.timed("answers"):
            answered = list(answers(config, question, found))
        with run.timed("probes"):
            probes = {k: _probed(gain, k, config) for k in range(1, gain.shape[1])}
            scores |= {several(k, "probe"): _measure_probes(gain, probes[k]) for k in PROBES if k in probes}
        with run.write("scores.parquet") as path:
            pq.write_table(_score_table(question, found), path, compression="zstd")
        with run.timed("tables"):
            _write_methods(run, question, scores, config)
            _write_curve(run, question, probes)
            _write_recipients(run, question, found, scores)
            _write_recommendations(run, question, answered, config)
        if question.study.names:
            with run.timed("importance"):
                _write_importance(run, question, found, config)
        return run.finish(
            {"donors": len(question.donors), "recipients": len(question.recipients)} | +drops,
            unit=question.unit,
            methods=[
                {"method": name} | {measure: float(values.mean()) for measure, values in held.items()}
                for name, held in _by_choice(scores).items()
            ],
            answers=[
                asdict(answer) | {"rows": [row._asdict() for row in answer.rows], "notes": list(answer.notes)}
                for answer in answered
            ],
            notes=list(question.notes),
        )


def _measure(gain: np.ndarray, held_out: np.ndarray) -> Scores:
    return {name: measure(gain.T, held_out.T) for name, measure in MEASURES.items()}


def _probed(gain: np.ndarray, k: int, config: RankConfig) -> np.ndarray:
    """Return donors' effects learnt from k other recipients, (recipients, draws, donors)."""
    draws = 1 if k == gain.shape[1] - 1 else config.draws  # then there is only one set of others
    places = range(gain.shape[1])
    return np.stack([probe_scores(gain, place, k, draws=draws, seed=config.seed) for place in places])


def _measure_probes(gain: np.ndarray, scores: np.ndarray) -> Scores:
    """Return the mean over draws."""
    return {name: measure(gain.T[:, None], scores).mean(1) for name, measure in MEASURES.items()}


def _by_choice(scores: dict[str, Scores]) -> dict[str, Scores]:
    """Return the methods, the best NDCG@10 first."""
    return dict(sorted(scores.items(), key=lambda item: -item[1][CHOICE].mean()))


def _write_methods(run: runs.Run, question: Question, scores: dict[str, Scores], config: RankConfig) -> None:
    """Write what each method is worth, and how it differs from random choice and from size."""
    num_recipients = len(question.recipients)
    rows, gaps = [], []
    for measure in MEASURES:
        held = {name: found[measure] for name, found in _by_choice(scores).items()}
        unit = "" if measure.startswith("NDCG") else f", {question.unit}"
        for name, values in held.items():
            low, high = statistics.bootstrap(values, resamples=config.resamples, seed=config.seed)
            chance = float(held[RANDOM].mean())
            row = {"group": measure + unit, "label": name, "value": float(values.mean()), "low": low, "high": high}
            rows.append(row | {"chance": chance, "n": num_recipients, "unit": unit.removeprefix(", ")})
        for against in (RANDOM, SIZE):
            gaps += _compared(held, measure, against, config)
    note = (
        f"Means over {several(num_recipients, 'recipient')}, each left out of what the method learnt, with 95% "
        "bootstrap intervals over recipients. NDCG by LangRank's grades (10 for the best donor, 9 for the second, "
        "...), ties by expectation; regret is the gain that was missed, so less is better. The mark is random choice, "
        "exactly."
    )
    run.write_table("methods", rows, kind="scores", title="What each way of choosing is worth", note=note)
    note = (
        "Paired over recipients: bootstrap interval and p; p_holm is corrected for the number of methods. Of regret, "
        "below zero is better. The donors are taken as they are: a method that puts them in one order for all "
        "recipients, as size does, may be far from random choice by which donors happen to be large."
    )
    run.write_table("comparisons", gaps, title="Differences from random choice and from size", note=note)


def _compared(held: Scores, measure: str, against: str, config: RankConfig) -> list[dict[str, Any]]:
    names = [name for name in held if name not in (RANDOM, ORACLE, against)]
    if against not in held or not names:
        return []
    found = [
        statistics.paired_difference(held[name], held[against], resamples=config.resamples, seed=config.seed)
        for name in names
    ]
    corrected = statistics.holm([difference.p for difference in found])
    return [
        {"measure": measure, "method": name, "against": against, "difference": difference.value}
        | {"low": difference.low, "high": difference.high, "p": difference.p, "p_holm": p}
        for name, difference, p in zip(names, found, corrected, strict=True)
    ]


def _write_curve(run: runs.Run, question: Question, probes: dict[int, np.ndarray]) -> None:
    """Write how NDCG grows with the number of probe recipients; the interval is that of random sets of them."""
    gain = question.study.gain.T[:, None]
    rows = []
    for measure in ("NDCG@3", "NDCG@10"):
        for k, scores in probes.items():
            found = MEASURES[measure](gain, scores).mean(0)
            low, high = np.quantile(found, [0.025, 0.975])
            rows.append({"series": measure, "x": k, "y": float(found.mean()), "low": float(low), "high": float(high)})
    note = (
        "Donors' effects learnt from a few other recipients, drawn at random; mean over recipients and draws, and "
        "where 95% of draws lie. The last point takes all others, of which there is one set."
    )
    run.write_table("k_probe", rows, kind="curve", title="NDCG by probe recipients", note=note)


def _write_recipients(run: runs.Run, question: Question, found: Sequence[Method], scores: dict[str, Scores]) -> None:
    rows = []
    for place, recipient in enumerate(question.recipients):
        gain = question.study.gain[:, place]
        best = int(np.nanargmax(gain))
        for method in found:
            if method.name in (RANDOM, ORACLE):
                continue
            held_out = method.held_out[:, place]
            chosen = np.where(np.isfinite(gain) & np.isfinite(held_out), held_out, -np.inf)
            first = int(chosen.argmax())
            row = {"recipient": recipient, "method": method.name}
            row |= {measure: float(scores[method.name][measure][place]) for measure in MEASURES}
            row |= {"first": question.donors[first] if np.isfinite(chosen[first]) else None, "gain": float(gain[first])}
            rows.append(row | {"best": question.donors[best], "best_gain": float(gain[best])})
    note = f"Each recipient left out. Regret and gain in {question.unit}; first is the donor that the method chose."
    run.write_table("per_recipient", rows, title="Choices for each recipient", note=note)


def _write_recommendations(run: runs.Run, question: Question, answered: Sequence[Answer], config: RankConfig) -> None:
    rows = [
        {"recipient": answer.recipient} | row._asdict() | {"method": answer.method}
        for answer in answered
        for row in answer.rows
    ]
    told = dict.fromkeys(note for answer in answered for note in answer.notes)
    note = (
        f"Gains in {question.unit}, with {config.level:.0%} intervals; advantage is what a donor gives above the "
        "average donor, whose gain on a new recipient is known far less well. " + " ".join(f"{text}." for text in told)
    )
    run.write_table("recommendations", rows, title="Donors to take", note=note.strip())


def _write_importance(run: runs.Run, question: Question, found: Sequence[Method], config: RankConfig) -> None:
    lost = next(method.forest for method in found if method.name == FEATURES).importance()
    rows = []
    for name, values in zip(question.study.names, lost.T, strict=True):
        low, high = statistics.bootstrap(values, resamples=config.resamples, seed=config.seed)
        rows.append({"label": name, "value": float(values.mean()), "low": low, "high": high})
    note = (
        f"NDCG@10 that the method '{FEATURES}' loses on a recipient left out when one feature is shuffled among its "
        "donors; 95% bootstrap intervals over recipients. Features that tell the same share their importance; "
        "sizes tell donors apart, and so stand in for the donor's effect."
    )
    title = "What the features are worth"
    run.write_table("importance", sorted(rows, key=lambda row: -row["value"]), kind="effects", title=title, note=note)


def _score_table(question: Question, found: Sequence[Method]) -> pa.Table:
    """Return one row a donor, recipient and method; null where a method does not know."""
    donors, recipients = len(question.donors), len(question.recipients)
    parts = [
        pa.table(
            {
                "donor": np.repeat(question.donors, recipients),
                "recipient": np.tile(question.recipients, donors),
                "method": [method.name] * (donors * recipients),
                "score": pa.array(method.held_out.ravel(), from_pandas=True),
            }
        )
        for method in found
    ]
    return pa.concat_tables(parts)
