"""What is known of wikis beyond their dumps' headers."""

import json
import pickle
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lingraft.errors import LingraftError
from lingraft.wikimedia import siteinfo
from lingraft.wikimedia.siteinfo import dbname_language, languages, normal_namespace, site


@dataclass
class Header:
    """What site() reads of export_xml.Header."""

    lang: str | None
    case: str | None = "first-letter"
    namespaces: dict[int, str] = field(default_factory=dict)


def trail(lang: str, after: str) -> str:
    """Return what a link takes in of the text after "]]"."""
    found = re.compile(site(lang).link_trail).match(after)
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("lang", "after", "taken"),
    [
        ("el", "ς.", "ς"),  # [[Αθήνα]]ς
        ("el", "ΐδα", "ΐδα"),
        ("en", "s' house", "s"),
        ("en", "ß", ""),
        ("simple", "s", "s"),
        ("de", "straße 5", "straße"),
        ("als", "ße", "ße"),  # inherited from German
        ("fr", "s-là", "s"),
        ("fr", "éenne", "éenne"),
        ("ca", "'s", "'s"),  # an apostrophe counts ...
        ("ca", "''cursiva''", ""),  # ... unless it begins italics
        ("br", "c'had", "c'had"),
        ("is", "-ið", "-ið"),
        ("tr", "ın", "ın"),
        ("vi", "ưa", ""),  # only the letters of the message file, not all of Vietnamese
        ("ru", "ами", "ами"),
        ("uk", "ї", "ї"),
        ("be-x-old", "ў", "ў"),
        ("sr", "у", "у"),
        ("ba", "ҙар", "ҙар"),
        ("ka", "ში", "ში"),
        ("hy", "ում", "ում"),
        ("he", "ים", "ים"),
        ("ar", "ون،", "ون"),
        ("fa", "\u200cها", "\u200cها"),  # Persian joins with a zero-width non-joiner
        ("ur", "وں", "وں"),
        ("hi", "ों", "ों"),
        ("bn", "ের", "ের"),
        ("ta", "ில்", "ில்"),
        ("te", "లో", "లో"),
        ("ml", "ിൽ", "ിൽ"),
        ("th", "ๆ", ""),
        ("ko", "은", ""),
        ("ja", "都", ""),
        ("ja", "s", "s"),
        ("zh", "省", ""),
        ("zh", "s", ""),
        ("zh-classical", "s", ""),
        ("ha", "r", "r"),
    ],
)
def test_a_link_takes_in_what_its_language_says(lang, after, taken):
    assert trail(lang, after) == taken


@pytest.mark.parametrize(
    ("lang", "prefix", "number"),
    [
        ("el", "Αρχείο", 6),
        ("el", "Εικόνα", 6),
        ("el", "αρχείο", 6),
        ("el", " file ", 6),
        ("el", "image", 6),
        ("el", "ΚΑΤΗΓΟΡΊΑ", 14),
        ("el", "Συζήτηση_χρήστη", 3),
        ("el", "ΒΠ", 4),
        ("el", "Πύλη", 100),
        ("el", "wikipedia", 4),
        ("el", "Αθήνα", None),
        ("el", "", None),
        ("en", "\u200eCategory", 14),  # a direction mark that was copied along
        ("de", "Bild", 6),
        ("de", "Benutzerin", 2),
        ("pl", "Plik", 6),
        ("pl", "Wikipedystka", 2),
        ("fr", "Modèle", 10),
        ("es", "Anexo", 104),
        ("et", "Mustand", 102),
        ("ru", "Шаблон", 10),
        ("uk", "Вікіпедія", 4),
        ("bg", "Чернова", 118),
        ("mr", "चित्र", 6),
        ("hi", "साँचा", 10),
        ("ar", "تصنيف", 14),
        ("he", "טיוטה", 118),
        ("ja", "画像", 6),
        ("ja", "カテゴリ", 14),
        ("zh", "分類", 14),
        ("zh", "分类", 14),
        ("th", "หมวดหมู่", 14),
        ("ko", "분류", 14),
        ("ig", "Usòrò", 6),
        ("ff", "Fichier", 6),
        ("aa", "Category", 14),
        ("it", "Modulo", 828),
        ("tok", "sitelen", 6),
    ],
)
def test_namespaces_and_their_aliases(lang, prefix, number):
    assert site(lang).namespace_of(prefix) == number


