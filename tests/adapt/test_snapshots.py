"""Snapshots: model folders at the asked steps, whole or not there, the same after an interruption."""

import pytest
from adapt_helpers import PLAIN, TINY, short, weights
from hypothesis import given
from hypothesis import strategies as st

from lingraft import runs
from lingraft.adapt import Lora, Source, TrainConfig, Training, make_tiny, train
from lingraft.adapt import snapshots as module
from lingraft.adapt.snapshots import snapshot_steps, snapshots
from lingraft.augment import EncodeConfig, encode
from lingraft.augment.masking import Masking
from lingraft.config import load
from lingraft.errors import LingraftError


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (None, 10, []),
        (4, 10, [4, 8, 10]),
        (5, 10, [5, 10]),
        (20, 10, [10]),
        (0.25, 10, [2, 5, 8, 10]),
        (0.05, 100, list(range(5, 101, 5))),
        (0.05, 7, [1, 2, 3, 4, 5, 6, 7]),
        (0.4, 10, [4, 8, 10]),
        (1.0, 3, [1, 2, 3]),
    ],
)
def test_they_are_made_at_every_so_many_steps_or_shares_and_at_the_end(every, steps, expected):
    assert snapshot_steps(Training(steps=steps, snapshot_every=every)) == expected


@given(st.floats(0.001, 0.999), st.integers(1, 500))
def test_a_share_gives_about_as_many_as_it_says(share, steps):
    found = snapshot_steps(Training(steps=steps, snapshot_every=share))
    assert found == sorted(set(found))
    assert found[-1] == steps
    assert found[0] >= 1
    assert len(found) <= 1 / share + 2
    if share * steps >= 1:
        assert len(found) >= int(1 / share)


@pytest.mark.parametrize(("every", "message"), [(2.5, "neither a number of steps nor a share"), (0, "greater than 0")])
def test_what_is_neither_steps_nor_a_share_is_refused(every, message):
    with pytest.raises(LingraftError, match=message):
        load(Training, {"snapshot_every": every})


def same(one, two):
    return one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


def test_they_load_and_the_last_one_is_the_model(encoded, tiny, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(short(encoded, tiny, snapshot_every=3), tmp_path / "run")
    found = snapshots(tmp_path / "run")
    assert {step: path.name for step, path in found.items()} == {3: "step-000003", 4: "step-000004"}
    assert same(weights(found[4]), weights(tmp_path / "run" / "model"))
    assert not same(weights(found[3]), weights(found[4]))
    assert len(AutoTokenizer.from_pretrained(found[3])) == AutoModelForCausalLM.from_pretrained(found[3]).vocab_size
    assert not [path.name for path in found[3].iterdir() if "optimizer" in path.name]


def test_without_asking_there_are_none(encoded, tiny, tmp_path):
    train(short(encoded, tiny), tmp_path / "run")
    assert snapshots(tmp_path / "run") == {}
    assert not (tmp_path / "run" / "snapshots").exists()


def test_adapters_are_merged_into_a_copy_and_training_goes_on_as_without(encoded, tiny, tmp_path):
    lora = {"lora": Lora(rank=2), "schedule": "constant"}
    train(short(encoded, tiny, **lora), tmp_path / "plain")
    train(short(encoded, tiny, snapshot_every=2, **lora), tmp_path / "run")
    assert same(weights(tmp_path / "run" / "model"), weights(tmp_path / "plain" / "model"))
    train(short(encoded, tiny, steps=2, **lora), tmp_path / "half")
    found = snapshots(tmp_path / "run")
    assert same(weights(found[2]), weights(tmp_path / "half" / "model"))
    assert same(weights(found[4]), weights(tmp_path / "run" / "model"))


@pytest.fixture
def masked(corpus, tmp_path):
    model = make_tiny(corpus, tmp_path / "tiny", TINY.replace(architecture="roberta"))
    encode(EncodeConfig(corpus=corpus, model=str(model)), tmp_path / "encoded", workers=1)
    return model, tmp_path / "encoded"


def test_stopped_in_the_middle_of_one_and_before_a_checkpoint_they_end_the_same(
    masked, tmp_path, monkeypatch, one_thread
):
    model, encoded = masked
    how = Training(
        length=32,
        steps=6,
        batch_size=2,
        accumulation=1,
        save_every=2,
        learning_rate=1e-2,
        snapshot_every=2,
        dtype="fp32",
    )
    sources = [Source(encoded=encoded, insertion=PLAIN)]
    config = TrainConfig(model=str(model), sources=sources, masking=Masking(objective="mlm"), training=how)
    train(config, tmp_path / "a" / "run")
    broken, write, log = tmp_path / "b" / "run", module.write_folder, runs.Run.log

    def half(folder, model, tokenizer, **more):
        if folder.name == "step-000004":
            model.save_pretrained(folder.with_name(f".{folder.name}.tmp"))
            raise KeyboardInterrupt
        write(folder, model, tokenizer, **more)

    monkeypatch.setattr(module, "write_folder", half)
    with pytest.raises(KeyboardInterrupt):
        train(config, broken)
    assert list(snapshots(broken)) == [2]
    monkeypatch.setattr(module, "write_folder", write)

    def stop_at_4(self, event, **fields):
        log(self, event, **fields)
        if fields.get("step") == 4:  # its snapshot is there, its checkpoint is not
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.Run, "log", stop_at_4)
    with pytest.raises(KeyboardInterrupt):
        train(config, broken)
    assert list(snapshots(broken)) == [2, 4]
    assert not (broken / "checkpoints" / "checkpoint-4").exists()
    monkeypatch.setattr(runs.Run, "log", log)
    train(config, broken)
    whole = snapshots(tmp_path / "a" / "run")
    assert list(snapshots(broken)) == list(whole) == [2, 4, 6]
    assert sorted(path.name for path in (broken / "snapshots").iterdir()) == [path.name for path in whole.values()]
    for step, folder in snapshots(broken).items():
        assert same(weights(folder), weights(whole[step]))


def test_when_patience_ends_the_last_step_has_one_too(encoded, tiny, held_out, tmp_path):
    how = {"steps": 40, "save_every": 40, "learning_rate": 0.5, "validate_every": 1, "patience": 2}
    manifest = train(short(encoded, tiny, [held_out], snapshot_every=30, **how), tmp_path / "run")
    last = manifest["counters"]["steps"]
    assert last < 30
    assert list(snapshots(tmp_path / "run")) == [last]
    assert same(weights(snapshots(tmp_path / "run")[last]), weights(tmp_path / "run" / "model"))
