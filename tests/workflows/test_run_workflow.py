"""A recipe carried out as a whole, on the small world's dumps with a model of a few thousand weights."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lingraft import runs
from lingraft.augment import Insertion
from lingraft.augment.masking import Masking
from lingraft.cli import app
from lingraft.errors import LingraftError
from lingraft.smallworld import WorldConfig, write_dumps
from lingraft.workflows.recipe import load_recipe
from lingraft.workflows.run import run, train

SMALL = [
    "corpus.limit=60",
    "tiny.vocabulary=400",
    "tiny.hidden=16",
    "tiny.layers=1",
    "tiny.heads=2",
    "train.length=32",
    "train.steps=3",
    "train.batch_size=2",
    "train.save_every=2",
    "train.warmup_steps=0",
]
RECIPES = sorted(
    path
    for path in (Path(__file__).parents[2] / "recipes").glob("*.yaml")
    if not path.stem.startswith(("experiment", "transfer"))  # those have tests of their own
)
QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    return write_dumps(tmp_path_factory.mktemp("dumps"), WorldConfig())


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "asked.jsonl"
    items = [
        {"id": str(index), "context": "Brazote", "choices": ["νεποχω", "δαξε"], "label": index % 2, "group": "all"}
        for index in range(6)
    ]
    path.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in items), encoding="utf-8")
    return path


def recipe(dumps, *overrides):
    files = [f"corpus.dump=[{dumps['el']}]", f"corpus.wikidata=[{dumps['wikidata']}]"]
    return load_recipe(QUICKSTART, [*files, *SMALL, *overrides])


def test_a_recipe_trains_both_arms_and_asks_all_models(tmp_path, dumps, questions):
    asked = recipe(dumps, f"evaluate.tasks=['choice:{questions}']")
    manifest = run(asked, tmp_path / "run", workers=1, quiet=True)

    assert manifest["counters"] == {
        "articles": 60,
        "tokens": manifest["counters"]["tokens"],
        "models_trained": 2,
        "tasks": 1,
    }
    scores = runs.read_json(tmp_path / "run" / "tables" / "scores.json")["rows"]
    assert {row["label"] for row in scores} == {"base", "plain", "names"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in scores)
    compared = runs.read_json(tmp_path / "run" / "tables" / "comparison.json")["rows"]
    assert [row["group"] for row in compared] == ["asked"]
    kinds = {
        segment["kind"]
        for article in runs.read_json(tmp_path / "run" / "tables" / "examples.json")["rows"]
        for segment in article["segments"]
    }
    assert {"mention", "name", "tag"} <= kinds

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    assert run(asked, tmp_path / "run", workers=1, quiet=True) == manifest
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    assert before == after


def test_without_names_only_plain_text_is_trained_and_the_manifest_says_why(tmp_path, dumps):
    manifest = run(recipe(dumps, "corpus.wikidata=[]"), tmp_path / "run", workers=1, quiet=True)
    assert manifest["counters"]["models_trained"] == 1
    assert "no link has a name in en" in manifest["notes"][0]
    assert "corpus.wikidata" in manifest["notes"][0]
    assert not (tmp_path / "run" / "train-names").exists()


def test_further_corpora_are_built_encoded_and_mixed_in(tmp_path, dumps):
    english = {"dump": [str(dumps["en"])], "lang": "en", "wikidata": [str(dumps["wikidata"])], "limit": 30}
    (tmp_path / "pairs.tsv").write_text("".join(f"The year {n}.\tΤο έτος {n}.\n" for n in range(40)), encoding="utf-8")
    mix = [
        {"corpus": english | {"names": ["el"]}, "insertion": {"operation": "left"}, "weight": 1},
        {"corpus": english | {"names": []}, "weight": 1},
        {"pairs": {"tsv": str(tmp_path / "pairs.tsv"), "langs": ["en", "el"]}, "weight": 1},
    ]
    asked = recipe(dumps, f"mix={json.dumps(mix)}", "augment.weight=5", "augment.held_out=0.2", "train.steps=12")
    manifest = run(asked, tmp_path / "run", workers=1, quiet=True)

    assert manifest["counters"]["articles"] == 160
    assert manifest["counters"]["models_trained"] == 2
    named, plain = (runs.read_manifest(tmp_path / "run" / f"train-{arm}") for arm in ("names", "plain"))
    for trained in (named, plain):
        assert [row["share"] for row in trained["sources"]] == [0.625, 0.125, 0.125, 0.125]
        assert [Path(row["encoded"]).name for row in trained["sources"]] == [
            "encoded",
            "encoded-2",
            "encoded-3",
            "encoded-4",
        ]
    operations = [[source["insertion"]["operation"] for source in m["config"]["sources"]] for m in (named, plain)]
    assert operations == [["right", "left", "none", "none"], ["none"] * 4]
    assert [Path(source["encoded"]).name for source in named["config"]["validation"]] == ["held-out"]
    assert run(asked, tmp_path / "run", workers=1, quiet=True) == manifest


def test_a_corpus_that_is_read_again_and_again_is_noted_for_each_arm(tmp_path, dumps):
    asked = recipe(dumps, "corpus.limit=2", "tiny.vocabulary=300", "train.batch_size=16", "train.steps=16")
    notes = run(asked, tmp_path / "run", workers=1, quiet=True)["notes"]
    for arm in ("plain", "names"):
        epochs = runs.read_manifest(tmp_path / "run" / f"train-{arm}")["counters"]["epochs"]
        assert epochs > 1
        assert any(note.startswith(f"{arm}: ") and f"is read {epochs:.2f} times" in note for note in notes)


def test_a_finished_encoding_can_be_mixed_in_and_one_to_be_built_needs_the_whole_line(tmp_path, dumps):
    asked = recipe(dumps)
    train(asked, tmp_path / "line", arm="plain", workers=1)
    encoded = tmp_path / "line" / "encoded"
    mixed = recipe(dumps, f"mix=[{{encoded: {encoded}}}]")
    manifest = train(mixed, tmp_path / "mixed", encoded=encoded)
    assert [row["share"] for row in manifest["sources"]] == [0.5, 0.5]
    unbuilt = recipe(dumps, f"mix=[{{corpus: {{dump: [{dumps['en']}], lang: en}}}}]")
    with pytest.raises(LingraftError, match=r"mixes in others that are still to be built[\s\S]*Leave out --encoded"):
        train(unbuilt, tmp_path / "unbuilt", encoded=encoded)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mix=[{weight: 1}]", "each corpus of mix is one of"),
        ("mix=[{encoded: x, corpus: {dump: [x], lang: en}}]", "each corpus of mix is one of"),
        ("mix=[{encoded: x, weight: 1}]", "some corpora have a weight and some none"),
        ("mix=[{encoded: x, insertoin: {}}]", r"unknown key 'insertoin'.*section mix\.0: did you mean 'insertion'"),
        ("masking.objective=wep", 'model "tiny" is a llama, and masking trains a roberta: say tiny.architecture'),
        ("spans.density=0.15", 'model "tiny" is a llama, and spans train a t5'),
        ("tiny.architecture=t5", 'model "tiny" is a t5, and without masking or spans you train a llama'),
        ("mix=[{encoded: x, weight: 0}]", "greater than 0"),
    ],
)
def test_a_mix_that_contradicts_itself_is_refused(dumps, override, message):
    with pytest.raises(LingraftError, match=message):
        recipe(dumps, override)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_plan_can_be_read(path, tmp_path):
    loaded = load_recipe(path, [])
    shown = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out"), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert f"model: {loaded.model}" in shown.output
    assert all(f"input: {dump}" in shown.output for dump in loaded.corpus.dump)
    assert not (tmp_path / "out").exists()


def test_leia_and_entity_cs_are_two_settings_of_one_thing():
    leia, cs = (load_recipe(QUICKSTART.parent / f"{name}.yaml", []) for name in ("leia-llama2-ja", "entity-cs-xlmr"))
    assert (leia.augment.insertion, leia.masking) == (Insertion(operation="right", probability=0.5), None)
    assert cs.augment.insertion == Insertion(operation="replace", probability=1.0, tags=False)
    assert cs.masking == Masking(objective="wep", entities=0.5, mlm=0.15)
    assert (cs.train.train_layers, cs.train.train_embeddings) == (2, True)
    assert cs.train.tokens_per_step == 256 * 128
    assert "en" not in cs.corpus.names
    assert type(leia) is type(cs)


@pytest.mark.parametrize("name", ["leia-llama2-sw", "leia-swallow-ja"])
def test_the_recipes_of_leia_differ_in_model_and_language_alone(name):
    leia, other = (load_recipe(QUICKSTART.parent / f"{stem}.yaml", []) for stem in ("leia-llama2-ja", name))
    assert (other.train, other.augment, other.corpus.names) == (leia.train, leia.augment, leia.corpus.names)
    assert (other.model, other.corpus.lang) != (leia.model, leia.corpus.lang)


def test_training_alone_takes_an_encoded_corpus(tmp_path, dumps):
    asked = recipe(dumps)
    manifest = train(asked, tmp_path / "line", arm="plain", workers=1)
    again = train(asked, tmp_path / "alone", encoded=tmp_path / "line" / "encoded", arm="plain")
    assert again["counters"] == manifest["counters"]
    assert (tmp_path / "alone" / "model" / "model.safetensors").read_bytes() == (
        tmp_path / "line" / "train-plain" / "model" / "model.safetensors"
    ).read_bytes()


def test_a_recipe_with_a_slip_is_refused_with_the_nearest_key(dumps):
    with pytest.raises(LingraftError, match=r"unknown key 'operaton'.*section augment\.insertion.*'operation'"):
        recipe(dumps, "augment.insertion.operaton=left")


def test_a_mistyped_task_shows_before_any_training(tmp_path, dumps):
    with pytest.raises(LingraftError, match="xcodha_ja"):
        run(recipe(dumps, "evaluate.tasks=[xcodha_ja]"), tmp_path / "run", workers=1, quiet=True)
    assert not (tmp_path / "run" / "train-plain").exists()
