"""The demo runs through on a tiny world, and a second call finds it done."""

import pytest

from lingraft import runs
from lingraft.smallworld import QuestionConfig, WorldConfig

pytestmark = pytest.mark.slow


def test_the_demo_tells_its_story_and_then_does_nothing(tmp_path):
    from lingraft.workflows.demo import ASKED, MODELS, DemoConfig, Phase, demo

    config = DemoConfig(
        world=WorldConfig(num_entities=40, statements=1),
        questions=QuestionConfig(a_group=10, choices=3),
        base=Phase(steps=4, learning_rate=1e-3, replay_share=0.5),
        adaptation=Phase(steps=3, learning_rate=1e-3, replay_share=0.5),
        length=32,
        batch_size=2,
    )
    manifest = demo(tmp_path / "demo", config)
    asked = {(row["group"], row["label"]) for row in manifest["scores"]}
    assert asked == {(group, label) for group in ASKED.values() for label in MODELS.values()}
    assert all(row["low"] <= row["value"] <= row["high"] for row in manifest["scores"])
    assert all(row["chance"] == pytest.approx(1 / 3) for row in manifest["scores"])

    tables = {path.stem for path in (tmp_path / "demo" / "tables").iterdir()}
    assert tables == {"scores", "differences", "loss", "examples", "corpora"}
    examples = runs.read_json(tmp_path / "demo" / "tables" / "examples.json")["rows"]
    assert {segment["kind"] for row in examples for segment in row["segments"]} >= {"text", "mention", "name", "tag"}
    corpora = runs.read_json(tmp_path / "demo" / "tables" / "corpora.json")["rows"]
    assert [row["corpus"] for row in corpora] == ["en", "el-early", "el"]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("manifest.json")}
    assert len(before) == 14  # the demo, 3 corpora, the fresh model, 3 encodings, 3 trainings, 3 evaluations
    assert demo(tmp_path / "demo", config)["scores"] == manifest["scores"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
