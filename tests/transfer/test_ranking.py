"""Choosing donors: on matrices whose law is known each way of choosing is worth what it should be, and none cheats."""

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_helpers import words, write_corpora
from typer.testing import CliRunner

from lingraft.cli import app
from lingraft.config import load
from lingraft.errors import LingraftError
from lingraft.transfer import rankers
from lingraft.transfer.panel import two_way
from lingraft.transfer.rank_intervals import half_width, predict
from lingraft.transfer.rank_measures import ndcg
from lingraft.transfer.rankers import BOTH, DONOR_EFFECT, FEATURES, NEW_DONOR, ORACLE, RANDOM, Method, Study
from lingraft.transfer.ranking import RankConfig, rank

RELATED = ("deu", "swh", "zul")
NAMES = ("overlap_recall", "wals_similarity", "distance_km", "donor_bytes")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """A tenth of the trees, a tenth of the time."""
    monkeypatch.setattr(rankers, "TREES", 10)


def simulated(seed=0, *, donors=20, recipients=12, donor=0.0, pair=0.0, noise=0.1, gaps=0.0):
    """Return a study in which gains follow from donors, and in pairs from overlap, as strongly as is said."""
    generator = np.random.default_rng(seed)
    features = generator.random((donors, recipients, len(NAMES)))
    features[:, :, 3] = generator.permutation(donors)[:, None]
    gain = donor * generator.normal(size=(donors, 1)) + generator.normal(size=recipients)
    gain = gain + pair * 12**0.5 * (features[:, :, 0] - 0.5) + noise * generator.normal(size=gain.shape)
    gain[generator.random(gain.shape) < gaps] = np.nan
    features[:, :, 1][generator.random(gain.shape) < 0.2] = np.nan
    return Study(gain, features, NAMES)


def worth(study, seed=0):
    """Return method -> mean NDCG@10."""
    return {m.name: ndcg(study.gain.T, m.held_out.T, 10).mean() for m in rankers.methods(study, seed=seed)}


def test_where_donors_differ_the_donor_effect_is_nearly_the_true_order():
    found = worth(simulated(donor=0.5, noise=0.05))
    assert found[DONOR_EFFECT] > 0.85
    assert found[DONOR_EFFECT] > 2 * found[RANDOM]
    assert found[DONOR_EFFECT] > max(found[name] for name in ("size", *NAMES[:3]))
    assert found[ORACLE] == pytest.approx(1)
    assert found[BOTH] > 0.85


def test_where_a_feature_makes_the_pair_features_win():
    found = worth(simulated(pair=0.5, donors=30, recipients=16))
    assert found[FEATURES] > found[DONOR_EFFECT] + 0.2
    assert found["overlap_recall"] > found["distance_km"] + 0.2
    assert found[NEW_DONOR] > found[DONOR_EFFECT] + 0.2


def test_where_both_count_both_together_win():
    found = worth(simulated(donor=0.4, pair=0.4, donors=30, recipients=16, noise=0.05))
    assert found[BOTH] > max(found[DONOR_EFFECT], found[FEATURES], found["overlap_recall"])


def test_sizes_tell_donors_apart_and_features_of_an_unseen_donor_do_not():
    found = []
    for seed in range(4):  # one matrix is one draw of donors
        study = simulated(seed, donor=0.5, donors=30)
        forest = rankers.Forest(Study(study.gain, study.features[:, :, 3:], NAMES[3:]), seed=0)
        scores = (forest.held_out(), forest.held_out_twice(), np.zeros_like(study.gain))
        found.append([ndcg(study.gain.T, held_out.T, 10).mean() for held_out in scores])
    seen, unseen, by_chance = np.mean(found, axis=0)
    assert seen > 0.7
    assert unseen < 2 * by_chance


def test_a_recipient_left_out_is_not_looked_at():
    study = simulated(donor=0.3, pair=0.3, donors=12)
    other = study.gain.copy()
    other[:, 4] = np.random.default_rng(9).normal(size=12)
    pairs = zip(rankers.methods(study), rankers.methods(Study(other, study.features, NAMES)), strict=True)
    for method, again in pairs:
        if method.name != ORACLE:
            np.testing.assert_array_equal(method.held_out[:, 4], again.held_out[:, 4])
        if method.kind == "learnt":
            assert (method.held_out != again.held_out).any()