@pytest.mark.parametrize("lang", sorted(languages()))
def test_every_language_has_sound_facts(lang):
    wiki = site(lang)
    re.compile(wiki.link_trail)
    assert not wiki.link_trail or not re.compile(wiki.link_trail).match(" ")
    assert wiki.link_prefix == bool(wiki.link_prefix_letters)
    re.compile(f"[{wiki.link_prefix_letters or 'a'}]+")
    assert {"file", "image", "category", "template", "user talk"} <= wiki.namespaces.keys()
    assert set(wiki.namespaces.values()) >= {-2, -1, *range(1, 16), 828}
    assert all(name == normal_namespace(name) for name in wiki.namespaces)
    assert all(word.startswith(("#", "＃")) for word in wiki.redirect_words)
    assert all(word == word.lower() and "|" not in word for word in wiki.image_options)
    assert wiki.redirect_words[-1] == "#REDIRECT"
    assert "thumb" in wiki.image_options
    assert "__NOTOC__" in wiki.switches


def test_the_table_is_sorted_and_each_name_means_one_namespace():
    rows = json.loads(Path(siteinfo.__file__).with_name("sites.json").read_text(encoding="utf-8"))
    assert list(rows) == sorted(rows)
    assert len(rows) >= 360
    fields = {"fallback", "first_letter", "link_trail", "link_prefix", "redirect", "image", "switches", "namespaces"}
    for code, row in rows.items():
        assert row.keys() <= fields, code
        assert set(row.get("fallback", ())) <= rows.keys() - {code}, code
        names = [normal_namespace(name) for spellings in row.get("namespaces", {}).values() for name in spellings]
        assert len(names) == len(set(names)), code


def test_letters_before_a_link_belong_to_it_where_the_language_says():
    assert not site("en").link_prefix
    assert not site("ru").link_prefix
    assert site("ar").link_prefix
    assert re.search(f"[{site('ar').link_prefix_letters}]+$", "في وال")[0] == "وال"
    assert re.search(f"[{site('is').link_prefix_letters}]+$", "og for–")[0] == "for–"
    assert re.search(f"[{site('uk').link_prefix_letters}]+$", "роман «")[0] == "«"


@pytest.mark.parametrize(
    ("lang", "word"),
    [
        ("el", "#ΑΝΑΚΑΤΕΥΘΥΝΣΗ"),
        ("de", "#WEITERLEITUNG"),
        ("als", "#WEITERLEITUNG"),  # from the language it falls back on
        ("ru", "#перенаправление"),
        ("ja", "#転送"),
        ("zh", "#重定向"),
        ("zh-classical", "#重定向"),
        ("ar", "#تحويل"),
        ("ig", "#KÚFÙ"),
    ],
)
def test_redirect_words_come_before_the_english_one(lang, word):
    *local, english = site(lang).redirect_words
    assert word in local
    assert english == "#REDIRECT"


@pytest.mark.parametrize(
    ("lang", "part", "option"),
    [
        ("el", "μικρογραφία", True),
        ("el", "thumb", True),
        ("el", " Δεξιά ", True),
        ("el", "300εσ", True),
        ("el", "300px", True),
        ("el", "300x200px", True),
        ("el", "x200 px", True),
        ("el", "300pxpx", True),
        ("el", "upright=1.2", True),
        ("el", "upright 1.2", True),
        ("el", "κατακόρυφα_1.2", True),
        ("el", "εναλλ.=Χάρτης", True),
        ("el", "link=", True),
        ("el", "Χάρτης της πόλης", False),
        ("el", "1990", False),
        ("el", "30 χλμ", False),
        ("el", "E = mc", False),
        ("el", "px", False),
        ("el", "", False),
        ("de", "hochkant", True),
        ("als", "hochkant=0.7", True),
        ("ru", "200пкс", True),
        ("ja", "サムネイル", True),
        ("zh", "缩略图", True),
        ("fa", "بندانگشتی", True),
        ("en", "μικρογραφία", False),
    ],
)
def test_options_of_a_picture_are_told_from_its_caption(lang, part, option):
    assert site(lang).is_image_option(part) is option


def test_switches_are_local_and_english():
    assert {"__ΧΩΡΙΣΠΠ__", "__TOC__", "__DISAMBIG__"} <= site("el").switches
    assert "__ΧΩΡΙΣΠΠ__" not in site("en").switches
    assert "＿＿目次＿＿" in site("ja").switches


def test_prefixes_lead_to_other_wikis():
    greek = site("el")
    assert {"en", "zh-min-nan", "be-x-old", "be-tarask", "simple", "nb", "map-bms", "jp"} <= greek.interwiki
    assert {"wikt", "s", "b", "q", "n", "v", "voy", "c", "commons", "d", "m", "meta", "mw", "w"} <= greek.interwiki
    assert {"doi", "rfc", "arxiv", "imdbname", "species"} <= greek.interwiki
    assert "el" not in greek.interwiki
    assert not {"no", "nb"} & site("no").interwiki
    for lang in ("el", "de", "zh", "ru"):  # a namespace comes before another wiki, as in MediaWiki
        assert not site(lang).interwiki & site(lang).namespaces.keys()


