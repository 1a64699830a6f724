"""Two ranks on the CPU (gloo) train as one process does, are killed, and go on: the same losses, the same weights.

Sharding is accelerate's own, by the config that we ship, with FSDP2's collectives over gloo.
"""

import json
import signal

import pytest

from lingraft.adapt import Lora, Rows, Source, TrainConfig, Training, distributed
from lingraft.adapt.sharding import config_file
from lingraft.adapt.snapshots import snapshots
from lingraft.errors import LingraftError
from lingraft.smallworld import WorldConfig, write_dumps

TOLERANCE = 1e-5
HOW = Training(
    length=32,
    steps=6,
    batch_size=2,
    accumulation=4,
    save_every=2,
    snapshot_every=3,
    learning_rate=1e-2,
    dtype="fp32",
)


def steps(run):
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["event"] == "step"}


def weights(model):
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")


def assert_same(run, other):
    """Hold the losses of all steps, the final weights and those of the snapshots of two runs to be the same."""
    import torch

    assert list(steps(run)) == list(range(1, HOW.steps + 1))
    assert steps(run) == pytest.approx(steps(other), abs=TOLERANCE)
    assert list(snapshots(run)) == list(snapshots(other)) == [3, 6]
    for model in ("model", "snapshots/step-000003", "snapshots/step-000006"):
        found, expected = weights(run / model), weights(other / model)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], atol=TOLERANCE, rtol=0)


@pytest.fixture(scope="module")
def asked(encoded, tiny, tmp_path_factory):
    """What a model of two layers is to be trained on; `tied` says whether its output is its input."""

    def make(tied=True, **training):
        from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, set_seed

        folder = tmp_path_factory.mktemp("model")
        tokenizer = AutoTokenizer.from_pretrained(tiny)
        set_seed(0)
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        LlamaForCausalLM(
            LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=tied, bos_token_id=None, eos_token_id=0, **shape)
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        how = HOW.replace(**training)
        return TrainConfig(sources=[Source(encoded=encoded)], model=str(folder), training=how).model_dump(mode="json")

    return make


@pytest.fixture(scope="module")
def trained(ranks):
    """Train in the folder `out`, and see that all went well."""

    def train(out, asked, world=2, call="train", **more):
        done = ranks(call, world, config=asked, out=out, **more)
        assert done["codes"] == [0] * world, "\n".join(done["said"])
        return done["result"]

    return train


@pytest.fixture(scope="module")
def plain(asked):
    return asked()


