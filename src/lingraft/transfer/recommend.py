"""Donors for one recipient: the order, the gain to expect, and the reasons in words.

Which way of choosing gives the order: the one with the best NDCG@10 on recipients left out, of those that know most
candidates. Reasons say what is known of a pair; they do not say what trees made of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isinf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer.rank_intervals import predict
from lingraft.transfer.rank_measures import ndcg
from lingraft.transfer.rank_question import Question, several
from lingraft.transfer.rankers import NEW_DONOR, Asked, Method, Study, donor_effects, methods

if TYPE_CHECKING:
    from lingraft.transfer.ranking import RankConfig

SHORT = 3
"""Donors shown for each recipient of the matrix where nobody asked for one."""

OF_TEXT = ("overlap_", "recipient_", "ttr_", "same_script")
"""How columns of features begin that come from the recipient's text."""

_ORDINALS = ("highest", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Recommendation(NamedTuple):
    """One donor for a recipient, in the unit of the gain; what is not known is None."""

    place: int
    donor: str
    gain: float | None
    low: float | None
    high: float | None
    advantage: float | None
    """Above the recipient's average donor."""
    advantage_low: float | None
    advantage_high: float | None
    measured: float | None
    """The gain itself, where the matrix has it."""
    reasons: str


@dataclass(frozen=True)
class Answer:
    """Donors for one recipient, the best first."""

    recipient: str
    method: str
    ndcg: float
    """The method's mean NDCG@10 on the recipients of the matrix, each left out."""
    rows: tuple[Recommendation, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Case:
    """A recipient, its candidates, and what was learnt for it."""

    recipient: str
    candidates: Sequence[str]
    study: Study
    methods: Sequence[Method]
    scores: Sequence[np.ndarray]
    """Of each method, (candidates,)."""
    left_out: int | None
    effects: np.ndarray
    cells: np.ndarray
    measured: np.ndarray
    features: np.ndarray
    """(candidates, features of the study)"""
    notes: tuple[str, ...]


def answers(config: "RankConfig", question: Question, found: Sequence[Method]) -> Iterator[Answer]:
    """Yield an answer for each recipient that is asked for; three donors for each of the matrix where nobody is.

    A recipient outside of the matrix is answered from all of it, by the features that are known of it: where one is
    not known that was known of every recipient, methods are learnt and measured anew without all that are not. One of
    the matrix is answered as if it had been left out.
    """
    for name in question.left_out if config.recipients else question.recipients:
        yield _answer(config, _left_out(question, found, name), question.unit)
    learnt = {question.study.names: (question.study, found)}
    may_lack = ~np.isfinite(question.study.features).any(0).all(0)
    for column in range(len(question.asked)):
        is_known = np.isfinite(question.of_asked.features[:, column]).any(0)
        if (is_known | may_lack).all() and is_known.any():
            is_known = np.full(len(is_known), True)
        study = question.study.only(is_known)
        if study.names not in learnt:
            of_asked = Asked(question.of_asked.place, question.of_asked.features[:, :, is_known])
            learnt[study.names] = study, methods(study, of_asked, seed=config.seed)
        yield _answer(config, _outside(question, *learnt[study.names], column, is_known), question.unit)


def _left_out(question: Question, found: Sequence[Method], name: str) -> _Case:
    study, place = question.study, question.recipients.index(name)
    return _Case(
        name,
        question.donors,
        study,
        found,
        [method.held_out[:, place] for method in found],
        place,
        donor_effects(study.gain, study.others[[place]])[0][0],
        np.isfinite(np.delete(study.gain, place, axis=1)).sum(1),
        study.gain[:, place],
        study.features[:, place],
        (f"{name} stands in the matrix: its own results were left out",),
    )


def _outside(question: Question, study: Study, found: Sequence[Method], column: int, is_known: np.ndarray) -> _Case:
    name, place = question.asked[column], question.of_asked.place
    effects = donor_effects(study.gain, np.ones((1, study.gain.shape[1])))[0][0]
    measured = np.full(len(place), np.nan)
    if name in question.recipients:
        measured = np.where(place < 0, np.nan, study.gain[place, question.recipients.index(name)])
    return _Case(
        name,
        question.candidates,
        study,
        found,
        [method.asked[:, column] for method in found],
        None,
        np.where(place < 0, np.nan, effects[place]),
        np.isfinite(study.gain).sum(1)[place],
        measured,
        question.of_asked.features[:, column][:, is_known],
        _unknown(question, column),
    )


def _answer(config: "RankConfig", case: _Case, unit: str) -> Answer:
    method, scores = _choose(config, case)
    found = predict(method, case.study, scores, left_out=case.left_out, level=config.level)
    why = _reasons(case, unit)
    is_self = np.array([candidate == case.recipient for candidate in case.candidates])
    order = np.argsort(np.where(is_self | np.isnan(scores), np.inf, -scores), kind="stable")
    order = order[~is_self[order]][: config.top if config.recipients else SHORT]
    rows = []
    for place, at in enumerate(order, start=1):
        values = [found.gain[at] + shift for shift in (0, -found.half, found.half)]
        values += [found.advantage[at] + shift for shift in (0, -found.advantage_half, found.advantage_half)]
        rows.append(Recommendation(place, case.candidates[at], *map(_known, [*values, case.measured[at]]), why[at]))
    notes = case.notes
    if method.name == NEW_DONOR and np.isfinite(case.effects).any():
        notes += ("some candidates were never trained, so all are judged by what is known without training",)
    if last := [case.candidates[at] for at in order if np.isnan(scores[at])]:
        notes += (f"nothing to go by, so last: {', '.join(last)}",)
    if isinf(found.half):
        least = ceil(config.level / (1 - config.level) - 1e-9)
        notes += (f"no intervals: at level {config.level:g} they take {several(least, 'other recipient')}",)
    return Answer(case.recipient, method.name, _value(method, case.study), tuple(rows), notes)


def _choose(config: "RankConfig", case: _Case) -> tuple[Method, np.ndarray]:
    """Return the method that answers, and its scores (candidates,)."""
    able = [(m, scores) for m, scores in zip(case.methods, case.scores, strict=True) if m.kind != "bound"]
    if config.method is not None:
        able = [(m, scores) for m, scores in able if _plain(m.name) == _plain(config.method)]
        if not able:
            names = [m.name for m in case.methods if m.kind != "bound"]
            raise LingraftError(
                f"no method '{config.method}' for {case.recipient}: {did_you_mean(config.method, names)}".rstrip(": "),
                "; ".join(case.notes),
                f"Methods: {', '.join(names)}.",
            )
    known = [int(np.isfinite(scores).sum()) for _, scores in able]
    if not max(known):
        raise LingraftError(
            f"nothing is known of the candidates for {case.recipient}: {', '.join(case.candidates[:5])}",
            "They were never trained as donors, and no feature of them is known.",
            "Give --corpora with their text, --typology, or --pairs with features of your own.",
        )
    most = [pair for pair, number in zip(able, known, strict=True) if number == max(known)]
    return max(most, key=lambda pair: _value(pair[0], case.study))


def _value(method: Method, study: Study) -> float:
    return float(ndcg(study.gain.T, method.held_out.T, 10).mean())


def _unknown(question: Question, column: int) -> tuple[str, ...]:
    """Say what is not known of a recipient that is asked for."""
    name, names = question.asked[column], question.study.names
    told = list(question.not_found.get(name, ()))
    if not names:
        return (*told, "no features were given: only what donors did for others speaks")
    known = zip(names, np.isfinite(question.of_asked.features[:, column]).any(0), strict=True)
    is_known = {feature: found for feature, found in known if not feature.startswith("donor_")}
    for kind, of_kind in (("text", True), ("typology", False)):
        held = [known for feature, known in is_known.items() if feature.startswith(OF_TEXT) == of_kind]
        if held and not any(held):
            told.append(f"no {kind} of {name} is known")
        elif not all(held):
            told.append(f"{held.count(False)} of {len(held)} features from {kind} are not known of {name}")
    return tuple(told)


def _reasons(case: _Case, unit: str) -> list[str]:
    """Say in words what speaks for each candidate: its donor effect, and its features."""
    columns = {name: case.features[:, place] for place, name in enumerate(case.study.names)}
    overlap = next((name for name in columns if name.startswith("overlap_")), None)
    typology = next((name for name in columns if name.endswith("_similarity")), None)
    found = []
    for at, (effect, cells) in enumerate(zip(case.effects, case.cells, strict=True)):
        if np.isfinite(effect):
            parts = [f"donor effect {_signed(effect)} {unit} on {several(int(cells), 'recipient')}"]
        else:
            parts = ["never trained as a donor"]
        traits = {name: columns[name][at] for name in ("same_genus", "same_family", "same_script") if name in columns}
        if close := [kind for kind in ("genus", "family") if traits.get(f"same_{kind}") == 1]:
            parts.append(f"same {close[0]}")
        if (script := traits.get("same_script", np.nan)) in (0, 1):
            parts.append("same script" if script else "another script")
        for name, word in ((overlap, "overlap"), (typology, "typology")):
            if name is not None and np.isfinite(columns[name][at]):
                parts.append(f"{word} {_short(columns[name][at])}{_ordinal(columns[name], at)}")
        if np.isfinite(distance := columns.get("distance_km", np.full(len(case.effects), np.nan))[at]):
            parts.append(f"{distance:,.0f} km away")
        found.append("; ".join(parts))
    return found


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").strip()


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ordinal(values: np.ndarray, at: int) -> str:
    """Say which place a value has among those that are known; "" where there is no other."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return ""
    place = int((known > values[at]).sum())
    name = _ORDINALS[place] if place < len(_ORDINALS) else f"number {place + 1}"
    return f", {name} of {len(known)}"


def _short(value: float) -> str:
    """Write .41 for 0.41, as the tables of the field do."""
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "-") + _short(abs(value))
