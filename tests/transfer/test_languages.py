"""A language is known by its usual codes and names; what is unknown or means several is said with what is near."""

from pathlib import Path

import pytest

from lingraft.errors import LingraftError
from lingraft.transfer.languages import family, resolve, resolve_all

LANGUAGES_CSV = """ID,Name,Macroarea,Latitude,Longitude,Glottocode,ISO639P3code,Family
swa,Swahili,Africa,-6.5,39,swah1253,swh,Niger-Congo
que,Quechan,North America,33,-114,quec1382,yum,Hokan
qqq,Quiché,North America,15,-91,kich1262,quc,Mayan
bmm,Two,Africa,0,0,twoo1234,,
"""


@pytest.fixture
def cldf(tmp_path) -> list[Path]:
    (tmp_path / "languages.csv").write_text(LANGUAGES_CSV, encoding="utf-8")
    return [tmp_path]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("quc", "quc"),  # ISO 639-3
        ("sw", "swh"),  # ISO 639-1: a macro-language that means one language in print
        ("swa", "swh"),
        ("swh", "swh"),
        ("est", "ekk"),
        ("lv", "lvs"),
        ("zh-Hant", "cmn"),  # BCP-47 with a script
        ("bho_Deva", "bho"),  # as FLORES and Seed name files
        ("arm", "hye"),  # ISO 639-2/B
        ("baq", "eus"),
        ("iw", "heb"),  # a retired code
        ("que", "que"),  # a macro-language of which nobody knows which language is meant
        ("rom", "rom"),
        ("srd", "srd"),
        ("ssw", "ssw"),  # Swati: the code is right, the Bible corpus is wrong
        ("Swahili", "swh"),
        ("K'iche'", "quc"),
        ("K’iche’", "quc"),
        ("Kiche", "quc"),
        ("Upper_Sorbian", "hsb"),  # as treebanks write it
        ("North Sami", "sme"),
        ("Naija", "pcm"),
        ("Ukranian", "ukr"),  # as the Bible corpus spells it
        ("Mam", "mam"),
        ("Greek", "ell"),
        (" English ", "eng"),
    ],
)
def test_codes_and_names(text, code):
    assert resolve(text).id == code


def test_a_language_has_a_name_and_a_short_tag():
    swahili, quechua = resolve("swh"), resolve("que")
    assert (str(swahili), swahili.bcp47, swahili.is_macro) == ("Swahili (swh)", "sw", False)
    assert (str(quechua), quechua.bcp47, quechua.is_macro) == ("Quechua (que)", "qu", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Swahilli", ["no language 'Swahilli'", "Near it: Swahili (swh)"]),
        ("xyz", ["no language 'xyz'", "Give its ISO 639-3 code"]),
        ("nah", ["no language 'nah'"]),  # a family, not a language; "Nah" is a name of Nihali
        ("Nahuatl", ["no language 'Nahuatl'", "Central Nahuatl (nhn)"]),
        ("", ["no language ''"]),
        ("Mari", ["'Mari' is the name of 3 languages", "chm: Mari (Russia)", "hob", "mbx"]),
        ("wals:swa", ["no list of these is given", "cldf: FOLDER"]),
    ],
)
def test_what_is_unknown_or_means_several_is_said(text, words):
    with pytest.raises(LingraftError) as error:
        resolve(text)
    for word in words:
        assert word in str(error.value)


def test_codes_of_wals_and_glottolog_through_cldf(cldf):
    assert resolve("wals:swa", cldf).id == "swh"
    assert resolve("glottolog:kich1262", cldf).id == resolve("kich1262", cldf).id == "quc"
    assert resolve("qqq", cldf).id == "quc", "a bare WALS code that is no ISO code"
    assert (resolve("que", cldf).id, resolve("wals:que", cldf).id) == ("que", "yum")
    assert (family("quc", cldf), family("eng", cldf)) == ("Mayan", None)
    with pytest.raises(LingraftError, match="no language 'wals:swb' in"):
        resolve("wals:swb", cldf)
    with pytest.raises(LingraftError, match="Two has no ISO 639-3 code there"):
        resolve("wals:bmm", cldf)


def test_a_table_that_is_no_cldf_is_named(tmp_path):
    (tmp_path / "languages.csv").write_text("ID,Name\na,b\n")
    with pytest.raises(
        LingraftError, match=r"is no CLDF table of languages\nIt has no column Glottocode, ISO639P3code"
    ):
        resolve("wals:abc", [tmp_path])


def test_all_faults_of_a_list_are_said_at_once():
    with pytest.raises(LingraftError) as error:
        resolve_all(["sw", "Mari", "eng", "xyz"])
    assert "'Mari' is the name of 3 languages. chm: Mari (Russia)" in error.value.what
    assert "no language 'xyz'" in error.value.what
    assert [language.id for language in resolve_all(["Zulu", "ekk", "zul"])] == ["zul", "ekk", "zul"]
