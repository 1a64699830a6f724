"""Scoring with fixed masks: the same questions for every checkpoint, exact bytes, sums that batching cannot move."""

import copy
import math
from typing import NamedTuple

import numpy as np
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.augment.operators import IGNORED
from lingraft.augment.span_corruption import Sentinels, restore
from lingraft.errors import LingraftError
from lingraft.evaluate.bits import nats
from lingraft.evaluate.model import LoadedModel
from lingraft.transfer import scoring
from lingraft.transfer.scoring import Objective, Row, ScoringSet, _batches, load_scorer, score, scoring_set
from lingraft.transfer.scoring_sets import MIN_TOKENS
from lingraft.transfer.token_bytes import TokenBytes, owned_bytes

KINDS = ("spans", "masked", "causal")


class Line(NamedTuple):
    key: str
    text: str


LINES = [Line(f"bible/b.MAT.1.{number}", text) for number, text in enumerate(tiny_models.LINES, start=1)]


@pytest.fixture(scope="module")
def tokenizers():
    unigram, of_bytes = tiny_models.unigram_tokenizer(), tiny_models.byte_tokenizer()
    return {"spans": unigram, "masked": of_bytes, "causal": of_bytes}


@pytest.fixture(scope="module")
def models(tokenizers):
    makers = {"spans": tiny_models.t5, "masked": tiny_models.roberta, "causal": tiny_models.llama}
    return {kind: make(tokenizers[kind]) for kind, make in makers.items()}


@pytest.fixture(scope="module")
def byt5():
    from transformers import ByT5Tokenizer

    return ByT5Tokenizer()


