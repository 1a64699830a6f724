"""A matrix as large as the published one, analysed, ranked and drawn: seconds and figures against goal and truth.

    python benchmarks/transfer_analysis.py [--donors 158] [--recipients 31] [--seeds 5] [--typology ../shared/data/...]

The matrix is invented, so that the truth is known. Of the variance of log perplexity 41% is the donor's, 39% the
recipient's and 20% the pair's, as in the published matrix (Protasov et al. 2024); overlap makes the pair part with
r = .60 and nothing else, though it has strong effects of donors and recipients of its own; five trainings of a donor
scatter a little. 26 languages are both donor and recipient, so these cells are missing. Training damages the model, so
that few pairs improve. All other features are real ones of WALS where it is there, and tell nothing.

    python benchmarks/transfer_analysis.py --coverage 300

How often do 95% intervals of shares and of donors' effects hold the truth, and how often does a feature that tells
nothing get p <= .05? Over so many matrices a case, with normal or exponential (heavy-tailed) effects and with gaps.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lingraft.report import write
from lingraft.runs import read_json
from lingraft.transfer.analysis import AnalyseConfig, analyse
from lingraft.transfer.effects import effects
from lingraft.transfer.rank_intervals import predict
from lingraft.transfer.rankers import Method, Study, donor_effects
from lingraft.transfer.ranking import RankConfig, rank
from lingraft.transfer.regression import regress
from lingraft.transfer.typology import read_typology
from lingraft.transfer.variance import components

REPOSITORY = Path(__file__).parents[1]
WALS = REPOSITORY.parent / "shared" / "data" / "typology" / "wals"
SHARES = {"donor": 0.41, "recipient": 0.39, "pair": 0.20}
TRAINING, NOISE = 0.01, 0.01
"""Variance of what one seed does to a donor, and to one pair; both come on top of the shares, whose variance is 1."""
R = 0.60
MEAN = -np.log(17)
GOAL = 30


def languages(number: int, typology: Path | None) -> list[str]:
    """Return codes: those of which WALS knows the most where it is there, else invented ones."""
    if typology is None:
        return [f"l{place:03}" for place in range(number)]
    held = read_typology(typology)
    known = (held.values > 0).sum(axis=1)
    codes = [held.varieties[row].iso[0] for row in np.argsort(-known, kind="stable") if held.varieties[row].iso]
    return list(dict.fromkeys(codes))[:number]


def simulate(folder: Path, names: list[str], donors: int, recipients: int, seeds: int) -> None:
    """Write matrix.csv and pairs.csv."""
    generator = np.random.default_rng(0)
    shape = (donors, recipients)

    def parts(*shares: float) -> list[np.ndarray]:
        sizes = (donors, 1), (1, recipients), shape
        return [np.sqrt(share) * generator.normal(size=size) for share, size in zip(shares, sizes, strict=True)]

    donor, recipient, pair = parts(*SHARES.values())
    own = (R * pair / np.sqrt(SHARES["pair"]) + np.sqrt(1 - R**2) * generator.normal(size=shape)) * 0.05
    overlap = 0.4 + own + 0.1 * generator.normal(size=(donors, 1)) + 0.1 * generator.normal(size=(1, recipients))
    training = np.sqrt(TRAINING) * generator.normal(size=(donors, 1, seeds))
    noise = np.sqrt(NOISE) * generator.normal(size=(*shape, seeds))
    gain = MEAN + (donor + recipient + pair)[:, :, None] + training + noise
    before = 4 + 0.5 * generator.normal(size=recipients)
    both = round(recipients * 26 / 31)
    columns = names[:both] + names[donors : donors + recipients - both]
    with (folder / "matrix.csv").open("w", newline="") as matrix, (folder / "pairs.csv").open("w", newline="") as pairs:
        cells, features = csv.writer(matrix), csv.writer(pairs)
        cells.writerow(["donor", "recipient", "zero-shot", "after", "seed"])
        features.writerow(["donor", "recipient", "overlap"])
        for i, one in enumerate(names[:donors]):
            for j, other in enumerate(columns):
                if one != other:
                    features.writerow([one, other, overlap[i, j]])
                    for seed in range(seeds):
                        cells.writerow([one, other, np.exp(before[j]), np.exp(before[j] - gain[i, j, seed]), seed])


def seconds(verb: Callable[[], object]) -> np.ndarray:
    """Return how long a call takes: seconds by the clock, and of computing."""
    started = time.perf_counter(), time.process_time()
    verb()
    return np.array([time.perf_counter() - started[0], time.process_time() - started[1]])


def main() -> None:
    """Simulate, call the verbs, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--donors", type=int, default=158)
    parser.add_argument("--recipients", type=int, default=31)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--typology", type=Path, default=WALS if WALS.exists() else None)
    parser.add_argument("--out", type=Path, help="Folder to keep; by default all is removed at the end.")
    parser.add_argument("--coverage", type=int, metavar="N", help="Check intervals and tests on N matrices a case.")
    asked = parser.parse_args()
    if asked.coverage:
        check(asked.coverage)
        check_gains(asked.coverage)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=asked.out is None)
        names = languages(asked.donors + asked.recipients, asked.typology)
        simulate(folder, names, asked.donors, asked.recipients, asked.seeds)
        matrix, pairs = folder / "matrix.csv", folder / "pairs.csv"
        typology = [asked.typology] if asked.typology else []
        analysed = AnalyseConfig(matrix=matrix, pairs=pairs, typology=typology)
        ranked = RankConfig(matrix=matrix, pairs=pairs, typology=typology)
        times = {
            "analyse": seconds(lambda: analyse(analysed, folder / "analyse", quiet=True)),
            "rank": seconds(lambda: rank(ranked, folder / "rank", quiet=True)),
            "report of analyse": seconds(lambda: write(folder / "analyse")),
            "report of rank": seconds(lambda: write(folder / "rank")),
        }
        print(f"{asked.donors} donors x {asked.recipients} recipients x {asked.seeds} seeds\n")
        print(f"{'':<18}{'seconds':>9}{'of computing':>15}")
        times["analysed and drawn"] = times["analyse"] + times["report of analyse"]
        for name, (clock, computing) in times.items():
            print(f"{name:<18}{clock:9.1f}{computing:15.1f}" + f"   goal: under {GOAL} s" * name.startswith("analysed"))
        print()
        compare(folder / "analyse")


