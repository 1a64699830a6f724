import pytest
from augment_helpers import TEXTS, trained

from lingraft.augment import spans
from lingraft.augment.spans import token_span


def reference(encoding, text, start, end):
    """All tokens that share a character with the stripped anchor, if nothing but white space sticks out before it."""
    start += len(text[start:end]) - len(text[start:end].lstrip())
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    inside = [i for i, (a, b) in enumerate(encoding.offsets) if a < end and b > start and b > a]
    if start >= end or not inside:
        return None
    before, after = encoding.offsets[inside[0]][0], encoding.offsets[inside[-1]][1]
    return None if after > end or text[before:start].strip() else (inside[0], inside[-1] + 1)


@pytest.mark.parametrize("limit", [10**9, 0], ids=["scan", "search"])
@pytest.mark.parametrize("text", TEXTS)
def test_spans_equal_the_reference_on_every_pair_of_characters(tokenizer, text, limit, monkeypatch):
    monkeypatch.setattr(spans, "SCAN_LIMIT", limit)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    found = 0
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            span = token_span(encoding, text, start, end)
            assert span == reference(encoding, text, start, end), text[start:end]
            found += span is not None
    assert found > 0


def test_a_hint_before_the_anchor_changes_nothing(monkeypatch):
    monkeypatch.setattr(spans, "SCAN_LIMIT", 0)
    text = "Athens is old; " * 300 + "Rome"
    encoding = trained("bytes").encode(text)
    spot = text.index("Rome")
    expected = token_span(encoding, text, spot, len(text))
    assert expected is not None
    assert {token_span(encoding, text, spot, len(text), hint) for hint in range(0, expected[0] + 1, 50)} == {expected}


@pytest.mark.parametrize(
    ("kind", "text", "words", "tokens"),
    [
        ("bytes", "in Athens.", "Athens", ["ĠAthens"]),  # the space belongs to the token
        ("bytes-trim", "in Athens.", "Athens", ["ĠAthens"]),
        ("bytes-prefix", "Athens is", "Athens", ["ĠAthens"]),
        ("prepend-bpe", "in Athens is", "Athens", ["▁Athens"]),
        ("bytes", "in  Athens is", " Athens ", ["ĠAthens"]),  # white space of the anchor itself is left out
        ("metaspace-unigram", "a ﬁne day", "ﬁne", ["▁", "f", "in", "e"]),  # NFKC makes two characters of one
        ("wordpiece", "Cafe\u0301 is", "Cafe\u0301", ["cafe"]),  # the accent is deleted, and belongs to the anchor
        ("bytes", "x 👧 Rome", "👧", ["Ġ", "ðŁĳ", "§"]),  # one character, several tokens
        ("bytes", "older", "lde", None),
        ("words", "Athens", "then", None),
        ("wordpiece", "a \u0301 b", "\u0301", None),  # nothing is left of it
    ],
)
def test_anchor_to_tokens(kind, text, words, tokens):
    encoding = trained(kind).encode(text, add_special_tokens=False)
    start = text.index(words)
    span = token_span(encoding, text, start, start + len(words))
    if tokens is None:
        assert span is None
    else:
        assert encoding.tokens[slice(*span)] == tokens or encoding.tokens[slice(*span)] == tokens[1:]
