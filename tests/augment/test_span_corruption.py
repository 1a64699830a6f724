"""Span corruption: T5's shares and lengths, an exact inverse for three kinds of tokenizers, nothing scored in vain."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from augment_helpers import TEXTS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from lingraft.augment.operators import IGNORED
from lingraft.augment.span_corruption import (
    Sentinels,
    SpanCorruption,
    SpanSequences,
    corrupt,
    noise_mask,
    noise_masks,
    restore,
)
from lingraft.config import load
from lingraft.errors import LingraftError

T5 = SpanCorruption()
MADE = Sentinels(ids=np.array([109, 107, 108, 105, 106, *range(110, 150)]), eos=1)  # in no order


def lengths_of_spans(mask):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(mask.astype(int), prepend=0, append=0))
    return edges[1::2] - edges[::2]


def unigram(first_special):
    """A Unigram tokenizer as T5's (sentinels last, ids fall) or as mT5's (special tokens first)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    sentinels = [f"<extra_id_{number}>" for number in range(100)]
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    specials = ["<pad>", "</s>", "<unk>", *(sentinels if first_special else [])]
    trainer = trainers.UnigramTrainer(
        vocab_size=160 + len(specials), special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    raw.train_from_iterator(TEXTS * 5, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    if not first_special:
        made.add_tokens(sentinels[::-1], special_tokens=True)
    return made


@cache
def tokenizer_of(family):
    from transformers import ByT5Tokenizer

    return ByT5Tokenizer() if family == "byt5" else unigram(first_special=family == "mt5")


@pytest.mark.parametrize(("family", "step"), [("t5", -1), ("mt5", 1), ("byt5", 1)])
def test_sentinels_are_found_by_their_text_whatever_their_ids(family, step):
    tokenizer = tokenizer_of(family)
    found = Sentinels.of(tokenizer)
    assert [tokenizer.convert_ids_to_tokens(int(token)) for token in found.ids[:3]] == [
        "<extra_id_0>",
        "<extra_id_1>",
        "<extra_id_2>",
    ]
    assert len(found.ids) == (125 if family == "byt5" else 100)
    assert (np.diff(found.ids) == step).all()
    assert found.eos == tokenizer.eos_token_id


words = st.sampled_from(" ".join(TEXTS).split())


@pytest.mark.parametrize("family", ["t5", "mt5", "byt5"])
@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(words, min_size=0, max_size=60).map(" ".join),
    density=st.sampled_from([0.05, 0.15, 0.5, 0.9]),
    mean_span=st.sampled_from([1.0, 3.0, 8.0]),
    seed=st.integers(0, 2**31),
    index=st.integers(0, 2**40),
)
def test_inputs_and_targets_give_the_text_back(family, text, density, mean_span, seed, index):
    tokenizer = tokenizer_of(family)
    sentinels = Sentinels.of(tokenizer)
    ids = np.array(tokenizer(text, add_special_tokens=False)["input_ids"], np.int64)[:200]
    mask = noise_mask(len(ids), SpanCorruption(density=density, mean_span=mean_span), seed=seed, index=index)
    inputs, targets = corrupt(ids, mask, sentinels)
    assert (inputs[-1], targets[-1]) == (tokenizer.eos_token_id, tokenizer.eos_token_id)
    assert restore(inputs, targets, sentinels).tolist() == ids.tolist()
    used = [token for token in targets.tolist() if token in set(sentinels.ids.tolist())]
    assert used == sentinels.ids[: len(used)].tolist()
    assert tokenizer.pad_token_id not in targets


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 100), st.booleans()), max_size=40))
@example([])
@example([(7, True)])
def test_any_mask_has_an_inverse(tokens):
    ids, mask = (
        (np.array(column, kind) for column, kind in zip(zip(*tokens, strict=True), (int, bool), strict=True))
        if tokens
        else (np.zeros(0, int), np.zeros(0, bool))
    )
    inputs, targets = corrupt(ids, mask, MADE)
    assert restore(inputs, targets, MADE).tolist() == ids.tolist()
    spans = len(lengths_of_spans(mask))
    assert (len(inputs), len(targets)) == ((~mask).sum() + spans + 1, mask.sum() + spans + 1)


def test_it_is_the_example_of_the_paper():
    words = "Thank you for inviting me to your party last week .".split()
    ids, mask = np.arange(2, 2 + len(words)), np.isin(words, ["for", "inviting", "last"])
    inputs, targets = corrupt(ids, mask, MADE)

    def told(tokens):
        shown = {MADE.eos: "</s>"} | {int(token): f"<{place}>" for place, token in enumerate(MADE.ids)}
        return " ".join(shown.get(token) or words[token - 2] for token in tokens.tolist())

    assert told(inputs) == "Thank you <0> me to your party <1> week . </s>"
    assert told(targets) == "<0> for inviting <1> last </s>"


def test_lengths_are_those_of_t5():
    assert (T5.raw_length(512), T5.lengths(568)) == (568, (512, 114))  # random_spans_helper of T5's code
    assert all(T5.lengths(T5.raw_length(length))[0] == length for length in range(3, 2100))


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(0, 300),
    density=st.floats(0.01, 0.99),
    mean_span=st.floats(1, 20),
    seed=st.integers(0, 2**31),
)
def test_number_of_tokens_and_spans_follow_from_the_length(length, density, mean_span, seed):
    spans = SpanCorruption(density=density, mean_span=mean_span)
    mask = noise_mask(length, spans, seed=seed, index=3)
    assert (mask.sum(), len(lengths_of_spans(mask))) == spans.hidden(length)
    if length < 2:
        assert not mask.any()
        return
    assert mask.any()
    assert not mask[0]
    assert mask[-1]
    inputs, targets = corrupt(np.arange(200, 200 + length), mask, Sentinels(ids=np.arange(10**3, 2 * 10**3), eos=1))
    assert (len(inputs), len(targets)) == spans.lengths(length)


