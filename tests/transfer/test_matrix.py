"""The matrix: what is measured, what is added, which checkpoint is chosen, what is refused before any training."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matrix_helpers import QUICK, TINY, outputs, rows, small, write_base, write_texts

from lingraft import adapt, runs
from lingraft.adapt import Training
from lingraft.config import load, read_yaml
from lingraft.errors import LingraftError
from lingraft.transfer import cells
from lingraft.transfer.cells import Asked, Cell, Lines, halves
from lingraft.transfer.corpora import CorporaConfig, corpora
from lingraft.transfer.donor_run import DonorRun, chosen_step
from lingraft.transfer.matrix import MatrixConfig, matrix
from lingraft.transfer.matrix_tables import gain_intervals
from lingraft.transfer.results import read_results
from lingraft.transfer.scoring import ScoringSet, load_scorer, score
from lingraft.transfer.training import cut

pytestmark = pytest.mark.usefixtures("one_thread")


def measure(config, out, **how):
    return matrix(config, out, workers=1, quiet=True, **how)


def test_each_donor_is_measured_on_each_recipient_but_itself(matrix_lab):
    held, manifest = rows(matrix_lab.measured), runs.read_manifest(matrix_lab.measured)
    pairs = [("swh", "zul"), ("swh", "wol"), ("wol", "zul")]
    assert {(row["donor"], row["recipient"], row["seed"]) for row in held} == {
        (*p, seed) for p in pairs for seed in (0, 1)
    }
    assert (manifest["counters"]["pairs"], manifest["counters"]["own_language"]) == (6, 2)
    assert manifest["counters"]["tokens_trained"] == 4 * 6 * 128
    assert manifest["base_languages"] == ["deu"]
    assert manifest["notes"][-1] == "donors on themselves are left out (2 in all): that is no transfer"
    before = {row["recipient"]: set() for row in held}
    for row in held:
        before[row["recipient"]].add((row["before"], row["perplexity_before"], row["lines"], row["bytes"]))
    assert all(len(found) == 1 for found in before.values())  # the base answers the same questions for every donor
    gains = {row["seed"]: row["before"] - row["after"] for row in held if (row["donor"], row["recipient"]) == pairs[0]}
    assert gains[0] != gains[1] and min(gains.values()) > 0  # they share their words


def test_a_cell_is_what_scoring_the_kept_model_gives(matrix_lab):
    row = next(row for row in rows(matrix_lab.measured) if (row["donor"], row["recipient"]) == ("swh", "zul"))
    questions = ScoringSet.load(matrix_lab.measured / "sets" / "zul-test.parquet")
    model = load_scorer(matrix_lab.measured / "donors" / f"swh-{row['seed']}" / "model", questions.objective).model
    (found,) = score(model, [questions])
    assert found.bits_per_byte == pytest.approx(row["after"], rel=1e-6)
    assert found.perplexity == pytest.approx(row["perplexity_after"], rel=1e-5)
    assert (len(found.keys), found.bytes.sum()) == (row["lines"], row["bytes"])


def test_every_checkpoint_is_a_row_and_the_best_on_the_donors_own_text_is_reported(matrix_lab):
    every, own = rows(matrix_lab.measured, "cells"), rows(matrix_lab.measured, "validation")
    of_pair = [row for row in every if (row["donor"], row["recipient"], row["seed"]) == ("swh", "zul", 0)]
    assert [(row["step"], row["tokens_seen"]) for row in of_pair] == [(0, 0), (2, 256), (4, 512), (6, 768)]
    for row in rows(matrix_lab.measured):
        steps = {
            one["step"]: one["bits_per_byte"]
            for one in own
            if (one["donor"], one["seed"]) == (row["donor"], row["seed"])
        }
        assert row["step"] == min((step for step in steps if step), key=steps.get)
        same = [one for one in every if all(one[key] == row[key] for key in ("donor", "recipient", "seed", "step"))]
        assert [one["bits_per_byte"] for one in same] == [row["after"]]
        assert (
            runs.read_json(matrix_lab.measured / "donors" / f"{row['donor']}-{row['seed']}" / "chosen.json")["step"]
            == row["step"]
        )
    left = {path.name for path in (matrix_lab.measured / ".work" / "train" / "swh-0").iterdir() if path.is_dir()}
    assert left == {"tables"}  # checkpoints and models that were not chosen are gone


def test_what_the_matrix_says_is_read_by_the_analysis_and_drawn_by_the_report(matrix_lab):
    results = read_results(matrix_lab.measured)
    assert (results.donors, results.recipients, results.seeds) == (("swh", "wol"), ("zul", "wol"), (0, 1))
    assert results.drops == {"own_language": 0, "missing": 2}
    gain = runs.read_json(matrix_lab.measured / "tables" / "gain.json")
    assert (gain["kind"], gain["unit"], gain["diverging"]) == ("heatmap", "bits per byte", True)
    mean = dict(zip([(row["row"], row["column"]) for row in gain["rows"]], gain["rows"], strict=True))
    assert mean["swh", "zul"]["value"] == pytest.approx(results.gain[0, 0].mean(), rel=1e-6)
    assert all(row["low"] <= row["value"] <= row["high"] for row in gain["rows"])
    learning = runs.read_json(matrix_lab.measured / "tables" / "learning.json")["rows"]
    assert [row["x"] for row in learning if row["series"] == "wol"] == [0, 2, 4, 6]
    assert all(row["low"] <= row["y"] <= row["high"] for row in learning)


def test_what_is_added_is_all_that_is_done_and_the_tables_are_those_of_one_run(matrix_lab, tmp_path, monkeypatch):
    begun = small(matrix_lab.texts, matrix_lab.model, recipients=["zul"], seeds=[0], keep_snapshots=True)
    whole = begun.replace(recipients=["zul", "wol"], seeds=[0, 1])
    measure(begun.replace(donors=["swh"]), tmp_path / "matrix")
    trained = []
    train = adapt.train
    monkeypatch.setattr(adapt, "train", lambda config, out: trained.append(out.name) or train(config, out))
    old = (tmp_path / "matrix" / "cells" / "base.parquet").stat().st_mtime_ns
    measure(begun, tmp_path / "matrix")
    assert trained == ["wol-0"]
    measure(whole, tmp_path / "matrix")
    assert trained[1:] == ["swh-0", "swh-1", "wol-1"]  # the first is finished, and only scored on a language more
    assert (tmp_path / "matrix" / "cells" / "base.parquet").stat().st_mtime_ns > old
    assert rows(tmp_path / "matrix") == rows(matrix_lab.measured)
    assert rows(tmp_path / "matrix", "cells") == rows(matrix_lab.measured, "cells")
    files = outputs(tmp_path / "matrix")
    assert files == outputs(matrix_lab.measured)
    manifest = measure(whole, tmp_path / "matrix")
    assert (len(trained), manifest["counters"]["pairs"]) == (4, 6)


def test_a_language_that_comes_after_the_checkpoints_are_gone_is_scored_on_the_kept_ones(matrix_lab, tmp_path):
    out = shutil.copytree(matrix_lab.measured, tmp_path / "matrix")
    measure(small(matrix_lab.texts, matrix_lab.model, recipients=["zul", "wol", "bam"]), out)
    figures = ("donor", "recipient", "seed", "step", "before", "after")
    old, new = ({tuple(row[name] for name in figures) for row in rows(folder)} for folder in (matrix_lab.measured, out))
    assert {row[1] for row in new - old} == {"bam"} and old < new
    steps = [row["step"] for row in rows(out, "cells") if (row["donor"], row["recipient"]) == ("swh", "bam")]
    assert steps == [0, 6, 0, 6]  # two seeds
    learning = (runs.read_json(folder / "tables" / "learning.json")["rows"] for folder in (matrix_lab.measured, out))
    assert next(learning) == next(learning)  # of the languages with a whole curve


def test_a_training_that_does_damage_is_flagged(matrix_lab, tmp_path):
    how = QUICK.replace(learning_rate=2.0, steps=2)
    config = small(matrix_lab.texts, matrix_lab.model, donors=["swh"], recipients=["zul"], seeds=[0], training=how)
    manifest = measure(config, tmp_path / "matrix")
    assert manifest["counters"]["unstable_runs"] == 1
    assert "swh, seed 0: unstable, the mean gain over all recipients is -" in manifest["notes"][0]
    assert "on its own validation text it went from" in manifest["notes"][0]
    assert [row["unstable"] for row in rows(tmp_path / "matrix")] == [True]
    assert '"event": "unstable"' in (tmp_path / "matrix" / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"donors": ["swh", "xho"]}, "has no text in 'xho'"),
        ({"recipients": ["zul", "mam"]}, "has no text in 'mam'"),
        ({"min_lines": 40}, "test lines in .*, and min_lines is 40"),
        ({"recipients": ["deu"]}, "the base has seen deu"),
    ],
)
def test_languages_that_will_not_do_are_refused_before_any_training(matrix_lab, tmp_path, change, message):
    with pytest.raises(LingraftError, match=message):
        measure(small(matrix_lab.texts, matrix_lab.model, **change), tmp_path / "matrix")
    assert not (tmp_path / "matrix" / ".work").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"donors": ["swh", "wol", "swh"]}, "donors: swh given twice"),
        ({"seeds": [0, 1, 0]}, "seeds: 0 given twice"),
        ({"donors": ["swh"], "recipients": ["swh"]}, "the only donor and the only recipient"),
        ({"epochs": 1.0}, "training.steps and epochs is given"),
        ({"training": Training(length=32)}, "none of them is given"),
        ({"training": QUICK.replace(validate_every=2)}, "training.validate_every is for one training alone"),
        ({"recipients": []}, "at least 1 item"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(change, message):
    with pytest.raises(LingraftError, match=message):
        values = {"corpora": "c", "model": "m", "donors": "swh,wol", "recipients": "zul", "training": QUICK}
        load(MatrixConfig, values | change)


def test_cells_of_another_experiment_are_never_used(matrix_lab, tmp_path):
    out = shutil.copytree(matrix_lab.measured, tmp_path / "matrix")
    texts = shutil.copytree(matrix_lab.texts, tmp_path / "corpora")
    config = small(texts, matrix_lab.model)
    more, path = config.replace(recipients=["zul", "wol", "bam"]), out / "cells" / "swh-0.parquet"
    with pytest.raises(LingraftError, match=r"holds another run:\n.*training.learning_rate: 0.01 there, 0.02 asked"):
        measure(config.replace(training=config.training.replace(learning_rate=2e-2)), out)
    held = cells.read(path)
    for change, message in (({"training": "x"}, "was of another training"), ({"questions": "x"}, "was asked other")):
        cells.write(path, {key: replace(cell, **change) for key, cell in held.items()})
        with pytest.raises(LingraftError, match=rf"swh-0.parquet: the cell of .* at step 2 {message}") as caught:
            measure(more, out)
        assert "Give another --out" in caught.value.cure
        assert read_results(out).donors == ("swh", "wol")  # what was finished can still be read
    cells.write(path, held)
    longer = {"languages": write_texts(tmp_path / "texts", 200), "splits": {"validation": 0.15, "test": 0.2}}
    corpora(CorporaConfig(**longer, min_lines=3), texts, workers=1, quiet=True, overwrite=True)
    with pytest.raises(LingraftError, match=r"text of .* has changed since this matrix was begun"):
        measure(more, out)


def cell(*nats) -> Cell:
    return Cell("", "", np.array(nats, float), np.array(nats, float))


def test_with_half_a_checkpoint_is_chosen_on_lines_that_are_not_reported():
    keys = tuple(f"b.MAT.1.{verse}" for verse in range(40))
    choosing, reported = halves(keys)
    assert (choosing ^ reported).all() and 10 < choosing.sum() < 30
    lines = {Asked("zul", "test"): Lines(keys, np.full(40, 10), np.full(40, 5))}
    lines |= {
        Asked("quc", "test"): lines[Asked("zul", "test")],
        Asked("swh", "validation"): lines[Asked("zul", "test")],
    }
    worse, better = np.full(40, 20.0), np.full(40, 10.0)
    early = np.where(choosing, better, worse)  # better where it is chosen, worse where it is reported
    held = {
        (2, Asked("zul", "test")): cell(*early),
        (4, Asked("zul", "test")): cell(*(early + np.where(choosing, 1, -5))),
        (2, Asked("quc", "test")): cell(*worse),
        (4, Asked("quc", "test")): cell(*better),
        (2, Asked("swh", "validation")): cell(*better),
        (4, Asked("swh", "validation")): cell(*worse),
    }
    config = small("texts", "model", donors=["swh"], recipients=["zul", "quc"], choose="half")
    asked = DonorRun("swh", 0)
    assert config.keeps_snapshots
    assert chosen_step(config, asked, held, lines, Asked("zul", "test")) == 2
    assert chosen_step(config, asked, held, lines, Asked("quc", "test")) == 4
    assert (
        chosen_step(config, asked, held, lines, Asked("swh", "validation")) == 4
    )  # (10 + 20) / 2 against (11 + 10) / 2
    for choose, step in (("donor_validation", 2), ("last", 4)):
        assert chosen_step(config.replace(choose=choose), asked, held, lines, Asked("zul", "test")) == step


def test_a_gain_has_an_interval_over_lines_and_seeds():
    chance = np.random.default_rng(0)
    sizes = chance.integers(20, 80, 300)
    saved = {("swh", seed): 0.2 * sizes + chance.normal(0.02 * seed, 4, 300) for seed in range(3)}
    saved[("wol", 0)] = 0.1 * sizes
    found = gain_intervals(saved, sizes)
    value, low, high = found["swh"]
    assert value == pytest.approx(np.mean([saved["swh", seed].sum() / sizes.sum() for seed in range(3)]))
    assert low < 0.2 < high and 0.005 < high - low < 0.05
    assert found["wol"] == pytest.approx((0.1, 0.1, 0.1))  # every line gains alike: nothing is left to chance
    alone = gain_intervals({("swh", 0): saved["swh", 0]}, sizes)["swh"]
    assert alone[2] - alone[1] > 0


def test_donors_of_one_size_keep_the_same_lines(matrix_lab, tmp_path):
    import pyarrow.parquet as pq

    def keys(corpus):
        return pq.read_table(corpus / "articles" / "part-00000.parquet")["title"].to_pylist()

    source = matrix_lab.texts / "languages" / "swh" / "train"
    less, more = (cut(source, size, tmp_path / str(size)) for size in (1000, 2000))
    assert set(keys(less)) < set(keys(more)) < set(keys(source))
    assert keys(more) == [key for key in keys(source) if key in set(keys(more))]  # in their order
    counters = runs.read_manifest(less)["counters"]
    assert 900 < counters["bytes"] <= 1000 and counters["lines"] + counters["lines_left_out"] == len(keys(source))
    with pytest.raises(LingraftError, match="bytes of text, fewer than donor_bytes 10,000,000") as caught:
        cut(source, 10_000_000, tmp_path / "too-much")
    assert "Set donor_bytes to" in caught.value.cure


def test_the_plan_counts_what_is_done_and_what_is_left(matrix_lab, tmp_path, lingraft):
    recipe = tmp_path / "lab.yaml"
    asked = small(matrix_lab.texts, matrix_lab.model).model_dump(mode="json")
    recipe.write_text(yaml.safe_dump({"corpora": {}, "matrix": asked}))
    words = ["transfer", "matrix", "--recipe", recipe, "--out", matrix_lab.measured, "--dry-run"]
    found = lingraft(*words)
    assert found.code == 0, found.err
    assert "output: complete, nothing would be done" in found.out
    table = {line[:24].strip(): line[24:].split() for line in found.out.splitlines()}
    assert table["donors x seeds"][:3] == ["4", "4", "0"]
    assert table["cells"][:3] == ["18", "18", "0"]
    assert table["tokens trained on"][:3] == ["3,072", "3,072", "0"]
    found = lingraft(*words, "--seeds", "0,1,2", "--measure")
    assert "what is missing would be added" in found.out
    table = {line[:24].strip(): line[24:].split() for line in found.out.splitlines()}
    assert table["donors x seeds"][:3] == ["6", "4", "2"]
    assert table["cells"][:3] == ["27", "18", "9"]


def test_a_masked_model_is_measured_too(matrix_lab, tmp_path):
    masked = {"kind": "masked"}
    roberta = TINY.replace(architecture="roberta", positions=130, vocabulary=264)
    how = QUICK.replace(steps=2, snapshot_every=None)
    model = write_base(matrix_lab.texts, tmp_path / "base", tiny=roberta, objective=masked, training=how)
    config = small(matrix_lab.texts, model, donors=["swh"], recipients=["zul"], seeds=[0], objective=masked, length=128)
    measure(config.replace(training=how, epochs=None), tmp_path / "matrix")
    (row,) = rows(tmp_path / "matrix")
    assert row["step"] == 2 and 0 < row["after"] < 20
    with pytest.raises(LingraftError, match="has no <extra_id_0>"):
        measure(config.replace(objective={"kind": "spans"}), tmp_path / "other")
    assert not (tmp_path / "other" / ".work" / "train").exists()


def test_threads_and_workers_share_the_cores(monkeypatch):
    from lingraft.transfer import matrix as module

    monkeypatch.setattr(module.engine, "default_workers", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    config = small("texts", "model", device="cpu")
    assert module.share_of_cores(config, None) == (8, 1)
    assert module.share_of_cores(config, 3) == (3, 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert module.share_of_cores(config.replace(device="auto"), None) == (1, 8)


@pytest.mark.parametrize(("name", "rate", "seeds"), [("donors-parity", 5e-3, 5), ("default", 2e-4, 3)])
def test_the_recipes_say_what_they_promise(name, rate, seeds):
    values = read_yaml(Path(__file__).parents[2] / "recipes" / f"transfer-{name}.yaml")
    held = load(MatrixConfig, values["matrix"] | {"corpora": "c"})
    how, spans = held.training, held.objective.spans
    assert (held.model, how.learning_rate, len(held.seeds)) == ("google/mt5-base", rate, seeds)
    assert (how.clip, how.length, held.length) == (1.0, 256, 256)
    assert (held.objective.kind, spans.density, spans.mean_span) == ("spans", 0.15, 3.0)
    texts = load(CorporaConfig, values["corpora"])
    assert {*held.donors, *held.recipients} <= {one.language for one in texts.languages}
    parity = (held.epochs, how.snapshot_every, texts.cleaning.max_lines, texts.splits.test)
    assert parity == ((1, 0.05, 500_000, 0.1) if name == "donors-parity" else (None, 0.1, 200_000, 0.05))
