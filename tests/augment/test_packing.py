"""The fast paths against a slow, obvious reference: one article, one mention, one token at a time."""

import json
import pickle
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.augment.operators import IGNORED, Insertion, TagIds, draw, graft, labels_of, lengths_after, mixed, uniform
from lingraft.augment.packing import Mixed, PackedSequences
from lingraft.augment.ragged import offsets_of
from lingraft.augment.store import Shard, write_shard
from lingraft.errors import LingraftError

EOS, TAGS = 99, TagIds(1000, 1001)

name_ids = st.lists(st.integers(200, 220), min_size=1, max_size=3)
names_of_a_mention = st.tuples(st.none() | name_ids, st.none() | name_ids)  # one a language


@st.composite
def articles(draw):
    """(id, ids, mentions), a mention being (start, end, names by language)."""
    ids = draw(st.lists(st.integers(100, 120), min_size=1, max_size=12))
    cuts = [at for at in range(len(ids) + 1) if draw(st.booleans())]
    spans = list(zip(cuts[::2], cuts[1::2], strict=False)) + list(zip(cuts[1::2], cuts[2::2], strict=False))
    mentions = []
    for start, end in sorted(spans):
        names = [(language, ids) for language, ids in enumerate(draw(names_of_a_mention)) if ids]
        if names:
            mentions.append((start, end, names))
    return draw(st.integers(-(2**40), 2**40)), ids, mentions


shards = st.lists(articles(), max_size=6, unique_by=lambda article: article[0])
insertions = st.builds(
    Insertion,
    operation=st.sampled_from(["left", "right", "replace", "none"]),
    probability=st.sampled_from([0.3, 0.5, 1.0]),
    score_names=st.booleans(),
    tags=st.booleans(),
)


def flat(items, kind=np.int32):
    return np.array([value for item in items for value in item], kind)


def shard_of(rows) -> Shard:
    mentions = [mention for _, _, held in rows for mention in held]
    entries = [entry for _, _, names in mentions for entry in names]
    return Shard(
        article=np.array([row[0] for row in rows], np.int64),
        bytes=np.ones(len(rows), np.int32),
        ids=flat(row[1] for row in rows),
        id_offsets=offsets_of([len(row[1]) for row in rows]),
        starts=np.array([mention[0] for mention in mentions], np.int32),
        ends=np.array([mention[1] for mention in mentions], np.int32),
        mention_offsets=offsets_of([len(row[2]) for row in rows]),
        name_offsets=offsets_of([sum(len(names) for _, _, names in row[2]) for row in rows]),
        name_mention=flat([at] * len(names) for row in rows for at, (_, _, names) in enumerate(row[2])),
        name_lang=np.array([language for language, _ in entries], np.int16),
        name_ids=flat(ids for _, ids in entries),
        name_id_offsets=offsets_of([len(ids) for _, ids in entries]),
    )


def slow_article(row, insertion, seed, epoch):
    """Return [(token, label)] of one article with its names and its end."""
    article, ids, mentions = row
    out, at = [], 0
    for ordinal, (start, end, names) in enumerate(mentions):
        out += [(token, token) for token in ids[at:start]]
        text, at = [(token, token) for token in ids[start:end]], end
        chosen = uniform(seed, epoch, article, ordinal, 0)[0] < insertion.probability
        if insertion.operation == "none" or not chosen:
            out += text
            continue
        pick = int(uniform(seed, epoch, article, ordinal, 1)[0] * len(names))
        name = [(token, token if insertion.score_names else IGNORED) for token in names[pick][1]]
        if insertion.tags:
            name = [(TAGS.open, IGNORED), *name, (TAGS.close, IGNORED)]
        out += {"right": text + name, "left": name + text, "replace": name}[insertion.operation]
    return [*out, *((token, token) for token in ids[at:]), (EOS, EOS)]


def slow_stream(parts, insertion, seed):
    for epoch in range(1000):
        for part in sorted(range(len(parts)), key=lambda index: mixed(seed, epoch, index, 2)[0]):
            for row in sorted(parts[part], key=lambda row: mixed(seed, epoch, row[0], 3)[0]):
                yield from slow_article(row, insertion, seed, epoch)


