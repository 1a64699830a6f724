import math

import pytest
from adapt_helpers import TINY, helpers

from lingraft.adapt import make_tiny
from lingraft.augment.masking import MaskTokens
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


def test_a_t5_has_sentinels_and_an_end_and_begins_near_a_guess(corpus, tmp_path):
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = make_tiny(corpus, tmp_path / "run", TINY.replace(architecture="t5"))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    assert (model.config.model_type, model.config.vocab_size) == ("t5", len(tokenizer))
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, model.config.decoder_start_token_id) == (0, 1, 0)
    sentinels = tokenizer.convert_tokens_to_ids([f"<extra_id_{number}>" for number in range(100)])
    assert len(set(sentinels)) == 100
    text = "Η πόλη Αθήνα έχει 7 δρόμους 😀."
    ids = tokenizer(text)["input_ids"]
    assert ids[-1] == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    with torch.no_grad():
        loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss.item()
    assert loss < 1.3 * math.log(len(tokenizer))


def test_a_roberta_has_a_mask_a_frame_and_all_of_its_positions(corpus, tmp_path):
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = make_tiny(corpus, tmp_path / "run", TINY.replace(architecture="roberta"))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForMaskedLM.from_pretrained(folder)
    framed = tokenizer.convert_ids_to_tokens(tokenizer("Αθήνα")["input_ids"])
    assert (framed[0], framed[-1]) == ("<s>", "</s>")
    found = MaskTokens.of(tokenizer)
    assert (found.begin, found.end, found.mask) == (0, 2, 3)
    with torch.no_grad():
        assert model(torch.full((1, TINY.positions), 5)).logits.shape == (1, TINY.positions, len(tokenizer))


def test_each_corpus_gives_an_equal_share_of_the_tokenizer(tmp_path):
    from transformers import AutoTokenizer

    rows = {"long": [helpers.article("aaab" * 4000)], "short": [helpers.article("zzzy" * 100)]}
    corpora = [helpers.write_corpus(tmp_path / name, [held]) for name, held in rows.items()]
    folder = make_tiny(corpora, tmp_path / "run", TINY.replace(vocabulary=262, max_characters=800))
    learnt = set(AutoTokenizer.from_pretrained(folder).get_vocab())
    assert {"aa", "zz"} <= learnt


@pytest.mark.parametrize(("architecture", "fewest"), [("llama", 258), ("t5", 358), ("roberta", 260)])
def test_a_vocabulary_that_cannot_hold_all_bytes_is_refused(architecture, fewest):
    TINY.replace(architecture=architecture, vocabulary=fewest)
    with pytest.raises(ValueError, match=f"special tokens of {architecture}: say {fewest} or more"):
        TINY.replace(architecture=architecture, vocabulary=fewest - 1)
