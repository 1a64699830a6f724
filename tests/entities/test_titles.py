"""Titles in MediaWiki's normal form, and the index that follows redirects to entities."""

import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.entities import titles
from lingraft.entities.titles import NO_ENTITY, TitleIndex, capitalise, normalise, write_index
from lingraft.wikimedia.siteinfo import site


@pytest.mark.parametrize(
    ("written", "lang", "normal"),
    [
        ("New_York__City", "en", "New York City"),
        ("  _New   York_ ", "en", "New York"),
        ("new\u00a0york\u2003city", "en", "New york city"),
        ("Ath%C3%A8nes", "en", "Athènes"),
        ("%CE%91%CE%B8%CE%AE%CE%BD%CE%B1", "el", "Αθήνα"),
        ("100% wool", "en", "100% wool"),
        ("50%FFoff", "en", "50%FFoff"),  # not UTF-8: left as it is written
        ("Cafe\u0301", "fr", "Café"),
        ("\u200eAthens\u200f", "en", "Athens"),
        (":Category:Cities", "en", "Category:Cities"),
        ("αθήνα", "el", "Αθήνα"),
        ("άρης", "el", "Άρης"),
        ("istanbul", "tr", "İstanbul"),
        ("istanbul", "en", "Istanbul"),
        ("ılgaz", "tr", "Ilgaz"),
        ("თბილისი", "ka", "თბილისი"),
        ("ßtraße", "de", "ßtraße"),  # its capital would be two letters
        ("ǆez", "hr", "Ǆez"),
        ("東京", "ja", "東京"),
        ("iPod", "en", "IPod"),
        ("", "en", ""),
        (" _ : ", "en", ""),
        ("é" * 127 + "a", "en", "É" + "é" * 126 + "a"),
        ("é" * 128, "en", ""),  # more than 255 bytes
    ],
)
def test_titles_are_normal_as_in_mediawiki(written, lang, normal):
    assert normalise(written, site(lang)) == normal


def test_a_case_sensitive_wiki_keeps_the_first_letter():
    assert not site("jbo").first_letter
    assert normalise("iPod_touch", site("jbo")) == "iPod touch"


@given(st.text(max_size=40), st.sampled_from(["en", "el", "tr", "ka", "jbo"]))
def test_the_normal_form_is_clean_and_stays_normal(text, lang):
    text = text.replace("%", "").replace(":", "")  # what is decoded or cut off once can be so again
    normal = normalise(text, site(lang))
    assert unicodedata.is_normalized("NFC", normal)
    assert "_" not in normal
    assert normal == " ".join(normal.split())
    assert normalise(normal, site(lang)) == normal


def test_only_the_first_letter_is_raised():
    assert capitalise("aBc", "en") == "ABc"
    assert capitalise("1st", "en") == "1st"


def index_of(tmp_path, pages=(), redirects=(), aligned=()) -> tuple[TitleIndex, Counter]:
    tally = Counter()
    write_index(
        tmp_path / "titles.arrow",
        pa.table({"title": pa.array(list(pages), pa.string())}),
        pa.table(
            {
                name: pa.array([pair[at] for pair in redirects], pa.string())
                for at, name in enumerate(("title", "target"))
            }
        ),
        pa.table(
            {
                "title": pa.array([title for title, _ in aligned], pa.string()),
                "entity": pa.array([entity for _, entity in aligned], pa.int64()),
            }
        ),
        tally,
    )
    return TitleIndex.open(tmp_path / "titles.arrow"), tally


def resolved(index: TitleIndex, title: str) -> tuple[str, int] | None:
    """(final title, entity), or None for a title that nobody knows."""
    (row,) = index.find([title])
    return None if row < 0 else (index.title(np.array([row]))[0].as_py(), int(index.entities[row]))


def test_redirects_are_followed_through_chains(tmp_path):
    chain = [(f"R{number}", f"R{number + 1}") for number in range(99)] + [("R99", "Rome")]
    index, tally = index_of(tmp_path, ["Rome"], chain, [("Rome", 220)])
    for start in ("R0", "R57", "R99", "Rome"):
        assert resolved(index, start) == ("Rome", 220)
    assert tally["redirects"] == 100
    assert tally["redirects_through_redirects"] == 99
    assert tally["redirect_cycles"] == tally["redirects_broken"] == 0


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 8])
def test_a_cycle_of_redirects_ends_nowhere_and_is_counted(tmp_path, length):
    cycle = [(f"C{number}", f"C{(number + 1) % length}") for number in range(length)]
    into = [("Way in", "Longer way in"), ("Longer way in", "C0")]
    index, tally = index_of(tmp_path, ["Rome"], [*cycle, *into, ("Roma", "Rome")], [("Rome", 220)])
    assert tally["redirect_cycles"] == length + 2
    for title in ("C0", f"C{length - 1}", "Way in"):
        assert resolved(index, title) == (title, NO_ENTITY)
    assert resolved(index, "Roma") == ("Rome", 220)
    assert not index.is_page[index.find(["C0"])].any()


def test_a_redirect_to_a_page_that_is_not_there_is_broken(tmp_path):
    index, tally = index_of(tmp_path, ["Rome"], [("Void", "Never written")])
    assert resolved(index, "Void") == ("Never written", NO_ENTITY)
    assert tally["redirects_broken"] == 1


def test_a_page_wins_over_a_redirect_of_the_same_title(tmp_path):
    index, tally = index_of(tmp_path, ["Rome", "Milan"], [("Rome", "Rome"), ("Milan", "Rome"), ("Roma", "Rome")])
    assert tally["redirects_shadowed"] == 2
    assert tally["redirects"] == 1
    assert tally["redirect_cycles"] == 0
    assert resolved(index, "Milan") == ("Milan", NO_ENTITY)
    assert index.is_page[index.find(["Rome", "Milan", "Roma"])].tolist() == [1, 1, 1]


def test_the_entity_of_a_redirect_page_goes_to_its_final_page_when_that_has_none(tmp_path):
    redirects = [("Roma", "Rome"), ("Rom", "Rome"), ("Athen", "Athens")]
    aligned = [("Roma", 5), ("Rom", 3), ("Athens", 1524), ("Athen", 7)]
    index, tally = index_of(tmp_path, ["Rome", "Athens"], redirects, aligned)
    assert resolved(index, "Rome") == ("Rome", 3)
    assert resolved(index, "Athen") == ("Athens", 1524)
    assert tally["entities_through_redirects"] == 1


def test_an_unknown_title_and_an_empty_index_find_nothing(tmp_path):
    index, _ = index_of(tmp_path, ["Rome"])
    assert index.find(["Milan", "Rome", "rome", ""]).tolist() == [-1, index.find(["Rome"])[0], -1, -1]
    assert index.find([]).tolist() == []
    empty, _ = index_of(tmp_path)
    assert len(empty) == 0
    assert empty.find(["Rome"]).tolist() == [-1]


def test_titles_whose_hashes_collide_are_told_apart(tmp_path, monkeypatch):
    real = titles.title_hashes
    monkeypatch.setattr(titles, "title_hashes", lambda names: real(name[:1] for name in names))
    index, _ = index_of(tmp_path, ["Ra", "Rb", "Rc", "S"], [("Rd", "Rb")], [("Rb", 2), ("Rc", 3), ("S", 4)])
    assert [resolved(index, title) for title in ("Ra", "Rb", "Rc", "Rd", "S", "Re")] == [
        ("Ra", NO_ENTITY),
        ("Rb", 2),
        ("Rc", 3),
        ("Rb", 2),
        ("S", 4),
        None,
    ]
