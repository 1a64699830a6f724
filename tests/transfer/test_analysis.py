"""`lingraft transfer analyse`: tables, pairs.parquet, findings, and what it refuses."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lingraft import runs
from lingraft.config import Config
from lingraft.errors import LingraftError
from lingraft.report import write
from lingraft.runs import read_json
from lingraft.transfer.analysis import AnalyseConfig, analyse
from lingraft.transfer.results import STAGE as MATRIX

pytest.importorskip("scipy", reason="the statistics of a matrix need scipy; it comes with lingraft[transfer]")

DONORS = ("deu", "spa", "swh", "hau", "tur", "ind", "fin")
RECIPIENTS = ("quc", "cak", "mam", "ewe", "ibo", "fin")


def write_matrix(
    folder: Path, *, seeds: Sequence[int] = (0, 1), donors=DONORS, recipients=RECIPIENTS, mean: float = 0.3
) -> tuple[Path, Path]:
    """Write a published table and features: overlap makes good pairs, a donor's size makes good donors."""
    generator = np.random.default_rng(0)
    size = np.linspace(5, 9, len(donors))
    matrix, pairs = folder / "matrix.csv", folder / "pairs.csv"
    with matrix.open("w", newline="") as cells, pairs.open("w", newline="") as features:
        cells, features = csv.writer(cells), csv.writer(features)
        cells.writerow(["donor", "recipient", "zero-shot", "after", "seed"])
        features.writerow(["donor", "recipient", "overlap", "donor_size", "noise"])
        for i, donor in enumerate(donors):
            for j, recipient in enumerate(recipients):
                if donor == recipient:
                    continue
                overlap = generator.uniform(0.2, 0.8) + 0.05 * i
                features.writerow([donor, recipient, overlap, size[i], "" if j == 0 else generator.normal()])
                for seed in seeds:
                    gain = mean + 0.1 * (size[i] - 7) + overlap - 0.7 + 0.1 * j + 0.05 * generator.normal()
                    cells.writerow([donor, recipient, 40, 40 * np.exp(-gain), seed])
    return matrix, pairs


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    matrix, pairs = write_matrix(folder)
    analyse(AnalyseConfig(matrix=matrix, pairs=pairs, resamples=200), folder / "out", quiet=True)
    return folder / "out"


def table(run: Path, name: str) -> dict:
    return read_json(run / "tables" / f"{name}.json")


def said(run: Path, kind: str, about: str) -> str:
    rows = table(run, "findings")["rows"]
    return " ".join(row["finding"] for row in rows if (row["kind"], row["about"]) == (kind, about))


def test_every_pair_of_two_languages_is_a_row_with_gains_effects_and_features(analysed):
    rows = pq.read_table(analysed / "pairs.parquet")
    assert rows.num_rows == 7 * 6 - 1
    assert set(rows.column_names) >= {"donor", "recipient", "before", "after", "gain", "gain_low", "gain_high", "seeds"}
    held = rows.to_pydict()
    gain, centred = np.array(held["gain"]), np.array(held["centred_gain"])
    assert gain == pytest.approx(np.array(held["before"]) - np.array(held["after"]))
    assert held["before"][0] == pytest.approx(np.log(40))
    assert (np.array(held["gain_low"]) < gain).all() and (gain < np.array(held["gain_high"])).all()
    rest = gain - centred - np.array(held["donor_effect"]) - np.array(held["recipient_effect"])
    assert np.ptp(rest) < 1e-9  # the mean
    assert rows["noise"].null_count == 7  # one recipient's are not known
    assert set(held["seeds"]) == {2}


def test_the_feature_that_makes_pairs_is_told_from_the_one_that_makes_donors(analysed):
    rows = {row["feature"]: row for row in table(analysed, "features")["rows"]}
    overlap, size, noise = rows["overlap"], rows["donor_size"], rows["noise"]
    assert overlap["varies_with"] == "pair"
    assert overlap["low"] < 1 < overlap["high"] and overlap["r"] > 0.9
    assert overlap["p"] <= overlap["bh"] <= overlap["holm"] < 0.01 and overlap["qap"] < 0.02
    assert (size["varies_with"], size["left_out"], size["slope"]) == ("donor", "absorbed", None)
    assert size["r_donor"] > 0.9 and size["p_donor"] < 0.01 and size["r_recipient"] is None
    assert noise["pairs"] == 34 and noise["qap"] > 0.05
    assert overlap["qap_bh"] == pytest.approx(2 * overlap["qap"])  # the smaller of two