def compare(run: Path) -> None:
    """Print what was put in beside what came out."""
    total = sum(SHARES.values()) + TRAINING + NOISE
    truth = SHARES | {"training": TRAINING, "noise": NOISE}
    print(f"{'':<22}{'truth':>7}{'found':>8}   95% interval")
    for row in read_json(run / "tables" / "variance.json")["rows"]:
        true = truth.get(row["component"])
        shown = f"{true / total:7.1%}" if true is not None else f"{'':>7}"
        print(f"{row['component']:<22}{shown}{row['share']:8.1%}   {row['share_low']:.1%} to {row['share_high']:.1%}")
    rows = {row["feature"]: row for row in read_json(run / "tables" / "features.json")["rows"]}
    overlap = rows["overlap"]
    slope = R * np.sqrt(SHARES["pair"]) / 0.05
    said = f"p {overlap['p']:.1g}, by permutation {overlap['qap']:.1g}"
    print(f"{'overlap and pair, r':<22}{R:7.2f}{overlap['r']:8.2f}   {said}")
    print(
        f"{'slope of overlap':<22}{slope:7.2f}{overlap['slope']:8.2f}   {overlap['low']:.2f} to {overlap['high']:.2f}"
    )
    print(f"{'overlap and donor, r':<22}{0:7.2f}{overlap['r_donor']:8.2f}   p {overlap['p_donor']:.2f}")
    nothing = [row for name, row in rows.items() if name != "overlap" and row["p"] is not None]
    wrong = [row["feature"] for row in nothing if row["holm"] <= 0.05]
    print(f"features that tell nothing: {len(nothing)}, taken for something after Holm: {len(wrong)}")


CASES = [
    ((6, 10, 3), 0.0, "normal"),
    ((6, 10, 3), 0.15, "normal"),
    ((6, 10, 1), 0.15, "normal"),
    ((100, 31, 1), 0.3, "normal"),
    ((30, 20, 3), 0.0, "exponential"),
    ((100, 31, 1), 0.05, "exponential"),
]
"""Donors, recipients and seeds; share of pairs missing; distribution of donors, recipients and pairs."""

VARIANCES = np.array([0.41, 0.39, 0.20, 0.04, 0.04])
"""Of donors, recipients, pairs, trainings, noise."""


