"""Bits per byte: against a loop over single tokens, whatever the batch and the window."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.corpus.texts import TextSource
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models
from lingraft.evaluate.bits import BitsConfig, bits, nats, windows

TEXTS = ["Which colour has number 3, 色は何番?", "x", "The red cat sat on mat 4. " * 12, "κόκκινο " * 9]
WINDOW = 32


@pytest.fixture(scope="module")
def loaded(model):
    return models.load(str(model), "float32", "cpu")


def slowly(loaded, text: str, window: int) -> float:
    """Score token after token, each behind the context that its window gives it."""
    import torch

    tokens = [loaded.tokenizer.eos_token_id, *loaded.tokenizer(text, add_special_tokens=False)["input_ids"]]
    total = 0.0
    for place in range(1, len(tokens)):
        begin = 0
        while place >= begin + window:
            begin += window // 2
        with torch.no_grad():
            logits = loaded.model(torch.tensor([tokens[begin:place]])).logits[0, -1]
        total -= torch.log_softmax(logits.float(), 0)[tokens[place]].item()
    return total


@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_token_is_scored_once_behind_its_window(loaded, batch_size):
    scored = nats(loaded, TEXTS, window=WINDOW, batch_size=batch_size)
    assert max(tokens for _, tokens in scored) > 2 * WINDOW
    for text, (loss, tokens) in zip(TEXTS, scored, strict=True):
        assert tokens == len(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])
        assert loss == pytest.approx(slowly(loaded, text, WINDOW), rel=1e-5)


@given(st.integers(0, 200), st.integers(2, 50))
def test_windows_cover_each_token_once_with_half_a_window_behind_it(number, window):
    ids = list(range(1, number + 1))
    scored = []
    for tokens, first in windows(ids, window, 0):
        assert len(tokens) <= window and first >= 1
        assert tokens[0] == 0 or first >= window // 2
        scored += tokens[first:]
    assert scored == ids


def test_a_run_tells_the_ratio_and_its_interval(model, tmp_path):
    source = tmp_path / "heldout.txt"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    config = BitsConfig(model=str(model), texts=TextSource(path=[source], documents="line"), window=WINDOW, name="tiny")
    manifest = bits(config, tmp_path / "out")
    row = manifest["scores"][0]
    loaded = models.load(str(model), "float32", "cpu")
    lines = [line.strip() for line in TEXTS]
    expected = sum(slowly(loaded, line, WINDOW) for line in lines) / math.log(2)
    assert row["bits_per_byte"] == pytest.approx(expected / sum(len(line.encode()) for line in lines), rel=1e-5)
    assert row["low"] <= row["bits_per_byte"] <= row["high"] and row["documents"] == 4
    assert bits(config, tmp_path / "out") == manifest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 100_000}, ["window is 100000", "max_position_embeddings"]),
        ({"model": "/no/such/model"}, ["no model folder"]),
        ({"texts": TextSource(path=["missing.txt"])}, ["cannot read missing.txt"]),
    ],
)
def test_what_does_not_fit_is_named(model, tmp_path, changes, words):
    source = tmp_path / "a.txt"
    source.write_text("text", encoding="utf-8")
    values = {"model": str(model), "texts": TextSource(path=[source]), "window": WINDOW} | changes
    with pytest.raises(LingraftError) as error:
        bits(BitsConfig(**values), tmp_path / "out")
    for word in words:
        assert word in str(error.value)


def test_probabilities_that_are_no_numbers_stop_the_run(model):
    import torch

    broken = models.load(str(model), "float32", "cpu")
    with torch.no_grad():
        broken.model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(LingraftError, match="not numbers"):
        nats(broken, ["text"], window=WINDOW, batch_size=1)


def test_the_command_measures_texts_in_place_of_tasks(lingraft, model, tmp_path):
    source = tmp_path / "heldout.txt"
    source.write_text("The red cat sat.", encoding="utf-8")
    asked = ["evaluate", "--model", model, "--texts", source, "--out", tmp_path / "out", "--set", f"window={WINDOW}"]
    assert "output: new" in lingraft(*asked, "--dry-run").out
    done = lingraft(*asked)
    assert done.code == 0 and "bits_per_byte" in done.out
    assert "complete already" in lingraft(*asked).out


def test_options_that_would_do_nothing_are_refused(lingraft, model):
    asked = ["evaluate", "--model", model, "--out", "nowhere"]
    assert "--tasks would do nothing" in lingraft(*asked, "--texts", "a.txt", "--tasks", "xcodah_ja").err
    assert "--model would do nothing" in lingraft("evaluate", "--compare", "a", "b", "--model", model).err
    assert "--items belongs to --compare" in lingraft(*asked, "--tasks", "xcodah_ja", "--items", "a.tsv").err