def test_findings_say_it_in_words(analysed):
    assert "1 of 2 features of pairs go with the gain" in said(analysed, "says", "features")
    assert "overlap (r +0.9" in said(analysed, "says", "features")
    assert "fin" in said(analysed, "says", "recipients")
    assert "pair " in said(analysed, "says", "shares") and "training" in said(analysed, "says", "shares")
    assert "correlate" in said(analysed, "says", "seeds")
    assert "no proof" in said(analysed, "does not say", "causes")
    assert said(analysed, "does not say", "training") == ""
    manifest = runs.read_manifest(analysed, "transfer analyse")
    assert manifest["findings"] == table(analysed, "findings")["rows"]
    assert manifest["counters"]["features_without_slope"] == {"absorbed": 1}
    assert (manifest["counters"]["pairs"], manifest["unit"]) == (41, "log perplexity")


def test_shares_and_effects_have_intervals_that_hold_the_value(analysed):
    shares = table(analysed, "variance")["rows"]
    assert [row["component"] for row in shares] == ["donor", "recipient", "pair", "training", "noise"]
    assert sum(row["share"] for row in shares) == pytest.approx(1)
    assert all(row["share_low"] <= row["share"] <= row["share_high"] for row in shares)
    for name, languages in (("donor_effects", DONORS), ("recipient_effects", RECIPIENTS)):
        rows = table(analysed, name)["rows"]
        assert [row["label"] for row in rows] == list(languages)
        assert all(row["low"] < row["value"] < row["high"] for row in rows)
        assert sum(row["value"] for row in rows) == pytest.approx(0, abs=1e-9)


def test_the_heat_map_has_a_tree_over_its_rows_and_one_over_its_columns(analysed):
    heat = table(analysed, "gain_clustered")
    assert (heat["kind"], heat["unit"], heat["diverging"]) == ("heatmap", "log perplexity", True)
    assert len(heat["row_tree"]) == len(DONORS) - 1 and heat["row_tree"][-1][3] == len(DONORS)
    assert len(heat["column_tree"]) == len(RECIPIENTS) - 1
    assert list(dict.fromkeys(row["row"] for row in heat["rows"])) == list(DONORS)
    assert [row["value"] for row in heat["rows"] if row["row"] == row["column"]] == [None]


def test_the_scatter_has_the_line_of_the_slope(analysed):
    scatter = table(analysed, "overlap_gain")
    slope = next(row["slope"] for row in table(analysed, "features")["rows"] if row["feature"] == "overlap")
    assert scatter["line"]["slope"] == slope and len(scatter["rows"]) == 41
    x, y = (np.array([row[axis] for row in scatter["rows"]]) for axis in "xy")
    assert (x @ y) / (x @ x) == pytest.approx(slope)
    assert scatter["title"] == "centred gain by centred overlap"


