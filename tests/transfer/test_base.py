"""A base from nothing: which languages it has seen, and that no recipient is among them."""

import pytest
from matrix_helpers import QUICK, TINY, small, write_base

from lingraft import runs
from lingraft.adapt import Tiny
from lingraft.config import load
from lingraft.errors import LingraftError
from lingraft.transfer.base import BaseConfig, languages_of, make_base
from lingraft.transfer.matrix import matrix


def test_a_base_is_trained_on_all_its_languages_and_says_which_they_are(matrix_lab, tmp_path):
    how = QUICK.replace(steps=2, snapshot_every=None, validate_every=2)
    model = write_base(matrix_lab.texts, tmp_path / "base", languages=["deu", "bam"], training=how)
    manifest = runs.read_manifest(tmp_path / "base")
    assert languages_of(str(model)) == manifest["languages"] == ["deu", "bam"]
    assert (manifest["counters"]["steps"], manifest["counters"]["tokens_seen"]) == (2, 256)
    table = runs.read_json(tmp_path / "base" / "tables" / "languages.json")["rows"]
    assert [row["language"] for row in table] == ["deu", "bam"]
    assert sum(row["share"] for row in table) == pytest.approx(1, abs=1e-3)
    assert (tmp_path / "base" / "held-out" / "bam" / "manifest.json").exists()  # watched: its validation text
    assert "`bam`" in (model / "README.md").read_text(encoding="utf-8")
    again = write_base(matrix_lab.texts, tmp_path / "base", languages=["deu", "bam"], training=how)
    assert again == model and runs.read_manifest(tmp_path / "base") == manifest
    config = small(matrix_lab.texts, model, recipients=["zul", "bam"])
    with pytest.raises(LingraftError, match="the base has seen bam") as caught:
        matrix(config, tmp_path / "matrix", quiet=True)
    assert "allow_seen" in caught.value.cure
    assert matrix(config.replace(allow_seen=True), tmp_path / "matrix", quiet=True, until="begin") == {}


def test_a_recipient_cannot_be_a_language_of_the_base(matrix_lab, tmp_path):
    config = BaseConfig(languages=["deu", "zul"], tiny=TINY, training=QUICK)
    with pytest.raises(LingraftError, match="zul is both a language of the base and a recipient"):
        make_base(config, matrix_lab.texts, tmp_path / "base", recipients=["zul", "wol"])
    with pytest.raises(LingraftError, match="has no text in 'xho'"):
        make_base(config.replace(languages=["xho"]), matrix_lab.texts, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_model_that_nobody_says_anything_about_may_have_seen_all(tmp_path):
    assert languages_of("google/mt5-base") is None
    assert languages_of(str(tmp_path)) is None


def test_the_architecture_is_that_of_the_objective():
    with pytest.raises(LingraftError, match=r"objective masked needs tiny.architecture roberta"):
        load(BaseConfig, {"languages": ["deu"], "objective": {"kind": "masked"}, "training": QUICK})
    assert BaseConfig(languages=["deu"], objective={"kind": "causal"}, tiny=Tiny(architecture="llama"), training=QUICK)
