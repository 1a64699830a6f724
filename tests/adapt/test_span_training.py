"""Encoder-decoder models: trained on hidden spans, stopped and resumed to the bit, validated, with adapters."""

import numpy as np
import pytest
from adapt_helpers import PLAIN, TINY, events, weights

from lingraft import runs
from lingraft.adapt import Lora, Source, TrainConfig, Training, make_tiny, train
from lingraft.adapt.data import check_fit, training_data
from lingraft.augment import EncodeConfig, Insertion, encode
from lingraft.augment.masking import Masking
from lingraft.augment.operators import IGNORED
from lingraft.augment.span_corruption import Sentinels, SpanCorruption, restore
from lingraft.config import load
from lingraft.errors import LingraftError

SHORT = Training(length=48, steps=4, batch_size=2, accumulation=2, save_every=2, learning_rate=5e-3, dtype="fp32")
SPANS = SpanCorruption()


@pytest.fixture(scope="module")
def t5(corpus, tmp_path_factory):
    """A tiny T5 and the made-up corpus encoded for it: model/, encoded/."""
    folder = tmp_path_factory.mktemp("t5")
    model = make_tiny(corpus, folder, TINY.replace(architecture="t5"))
    encode(EncodeConfig(corpus=corpus, model=str(model)), folder.with_name("t5-encoded"), workers=1)
    return model, folder.with_name("t5-encoded")


def config_of(t5, insertion=PLAIN, spans=SPANS, **training):
    model, encoded = t5
    sources = [Source(encoded=encoded, insertion=insertion)]
    return TrainConfig(model=str(model), sources=sources, spans=spans, training=SHORT.replace(**training))


def loaded(model):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    return AutoModelForSeq2SeqLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)


def losses(run):
    return [event["loss"] for event in events(run, "step")]


def test_sequences_are_of_the_asked_length_and_give_the_text_back(t5):
    config = config_of(t5, length=64)
    model, tokenizer = loaded(t5[0])
    check_fit(config, model, tokenizer)
    data = training_data(config, model, tokenizer, None, 20)
    batch = data.collate([data.sequences[index] for index in range(20)])
    assert batch["input_ids"].shape == (20, 64)
    assert batch["labels"].shape == batch["decoder_input_ids"].shape == (20, SPANS.lengths(SPANS.raw_length(64))[1])
    assert all(values.is_contiguous() for values in batch.values())
    assert data.counters["padding"] == 0
    assert tokenizer.pad_token_id not in batch["input_ids"]
    assert batch["labels"].min() >= 0
    assert (batch["decoder_input_ids"] == model._shift_right(batch["labels"])).all()
    sentinels = Sentinels.of(tokenizer)
    raw = data.sequences.sequences[7]["input_ids"]
    assert restore(batch["input_ids"][7].numpy(), batch["labels"][7].numpy(), sentinels).tolist() == raw.tolist()
    assert "πόλη" in tokenizer.decode(raw)


def test_a_step_is_the_mean_over_its_labels_as_the_model_itself_says(t5, tmp_path):
    import torch

    config = config_of(t5, steps=1, save_every=1)
    train(config, tmp_path / "run")
    model, tokenizer = loaded(t5[0])
    data = training_data(config, model, tokenizer, None, 4)
    batch = data.collate([data.sequences[index] for index in range(4)])
    with torch.no_grad():
        own = model(input_ids=batch["input_ids"], labels=batch["labels"]).loss.item()
    assert losses(tmp_path / "run") == [pytest.approx(own, rel=1e-5)]


def test_names_and_tags_are_read_and_the_tags_never_scored(t5, tmp_path):
    config = config_of(t5, Insertion(probability=1.0), steps=12, save_every=12, batch_size=8)
    manifest = train(config, tmp_path / "run")
    curve = losses(tmp_path / "run")
    assert np.mean(curve[-3:]) < np.mean(curve[:3])
    model, tokenizer = loaded(tmp_path / "run" / "model")
    tags = [manifest["tags"]["open"], manifest["tags"]["close"]]
    assert tokenizer.convert_ids_to_tokens(tags) == ["<translate>", "</translate>"]
    data = training_data(config, model, tokenizer, tags, 30)
    items = data.sequences.__getitems__(range(30))
    labels, read = (np.stack([item[name] for item in items]) for name in ("labels", "decoder_input_ids"))
    hidden = np.isin(read[:, 1:], tags)
    assert hidden.any()
    assert (labels[:, :-1][hidden] == IGNORED).all()
    assert (labels[:, :-1][~hidden] == read[:, 1:][~hidden]).all()


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_a_stopped_run_goes_on_to_the_bit(t5, tmp_path, monkeypatch, one_thread, optimizer):
    config = config_of(t5, optimizer=optimizer, warmup_steps=2)
    train(config, tmp_path / "whole" / "run")
    log = runs.Run.log

    def stop_at_3(self, event, **fields):
        log(self, event, **fields)
        if fields.get("step") == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.Run, "log", stop_at_3)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "broken" / "run")
    monkeypatch.setattr(runs.Run, "log", log)
    assert train(config, tmp_path / "broken" / "run")["timings"]["resumed"]
    assert losses(tmp_path / "broken" / "run") == losses(tmp_path / "whole" / "run")
    one, two = (weights(tmp_path / name / "run" / "model") for name in ("broken", "whole"))
    assert all((one[name] == two[name]).all() for name in two)