def corpus_of(path, parts):
    for index, rows in enumerate(parts):
        write_shard(path / "encoded" / f"part-{index:05d}.arrow", shard_of(rows), ["en", "de"])
    (path / "manifest.json").write_text(json.dumps({"stage": "augment", "languages": ["en", "de"]}))
    return path


def packed(path, insertion, length=8, num_sequences=40, **more):
    return PackedSequences(path, insertion, length, num_sequences, eos_id=EOS, tag_ids=TAGS, **{"seed": 3} | more)


@given(rows=shards, insertion=insertions, seed=st.integers(0, 2**40), epoch=st.integers(0, 50), data=st.data())
@settings(max_examples=80, deadline=None)
def test_insertion_equals_the_slow_reference(rows, insertion, seed, epoch, data):
    shard = shard_of(rows)
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)
    drawn = draw(shard, order, insertion, seed, epoch)
    ids, kinds = graft(shard, order, drawn, insertion, EOS, TAGS)
    expected = [slow_article(rows[index], insertion, seed, epoch) for index in order]
    assert lengths_after(shard, order, drawn, insertion).tolist() == [len(pairs) for pairs in expected]
    labels = labels_of(ids, kinds, insertion)
    assert list(zip(ids.tolist(), labels.tolist(), strict=True)) == [pair for pairs in expected for pair in pairs]


@given(parts=st.lists(shards, min_size=1, max_size=4), insertion=insertions, length=st.integers(1, 40), data=st.data())
@settings(max_examples=60, deadline=None)
def test_sequences_in_any_order_cut_the_slow_stream(parts, insertion, length, data, tmp_path_factory):
    if not any(parts):
        parts[0] = [(1, [100, 101], [])]
    sequences = packed(corpus_of(tmp_path_factory.mktemp("corpus"), parts), insertion, length, 12)
    expected = list(islice(slow_stream(parts, insertion, 3), 12 * length))
    for index in data.draw(st.permutations(range(12))):
        found = sequences[index]
        pairs = list(zip(found["input_ids"].tolist(), found["labels"].tolist(), strict=True))
        assert pairs == expected[index * length : (index + 1) * length]


ROWS = [[(n, [100 + n] * (3 + n), [(1, 2, [(0, [200 + n])])]) for n in range(1, 9)], [(50, [150] * 5, [])], []]


