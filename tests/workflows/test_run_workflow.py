"""A recipe carried out as a whole, on the small world's dumps with a model of a few thousand weights."""

import json
from pathlib import Path

import pytest

from lingraft import runs
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
    assert [row["task"] for row in compared] == ["asked"]
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
