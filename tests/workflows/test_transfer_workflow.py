"""A recipe of the transfer lab carried out as a whole, on made-up languages with a model of a few thousand weights."""

import random
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lingraft import runs
from lingraft.cli import app
from lingraft.errors import LingraftError
from lingraft.workflows.transfer import load_transfer, run, stages

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("transfer-*.yaml"))
TRAINING = {
    "length": 32,
    "steps": 2,
    "batch_size": 2,
    "accumulation": 1,
    "learning_rate": 0.01,
    "save_every": 2,
    "log_every": 1,
}


@pytest.fixture
def recipe(tmp_path):
    languages = []
    for place, language in enumerate(("deu", "swh", "wol", "zul", "bam")):
        chance = random.Random(place)
        words = ["".join(chance.choices("abdegiklmnortu", k=5)) for _ in range(40)]
        text = tmp_path / f"{language}.txt"
        text.write_text("\n".join(" ".join(chance.choices(words, k=12)) for _ in range(120)), encoding="utf-8")
        languages.append({"language": language, "sources": [{"kind": "text", "path": str(text)}]})
    held = {
        "corpora": {"languages": languages, "splits": {"validation": 0.2, "test": 0.2}, "min_lines": 10},
        "base": {
            "languages": ["deu"],
            "tiny": {"architecture": "t5", "vocabulary": 400, "hidden": 16, "layers": 1, "heads": 2},
            "training": TRAINING,
        },
        "matrix": {
            "donors": ["swh", "wol"],
            "recipients": ["zul", "bam"],
            "seeds": [0],
            "min_lines": 5,
            "length": 64,
            "training": TRAINING,
        },
        "analyse": {"resamples": 99},
        "rank": {"recipients": ["zul"]},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(held), encoding="utf-8")
    return path


def test_a_recipe_goes_from_text_to_a_ranking_and_grows(recipe, tmp_path):
    out = tmp_path / "out"
    manifest = run(load_transfer(recipe, []), out, workers=1, quiet=True)
    assert [row["stage"] for row in manifest["stages"]] == ["corpora", "base", "matrix", "analyse", "rank"]
    assert runs.read_manifest(out / "matrix")["counters"]["pairs"] == 4
    before = (out / "base" / "manifest.json").stat().st_mtime_ns

    grown = load_transfer(recipe, ["matrix.seeds=[0,1]"])
    with pytest.raises(LingraftError, match="holds another run"):  # what reads the matrix is old by now
        run(grown, out, workers=1, quiet=True)
    run(grown, out, workers=1, quiet=True, overwrite=True)
    assert runs.read_manifest(out / "matrix")["config"]["seeds"] == [0, 1]
    assert (out / "base" / "manifest.json").stat().st_mtime_ns == before


def test_the_verb_run_takes_such_a_recipe(recipe, tmp_path):
    shown = CliRunner().invoke(app, ["run", str(recipe), "--out", str(tmp_path / "out"), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "matrix" in shown.output and "to do" in shown.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_are_valid(path, tmp_path):
    found = [stage.name for stage in stages(load_transfer(path, []), tmp_path)]
    assert "matrix" in found and found.index("corpora") < found.index("matrix")


def test_a_section_that_is_wrong_is_named_before_any_work(recipe, tmp_path):
    with pytest.raises(
        LingraftError, match=r"section matrix of the recipe: unknown key 'donor'.*did you mean 'donors'"
    ):
        run(load_transfer(recipe, ["matrix.donor=[swh]"]), tmp_path / "out")
    with pytest.raises(LingraftError, match=r"either from the section `base` or from matrix.model"):
        load_transfer(recipe, ["matrix.model=google/mt5-base"])
    assert not (tmp_path / "out").exists()