def test_an_epoch_holds_every_article_once_and_the_next_in_another_order(tmp_path):
    sequences = packed(corpus_of(tmp_path, ROWS), Insertion(operation="none"), 1, 10_000)
    size = sum(len(ids) + 1 for part in ROWS for _, ids, _ in part)
    epochs = [[int(sequences[k]["input_ids"][0]) for k in range(e * size, (e + 1) * size)] for e in range(3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]
    assert sequences.epochs(size) == 1.0
    assert sequences.epochs(3 * size // 2) == pytest.approx(1.5, abs=0.02)


def test_names_are_drawn_anew_each_epoch_at_the_rate_asked_for(tmp_path):
    rows = [(n, [100] * 6, [(1, 2, [(0, [201]), (1, [202])]), (3, 4, [(0, [203])])]) for n in range(2000)]
    shard = shard_of(rows)
    everything = np.arange(len(rows))
    drawn = [set(draw(shard, everything, Insertion(probability=0.3), 0, epoch).mention.tolist()) for epoch in (0, 1)]
    assert [len(found) / 4000 for found in drawn] == [pytest.approx(0.3, abs=0.03)] * 2
    assert len(drawn[0] & drawn[1]) / 4000 == pytest.approx(0.09, abs=0.02)
    ids, _ = graft(shard, everything, draw(shard, everything, Insertion(), 0, 0), Insertion(), EOS, TAGS)
    assert (ids == 201).sum() / (ids == 202).sum() == pytest.approx(1, abs=0.2)
    always = draw(shard, everything, Insertion(probability=1), 0, 0)
    assert len(always.mention) == 4000
    assert len(draw(shard, everything, Insertion(probability=0), 0, 0).mention) == 0


def test_draws_do_not_depend_on_the_batch():
    rows = ROWS[0]
    shard = shard_of(rows)
    together = draw(shard, np.arange(len(rows)), Insertion(), 5, 2).mention.tolist()
    alone = [mention for row in range(len(rows)) for mention in draw(shard, np.array([row]), Insertion(), 5, 2).mention]
    assert together == alone


def test_pickled_and_in_other_processes_the_sequences_are_the_same(tmp_path):
    from torch.utils.data import DataLoader

    sequences = packed(corpus_of(tmp_path, ROWS), Insertion())
    expected = [sequences[k]["labels"].tolist() for k in range(40)]
    again = pickle.loads(pickle.dumps(sequences))
    assert [again[k]["labels"].tolist() for k in range(40)] == expected
    loaded = [batch["labels"].tolist() for batch in DataLoader(sequences, batch_size=4, num_workers=2)]
    assert [row for batch in loaded for row in batch] == expected


def test_only_two_plans_are_held(tmp_path):
    sequences = packed(corpus_of(tmp_path, ROWS), Insertion(), 64, 1000)
    for index in (0, 500, 999, 3):
        sequences[index]
        assert len(sequences._plans) <= 2


def test_the_end_is_an_index_error(tmp_path):
    sequences = packed(corpus_of(tmp_path, ROWS), Insertion(), num_sequences=3)
    assert len(sequences) == 3
    assert len(list(sequences)) == 3
    for index in (3, -1):
        with pytest.raises(IndexError, match="of 3"):
            sequences[index]


def test_a_corpus_without_tokens_is_refused(tmp_path):
    with pytest.raises(LingraftError, match="holds no tokens"):
        packed(corpus_of(tmp_path, [[], []]), Insertion())


def test_tags_without_ids_are_refused(tmp_path):
    corpus = corpus_of(tmp_path, ROWS)
    with pytest.raises(LingraftError, match=r"tags have no token ids[\s\S]*insertion.tags to false"):
        PackedSequences(corpus, Insertion(), 8, 4, eos_id=EOS)
    PackedSequences(corpus, Insertion(operation="none"), 8, 4, eos_id=EOS)


def test_replace_with_probability_zero_is_refused():
    with pytest.raises(ValueError, match="say operation: none"):
        Insertion(operation="replace", probability=0)


@given(weights=st.lists(st.sampled_from([0, 0.1, 0.25, 1, 2.5]), min_size=1, max_size=4).filter(any))
@settings(max_examples=60, deadline=None)
def test_a_mix_takes_each_source_in_its_own_order_at_its_share(weights):
    mix = Mixed([(None, weight) for weight in weights], 200)
    next_of = [0] * len(weights)
    for index in range(200):
        source, own = mix.place(index)
        assert own == next_of[source]
        next_of[source] += 1
        for count, weight in zip(next_of, weights, strict=True):
            assert abs(count - (index + 1) * weight / sum(weights)) < len(weights)
    assert mix.taken() == next_of


def test_a_mix_gives_the_sequences_of_its_sources(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = packed(corpus_of(tmp_path / "a", ROWS), Insertion())
    two = packed(corpus_of(tmp_path / "b", [[(1, [7] * 50, [])]]), Insertion(operation="none"))
    mix = Mixed([(one, 0.5), (two, 0.5)], 20)
    assert len(mix) == 20
    found = [mix[k]["input_ids"].tolist() for k in range(20)]
    assert found.count(one[0]["input_ids"].tolist()) == 1
    assert sum(set(row) <= {7, EOS} for row in found) == 10
    with pytest.raises(IndexError):
        mix[20]


@pytest.mark.parametrize("weights", [[], [0.0], [1.0, -1.0]])
def test_a_mix_without_weight_is_refused(weights):
    with pytest.raises(LingraftError, match="a mix needs weights"):
        Mixed([(None, weight) for weight in weights], 3)


def test_the_hash_spreads():
    draws = uniform(1, 2, np.arange(100_000), 0)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, 20, (0, 1))
    assert counts.std() < 200  # 5,000 expected in each; binomial sd 69
    assert len(set(mixed(1, 2, np.arange(100_000)).tolist())) == 100_000
    assert uniform(1, 2, 3, 4)[0] != uniform(1, 2, 4, 3)[0]


def test_shard_helper_is_sorted_by_mention():
    shard = shard_of(ROWS[0])
    assert replace(shard).name_mention.tolist() == [0] * 8