def questions(kind, tokenizers, lines=LINES, *, language="grc", length=24, seed=3, min_tokens=20):
    of_kind = Objective(kind=kind)
    return scoring_set(language, lines, tokenizers[kind], of_kind, seed=seed, length=length, min_tokens=min_tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_a_plain_computation_one_row_at_a_time_in_float64(kind, tokenizers, models):
    asked = questions(kind, tokenizers)

    found = score(models[kind], [asked], batch_tokens=300)[0]

    slow = {"nats": np.zeros(len(asked.keys)), "nats_all": np.zeros(len(asked.keys))}
    exact = copy.deepcopy(models[kind]).double()
    for row in asked.rows:
        for label, loss, counted in plain_losses(exact, kind, row):
            assert label != IGNORED
            slow["nats_all"][row.line] += loss
            slow["nats"][row.line] += loss * counted
    np.testing.assert_allclose(found.nats, slow["nats"], rtol=1e-5)
    np.testing.assert_allclose(found.nats_all, slow["nats_all"], rtol=1e-5)
    assert found.bits_per_byte == pytest.approx(slow["nats"].sum() / math.log(2) / found.bytes.sum(), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(slow["nats_all"].sum() / found.tokens_all.sum()), rel=1e-4)


def plain_losses(model, kind, row):
    """Yield (label, -ln p, counted) of a row, alone, over the whole vocabulary, in float64."""
    import torch

    inputs, labels = torch.tensor(row.inputs[None].astype(int)), row.labels.tolist()
    with torch.no_grad():
        if kind == "spans":
            told = torch.tensor([[model.config.decoder_start_token_id, *labels[:-1]]])
            logits = model(input_ids=inputs, decoder_input_ids=told).logits[0]
        else:
            logits = model(input_ids=inputs).logits[0]
    if kind == "causal":
        logits, labels = logits[:-1], labels[1:]
    counted = row.counted[-len(labels) :]
    for label, scores, is_text in zip(labels, logits.log_softmax(-1), counted, strict=True):
        if label != IGNORED:
            yield label, -float(scores[label]), is_text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_batches_move_scores_by_rounding_only(kind, batch_tokens, tokenizers, models):
    asked = questions(kind, tokenizers)

    usual, other = (score(models[kind], [asked], batch_tokens=size)[0] for size in (700, batch_tokens))

    np.testing.assert_allclose(other.nats, usual.nats, rtol=2e-6)
    np.testing.assert_allclose(other.nats_all, usual.nats_all, rtol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_never_seen_nor_counted(kind, tokenizers, models, monkeypatch):
    asked = questions(kind, tokenizers)
    one = score(models[kind], [asked])[0]

    monkeypatch.setattr(scoring, "PADDING", 77)

    np.testing.assert_array_equal(score(models[kind], [asked])[0].nats_all, one.nats_all)


@pytest.mark.parametrize("kind", KINDS)
def test_several_languages_in_one_pass_are_what_they_are_alone(kind, tokenizers, models):
    sets = [questions(kind, tokenizers, part, language=name) for name, part in (("a", LINES[::2]), ("b", LINES[1::2]))]

    together = score(models[kind], sets)

    for asked, found in zip(sets, together, strict=True):
        alone = score(models[kind], [asked])[0]
        assert (found.language, found.keys) == (asked.language, asked.keys)
        np.testing.assert_allclose(found.nats, alone.nats, rtol=2e-6)
        np.testing.assert_array_equal(found.bytes, alone.bytes)


def test_causal_scores_are_those_of_bits(tokenizers, models):
    asked = questions("causal", tokenizers, length=16)
    model = LoadedModel("llama", models["causal"], tokenizers["causal"])

    expected = nats(model, [line.text for line in LINES], window=16, batch_size=4)

    found = score(models["causal"], [asked])[0]
    np.testing.assert_allclose(found.nats, [loss for loss, _ in expected], rtol=1e-5)
    np.testing.assert_array_equal(found.tokens, [number for _, number in expected])
    np.testing.assert_array_equal(found.bytes, [len(line.text.encode()) for line in LINES])


def test_what_is_hidden_of_a_line_follows_from_the_seed_and_its_key_alone(tokenizers):
    for kind in ("spans", "masked"):
        whole, part = (questions(kind, tokenizers, lines) for lines in (LINES, LINES[::-1][5:30]))
        rows = [{one.keys[row.line]: row.inputs.tolist() for row in one.rows} for one in (whole, part)]
        assert rows[1] == {key: rows[0][key] for key in rows[1]}
        assert questions(kind, tokenizers).digest == whole.digest
        assert questions(kind, tokenizers, seed=4).digest != whole.digest
        other_keys = [Line(f"udhr/{line.key}", line.text) for line in LINES]
        hidden = [
            [row.inputs.tolist() for row in questions(kind, tokenizers, lines).rows] for lines in (LINES, other_keys)
        ]
        assert hidden[0] != hidden[1]


def test_spans_are_restored_to_the_lines_and_every_place_is_hidden_alike(tokenizers):
    tokenizer = tokenizers["spans"]
    text = "the river runs from mountain to sea"
    asked = questions("spans", tokenizers, [Line(str(number), text) for number in range(500)], length=64)
    sentinels = Sentinels.of(tokenizer)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    hidden = np.zeros(len(ids))
    for row in asked.rows:
        assert restore(row.inputs, row.labels, sentinels).tolist() == ids
        assert (row.counted == ~np.isin(row.labels, [*sentinels.ids, sentinels.eos])).all()
        gone = np.flatnonzero(~np.isin(row.inputs, [*sentinels.ids, sentinels.eos]))
        hidden += 1
        hidden[_kept_places(row, sentinels)] -= 1
        assert len(gone) + row.counted.sum() == len(ids)
    share = hidden / len(asked.rows)
    assert np.abs(share - share.mean()).max() < 4 * math.sqrt(share.mean() / len(asked.rows))


def _kept_places(row, sentinels):
    """Return which places of the line are left in the inputs."""
    lengths = np.diff([*np.flatnonzero(np.isin(row.labels, sentinels.ids)), len(row.labels) - 1]) - 1
    places, at, spans = [], 0, iter(lengths)
    for token in row.inputs[:-1]:
        if token in sentinels.ids:
            at += next(spans)
        else:
            places.append(at)
            at += 1
    return places


def test_masked_rows_are_framed_and_hide_their_share(tokenizers):
    tokenizer = tokenizers["masked"]
    asked = questions("masked", tokenizers, length=40)
    for row in asked.rows:
        assert (row.inputs[0], row.inputs[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        hidden = row.labels != IGNORED
        assert (row.inputs[hidden] == tokenizer.mask_token_id).all()
        assert hidden.sum() == max(1, round(0.15 * (len(row.inputs) - 2)))
        restored = np.where(hidden, row.labels, row.inputs)[1:-1]
        assert tokenizer.decode(restored) in asked_text(asked, row)


def asked_text(asked, row):
    return next(line.text for line in LINES if line.key == asked.keys[row.line])


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_line_is_cut_into_windows_and_not_lost(kind, tokenizers):
    long = Line("long", " ".join(tiny_models.WORDS * 20))
    asked = questions(kind, tokenizers, [*LINES[:6], long], length=50)
    windows = [row for row in asked.rows if asked.keys[row.line] == "long"]

    assert asked.counters["cut_lines"] == 1
    assert len(windows) > 1
    if kind == "causal":
        assert sum(row.bytes for row in windows) == len(long.text.encode())
    else:
        assert max(len(row.inputs) for row in windows) <= 52
        assert len({row.inputs.tobytes() for row in windows}) == len(windows)


def test_what_cannot_be_asked_is_counted(tokenizers):
    more = [Line("a", ""), Line("b", "  "), Line("c", "a </s> b"), Line("d", "x <extra_id_3>"), Line("e", "中")]
    counters = questions("spans", tokenizers, [*LINES, *more]).counters
    assert counters["empty"] == 2
    assert counters["special_token"] == 2
    assert counters["lines"] == len(LINES) + 5 - 4 - counters["nothing_hidden"]
    assert (
        counters["unknown_tokens"]
        == 0
        < questions("spans", tokenizers, [*LINES, Line("f", "ꙮ ꙮ")]).counters["unknown_tokens"]
    )


def test_too_little_text_names_the_language(tokenizers):
    with pytest.raises(LingraftError, match=r"quc: only \d+ tokens to predict, in 3 lines(.|\n)*out of the recipients"):
        questions("spans", tokenizers, LINES[:3], language="quc", min_tokens=MIN_TOKENS)
    with pytest.raises(LingraftError, match="quc: only 0 tokens to predict, in 0 lines"):
        questions("causal", tokenizers, [], language="quc")


def test_a_set_is_the_same_after_the_disk_and_damage_is_noticed(tokenizers, tmp_path):
    asked = questions("spans", tokenizers)
    path = tmp_path / "quc.parquet"
    asked.save(path)

    again = ScoringSet.load(path)

    assert again.digest == asked.digest
    assert (again.keys, again.counters, again.objective) == (asked.keys, asked.counters, asked.objective)
    path.write_bytes(path.read_bytes()[:-9])
    for broken in (path, tmp_path / "none.parquet"):
        with pytest.raises(LingraftError, match="is no scoring set, or damaged"):
            ScoringSet.load(broken)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_loaded_as_what_it_is(kind, tokenizers, models, tmp_path):
    models[kind].save_pretrained(tmp_path / kind)
    tokenizers[kind].save_pretrained(tmp_path / kind)
    asked = questions(kind, tokenizers)

    model, tokenizer = load_scorer(tmp_path / kind, Objective(kind=kind), device="cpu")

    np.testing.assert_array_equal(score(model, [asked])[0].nats, score(models[kind], [asked])[0].nats)
    assert questions(kind, {kind: tokenizer}).digest == asked.digest
    for other in set(KINDS) - {kind}:
        with pytest.raises(LingraftError, match=kind if kind != "spans" else "encoder"):
            load_scorer(tmp_path / kind, Objective(kind=other), device="cpu")


def test_unusable_models_are_named_with_the_language(tokenizers, models):
    import torch

    asked = questions("spans", tokenizers, language="quc")
    broken = copy.deepcopy(models["spans"])
    with torch.no_grad():
        broken.shared.weight.fill_(float("nan"))
    broken.name_or_path = "out/donor"
    with pytest.raises(LingraftError, match=r"out/donor gives quc probabilities that are not numbers, first in bible"):
        score(broken, [asked])
    with pytest.raises(LingraftError, match="scoring set of quc was not made for"):
        score(_smaller(models["spans"]), [asked])
    with pytest.raises(LingraftError, match=r"grc: the longest row has 8\d tokens, but .* reads at most 64"):
        score(models["masked"], [questions("masked", tokenizers, [*LINES, Line("x", "ꙮ" * 27)], length=90)])
    with pytest.raises(LingraftError, match="no <extra_id_0>"):
        questions("spans", {"spans": tokenizers["causal"]})
    with pytest.raises(LingraftError, match="no mask token"):
        questions("masked", {"masked": tokenizers["spans"]})


def _smaller(model):
    smaller = copy.deepcopy(model)
    smaller.resize_token_embeddings(110)
    return smaller


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=80), st.integers(1, 400), st.integers(1, 99)
)
@settings(deadline=None)
def test_batches_hold_every_row_once_and_keep_to_their_budget(sizes, batch_tokens, max_predicted):
    rows = [Row(0, np.zeros(read, int), np.ones(told, int), np.ones(told, bool), 1) for read, told in sizes]
    found = list(_batches(rows, "spans", batch_tokens, max_predicted))
    assert sorted(number for batch in found for number in batch) == list(range(len(rows)))
    for batch in found:
        shapes = [sizes[number] for number in batch]
        padded = len(batch) * sum(max(side) for side in zip(*shapes, strict=True))
        assert len(batch) == 1 or (padded <= batch_tokens and sum(told for _, told in shapes) <= max_predicted)


texts = st.text(st.sampled_from([*"ab  .é中😀🚀ß\u0301\u200dﬁ㎏\u3000\n\u00a0👩"]), max_size=30)


@given(text=texts)
@settings(max_examples=200, deadline=None)
def test_the_bytes_of_all_tokens_are_the_bytes_of_the_line(tokenizers, byt5, text):
    for tokenizer in (tokenizers["spans"], tokenizers["masked"], byt5):
        ids, sizes = TokenBytes(tokenizer).encode([text])[0]
        assert len(ids) == len(sizes)
        assert (sizes >= 0).all()
        assert sizes.sum() == (len(text.encode()) if len(ids) else 0)


def test_bytes_of_tokens_by_example(tokenizers, byt5):
    ids, sizes = TokenBytes(tokenizers["causal"]).encode(["né 😀 x"])[0]
    written = [tokenizers["causal"].backend_tokenizer.id_to_token(token) for token in ids]
    assert [len(token) for token in written] == sizes.tolist()  # a letter a byte
    assert owned_bytes("ab中x ", np.array([2, 3, 3, 3, 4])).tolist() == [2, 1, 1, 1, 2]
    assert owned_bytes("中", np.array([0, 1])).tolist() == [0, 3]
    assert TokenBytes(byt5).encode(["é"])[0][1].tolist() == [1, 1]


def test_a_slow_tokenizer_that_tells_no_bytes_is_refused():
    class Words:
        is_fast, name_or_path, all_special_ids = False, "words", [0]

        def __call__(self, text, **_):
            return {"input_ids": [1] * len(text.split())}

    with pytest.raises(LingraftError, match=r"words \(Words\) is not a fast one"):
        TokenBytes(Words()).encode(["two words"])