def test_first_letters_count_only_where_the_wiki_says():
    assert site("el").first_letter
    assert not site("jbo").first_letter
    assert not site("el", Header("el", "case-sensitive")).first_letter  # elwiktionary
    assert site("el", Header("en", "case-sensitive")).first_letter  # not its header


def test_a_header_of_the_wiki_adds_its_names():
    greek = site("el", Header("el", namespaces={4: "Βικιπαίδεια", 446: "Μάθημα", 10: "Υπόδειγμα", 0: ""}))
    assert greek.namespace_of("μάθημα") == 446
    assert greek.namespace_of("Υπόδειγμα") == greek.namespace_of("Πρότυπο") == 10
    assert greek.namespace_of("Πύλη") == 100
    assert greek.namespace_of("") is None
    assert site("el").namespace_of("Μάθημα") is None  # the shared site stays as it was


def test_a_header_of_another_language_is_not_believed():
    pasted = Header("en", namespaces={4: "Wikipedia", 6: "File", 446: "Education Program"})
    assert site("zh", pasted) == site("zh")
    assert site("zh", Header(None, namespaces={6: "Fichier"})).namespace_of("Fichier") is None


def test_a_header_of_another_project_brings_its_own_names():
    guide = site("el", Header("el", namespaces={4: "Βικιταξίδια", 6: "Αρχείο", 828: "Module"}))
    assert guide.lang == "el"
    assert guide.namespace_of("Βικιταξίδια") == 4
    assert guide.namespace_of("Project") == 4
    assert guide.namespace_of("Εικόνα") == 6
    assert guide.namespace_of("Βικιπαίδεια") is None
    assert guide.namespace_of("Πύλη") is None  # a portal of the Wikipedia; here it is a title
    assert guide.namespace_of("Wikipedia") is None
    assert "wikipedia" in guide.interwiki
    assert trail("el", "ς") == "ς"


@pytest.mark.parametrize(
    ("lang", "wiki"),
    [
        ("nb", "no"),
        ("be-tarask", "be-x-old"),
        ("gsw", "als"),
        ("yue", "zh-yue"),
        ("nan", "zh-min-nan"),
        ("zh_min_nan", "zh-min-nan"),
        ("EL", "el"),
    ],
)
def test_synonyms_of_a_code_mean_one_wiki(lang, wiki):
    assert site(lang) is site(wiki)
    assert site(lang).lang == wiki
    assert {wiki, lang.lower().replace("_", "-")} <= languages()


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("elwiki", "did you mean 'el'?"),
        ("commons", "unknown wiki language 'commons'"),
        ("zh-min-nam", "did you mean 'zh-min-nan'?"),
        ("", "el.wikipedia.org"),
    ],
)
def test_an_unknown_language_is_an_error_with_a_cure(lang, words):
    with pytest.raises(LingraftError, match=re.escape(words)):
        site(lang)


def test_a_new_wiki_is_read_by_its_own_header():
    new = site("xyz", Header("xyz", "first-letter", {6: "Failo", 14: "Kategorio"}))
    assert new.namespace_of("failo") == new.namespace_of("File") == 6
    assert new.link_trail == "[a-z]+"
    assert "xyz" not in languages()
    with pytest.raises(LingraftError):
        site("xyz", Header("en"))


@pytest.mark.parametrize(
    ("dbname", "lang"),
    [
        ("elwiki", "el"),
        ("zh_min_nanwiki", "zh-min-nan"),
        ("be_x_oldwiki", "be-x-old"),
        ("nowiki", "no"),
        ("simplewiki", "simple"),
        ("elwikivoyage", "el"),
        ("enwiktionary", "en"),
        ("itwikibooks", "it"),
        ("yuewiktionary", "zh-yue"),
        ("commonswiki", None),
        ("wikidatawiki", None),
        ("metawiki", None),
        ("testwiki", None),
        ("wiki", None),
        ("el", None),
        ("", None),
    ],
)
def test_language_of_a_database_name(dbname, lang):
    assert dbname_language(dbname) == lang


def test_a_site_travels_to_other_processes():
    greek = site("el")
    assert pickle.loads(pickle.dumps(greek)) == greek
    assert hash(greek) == hash(pickle.loads(pickle.dumps(greek)))
    assert site("el") is greek