def test_over_many_sequences_a_share_of_15_percent_is_hidden_in_spans_of_3():
    masks = noise_masks(568, T5, seed=1, indices=range(2000))
    assert masks.mean() == pytest.approx(0.15, abs=1e-3)
    assert np.concatenate([lengths_of_spans(mask) for mask in masks]).mean() == pytest.approx(3, abs=0.05)
    everywhere = masks[:, 20:-20].mean(axis=0)
    assert everywhere.min() > 0.11
    assert everywhere.max() < 0.19


def test_all_ways_to_divide_are_equally_likely():
    spans = SpanCorruption(density=0.5, mean_span=2.0)  # 8 tokens: 4 of text in 2 parts, 4 hidden in 2 spans
    masks = noise_masks(8, spans, seed=5, indices=range(9000))
    found = Counter(mask.tobytes() for mask in masks)
    assert len(found) == 9
    assert chisquare(list(found.values())).pvalue > 1e-4


def test_each_sequence_and_each_seed_has_draws_of_its_own_in_any_company():
    together = noise_masks(100, T5, seed=0, indices=[3, 4, 5])
    assert (together[1] == noise_mask(100, T5, seed=0, index=4)).all()
    assert len({mask.tobytes() for mask in [*together, noise_mask(100, T5, seed=1, index=4)]}) == 4


class Given:
    """Rows of 141 tokens, of which some have no label."""

    def __init__(self, ignored=()):
        self.ignored = list(ignored)

    def __len__(self):
        return 40

    def __getitems__(self, indices):
        rows = [np.arange(200 + index, 341 + index) for index in indices]
        return [{"input_ids": row, "labels": np.where(np.isin(row, self.ignored), IGNORED, row)} for row in rows]


def test_items_are_of_one_length_and_all_of_their_labels_are_scored():
    import torch

    assert T5.lengths(T5.raw_length(128)) == (128, 29)
    for index, item in enumerate(SpanSequences(Given(), T5, MADE, start=0, seed=2).__getitems__(range(40))):
        assert [values.shape for values in item.values()] == [(128,), (29,), (29,)]
        assert (item["labels"] >= 0).all()
        assert item["decoder_input_ids"].tolist() == [0, *item["labels"][:-1]]
        assert restore(item["input_ids"], item["labels"], MADE).tolist() == list(range(200 + index, 341 + index))
        assert all(torch.from_numpy(values).is_contiguous() for values in item.values())


def test_a_hidden_token_without_a_label_is_read_but_not_scored():
    item = SpanSequences(Given(ignored=range(200, 500, 2)), T5, MADE, start=0, seed=2)[7]
    full = SpanSequences(Given(), T5, MADE, start=0, seed=2)[7]
    even = (full["labels"] >= 200) & (full["labels"] % 2 == 0)
    assert even.any()
    assert item["labels"].tolist() == np.where(even, IGNORED, full["labels"]).tolist()
    assert item["decoder_input_ids"].tolist() == full["decoder_input_ids"].tolist()
    assert item["input_ids"].tolist() == full["input_ids"].tolist()


def test_any_number_of_loader_workers_sees_the_same_sequences():
    from torch.utils.data import DataLoader

    data = SpanSequences(Given(), T5, MADE, start=0, seed=4)
    alone = [data[index] for index in range(len(data))]
    for workers in (0, 2):
        loaded = [item for batch in DataLoader(data, 7, num_workers=workers, collate_fn=list) for item in batch]
        for one, two in zip(alone, loaded, strict=True):
            assert all((one[name] == two[name]).all() for name in one)


def test_more_spans_than_sentinels_are_an_error_with_a_cure():
    few = Sentinels(ids=MADE.ids[:2], eos=1)
    with pytest.raises(
        LingraftError, match=r"7 spans are hidden[\s\S]*has 2 sentinels[\s\S]*a longer spans\.mean_span"
    ):
        corrupt(np.arange(200, 340), noise_mask(140, T5, seed=0, index=0), few)


def test_inputs_and_targets_of_two_texts_do_not_belong_together():
    ids, mask = np.arange(200, 220), np.arange(20) % 10 == 9
    inputs, targets = corrupt(ids, mask, MADE)
    with pytest.raises(LingraftError, match="2 sentinels and targets with 1 do not belong together"):
        restore(inputs, targets[:2], MADE)


def test_a_tokenizer_without_sentinels_or_end_is_refused():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    def made(*words, **parts):
        raw = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, words[0]))
        return PreTrainedTokenizerFast(tokenizer_object=raw, name_or_path="made", **parts)

    with pytest.raises(LingraftError, match=r"made has no <extra_id_0>[\s\S]*leave out spans"):
        Sentinels.of(made("a", "</s>", "<extra_id_1>", eos_token="</s>"))
    with pytest.raises(LingraftError, match="made has no end token"):
        Sentinels.of(made("a", "<extra_id_0>"))


@pytest.mark.parametrize("values", [{"density": 0}, {"density": 1}, {"mean_span": 0.5}, {"mean_span": float("inf")}])
def test_settings_that_hide_nothing_or_all_are_refused(values):
    with pytest.raises(LingraftError, match=r"greater than|less than|finite"):
        load(SpanCorruption, values)