def test_a_donor_left_out_is_not_looked_at():
    study = simulated(donor=0.3, pair=0.3, donors=12)
    other = study.gain.copy()
    other[5] += np.random.default_rng(9).normal(size=12)
    pair = [rankers.Forest(Study(gain, study.features, NAMES), seed=0).held_out_twice() for gain in (study.gain, other)]
    np.testing.assert_array_equal(pair[0][5], pair[1][5])
    assert (pair[0] != pair[1]).any()


def test_probes_are_others_and_as_many_as_said():
    study = simulated(donor=0.3)
    other = study.gain.copy()
    other[:, 2] = 99.0 * np.arange(20)
    for k in (1, 5):
        found = [rankers.probe_scores(gain, 2, k, draws=30, seed=1) for gain in (study.gain, other)]
        np.testing.assert_array_equal(*found)
    one = rankers.probe_scores(study.gain, 2, 1, draws=30, seed=1)
    centred = study.gain - study.gain.mean(0)
    assert all(np.isclose(row, centred.T).all(1).any() for row in one)
    every = rankers.probe_scores(study.gain, 2, 11, draws=1, seed=1)
    np.testing.assert_allclose(every[0], np.delete(centred, 2, axis=1).mean(1))


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_effects_of_many_subsets_are_those_of_each_alone(gaps):
    study = simulated(donor=0.5, gaps=gaps)
    found, levels = rankers.donor_effects(study.gain, study.others)
    for place in range(12):
        alone = two_way(np.delete(study.gain, place, axis=1))
        np.testing.assert_allclose(found[place], alone.donor, atol=1e-7)
        np.testing.assert_allclose(np.delete(levels[place], place), alone.recipient + alone.mean, atol=1e-7)


