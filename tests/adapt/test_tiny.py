import pytest
from adapt_helpers import TINY, helpers

from lingraft.adapt import make_tiny
from lingraft.errors import LingraftError


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_same_corpus_gives_the_same_bytes_and_another_seed_others(corpus, tiny, tmp_path):
    again = make_tiny(corpus, tmp_path / "again", TINY)
    assert contents(again) == contents(tiny)
    other = make_tiny(corpus, tmp_path / "other", TINY.replace(seed=1))
    assert contents(other)["model.safetensors"] != contents(tiny)["model.safetensors"]
    assert contents(other)["tokenizer.json"] == contents(tiny)["tokenizer.json"]


def test_a_finished_one_is_left_alone(corpus, tmp_path):
    model = make_tiny(corpus, tmp_path / "run", TINY)
    before = (model / "model.safetensors").stat().st_mtime_ns
    assert make_tiny(corpus, tmp_path / "run", TINY) == model
    assert (model / "model.safetensors").stat().st_mtime_ns == before


def test_it_loads_as_a_model_with_an_end_and_a_pad(tiny):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    assert model.config.vocab_size == len(tokenizer) <= 400
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1)
    text = "Η πόλη Αθήνα έχει 7 δρόμους 😀."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_corpus_without_text_is_refused(tmp_path):
    corpus = helpers.write_corpus(tmp_path / "corpus", [[helpers.article("")], []])
    with pytest.raises(LingraftError, match="no text to train a tokenizer on"):
        make_tiny(corpus, tmp_path / "run", TINY)