def test_adafactor_takes_the_rate_as_given_and_learns(t5, tmp_path):
    train(config_of(t5, optimizer="adafactor", steps=12, save_every=12, batch_size=8), tmp_path / "run")
    curve = losses(tmp_path / "run")
    assert np.mean(curve[-3:]) < np.mean(curve[:3])
    assert events(tmp_path / "run", "step")[0]["learning_rate"] == pytest.approx(5e-3)
    other = config_of(t5, optimizer="adafactor", steps=1, save_every=1, learning_rate=1e-5)
    train(other, tmp_path / "slow")
    was, now = weights(t5[0]), weights(tmp_path / "slow" / "model")
    assert 0 < max(float((was[name] - now[name]).abs().max()) for name in was) < 1e-3


def test_the_loss_on_held_out_text_is_a_mean_over_labels_and_keeps_the_best(t5, corpus, tmp_path):
    import torch

    encode(
        EncodeConfig(corpus=corpus, model=str(t5[0]), held_out=0.5, only_held_out=True), tmp_path / "held", workers=1
    )
    sources = [Source(encoded=t5[1], insertion=PLAIN)]
    held = [Source(encoded=tmp_path / "held", insertion=PLAIN)]
    how = SHORT.replace(validate_every=2, keep_best=True, validation_sequences=3)
    config = TrainConfig(model=str(t5[0]), sources=sources, validation=held, spans=SPANS, training=how)
    manifest = train(config, tmp_path / "run")
    found = [event["corpora"]["held"] for event in events(tmp_path / "run", "validation")]
    assert [set(one) for one in found] == [{"loss"}] * 3
    assert manifest["counters"]["best_step"] == 4
    model, tokenizer = loaded(tmp_path / "run" / "model")
    alone = config.replace(sources=held, validation=[], training=how.replace(validate_every=None, keep_best=False))
    data = training_data(alone, model, tokenizer, None, 3)
    batch = data.collate([data.sequences[index] for index in range(3)])
    with torch.no_grad():
        own = model(input_ids=batch["input_ids"], labels=batch["labels"]).loss.item()
    assert found[-1]["loss"] == pytest.approx(own, rel=1e-5)


@pytest.mark.parametrize("insertion", [PLAIN, Insertion()], ids=["plain", "names"])
def test_adapters_are_trained_and_merged(t5, tmp_path, insertion):
    train(config_of(t5, insertion, lora=Lora(rank=2), steps=2), tmp_path / "run")
    was, now = weights(t5[0]), weights(tmp_path / "run" / "model")
    assert was.keys() == now.keys()
    assert any((was[name] != now[name]).any() for name in was if "SelfAttention" in name and "decoder" in name)
    assert (now["shared.weight"][: len(was["shared.weight"])] == was["shared.weight"]).all()
    loaded(tmp_path / "run" / "model")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"masking": Masking()}, "give one of the two"),
        ({"training": {"separate_documents": True}}, "separate_documents is not proven with spans"),
        ({"training": {"packing": "split"}}, "without padding: set training.packing to wrapped"),
        ({"training": {"train_layers": 1}}, "train_layers counts the layers of one stack"),
        ({"training": {"length": 2}}, "length 2 holds no text"),
        ({"training": {"optimizer": "adafactor", "rows": {"warm_steps": 1}}}, "proven for adamw only"),
    ],
)
def test_settings_that_do_not_go_with_spans_are_refused(values, message):
    with pytest.raises(LingraftError, match=message):
        load(TrainConfig, {"model": "m", "sources": [{"encoded": "e"}], "spans": {}} | values)


def test_a_causal_model_is_refused(encoded, tiny, tmp_path):
    config = TrainConfig(model=str(tiny), sources=[Source(encoded=encoded)], spans=SPANS, training=SHORT)
    with pytest.raises(LingraftError, match=r"cannot load the weights"):
        train(config, tmp_path / "run")


def test_more_spans_than_sentinels_show_before_the_training(t5):
    model, tokenizer = loaded(t5[0])
    config = config_of(t5, spans=SpanCorruption(density=0.5, mean_span=1), length=300)
    with pytest.raises(LingraftError, match=r"sequences of 300 tokens have 149 hidden spans[\s\S]*has 100 sentinels"):
        check_fit(config, model, tokenizer)


def test_sentinels_without_a_row_in_the_model_are_refused(t5):
    model, tokenizer = loaded(t5[0])
    model.resize_token_embeddings(50, mean_resizing=False)
    with pytest.raises(LingraftError, match=r"reach up to id 101, but it has 50 embeddings"):
        check_fit(config_of(t5), model, tokenizer)
