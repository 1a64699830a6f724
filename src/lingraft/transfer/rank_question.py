"""What a ranking starts from: the cells that were measured, what is known of each pair, and who is asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lingraft.errors import LingraftError
from lingraft.transfer.languages import resolve
from lingraft.transfer.pair_features import code_of, pair_features
from lingraft.transfer.panel import over_seeds
from lingraft.transfer.rankers import Asked, Study
from lingraft.transfer.results import read_results

if TYPE_CHECKING:
    from lingraft.transfer.ranking import RankConfig


@dataclass(frozen=True)
class Question:
    """A matrix without its empty rows, the features of its pairs, and who is asked for."""

    donors: tuple[str, ...]
    recipients: tuple[str, ...]
    candidates: tuple[str, ...]
    asked: tuple[str, ...]
    """Recipients to answer for from all of the matrix."""
    left_out: tuple[str, ...]
    """Recipients of the matrix to answer for without their own results."""
    unit: str
    study: Study
    of_asked: Asked
    notes: tuple[str, ...]
    not_found: Mapping[str, tuple[str, ...]]
    """Asked recipient that is no known language -> what is near it."""


def read_question(config: "RankConfig", drops: Counter[str], quiet: bool) -> Question:
    results = read_results(config.matrix)
    drops.update(results.drops)
    gain = over_seeds(results.gain)
    has_cells = np.isfinite(gain).any(1)
    can_choose = np.isfinite(gain).sum(0) >= 2
    drops["donors_without_cells"] += int((~has_cells).sum())
    drops["recipients_without_choice"] += int((~can_choose).sum())
    gain = gain[has_cells][:, can_choose]
    if min(gain.shape) < 2:
        raise LingraftError(
            f"{config.matrix} has {several(gain.shape[0], 'donor')} and {several(gain.shape[1], 'recipient')} to rank",
            "A donor counts with one measured cell, a recipient with two; each recipient is left out in turn.",
            "Give a matrix of at least two donors and two recipients.",
        )
    donors = tuple(name for name, kept in zip(results.donors, has_cells, strict=True) if kept)
    recipients = tuple(name for name, kept in zip(results.recipients, can_choose, strict=True) if kept)
    candidates = tuple(dict.fromkeys(_as_held(config.candidates, donors, config.typology))) or donors
    wanted = dict.fromkeys(_as_held(config.recipients, [*donors, *recipients], config.typology))
    left_out = tuple(name for name in wanted if name in recipients and not config.candidates)
    asked = tuple(name for name in wanted if name not in left_out)
    rows = list(dict.fromkeys([*donors, *candidates]))
    columns = list(dict.fromkeys([*recipients, *asked]))
    known = pair_features(
        rows,
        columns,
        corpora=config.corpora,
        tokenizer=config.tokenizer,
        typology=config.typology,
        pairs=config.pairs,
        texts={name: config.text for name in wanted if config.text is not None},
        settings=config.features,
        drops=drops,
        quiet=quiet,
    )
    is_empty = np.isnan(known.values[: len(donors), : len(recipients)]).all((0, 1))
    drops["features_without_values"] += int(is_empty.sum())
    values = known.values[:, :, ~is_empty]
    names = tuple(name for name, empty in zip(known.names, is_empty, strict=True) if not empty)
    at = [[held.index(name) for name in part] for held, part in ((rows, candidates), (columns, asked))]
    place = np.array([donors.index(name) if name in donors else -1 for name in candidates])
    return Question(
        donors,
        recipients,
        candidates,
        asked,
        left_out,
        results.unit,
        Study(gain, values[: len(donors), : len(recipients)], names),
        Asked(place, values[np.ix_(*at)]),
        known.notes,
        {name: told for name in asked if (told := _not_found(name, config.typology))},
    )


def _as_held(names: Iterable[str], held: Sequence[str], typology: Sequence[Path]) -> Iterable[str]:
    """Give each language the name that the matrix has for it, or else its code, or else the name as it was given."""
    if not names:
        return
    by_code = {code_of(name, typology): name for name in held}
    for name in names:
        code = code_of(name, typology)
        yield name if name in held else by_code.get(code, code)


def _not_found(name: str, typology: Sequence[Path]) -> tuple[str, ...]:
    try:
        resolve(name, typology)
    except LingraftError as error:
        return (" ".join(filter(None, [error.what + ".", error.why])),)
    return ()


def several(number: int, noun: str) -> str:
    """Say how many: "1 donor", "2 donors"."""
    return f"{number:,} {noun}" + "s" * (number != 1)
