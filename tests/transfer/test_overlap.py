"""Overlap of two texts, held to formulas worked out by hand and, for any text, to sets and counters."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from lingraft.transfer.overlap import MEASURES, count, cut, overlaps, word_units


def lines(*texts):
    return [SimpleNamespace(key=f"test/{number}", text=text) for number, text in enumerate(texts)]


def counted(units, *texts, language="xxx"):
    return count(lines(*texts), units, seed=0, language=language)


def compared(donor, recipient):
    units = word_units()
    found = overlaps([counted(units, *donor)], [counted(units, *recipient)])
    return {name: values.item() for name, values in found.items()}


def test_a_pair_worked_out_by_hand():
    # donor: a a b c; recipient: a b b b d d. Shared types: a, b.
    found = compared(["a a", "b c"], ["a b b b", "d d"])
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["jaccard"] == pytest.approx(2 / 4)
    assert found["langrank"] == pytest.approx(2 / 6)
    assert found["coverage"] == pytest.approx(4 / 6)
    a = 1 / 2 * math.log2((1 / 2) / (1 / 3)) + 1 / 6 * math.log2((1 / 6) / (1 / 3))
    b = 1 / 4 * math.log2((1 / 4) / (3 / 8)) + 1 / 2 * math.log2((1 / 2) / (3 / 8))
    assert found["jsd"] == pytest.approx((a + b + 1 / 4 + 1 / 3) / 2)


def test_the_same_text_and_nothing_in_common():
    same = {"recall": 1, "jaccard": 1, "langrank": 0.5, "coverage": 1, "jsd": 0}
    assert compared(["a b b"], ["b a b"]) == pytest.approx(same)
    assert compared(["a b"], ["c d"]) == {"recall": 0, "jaccard": 0, "langrank": 0, "coverage": 0, "jsd": 1}


def test_recall_is_the_recipients_and_not_symmetric():
    assert compared(["a b c d"], ["a b"])["recall"] == 1
    assert compared(["a b"], ["a b c d"])["recall"] == 0.5


def test_an_empty_text_has_no_overlap_rather_than_none():
    assert all(math.isnan(value) for value in compared([], ["a"]).values())
    assert all(math.isnan(value) for value in compared(["a"], []).values())


words = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=30).map(" ".join)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.lists(words, min_size=1, max_size=4))
def test_any_pair_agrees_with_sets_and_counters(donors, recipients):
    units = word_units()
    found = overlaps(*([counted(units, text) for text in side] for side in (donors, recipients)))
    for row, donor in enumerate(donors):
        for column, recipient in enumerate(recipients):
            a, b = Counter(donor.split()), Counter(recipient.split())
            shares = [[counts[word] / counts.total() for word in a | b] for counts in (a, b)]
            expected = {
                "recall": len(a & b) / len(b),
                "jaccard": len(a & b) / len(a | b),
                "langrank": len(a & b) / (len(a) + len(b)),
                "coverage": sum(b[word] for word in a & b) / b.total(),
                "jsd": jensenshannon(*shares, base=2) ** 2,
            }
            got = {name: found[name][row, column] for name in MEASURES}
            assert got == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("K'iche' tzij, JAWI'", ["k'iche", "tzij", "jawi"]),
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs belong to the word
        ("e\u0301te\u0301 \u00e9t\u00e9", ["été", "été"]),  # both spellings of a letter are one
        ("東京都 ab", ["東", "京", "都", "ab"]),
        ("ที่นี่", ["ที่", "นี่"]),  # a mark stays with its letter
        ("42 a-b_c", ["42", "a", "b", "c"]),
        ("… !", []),
    ],
)
def test_words(text, found):
    units = word_units()
    assert units([text])[0] == [units([word])[0][0] for word in found]


def test_a_cut_has_the_size_asked_for_and_takes_whole_lines_but_the_last():
    units = word_units()
    text = lines(*(" ".join(f"w{line}" for _ in range(7)) for line in range(20)))
    whole = count(text, units, seed=0, language="xxx")
    part = cut(text, whole, units, 24)
    assert part.total == 24
    assert sorted(part.times.tolist()) == [3, 7, 7, 7]
    assert cut(text, whole, units, whole.total).times.tolist() == whole.times.tolist()


def test_a_cut_is_decided_by_seed_language_and_key_not_by_the_order_of_lines():
    units = word_units()
    text = lines(*(f"w{line} x{line} y{line}" for line in range(50)))

    def drawn(text, seed=0, language="xxx"):
        return set(cut(text, count(text, units, seed=seed, language=language), units, 30).units.tolist())

    assert drawn(text) == drawn(text[::-1])
    assert drawn(text) != drawn(text, seed=1)
    assert drawn(text) != drawn(text, language="yyy")


def test_only_the_lines_of_a_cut_are_tokenized():
    units = word_units()
    text = lines(*("a b c" for _ in range(100)))
    whole = count(text, units, seed=0, language="xxx")
    seen = []

    def watched(texts):
        seen.extend(texts)
        return units(texts)

    cut(text, whole, watched, 10)
    assert len(seen) == 4


def test_a_cut_removes_what_only_size_gave():
    generator = np.random.default_rng(0)
    vocabulary = [f"w{rank}" for rank in range(3000)]
    weights = 1 / np.arange(1, 3001)

    def text(words):
        drawn = generator.choice(vocabulary, (words // 10, 10), p=weights / weights.sum())
        return lines(*(" ".join(row) for row in drawn))

    units = word_units()
    texts = [text(40_000), text(4_000), text(4_000)]
    counts = [count(held, units, seed=0, language=str(index)) for index, held in enumerate(texts)]
    large, small = overlaps(counts[:2], counts[2:])["recall"][:, 0]
    cuts = [cut(held, whole, units, 4_000) for held, whole in zip(texts[:2], counts[:2], strict=True)]
    large_cut, small_cut = overlaps(cuts, counts[2:])["recall"][:, 0]
    assert large - small > 0.2
    assert abs(large_cut - small_cut) < 0.03