def test_a_donor_without_a_cell_has_no_effect():
    gain = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 5.0], [0.0, 1.0, 2.0]])
    found, _ = rankers.donor_effects(gain, np.array([[1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.5, np.nan, -0.5]])


def test_a_half_width_counts_recipients_and_not_cells():
    errors = np.array([[1.0, -2.0, 3.0, 4.0], [1.0, 2.0, np.nan, 4.0]])
    assert half_width(errors, 0.6) == 3  # three of four recipients and the new one: 3 / 5
    assert half_width(errors, 0.61) == 4
    assert half_width(errors, 0.81) == np.inf


@pytest.mark.parametrize("kind", ["learnt", "measure"])
def test_a_gain_lies_in_its_interval_as_often_as_is_said(kind):
    """Of 400 new recipients; a share of .8 of them is known to about .02."""
    inside = []
    for seed in range(400):
        whole = simulated(seed, donors=15, recipients=13, donor=0.3, pair=0.3, noise=0.2, gaps=0.1)
        known, new = whole.gain[:, :-1], whole.gain[:, -1]
        if kind == "learnt":
            held_out = rankers.donor_effects(known, 1 - np.eye(12))[0].T
            scores = rankers.donor_effects(known, np.ones((1, 12)))[0][0]
        else:
            held_out, scores = whole.features[:, :-1, 0], whole.features[:, -1, 0]
        study = Study(known, np.empty((15, 12, 0)), ())
        found = predict(Method("some", kind, held_out), study, scores, left_out=None, level=0.8)
        errors = [new - found.gain, new - np.nanmean(new) - found.advantage]
        halves = [found.half, found.advantage_half]
        inside.append([np.nanmean(np.abs(e)[~np.isnan(e)] <= h) for e, h in zip(errors, halves, strict=True)])
    gain, advantage = np.mean(inside, axis=0)
    assert 0.77 < gain < 0.88
    assert 0.77 < advantage < 0.88


def test_predictions_keep_to_the_unit_whatever_the_score_is_in():
    study = simulated(pair=0.5, noise=0.01)
    scores = study.features[:, :, 0]
    found = predict(Method("overlap", "measure", 1000 * scores), study, 1000 * scores[:, 0], left_out=0, level=0.8)
    centred = study.gain[:, 0] - study.gain[:, 0].mean()
    np.testing.assert_allclose(found.advantage, centred, atol=0.05)
    assert found.advantage_half < 0.05 < found.half


# ---- the run folder and the command line


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A published matrix of 8 donors and 10 recipients with a gap, and features with an eleventh recipient."""
    folder = tmp_path_factory.mktemp("rank")
    study = simulated(3, donors=9, recipients=11, donor=0.4, pair=0.2, noise=0.05)
    names = [f"d{at}" for at in range(8)] + ["new"], [f"r{at}" for at in range(11)]
    with (folder / "matrix.csv").open("w") as file:
        file.write("donor,recipient,zero-shot,after\n")
        for donor, recipient in np.ndindex(8, 10):
            if (donor, recipient) != (3, 3):
                file.write(f"d{donor},r{recipient},{np.exp(3 + study.gain[donor, recipient])},{np.exp(3)}\n")
    with (folder / "pairs.csv").open("w") as file:
        file.write("\t".join(["donor", "recipient", *NAMES, "same_genus", "gain", "centred_gain", "note"]) + "\n")
        for donor, recipient in np.ndindex(9, 11):
            values = [
                "" if np.isnan(value) or (name == "wals_similarity" and recipient == 10) else value
                for name, value in zip(NAMES, study.features[donor, recipient], strict=True)
            ]
            genus = str(donor == recipient).lower()
            gain = study.gain[donor, recipient]
            row = [names[0][donor], names[1][recipient], *values, genus, gain, gain, "a note"]
            file.write("\t".join(map(str, row)) + "\n")
    return folder


@pytest.fixture(scope="module")
def ranked(tables):
    before, rankers.TREES = rankers.TREES, 10
    config = RankConfig(matrix=tables / "matrix.csv", pairs=tables / "pairs.csv", recipients=["r10", "r3"], draws=10)
    manifest = rank(config, tables / "out", quiet=True)
    rankers.TREES = before
    return config, manifest


def rows(folder, name):
    return json.loads((folder / "tables" / f"{name}.json").read_text())["rows"]


def test_a_ranking_is_a_run_with_all_its_tables(tables, ranked):
    config, manifest = ranked
    out = tables / "out"
    assert manifest["counters"] == {"donors": 8, "recipients": 10, "missing": 1, "columns_of_outcomes": 2}
    assert rank(config, out) == manifest
    methods = rows(out, "methods")
    assert {row["label"] for row in methods} == {
        *("random", "oracle", "donor effect", "features", "features, donor unseen", "features + donor effect"),
        *("size", "overlap_recall", "wals_similarity", "distance_km", "same_genus", "1 probe", "3 probes"),
    }
    assert {row["group"] for row in methods} == {
        *("NDCG@3", "NDCG@10", "regret@1, log perplexity", "regret@3, log perplexity")
    }
    assert all(row["low"] <= row["value"] <= row["high"] for row in methods)
    curve = rows(out, "k_probe")
    assert sorted({row["x"] for row in curve}) == list(range(1, 10))
    assert all(row["low"] <= row["y"] <= row["high"] for row in curve)
    assert all(row["low"] == row["high"] for row in curve if row["x"] == 9)
    assert {row["against"] for row in rows(out, "comparisons")} == {"random", "size"}
    assert {row["label"] for row in rows(out, "importance")} == {*NAMES, "same_genus"}
    scores = pq.read_table(out / "scores.parquet")
    assert scores.num_rows == 8 * 10 * 11


def test_what_one_recipient_gets_is_what_its_cells_say(tables, ranked):
    choice = next(
        row
        for row in rows(tables / "out", "per_recipient")
        if (row["recipient"], row["method"]) == ("r0", "donor effect")
    )
    with (tables / "matrix.csv").open() as file:
        gains = {r["donor"]: np.log(float(r["zero-shot"])) - 3 for r in csv.DictReader(file) if r["recipient"] == "r0"}
    assert choice["best"] == max(gains, key=gains.get)
    assert choice["gain"] == pytest.approx(gains[choice["first"]])
    assert choice["regret@1"] == pytest.approx(max(gains.values()) - gains[choice["first"]])


def test_an_answer_says_how_much_how_surely_and_why(ranked):
    _, manifest = ranked
    inside, outside = manifest["answers"]
    assert (inside["recipient"], outside["recipient"]) == ("r3", "r10")
    assert inside["notes"] == ["r3 stands in the matrix: its own results were left out"]
    assert all(row["measured"] is None for row in outside["rows"])
    assert [row["donor"] for row in inside["rows"] if row["measured"] is None] == ["d3"]  # the gap
    assert "1 of 3 features from typology are not known of r10" in " ".join(outside["notes"])
    first = outside["rows"][0]
    assert first["low"] < first["gain"] < first["high"]
    assert first["advantage_low"] < first["advantage"] < first["advantage_high"]
    assert first["reasons"].startswith("donor effect +")
    assert "log perplexity on 10 recipients; overlap ." in first["reasons"]
    best = max(
        (m for m in manifest["methods"] if "probe" not in m["method"] and m["method"] != "oracle"),
        key=lambda m: m["NDCG@10"],
    )
    assert inside["method"] == best["method"]


def test_without_features_the_donor_effect_answers_for_any_language(tables):
    config = RankConfig(matrix=tables / "matrix.csv", recipients=["xqz"], draws=2, top=2)
    answer = rank(config, tables / "bare")["answers"][0]
    assert answer["method"] == "donor effect"
    assert len(answer["rows"]) == 2
    said = ["no language 'xqz'.", "no features were given: only what donors did for others speaks"]
    assert answer["notes"] == said


def test_a_donor_never_trained_is_judged_by_its_features(tables):
    config = RankConfig(
        matrix=tables / "matrix.csv", pairs=tables / "pairs.csv", recipients=["r10"], candidates=["new", "d1"], draws=2
    )
    answer = rank(config, tables / "candidates")["answers"][0]
    assert {row["donor"] for row in answer["rows"]} == {"new", "d1"}
    assert answer["method"] not in (DONOR_EFFECT, FEATURES, BOTH)
    assert next(row for row in answer["rows"] if row["donor"] == "new")["reasons"].startswith(
        "never trained as a donor"
    )


def test_a_text_of_the_recipient_tells_its_overlap_and_script(tmp_path):
    corpora = write_corpora(tmp_path)  # deu, swh and zul share words, wol and bam share others
    cells = [
        f"{d},{r},{9 if (d in RELATED) == (r in RELATED) else 5},5"
        for d in ("swh", "wol", "zul")
        for r in ("deu", "bam")
    ]
    (tmp_path / "matrix.csv").write_text("donor,recipient,zero-shot,after\n" + "\n".join(cells))
    (tmp_path / "xho.txt").write_text("\n".join(" ".join(words(0)) for _ in range(99)))
    config = RankConfig(matrix=tmp_path / "matrix.csv", corpora=corpora, recipients=["Xhosa"], draws=2, level=0.6)
    without = rank(config, tmp_path / "without", quiet=True)["answers"][0]
    assert "no text of xho is known" in without["notes"]
    answer = rank(config.replace(text=tmp_path / "xho.txt"), tmp_path / "with", quiet=True)["answers"][0]
    assert answer["notes"] == []
    reasons = {row["donor"]: row["reasons"] for row in answer["rows"]}
    assert "overlap .00, third of 3" in reasons["wol"]
    assert all("same script" in said for said in reasons.values())


def test_a_language_is_no_donor_of_its_own(tmp_path):
    lines = [f"{donor},{recipient},{9 + at},9" for at, (donor, recipient) in enumerate(np.ndindex(4, 4))]
    (tmp_path / "own.csv").write_text("donor,recipient,zero-shot,after\n" + "\n".join(lines))
    answers = rank(RankConfig(matrix=tmp_path / "own.csv"), tmp_path / "out")["answers"]
    assert [answer["recipient"] for answer in answers] == ["0", "1", "2", "3"]
    assert all(answer["recipient"] not in {row["donor"] for row in answer["rows"]} for answer in answers)
    assert answers[0]["rows"][0]["donor"] == "3"


def test_two_names_of_a_language_are_one(tables, tmp_path):
    text = (tables / "matrix.csv").read_text().replace("r1,", "swh,")
    (tmp_path / "matrix.csv").write_text(text)
    answers = rank(RankConfig(matrix=tmp_path / "matrix.csv", recipients=["Swahili"], draws=2), tmp_path / "out")[
        "answers"
    ]
    assert answers[0]["recipient"] == "swh"
    assert answers[0]["rows"][0]["measured"] is not None


def test_noise_is_not_taken_for_a_way_of_choosing(tmp_path):
    study = simulated(5, donors=12, recipients=12, noise=0.3)
    cells = [f"d{i},r{j},{np.exp(3 + study.gain[i, j])},20" for i, j in np.ndindex(12, 12)]
    (tmp_path / "noise.csv").write_text("donor,recipient,zero-shot,after\n" + "\n".join(cells))
    known = [",".join(map(str, [f"d{i}", f"r{j}", *study.features[i, j]])) for i, j in np.ndindex(12, 12)]
    (tmp_path / "pairs.csv").write_text(",".join(["donor", "recipient", *NAMES]) + "\n" + "\n".join(known))
    rank(RankConfig(matrix=tmp_path / "noise.csv", pairs=tmp_path / "pairs.csv", draws=2), tmp_path / "out")
    compared = rows(tmp_path / "out", "comparisons")
    assert compared
    assert all(row["p_holm"] > 0.05 for row in compared if row["against"] == "random")


def test_a_donor_asked_for_by_another_name_is_no_donor_of_its_own(tables, tmp_path):
    (tmp_path / "matrix.csv").write_text((tables / "matrix.csv").read_text().replace("d1,", "German,"))
    config = RankConfig(matrix=tmp_path / "matrix.csv", recipients=["deu"], draws=2)
    answer = rank(config, tmp_path / "out")["answers"][0]
    assert answer["recipient"] == "German"
    assert len(answer["rows"]) == 7
    assert "German" not in {row["donor"] for row in answer["rows"]}


@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_small_matrices_with_gaps_are_ranked_or_refused_in_words(data):
    """Whatever is missing, and however few donors there are."""
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    values = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.1, 10))
    cells = [data.draw(st.lists(values, min_size=shape[1], max_size=shape[1])) for _ in range(shape[0])]
    known = [data.draw(st.lists(values, min_size=shape[1] + 1, max_size=shape[1] + 1)) for _ in range(shape[0])]
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rankers, "TREES", 1)
        folder = Path(name)
        lines = [f"d{i},r{j},1,{cell or ''}" for i, row in enumerate(cells) for j, cell in enumerate(row)]
        (folder / "matrix.csv").write_text("\n".join(["donor,recipient,zero-shot,after", *lines]))
        lines = [f"d{i},r{j},{x or ''},7" for i, row in enumerate(known) for j, x in enumerate(row)]
        (folder / "pairs.csv").write_text("\n".join(["donor,recipient,overlap,donor_bytes", *lines]))
        config = RankConfig(
            matrix=folder / "matrix.csv",
            pairs=folder / "pairs.csv",
            draws=2,
            resamples=20,
            recipients=[f"r{shape[1]}", "r0"],
        )
        try:
            manifest = rank(config, folder / "out", quiet=True)
        except LingraftError as error:
            assert "to rank" in str(error) or "no measured pair" in str(error)
            return
        for row in manifest["methods"]:
            assert 0 <= row["NDCG@3"] <= 1 + 1e-9
            assert row["regret@1"] >= -1e-9
        assert all(answer["rows"] for answer in manifest["answers"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "donor efect"}, "no method 'donor efect' for r10: did you mean 'donor effect'?"),
        ({"candidates": ["x", "y"]}, "nothing is known of the candidates for r10: x, y"),
        ({"text": "matrix.csv"}, "the text of r10 has no other to be compared with"),
        ({"pairs": "twice.csv"}, "d1 -> r1 stands there 2 times"),
        ({"pairs": "none.csv"}, "none.csv holds no features"),
        ({"pairs": "nobody.csv"}, "nobody.csv has no column recipient"),
        ({"pairs": "gone.csv"}, "cannot read"),
        ({"matrix": "one.csv"}, "one.csv has 2 donors and 1 recipient to rank"),
    ],
)
def test_what_cannot_be_answered_is_one_error(tables, tmp_path, options, words):
    (tables / "twice.csv").write_text("donor,recipient,x\nd1,r1,1\nd1,r1,2\n")
    (tables / "none.csv").write_text("donor,recipient,gain,name\nd1,r1,1,a\n")
    (tables / "nobody.csv").write_text("donor,x\nd1,1\n")
    (tables / "one.csv").write_text("donor,recipient,zero-shot,after\nd1,r1,1,2\nd2,r1,1,3\nd1,r2,4,5\n")
    given = {name: tables / value if name in ("pairs", "text", "matrix") else value for name, value in options.items()}
    config = load(RankConfig, {"matrix": tables / "matrix.csv", "recipients": ["r10"], "draws": 2} | given)
    with pytest.raises(LingraftError) as error:
        rank(config, tmp_path / "out")
    assert words in str(error.value)


def test_a_text_needs_one_recipient():
    with pytest.raises(LingraftError, match="text is that of one recipient: say which"):
        load(RankConfig, {"matrix": "m.csv", "text": "t.txt", "recipients": "a,b"})


def test_the_command_answers_without_a_folder(tables):
    result = CliRunner().invoke(
        app,
        [
            "transfer",
            "rank",
            "--matrix",
            str(tables / "matrix.csv"),
            "--recipient",
            "xqz,r2",
            "--top",
            "1",
            "--set",
            "draws=2",
        ],
    )
    assert result.exit_code == 0, result.output
    assert "donors for xqz by donor effect (NDCG@10 " in result.output
    assert "above an average donor" in result.output
    assert "note: no features were given" in result.output
    assert "note: r2 stands in the matrix: its own results were left out" in result.output
    assert "gains: log perplexity, with intervals of 80%" in result.output