@pytest.fixture(scope="module")
def alone(trained, plain, tmp_path_factory):
    """The run of one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    trained(out, plain, world=1)
    return out


def test_two_ranks_train_as_one_process_does(trained, plain, alone, tmp_path):
    manifest = trained(tmp_path / "run", plain)
    assert_same(tmp_path / "run", alone)
    one = json.loads((alone / "manifest.json").read_text())
    assert manifest["config_hash"] == one["config_hash"]
    assert manifest["counters"] | {"final_loss": 0} == one["counters"] | {"final_loss": 0}
    kept = {path.name for path in (tmp_path / "run" / "checkpoints" / "checkpoint-6").iterdir()}
    assert kept >= {"rng_state_0.pth", "rng_state_1.pth", "complete.json"}
    assert trained(tmp_path / "run", plain) == manifest  # a second call does nothing


@pytest.mark.parametrize("killed", [[0], pytest.param([1], marks=pytest.mark.slow)], ids=["first", "second"])
def test_killed_ranks_go_on_from_the_last_whole_checkpoint(ranks, trained, plain, alone, killed, tmp_path):
    done = ranks("train", config=plain, out=tmp_path / "run", killed=killed, at_step=3)
    assert [done["codes"][rank] for rank in killed] == [-signal.SIGKILL] * len(killed)
    for rank in {0, 1} - set(killed):
        assert done["codes"][rank] == 1
        assert f"error: rank {rank} lost the other processes" in done["said"][rank]
        assert "it goes on from the last whole checkpoint" in done["said"][rank]
        assert "Traceback" not in done["said"][rank]
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert trained(tmp_path / "run", plain)["timings"]["resumed"]
    assert_same(tmp_path / "run", alone)


def test_a_run_goes_on_with_another_number_of_ranks(ranks, trained, plain, alone, tmp_path):
    ranks("train", 2, config=plain, out=tmp_path / "run", killed=[0, 1], at_step=3)
    ranks("train", 1, config=plain, out=tmp_path / "run", killed=[0], at_step=5)
    assert max(steps(tmp_path / "run")) == 4
    trained(tmp_path / "run", plain, world=2)
    assert_same(tmp_path / "run", alone)


@pytest.mark.slow  # 3 trainings each
@pytest.mark.parametrize("more", [{"lora": Lora(rank=2)}, {"loader_workers": 2}, {"rows": Rows(warm_steps=4)}], ids=str)
def test_other_settings_by_two_ranks(ranks, trained, asked, more, tmp_path):
    config = asked(**more)
    trained(tmp_path / "alone" / "run", config, world=1)
    ranks("train", config=config, out=tmp_path / "run", killed=[1], at_step=5)
    trained(tmp_path / "run", config)
    assert_same(tmp_path / "run", tmp_path / "alone" / "run")


@pytest.mark.slow  # builds a corpus, too
def test_the_first_rank_makes_the_corpus_while_the_other_waits(ranks, tmp_path):
    dumps = write_dumps(tmp_path / "dumps", WorldConfig(num_entities=30))
    corpus = {"dump": [str(dumps["el"])], "lang": "el", "names": ["en"], "wikidata": [str(dumps["wikidata"])]}
    sizes = {"vocabulary": 300, "hidden": 16, "layers": 1, "heads": 2}
    how = {"length": 32, "steps": 2, "batch_size": 2, "accumulation": 2}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"corpus": corpus, "tiny": sizes, "train": how}))  # JSON is YAML
    done = ranks("train_recipe", recipe=recipe, out=tmp_path / "line")
    assert done["codes"] == [0, 0], "\n".join(done["said"])
    assert done["result"]["counters"]["steps"] == 2
    assert (tmp_path / "line" / "train-names" / "checkpoints" / "checkpoint-2" / "rng_state_1.pth").exists()
    recipe.write_text(json.dumps({"corpus": corpus | {"lang": "de"}, "tiny": sizes, "train": how}))
    done = ranks("train_recipe", recipe=recipe, out=tmp_path / "line")
    assert done["codes"] == [1, 1]
    assert "".join(done["said"]).count("error:") == 1


def test_what_all_ranks_find_is_told_once(ranks, plain, tmp_path):
    odd = plain | {"training": plain["training"] | {"accumulation": 3}}
    done = ranks("train", config=odd, out=tmp_path / "run")
    assert done["codes"] == [1, 1]
    told = "".join(done["said"])
    assert told.count("error:") == 1
    assert "cannot be shared among 2 processes" in told
    assert "batch_size 1 with accumulation 6 make the same step." in told


def test_a_folder_in_use_is_told_once_and_left_alone(ranks, plain, alone, tmp_path):
    before = (alone / "manifest.json").read_bytes()
    other = plain | {"training": plain["training"] | {"seed": 1}}
    done = ranks("train", config=other, out=alone)
    assert done["codes"] == [1, 1]
    assert "".join(done["said"]).count("holds another run") == 1
    assert (alone / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("accumulation", "batch_size", "ranks", "cure"),
    [
        (6, 2, 4, "batch_size 1 with accumulation 12 make the same step."),
        (4, 9, 3, "batch_size 3 with accumulation 12 make the same step."),
        (2, 1, 8, "Set accumulation to 8, or start another number of processes."),
        (9, 4, 8, "Set accumulation to 16, or start another number of processes."),
    ],
)
def test_batches_that_cannot_be_shared(monkeypatch, accumulation, batch_size, ranks, cure):
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    with pytest.raises(LingraftError) as caught:
        distributed.share_of(accumulation, batch_size)
    assert caught.value.cure == cure
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert distributed.share_of(accumulation, batch_size) == accumulation


# Sharding


def launched(*options):
    """Return the environment that `accelerate launch` gives to a process."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args([*map(str, options), "train.py"]))
    environment = prepare_multi_gpu_env(arguments)
    return {name: value for name, value in environment.items() if name.startswith(("FSDP_", "ACCELERATE_"))}


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["tied", "untied"])
def test_a_sharded_model_trains_as_a_whole_one_does(ranks, trained, asked, plain, alone, tied, tmp_path):
    config, whole = (plain, alone) if tied else (asked(tied=False), tmp_path / "alone" / "run")
    if not tied:
        trained(whole, config, world=1)
    fsdp2 = launched("--config_file", config_file("fsdp2"))
    done = ranks("train_sharded", launched=fsdp2, config=config, out=tmp_path / "run", killed=[1], at_step=3)
    assert done["codes"] == [1, -signal.SIGKILL]
    facts = trained(tmp_path / "run", config, call="train_sharded", launched=fsdp2)["sharded"]
    assert facts["whole"] == []
    assert facts["layers"] == 2
    assert facts["local"] < 0.55 * facts["all"]
    assert_same(tmp_path / "run", whole)


def test_adapters_in_a_sharded_model_are_refused(ranks, asked, tmp_path):
    fsdp2 = launched("--config_file", config_file("fsdp2"))
    config = asked(lora=Lora(rank=2))
    done = ranks("train_sharded", launched=fsdp2, config=config, out=tmp_path / "run")
    assert done["codes"] == [1, 1]
    assert "".join(done["said"]).count("LoRA in a model that is sharded over devices") == 1
