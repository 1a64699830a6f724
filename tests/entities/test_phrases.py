"""The search for phrases, against a search that tries every part of the text."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.entities import phrases
from lingraft.entities.phrases import Found, PhraseIndex, write_index

ALPHABET = "aβé1 .-東カกี한\u0301"
TEXTS = st.lists(st.text(alphabet=ALPHABET + "\n\ud800\U00020000", max_size=40), max_size=4)
PHRASES = st.lists(st.text(alphabet=ALPHABET, min_size=1, max_size=5), unique=True, max_size=12)


def search(folder: Path, held: list[str], texts: list[str]) -> list[tuple[int, int, str]]:
    """Return (text, start, phrase) of all matches, in the order in which they are found."""
    write_index(folder / "index.arrow", held)
    found = Found.joined(list(PhraseIndex.open(folder / "index.arrow").find(texts)))
    rows = list(zip(found.text.tolist(), found.start.tolist(), found.end.tolist(), found.phrase.tolist(), strict=True))
    assert all(texts[text][start:end] == held[phrase] for text, start, end, phrase in rows)
    return [(text, start, held[phrase]) for text, start, _, phrase in rows]


def is_letter(character: str) -> bool:
    name = unicodedata.name(character, "")
    unspaced = ("CJK", "KATAKANA", "THAI", "HANGUL")
    return (character.isalnum() or is_mark(character)) and not name.startswith(unspaced)


def is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def is_border(text: str, place: int) -> bool:
    if place == len(text):
        return True
    inside_word = place > 0 and is_letter(text[place - 1]) and is_letter(text[place])
    return not inside_word and not is_mark(text[place])


def by_trying(held: list[str], texts: list[str]) -> list[tuple[int, int, str]]:
    return [
        (number, start, text[start:end])
        for number, text in enumerate(texts)
        for start in range(len(text))
        for end in range(len(text), start, -1)
        if text[start:end] in held and is_border(text, start) and is_border(text, end)
        if not text[start].isspace() and not text[end - 1].isspace()
    ]


@settings(deadline=None)
@given(held=PHRASES, texts=TEXTS)
def test_finds_what_trying_every_part_finds(tmp_path_factory, held, texts):
    folder = tmp_path_factory.mktemp("phrases")
    assert search(folder, held, texts) == by_trying(held, texts)


@settings(deadline=None)
@given(held=PHRASES, text=st.text(alphabet=ALPHABET, max_size=60))
def test_a_long_text_is_read_in_pieces(tmp_path_factory, held, text):
    folder = tmp_path_factory.mktemp("phrases")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases, "BATCH_CHARACTERS", 7)
        patch.setattr(phrases, "MAX_PHRASE", 5)
        assert search(folder, held, [text, text]) == by_trying(held, [text, text])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the cat concatenates", ["cat"]),
        ("cat, cat's; (cat)", ["cat", "cat", "cat"]),
        ("New York City", ["New York City", "New York", "York"]),
        ("New\nYork", ["York"]),
        ("東京都は", ["東京"]),  # every character may end a phrase
        ("서울은", ["서울"]),  # a particle is joined to the word
        ("C++ and C", ["C++"]),
        ("", []),
    ],
)
def test_borders_go_by_script(tmp_path, text, found):
    held = ["cat", "New York", "New York City", "York", "東京", "서울", "C++"]
    assert [phrase for _, _, phrase in search(tmp_path, held, [text])] == found


def test_no_phrases_find_nothing(tmp_path):
    assert search(tmp_path, [], ["any text"]) == []


@pytest.mark.parametrize("phrase", ["", "two\nlines", "x" * 256])
def test_a_phrase_that_cannot_be_found_is_refused(tmp_path, phrase):
    with pytest.raises(ValueError, match="phrase 1"):
        write_index(tmp_path / "index.arrow", ["fine", phrase])