def test_the_report_draws_it(analysed, tmp_path):
    html = write(analysed, tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("What it says, and what it does not", "centred overlap", "gain above the average donor", "quc"):
        assert text in html
    assert "NaN" not in json.dumps([read_json(path) for path in (analysed / "tables").glob("*.json")])


def test_the_same_run_is_left_alone_and_another_folder_gets_the_same_bytes(analysed, tmp_path):
    matrix, pairs = write_matrix(tmp_path)
    config = AnalyseConfig(matrix=matrix, pairs=pairs, resamples=200)
    before = read_json(analysed / "manifest.json")
    assert analyse(config, analysed) == before
    analyse(config, tmp_path / "again", quiet=True)
    for name in ("pairs.parquet", *(f"tables/{path.name}" for path in (analysed / "tables").iterdir())):
        assert (tmp_path / "again" / name).read_bytes() == (analysed / name).read_bytes(), name


def test_a_model_that_training_damages_is_warned_of(tmp_path):
    matrix, pairs = write_matrix(tmp_path, seeds=[7], mean=-2.8)
    analyse(AnalyseConfig(matrix=matrix, pairs=pairs, resamples=20), tmp_path / "out", quiet=True)
    assert "0 of 41 pairs improve (0.0%)" in said(tmp_path / "out", "says", "gains")
    assert "learning rate" in said(tmp_path / "out", "warns", "gains")
    assert "With one seed" in said(tmp_path / "out", "does not say", "training")
    names = [row["component"] for row in table(tmp_path / "out", "variance")["rows"]]
    assert names == ["donor (and its training)", "recipient", "pair and noise"]
    rows = pq.read_table(tmp_path / "out" / "pairs.parquet")
    assert rows["gain_low"].null_count == rows.num_rows
    assert not (tmp_path / "out" / "tables" / "by_seed.json").exists()


def test_pairs_that_are_noise_are_warned_of(tmp_path):
    generator = np.random.default_rng(0)
    lines = [
        f"{donor},{recipient},10,{10 * np.exp(i + 0.1 * generator.normal())},{seed}"
        for i, donor in enumerate(DONORS[:6])
        for recipient in RECIPIENTS[:5]
        for seed in range(3)
    ]
    (tmp_path / "matrix.csv").write_text("\n".join(["donor,recipient,zero-shot,after,seed", *lines]))
    analyse(AnalyseConfig(matrix=tmp_path / "matrix.csv"), tmp_path / "out", quiet=True)
    warned = said(tmp_path / "out", "warns", "seeds")
    assert "gains correlate 1.00" in warned and "mostly noise" in warned


@pytest.mark.parametrize(
    "languages", [{"donors": ["deu"]}, {"recipients": ["quc"]}, {"donors": ["deu"], "recipients": ["quc"]}]
)
def test_one_donor_or_one_recipient_is_described_and_nothing_more(tmp_path, languages):
    matrix, pairs = write_matrix(tmp_path, **languages)
    out = tmp_path / "out"
    manifest = analyse(AnalyseConfig(matrix=matrix, pairs=pairs, resamples=20), out, quiet=True)
    assert "can't be told" in said(out, "says", "shares")
    assert "No feature of pairs could be tested." in said(out, "says", "features")
    assert manifest["counters"]["features_tested"] == 0
    assert not (out / "tables" / "variance.json").exists()
    assert "slope" in table(out, "features")["rows"][0]
    write(out)


def test_gains_that_are_all_equal_give_nulls_and_no_error(tmp_path):
    lines = ["donor,recipient,zero-shot,after", *(f"{d},{r},10,5" for d in DONORS[:3] for r in RECIPIENTS[:3])]
    (tmp_path / "matrix.csv").write_text("\n".join(lines))
    (tmp_path / "features").mkdir()
    _, pairs = write_matrix(tmp_path / "features")
    out = tmp_path / "out"
    analyse(AnalyseConfig(matrix=tmp_path / "matrix.csv", pairs=pairs, resamples=20), out, quiet=True)
    assert [row["share"] for row in table(out, "variance")["rows"]] == [None] * 3
    assert "can't be told" in said(out, "says", "shares")
    assert said(out, "says", "donors") == "All donors are alike."
    write(out)


def test_without_any_feature_there_are_shares_and_effects(tmp_path):
    matrix, _ = write_matrix(tmp_path)
    out = tmp_path / "out"
    manifest = analyse(AnalyseConfig(matrix=matrix), out, quiet=True)
    assert manifest["counters"]["features"] == 0
    assert "No features are known" in said(out, "says", "features")
    assert {path.stem for path in (out / "tables").iterdir()} == {
        "findings", "variance", "donor_effects", "recipient_effects", "gain_clustered", "by_seed"
    }  # fmt: skip


def test_a_feature_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    matrix, pairs = write_matrix(tmp_path)
    with pytest.raises(LingraftError, match="no feature 'overlp': did you mean 'overlap'") as caught:
        analyse(AnalyseConfig(matrix=matrix, pairs=pairs, test="overlp"), tmp_path / "out", quiet=True)
    assert "Known are: overlap, donor_size, noise" in str(caught.value)


def test_features_to_test_and_to_fit_together_can_be_chosen(tmp_path):
    matrix, pairs = write_matrix(tmp_path)
    chosen = AnalyseConfig(
        matrix=matrix, pairs=pairs, test=["noise"], together="overlap,noise,donor_size", resamples=50
    )
    analyse(chosen, tmp_path / "out", quiet=True)
    assert [row["feature"] for row in table(tmp_path / "out", "features")["rows"]] == ["noise"]
    together = table(tmp_path / "out", "partial")
    assert [row["feature"] for row in together["rows"]] == ["overlap", "noise"]
    assert "34 pairs of 7 donors and 5 recipients" in together["note"]
    assert "Left out: donor_size (absorbed)." in together["note"]
    assert "overlap still goes with the gain" in said(tmp_path / "out", "says", "features together")


class MatrixLike(Config):
    """What of a matrix's settings an analysis reads."""

    corpora: Path
    model: str


def write_run(folder: Path, donors: Sequence[str]) -> None:
    """Write a finished run of `transfer matrix`, or add donors to it."""
    with runs.open(folder, MATRIX, MatrixLike(corpora=folder.parent / "corpora", model="base")) as run:
        rows = [
            {"donor": d, "recipient": r, "seed": 0, "before": 2.0, "after": 2 - len(d + r) - i * j / 9}
            for i, d in enumerate(donors)
            for j, r in enumerate(RECIPIENTS[:4])
        ]
        with run.write("matrix.parquet") as path:
            pq.write_table(pa.Table.from_pylist(rows), path)
        run.finish({})


def test_a_matrix_to_which_donors_were_added_is_another_matrix(tmp_path):
    write_run(tmp_path / "matrix", DONORS[:3])
    config = AnalyseConfig(matrix=tmp_path / "matrix")
    analyse(config, tmp_path / "out", quiet=True)
    write_run(tmp_path / "matrix", DONORS[:5])
    with pytest.raises(LingraftError, match="holds another run"):
        analyse(config, tmp_path / "out", quiet=True)
    manifest = analyse(config, tmp_path / "out", overwrite=True, quiet=True)
    assert (manifest["counters"]["donors"], manifest["unit"]) == (5, "bits per byte")


def test_corpora_and_tokenizer_are_those_of_the_matrix_where_they_are_still_there(tmp_path):
    write_run(tmp_path / "matrix", DONORS[:3])
    config = AnalyseConfig(matrix=tmp_path / "matrix")
    assert (config.resolved().corpora, config.resolved().tokenizer) == (None, None)
    (tmp_path / "corpora").mkdir()
    assert (config.resolved().corpora, config.resolved().tokenizer) == (tmp_path / "corpora", "base")
    assert config.replace(tokenizer="other").resolved().tokenizer == "other"


def test_the_command_line_shows_the_findings(lingraft, tmp_path):
    matrix, pairs = write_matrix(tmp_path)
    (tmp_path / "recipe.yaml").write_text("analyse: {test: [overlap], resamples: 30}\n")
    command = ["transfer", "analyse", "--matrix", matrix, "--pairs", pairs, "--out", tmp_path / "out"]
    planned = lingraft(*command, "--recipe", tmp_path / "recipe.yaml", "--dry-run")
    assert planned.code == 0 and "resamples: 30" in planned.out and not (tmp_path / "out").exists()
    done = lingraft(*command, "--recipe", tmp_path / "recipe.yaml", "--set", "seed=3")
    assert done.code == 0, done.err
    assert "does not say" in done.out and "lingraft report" in done.out
    assert runs.read_manifest(tmp_path / "out")["config"]["seed"] == 3
    assert "complete already" in lingraft(*command, "--recipe", tmp_path / "recipe.yaml", "--set", "seed=3").out
    assert json.loads(lingraft("schema", "analyse").out)["title"] == "AnalyseConfig"
