"""Titles in MediaWiki's normal form, and the index that follows redirects to entities."""

import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.entities import title_writer, titles
from lingraft.entities.title_writer import write_index
from lingraft.entities.titles import NO_ENTITY, TitleIndex, capitalise, normalise, normalise_all
from lingraft.errors import LingraftError
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


ALPHABET = st.characters(codec="utf-8") | st.sampled_from("AaΑαЯяÄ東かがا _%:\u0301\u0308\u3099\u11a8\u0653")


def check_all(written: list[str], lang: str) -> None:
    wiki = site(lang)
    found = normalise_all(pa.array(written, pa.string()), lambda title: normalise(title, wiki)).to_pylist()
    assert found == [normalise(title, wiki) for title in written]


@settings(deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=8)), st.sampled_from(["en", "tr", "ka", "jbo"]))
def test_a_column_of_titles_is_normalised_as_each_of_them(written, lang):
    check_all(written, lang)


@pytest.mark.parametrize("lang", ["en", "tr", "ka", "jbo"])
def test_every_letter_at_every_place_of_a_column(lang):
    letters = [chr(code) for code in range(0x20, 0x11000) if not 0xD800 <= code < 0xE000]
    check_all([text for letter in letters for text in (letter, f"A{letter}", f"A{letter}\u0301", f"{letter}b")], lang)
    check_all(
        ["x" * 255, "X" * 255, "X" * 256, "Ä" * 127, "Ä" * 128, "東" * 85, "東" * 86, "A  b", "A ", " A", ""], lang
    )


def test_only_the_first_letter_is_raised():
    assert capitalise("aBc", "en") == "ABc"
    assert capitalise("1st", "en") == "1st"


def index_of(tmp_path, pages=(), redirects=(), aligned=(), **options) -> tuple[TitleIndex, Counter]:
    tally = Counter()
    seen = [(title, None) for title in pages] + list(redirects)
    batches = [
        pa.record_batch(
            [pa.array(column, pa.large_string()) for column in zip(*seen[start : start + 2], strict=True)],
            names=["title", "redirect"],
        )
        for start in range(0, len(seen), 2)
    ]
    entities = pa.table(
        {
            "title": pa.array([title for title, _ in aligned], pa.large_string()),
            "entity": pa.array([entity for _, entity in aligned], pa.int64()),
        }
    )
    write_index(tmp_path / "titles.arrow", batches, entities, tally, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["titles.arrow"]
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


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 5))
def test_the_hash_of_a_title_is_that_of_its_bytes_wherever_it_stands(names, skipped):
    names = [name.encode(errors="replace").decode() for name in names]
    together = titles.title_hashes(pa.array(names, pa.string()).slice(skipped))
    assert together.tolist() == [int(titles.title_hashes([name])[0]) for name in names[skipped:]]


def test_hashes_of_near_titles_differ():
    near = [f"{'x' * at}{letter}{'x' * (40 - at)}" for at in range(41) for letter in "abcdefgh"]
    near += ["x" * length for length in range(1, 60)] + ["x\0" * length for length in range(1, 60)]
    hashes = titles.title_hashes(near)
    assert len(np.unique(hashes)) == len(set(near))
    assert len(np.unique(hashes >> np.uint64(40))) > 0.99 * len(set(near))
    ones = np.unpackbits(hashes.view(np.uint8)).mean()
    assert 0.48 < ones < 0.52


WORLD = {
    "pages": [f"Page {number}" for number in range(200)],
    "redirects": [(f"Way {number}", f"Page {number * 3}") for number in range(90)] + [("A", "B"), ("B", "A")],
    "aligned": [(f"Page {number}", number) for number in range(1, 120)] + [("Way 50", 1000), ("Far", 7)],
}


@pytest.mark.parametrize("sorted_at_once", [1, 10, 100])
def test_an_index_sorted_in_parts_is_the_same(tmp_path, sorted_at_once):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    _, expected = index_of(tmp_path / "whole", **WORLD)
    index, tally = index_of(tmp_path / "parts", **WORLD, sorted_at_once=sorted_at_once)
    assert tally == expected
    assert (index.hashes[1:] >= index.hashes[:-1]).all()
    files = [(tmp_path / name / "titles.arrow").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_titles_whose_hashes_collide_are_told_apart(tmp_path, monkeypatch):
    real = titles.title_hashes
    for module in (titles, title_writer):
        monkeypatch.setattr(module, "title_hashes", lambda names: real([str(name)[:1] for name in names]))
    index, _ = index_of(tmp_path, ["Ra", "Rb", "Rc", "S"], [("Rd", "Rb")], [("Rb", 2), ("Rc", 3), ("S", 4)])
    assert [resolved(index, title) for title in ("Ra", "Rb", "Rc", "Rd", "S", "Re")] == [
        ("Ra", NO_ENTITY),
        ("Rb", 2),
        ("Rc", 3),
        ("Rb", 2),
        ("S", 4),
        None,
    ]


def test_an_index_whose_titles_were_hashed_in_another_way_is_refused(tmp_path):
    index_of(tmp_path, pages=["Tea"])
    path = tmp_path / "titles.arrow"
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0).replace_schema_metadata(None)
        with pa.ipc.new_file(str(tmp_path / "old.arrow"), batch.schema) as writer:
            writer.write_batch(batch)
    with pytest.raises(LingraftError, match=r"old\.arrow is of another version(.|\n)*Build the corpus again"):
        TitleIndex.open(tmp_path / "old.arrow")