def check(number: int) -> None:
    """Print how often intervals hold the truth, and how often tests are wrong."""
    print(f"{'':<36}{'95% intervals hold':^22}{'nothing, p <= .05':^20}")
    print(f"{'matrix':<18}{'gaps':<6}{'tails':<12}{'shares':>14}{'effects':>8}{'clustered':>12}{'QAP':>8}")
    for shape, gaps, tails in CASES:
        found = np.array([one_check(seed, shape, gaps, tails) for seed in range(number)])
        low, high, effect, clustered, permuted = [
            *np.percentile(found[:, :-3].mean(0), [0, 100]),
            *found[:, -3:].mean(0),
        ]
        name = f"{' x '.join(map(str, shape)):<18}{gaps:<6.0%}{tails:<12}"
        print(f"{name}{low:>7.0%} to {high:.0%}{effect:>8.0%}{clustered:>12.1%}{permuted:>8.1%}")


def one_check(seed: int, shape: tuple[int, int, int], gaps: float, tails: str) -> list[float]:
    """Return whether each share's interval holds it, how many effects' do, and whether each test errs."""
    generator = np.random.default_rng(seed)
    donors, recipients, seeds = shape
    sizes = (donors, 1, 1), (1, recipients, 1), (donors, recipients, 1), (donors, 1, seeds), shape
    parts = []
    for place, (size, variance) in enumerate(zip(sizes, VARIANCES, strict=True)):
        heavy = tails == "exponential" and place < 3
        drawn = generator.exponential(size=size) - 1 if heavy else generator.normal(size=size)
        parts.append(np.sqrt(variance) * drawn)
    gain = sum(parts)
    gain[generator.random(shape[:2]) < gaps] = np.nan
    true = VARIANCES if seeds > 1 else VARIANCES[:3] + np.array([VARIANCES[3], 0, VARIANCES[4]])
    shares = components(gain, draws=1000, seed=seed)
    held = [row.share_low <= share <= row.share_high for row, share in zip(shares, true / true.sum(), strict=True)]
    side = effects(gain).donor
    donor = parts[0].ravel() + (parts[3].ravel() if seeds == 1 else 0)  # with one seed, luck in training is the donor's
    donor = donor - donor.mean()
    known = np.isfinite(side.low)
    inside = ((side.low <= donor) & (donor <= side.high))[known].mean()
    nothing = generator.normal(size=(donors, 1)) + generator.normal(size=(donors, recipients))
    slope = regress(gain, {"nothing": nothing}, resamples=99, seed=seed).slopes[0]
    return [*held, inside, slope.p <= 0.05, slope.qap <= 0.05]


def check_gains(number: int) -> None:
    """Print how often the gains of a new recipient, and a donor's advantages, lie in the intervals of `rank`."""
    print(f"\nintervals of 80% for a new recipient, by donor effect, {number} matrices of 15 donors")
    print(f"{'recipients':>10}{'gains':>8}{'advantages':>12}")
    for recipients in (4, 12, 31):
        inside = np.mean([new_recipient(seed, recipients) for seed in range(number)], axis=0)
        print(f"{recipients:10}{inside[0]:8.2f}{inside[1]:12.2f}")


def new_recipient(seed: int, recipients: int) -> list[float]:
    """Return which share of a new recipient's gains, and of its donors' advantages, lies in the interval."""
    generator = np.random.default_rng(seed)
    gain = 0.3 * generator.normal(size=(15, 1)) + generator.normal(size=(1, recipients + 1))
    gain = gain + 0.36 * generator.normal(size=gain.shape)
    gain[generator.random(gain.shape) < 0.1] = np.nan
    known, new = gain[:, :-1], gain[:, -1]
    held_out = donor_effects(known, 1 - np.eye(recipients))[0].T
    scores = donor_effects(known, np.ones((1, recipients)))[0][0]
    study = Study(known, np.empty((*known.shape, 0)), ())
    found = predict(Method("donor effect", "learnt", held_out), study, scores, left_out=None, level=0.8)
    sides = ((new - found.gain, found.half), (new - np.nanmean(new) - found.advantage, found.advantage_half))
    return [float((np.abs(errors[~np.isnan(errors)]) <= half).mean()) for errors, half in sides]


if __name__ == "__main__":
    main()
