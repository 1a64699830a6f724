"""What a matrix says: who gives, who takes, what makes a good pair, and how far each answer can be trusted.

    lingraft transfer analyse --matrix out/matrix --corpora out/corpora --typology wals --out out/analyse
    lingraft transfer analyse --matrix published.csv --typology wals --out out/analyse

Everything is about gains: base less trained, in bits per byte (in log perplexity for a published table), the mean over
seeds. Beside the tables and their findings in words there is pairs.parquet, one row a pair with all features and gains,
for models of one's own. 158 donors x 31 recipients x 5 seeds take some seconds; features from text come on top.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from lingraft import runs
from lingraft.config import Names
from lingraft.transfer import analysis_tables
from lingraft.transfer.explain import Analysis, explain
from lingraft.transfer.findings import findings
from lingraft.transfer.measured_pairs import MeasuredPairs
from lingraft.transfer.pair_features import pair_features
from lingraft.transfer.panel import over_seeds
from lingraft.transfer.regression import RESAMPLES
from lingraft.transfer.results import read_results

STAGE = "transfer analyse"


class AnalyseConfig(MeasuredPairs):
    """A matrix, what is known of its pairs, and what is tested."""

    test: Names = []
    """Features that are tested, each alone; all by default."""

    together: Names = []
    """Features that are fitted together; by default one overlap, grammar, family, script and distance, of these the
    ones known for at least half of the pairs."""

    overlap: str | None = None
    """Feature that is drawn against the gain; by default the size-matched share of the recipient's vocabulary."""

    resamples: int = Field(RESAMPLES, gt=0)
    """Permutations of each test."""

    seed: int = 0
    """Seed of permutations and intervals."""


def analyse(config: AnalyseConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Explain a matrix into the run folder `out` and return its manifest, with the findings in it.

    Written: pairs.parquet, and the tables findings, variance, donor_effects, recipient_effects, gain_clustered,
    features, partial, overlap_gain, by_seed and map, each where there is something to show.
    Raises LingraftError for a matrix or a source of features that can't be read, and for a feature that is not there.
    """
    config = config.resolved()
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["numpy", "scipy"]) as run:
        if run.complete:
            return run.manifest
        results = read_results(config.matrix)
        drops: Counter[str] = Counter(results.drops)
        with run.timed("features"):
            known = pair_features(
                results.donors,
                results.recipients,
                corpora=config.corpora,
                tokenizer=config.tokenizer,
                typology=config.typology,
                pairs=config.pairs,
                settings=config.features,
                drops=drops,
                quiet=quiet,
            )
        with run.timed("statistics"):
            found = explain(
                results,
                known,
                test=config.test,
                together=config.together,
                overlap=config.overlap,
                resamples=config.resamples,
                seed=config.seed,
            )
        with run.timed("tables"):
            with run.write("pairs.parquet") as path:
                pq.write_table(pairs(found), path)
            said = findings(found, unstable_runs=_unstable_runs(config.matrix))
            analysis_tables.write(run, found, said, config.typology)
        counters = {
            "donors": len(results.donors),
            "recipients": len(results.recipients),
            "seeds": len(results.seeds),
            "pairs": int(found.measured.sum()),
            "improved_pairs": int((found.gain[found.measured] > 0).sum()),
            "features": len(found.known),
            "features_tested": sum(row.slope is not None for row in found.tested),
            "features_without_slope": dict(Counter(row.why for row in found.tested if row.slope is None)),
            "outside_the_largest_part": found.effects.apart,
            **{name: number for name, number in sorted(drops.items()) if number},
        }
        return run.finish(counters, unit=results.unit, findings=said, notes=list(known.notes))


def _unstable_runs(matrix: Path) -> int:
    return runs.read_manifest(matrix)["counters"].get("unstable_runs", 0) if matrix.is_dir() else 0


def pairs(found: Analysis) -> pa.Table:
    """Return one row for each donor and recipient that are two languages; null where something is not known."""
    donors, recipients = found.results.donors, found.results.recipients
    apart = found.between_two
    donor, recipient = np.nonzero(apart)
    columns: dict[str, Any] = {
        "donor": [donors[place] for place in donor],
        "recipient": [recipients[place] for place in recipient],
    }
    numbers = {
        "before": over_seeds(np.where(np.isfinite(found.results.gain), found.results.before, np.nan)),
        "after": over_seeds(np.where(np.isfinite(found.results.gain), found.results.after, np.nan)),
        "gain": found.gain,
        "gain_low": found.gain - found.half,
        "gain_high": found.gain + found.half,
        "donor_effect": np.broadcast_to(found.effects.donor.value[:, None], found.gain.shape),
        "recipient_effect": np.broadcast_to(found.effects.recipient.value[None, :], found.gain.shape),
        "centred_gain": found.effects.centred,
    } | found.known
    columns |= {name: pa.array(values[apart], from_pandas=True) for name, values in numbers.items()}
    columns["seeds"] = np.isfinite(found.results.gain).sum(axis=2)[apart]
    return pa.table(columns)
