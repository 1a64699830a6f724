"""What a matrix says: its two Parquet tables, and those that the report draws; all from the store of cells.

An interval of a gain is the bootstrap over seeds and lines: each resample draws lines of the recipient, the same for
all its donors, and seeds. With few seeds it is too narrow: k seeds show (k - 1) / k of the variance between them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.transfer import cells
from lingraft.transfer.cells import Asked, Cell, Lines
from lingraft.transfer.donor_run import (
    BASE,
    DonorRun,
    Places,
    base_request,
    chosen_step,
    digests,
    request_of,
    training_of,
)
from lingraft.transfer.matrix_settings import MatrixConfig
from lingraft.transfer.results import BITS

RESAMPLES = 1000
LEVEL = 0.95

PAIR = {"donor": pa.string(), "recipient": pa.string(), "seed": pa.int64(), "step": pa.int32()}
SIZE = {"lines": pa.int32(), "bytes": pa.int64()}
FIGURES = {"tokens_seen": pa.int64(), "bits_per_byte": pa.float64(), "perplexity": pa.float64()}
GAINS = dict.fromkeys(("before", "after", "perplexity_before", "perplexity_after"), pa.float64())

CELLS = pa.schema(PAIR | FIGURES | SIZE)
VALIDATION = CELLS.remove(CELLS.get_field_index("recipient"))
MATRIX = pa.schema(PAIR | GAINS | SIZE | {"unstable": pa.bool_()})


@dataclass
class _Found:
    """What is gathered, donor by donor."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    """Rows of cells.parquet."""
    own: list[dict[str, Any]] = field(default_factory=list)
    """Rows of validation.parquet."""
    pairs: list[dict[str, Any]] = field(default_factory=list)
    """Rows of matrix.parquet."""
    donors: list[dict[str, Any]] = field(default_factory=list)
    """One a donor and seed."""
    saved: dict[str, dict[tuple[str, int], np.ndarray]] = field(default_factory=lambda: defaultdict(dict))
    """By recipient, then by donor and seed: bits that each reported line takes less than before, (lines,)."""


def finish(run: runs.Run, config: MatrixConfig, place: Places, **more: Any) -> dict[str, Any]:
    """Write all tables and the manifest, and return it. LingraftError for a cell of another experiment."""
    base, lines = cells.read(place.cells(BASE)), cells.read_lines(place.cells(BASE))
    cells.check(place.cells(BASE), base, digests(place, lines), base_request(config))
    found = _Found()
    every = [DonorRun(donor, seed) for donor in config.donors for seed in config.seeds]
    for one in every:
        _gather(one, config, place, {asked: cell for (_, asked), cell in base.items()}, lines, found)
    for name, rows, schema in (
        ("cells", found.curve, CELLS),
        ("validation", found.own, VALIDATION),
        ("matrix", found.pairs, MATRIX),
    ):
        with run.write(f"{name}.parquet") as path:
            pq.write_table(pa.Table.from_pylist(rows, schema), path, compression="zstd")
    for row in found.donors:
        if row["unstable"]:
            run.log("unstable", **row)
    _write_tables(run, config, found, lines)
    unstable = sum(row["unstable"] for row in found.donors)
    counters = {
        "donors": len(config.donors),
        "recipients": len(config.recipients),
        "seeds": len(config.seeds),
        "pairs": len(found.pairs),
        "own_language": sum(one.donor in config.recipients for one in every),
        "checkpoints_scored": len(found.curve),
        "tokens_trained": sum(row["tokens_trained"] for row in found.donors),
        "unstable_runs": unstable,
        **{f"questions_{name}": number for name, number in sorted(_asked(place, config).items())},
    }
    notes = [f"{row['donor']}, seed {row['seed']}: {row['why']}" for row in found.donors if row["unstable"]]
    if counters["own_language"]:
        notes.append(f"donors on themselves are left out ({counters['own_language']} in all): that is no transfer")
    return run.finish(counters, notes=notes, unit=BITS, **more)


def _gather(
    one: DonorRun,
    config: MatrixConfig,
    place: Places,
    base: Mapping[Asked, Cell],
    lines: Mapping[Asked, Lines],
    found: _Found,
) -> None:
    """Add the cells of one donor and seed to all tables."""
    held, training = cells.read(place.cells(one.key)), training_of(config, place, one)
    asked = one.asked(config.recipients)
    cells.check(place.cells(one.key), held, digests(place, asked), request_of(training))
    a_step = training.training.tokens_per_step
    own = Asked(one.donor, "validation")
    for each in asked:
        row = {
            "donor": one.donor,
            "seed": one.seed,
            "lines": len(lines[each].keys),
            "bytes": int(lines[each].bytes.sum()),
        }
        steps = {0: base[each]} | {step: cell for (step, other), cell in sorted(held.items()) if other == each}
        for step, cell in steps.items():
            figures = {"bits_per_byte": lines[each].bits_per_byte(cell), "perplexity": lines[each].perplexity(cell)}
            cell_row = row | figures | {"step": step, "tokens_seen": step * a_step}
            if each == own:
                found.own.append(cell_row)
            else:
                found.curve.append(cell_row | {"recipient": each.language})
    pairs = [_pair(one, config, held, base, lines, each, found) for each in asked if each != own]
    kept = chosen_step(config, one, held, lines, own)
    summary = {
        "donor": one.donor,
        "seed": one.seed,
        "step": kept,
        "tokens_trained": runs.read_manifest(place.training(one.key))["counters"]["tokens_seen"],
        "epochs": round(kept * a_step / runs.read_manifest(place.encoded(one.donor))["counters"]["tokens"], 2),
        "mean_gain": float(np.mean([row["before"] - row["after"] for row in pairs])) if pairs else None,
        "own_before": lines[own].bits_per_byte(base[own]),
        "own_after": lines[own].bits_per_byte(held[kept, own]),
    }
    why = _why_unstable(summary)
    found.donors.append(summary | {"unstable": bool(why), "why": why})
    found.pairs += [row | {"unstable": bool(why)} for row in pairs]


def _pair(
    one: DonorRun,
    config: MatrixConfig,
    held: cells.Cells,
    base: Mapping[Asked, Cell],
    lines: Mapping[Asked, Lines],
    each: Asked,
    found: _Found,
) -> dict[str, Any]:
    """Return the row of matrix.parquet for one recipient, and note what each of its lines gained."""
    asked, before = lines[each], base[each]
    step = chosen_step(config, one, held, lines, each)
    after = held[step, each]
    which = cells.halves(asked.keys)[1] if config.choose == "half" else np.ones(len(asked.keys), bool)
    found.saved[each.language][one.donor, one.seed] = (before.nats - after.nats)[which] / np.log(2)
    return {
        "donor": one.donor,
        "recipient": each.language,
        "seed": one.seed,
        "step": step,
        "before": asked.bits_per_byte(before, which),
        "after": asked.bits_per_byte(after, which),
        "perplexity_before": asked.perplexity(before, which),
        "perplexity_after": asked.perplexity(after, which),
        "lines": int(which.sum()),
        "bytes": int(asked.bytes[which].sum()),
    }


def _why_unstable(row: Mapping[str, Any]) -> str:
    """Say in which way a training did damage; nothing where it did not."""
    reasons = []
    if row["mean_gain"] is not None and row["mean_gain"] < 0:
        reasons.append(f"unstable, the mean gain over all recipients is {row['mean_gain']:.4f} {BITS}")
    if row["own_after"] > row["own_before"]:
        reasons.append(
            f"unstable, on its own validation text it went from {row['own_before']:.4f} to {row['own_after']:.4f}"
        )
    return "; ".join(reasons)


def gain_intervals(
    saved: Mapping[tuple[str, int], np.ndarray], sizes: np.ndarray, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return donor -> (gain, low, high) on one recipient, in bits per byte, by the bootstrap over seeds and lines.

    `saved` are the bits that each line takes less, (lines,), by donor and seed; `sizes` their bytes, (lines,).
    """
    chance = np.random.default_rng(seed)
    weights = chance.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), RESAMPLES)
    drawn = weights @ np.stack(list(saved.values()), axis=1) / (weights @ sizes)[:, None]
    gains = np.array([values.sum() / sizes.sum() for values in saved.values()])
    found = {}
    for donor in dict.fromkeys(donor for donor, _ in saved):
        own = [place for place, key in enumerate(saved) if key[0] == donor]
        seeds = chance.multinomial(len(own), np.full(len(own), 1 / len(own)), RESAMPLES) / len(own)
        low, high = np.quantile((drawn[:, own] * seeds).sum(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found[donor] = (float(gains[own].mean()), float(low), float(high))
    return found


def _write_tables(run: runs.Run, config: MatrixConfig, found: _Found, lines: Mapping[Asked, Lines]) -> None:
    gains = list(_gains(config, found, lines))
    several = f"95% bootstrap intervals over {len(config.seeds)} seeds and the recipient's lines"
    run.write_table(
        "gain",
        gains,
        kind="heatmap",
        title="gain",
        note=f"What the base needs less what it needs after the donor; above 0 the donor helps. {several}.",
        unit=BITS,
        diverging=True,
    )
    run.write_table(
        "learning",
        list(_learning(config, found)),
        kind="curve",
        title="mean gain by step",
        note="Mean over the recipients that were scored at every checkpoint, and over the seeds; the band: all seeds.",
    )
    run.write_table(
        "donors",
        _donors(config, found),
        title="Donors",
        note="Unstable: the mean gain is negative, or the donor's own validation text (own, bits per byte) got worse.",
    )
    run.write_table("recipients", _recipients(config, gains, found), title="Recipients", note="In bits per byte.")


def _gains(config: MatrixConfig, found: _Found, lines: Mapping[Asked, Lines]) -> Iterator[dict[str, Any]]:
    by_pair = {}
    for recipient, saved in found.saved.items():
        asked = lines[Asked(recipient, "test")]
        sizes = asked.bytes[cells.halves(asked.keys)[1]] if config.choose == "half" else asked.bytes
        by_pair |= {(donor, recipient): gain for donor, gain in gain_intervals(saved, sizes).items()}
    for donor in config.donors:
        for recipient in config.recipients:
            if donor != recipient:
                value, low, high = by_pair[donor, recipient]
                yield {"row": donor, "column": recipient, "value": value, "low": low, "high": high}


def _learning(config: MatrixConfig, found: _Found) -> Iterator[dict[str, Any]]:
    steps: dict[tuple[str, int, str], dict[int, float]] = defaultdict(dict)
    for row in found.curve:
        steps[row["donor"], row["seed"], row["recipient"]][row["step"]] = row["bits_per_byte"]
    for donor in config.donors:
        of_donor = {key[1:]: bits for key, bits in steps.items() if key[0] == donor}
        every = sorted(set().union(*of_donor.values()))
        whole = {key: bits for key, bits in of_donor.items() if len(bits) == len(every)}
        for step in every if whole else ():
            by_seed = defaultdict(list)
            for (seed, _), bits in whole.items():
                by_seed[seed].append(bits[0] - bits[step])
            means = [float(np.mean(gains)) for gains in by_seed.values()]
            row = {"series": donor, "x": step, "y": float(np.mean(means))}
            yield row | ({"low": min(means), "high": max(means)} if len(means) > 1 else {})


def _donors(config: MatrixConfig, found: _Found) -> list[dict[str, Any]]:
    rows = []
    for donor in config.donors:
        runs_of = [row for row in found.donors if row["donor"] == donor]
        gains = defaultdict(list)
        for row in found.pairs:
            if row["donor"] == donor:
                gains[row["recipient"]].append(row["before"] - row["after"])
        means = [float(np.mean(values)) for values in gains.values()]
        rows.append(
            {
                "donor": donor,
                "mean gain": float(np.mean(means)) if means else None,
                "recipients that gain": f"{sum(mean > 0 for mean in means)} of {len(means)}",
                "own before": runs_of[0]["own_before"],
                "own after": float(np.mean([row["own_after"] for row in runs_of])),
                "steps": ", ".join(str(row["step"]) for row in runs_of),
                "epochs": float(np.mean([row["epochs"] for row in runs_of])),
                "unstable seeds": f"{sum(row['unstable'] for row in runs_of)} of {len(runs_of)}",
            }
        )
    return sorted(rows, key=lambda row: -(row["mean gain"] or 0))


def _recipients(config: MatrixConfig, gains: Sequence[Mapping[str, Any]], found: _Found) -> list[dict[str, Any]]:
    rows = []
    for recipient in config.recipients:
        own = [row for row in gains if row["column"] == recipient]
        if not own:
            continue
        first = next(row for row in found.pairs if row["recipient"] == recipient)
        best = max(own, key=lambda row: row["value"])
        rows.append(
            {
                "recipient": recipient,
                "lines": first["lines"],
                "bytes": first["bytes"],
                "base": first["before"],
                "mean gain": float(np.mean([row["value"] for row in own])),
                "best donor": best["row"],
                "its gain": best["value"],
                "low": best["low"],
                "high": best["high"],
            }
        )
    return sorted(rows, key=lambda row: -row["mean gain"])


def _asked(place: Places, config: MatrixConfig) -> Counter[str]:
    """Return what became of the recipients' lines."""
    counters: Counter[str] = Counter()
    for recipient in config.recipients:
        counters.update(runs.read_json(place.questions(Asked(recipient, "test")).with_suffix(".json"))["counters"])
    return counters
