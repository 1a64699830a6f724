"""Typology from CLDF tables: which entry a code means, what two languages share, and what is said of bad tables."""

import gzip
import sys
from types import ModuleType

import numpy as np
import pytest

from lingraft.errors import LingraftError
from lingraft.transfer.typology import Variety, distance_km, read_typology, uriel

LANGUAGES = """ID,Name,Macroarea,Latitude,Longitude,Glottocode,ISO639P3code,ISO_codes,Family,Genus
ger,German,Eurasia,52,10,stan1295,deu,deu,Indo-European,Germanic
gbl,German (Berlin),Eurasia,52.5,13.3,stan1295,deu,deu,Indo-European,Germanic
aar,Aari,Africa,6,36.58,aari1239,aiw,aiw,Afro-Asiatic,South Omotic
qaf,Qafar,Africa,12,42,afar1241,aar,aar,Afro-Asiatic,Lowland East Cushitic
aze,Azerbaijani,Eurasia,40.5,48.5,,,azb azj,Turkic,Turkic
lost,Nowhere,,95,10,,zzz,,,
genus-x,A genus,,,,,,,,
"""
FEATURES = "ID,Name,Chapter_ID\n1A,Consonants,1\n2A,Vowels,1\n81A,Order,81\n"
CODES = "ID,Parameter_ID,Name\n1A-1,1A,Few\n1A-2,1A,Many\n2A-1,2A,Few\n2A-2,2A,Many\n81A-1,81A,SOV\n81A-2,81A,SVO\n"
VALUES = """ID,Language_ID,Parameter_ID,Value,Code_ID
1,ger,1A,1,1A-1
2,ger,2A,2,2A-2
3,ger,81A,2,81A-2
4,gbl,1A,2,1A-2
5,qaf,1A,2,1A-2
6,qaf,2A,2,2A-2
7,qaf,81A,1,81A-1
8,aze,81A,1,81A-1
"""


@pytest.fixture
def folder(tmp_path):
    """A small data set in the shape of WALS."""
    tables = {
        "languages": LANGUAGES,
        "parameters": FEATURES,
        "codes": CODES,
        "chapters": "ID,Name,Area_ID\n1,Sounds,1\n81,Order,6\n",
        "areas": "ID,Name\n1,Phonology\n6,Word Order\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "values.csv.gz").write_bytes(gzip.compress(VALUES.encode()))
    return tmp_path


def values(folder, text, name="values.csv"):
    (folder / "values.csv.gz").unlink(missing_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return read_typology(folder)


def test_a_data_set_is_read_whole(folder):
    held = read_typology(folder)
    assert held.name == "wals"
    assert held.features == ("1A", "2A", "81A")
    assert held.areas == ("phonology", "phonology", "word order")
    assert (held.values > 0).sum() == 8
    assert held.drops == {"bad_coordinates": 1}


@pytest.mark.parametrize(
    ("code", "entry"),
    [
        ("deu", "ger"),  # two entries: the one with more values
        ("stan1295", "ger"),
        ("glottolog:stan1295", "ger"),
        ("wals:gbl", "gbl"),
        ("aar", "qaf"),  # Afar in ISO 639-3, though Aari is called so in WALS
        ("wals:aar", "aar"),
        ("azj", "aze"),
        ("aze", "aze"),  # a macrolanguage
        ("de", "ger"),
        ("German", "ger"),
        ("genus-x", "genus-x"),
    ],
)
def test_a_language_is_found_by_its_codes(folder, code, entry):
    assert read_typology(folder).find(code).id == entry


def test_a_choice_among_entries_is_told(folder):
    held = read_typology(folder)
    assert held.match("deu").note == "deu stands in wals with 2 entries: taken is ger (German), with 3 values"
    assert held.match("aze").note == "aze stands in wals as azb azj: taken is aze (Azerbaijani), with 1 values"
    assert held.match("aar").note == ""


@pytest.mark.parametrize("code", ["dex", "dew", "wals:gex", "stan1296"])
def test_an_unknown_code_is_named_with_the_nearest(folder, code):
    with pytest.raises(LingraftError, match=rf"wals has no language '{code}': did you mean '\S+'\?"):
        read_typology(folder).match(code)


def test_agreement_counts_what_is_known_of_both(folder):
    held = read_typology(folder)
    rows = [held.match(code).row for code in ("deu", "aar", "azj", "wals:aar")]
    matches, shared = held.agreement(rows, rows)
    assert shared.tolist() == [[3, 3, 1, 0], [3, 3, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert matches.tolist() == [[3, 1, 0, 0], [1, 3, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    matches, shared = held.agreement(rows[:1], rows[1:2], area="phonology")
    assert (matches.item(), shared.item()) == (1, 2)


def test_distance_is_the_great_circle():
    berlin, tokyo = Variety("b", latitude=52.52, longitude=13.405), Variety("t", latitude=35.6895, longitude=139.6917)
    assert distance_km(berlin, tokyo) == pytest.approx(8918, abs=5)
    assert distance_km(berlin, berlin) == 0
    poles = Variety("n", latitude=90, longitude=0), Variety("s", latitude=-90, longitude=0)
    assert distance_km(*poles) == pytest.approx(np.pi * 6371.0088)
    assert distance_km(berlin, Variety("x")) is None


def test_what_no_table_lists_is_left_out_and_counted(folder):
    odd = "9,nob,1A,1,1A-1\n10,ger,99Z,1,99Z-1\n11,ger,1A,2,1A-2\n12,aze,1A,1,1A-9\n13,aze,1A,?,\n14,aze,2A,3.5,\n"
    held = values(folder, VALUES + odd)
    assert held.drops == {
        "bad_coordinates": 1,
        "unknown_language": 1,
        "unknown_feature": 1,
        "second_value": 1,
        "unknown_value": 2,
        "uncoded_value": 1,
    }
    assert (held.values > 0).sum() == 8


def test_grambank_and_glottolog_are_read_too(tmp_path):
    cldf = tmp_path / "my-data" / "cldf"
    cldf.mkdir(parents=True)
    (cldf / "languages.csv").write_text(
        "ID,Name,Macroarea,Latitude,Longitude,Glottocode,ISO639P3code,Family_name\n"
        "stan1295,German,Eurasia,48.6,12.5,stan1295,,Indo-European\nabkh1244,Abkhaz,Eurasia,43,41,abkh1244,,Abkhaz\n"
    )
    (cldf / "parameters.csv").write_text("ID,Name\nGB1,a\nGB2,b\n")
    (cldf / "values.csv").write_text(
        "ID,Language_ID,Parameter_ID,Value\n1,stan1295,GB1,0\n2,abkh1244,GB1,0\n3,stan1295,GB2,?\n"
    )
    held = read_typology(cldf)
    assert held.name == "my_data"
    assert (held.find("stan1295").family, held.areas) == ("Indo-European", ("", ""))
    assert [found.item() for found in held.agreement([0], [1])] == [1, 1]
    assert held.drops == {"unknown_value": 1}


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("values.csv", "ID,Language_ID,Value,Code_ID\n", r"values.csv, line 1: no column Parameter_ID"),
        ("values.csv", VALUES + "9,ger\n", r"values.csv, line 10: too few fields"),
        ("values.csv", VALUES + "9,ger,1A,1,1A-1,x,y\n", r"values.csv, line 10: too many fields"),
        ("values.csv", "", r"values.csv, line 1: no column Language_ID, Parameter_ID, Code_ID\nIts columns: none"),
        ("languages.csv", "Name\nGerman\n", r"languages.csv, line 1: no column ID"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, table, text, message):
    (folder / "values.csv.gz").unlink()
    (folder / table).write_text(text)
    with pytest.raises(LingraftError, match=message):
        read_typology(folder)


def test_a_table_that_is_missing_or_damaged_is_named(folder):
    (folder / "values.csv.gz").write_bytes(gzip.compress(VALUES.encode())[:60])
    with pytest.raises(LingraftError, match=r"cannot read .*values.csv.gz"):
        read_typology(folder)
    (folder / "values.csv.gz").unlink()
    with pytest.raises(LingraftError, match=r"has no values.csv\n.*\nGive the folder that holds them"):
        read_typology(folder)
    (folder / "values.csv").write_bytes(b"ID,Language_ID,Parameter_ID,Code_ID\n1,\xff,1A,1A-1\n")
    with pytest.raises(LingraftError, match=r"cannot read .*values.csv\n.*utf-8"):
        read_typology(folder)


def test_uriel_marks_the_unknown_by_minus_one(monkeypatch):
    class URIELPlus:
        def get_typological_features_array(self):
            return np.array(["S_SVO", "P_NASAL_VOWELS", "INV_P"])

        def get_typological_languages_array(self):
            return np.array(["deu", "stan1293"])

        def get_typological_data_array(self):  # languages, features, sources
            return np.array([[[1, -1], [0, 0], [-1, -1]], [[-1, 0], [-1, 0], [1, 1]]], float)

    package, module = ModuleType("urielplus"), ModuleType("urielplus.urielplus")
    module.URIELPlus = URIELPlus
    monkeypatch.setitem(sys.modules, "urielplus", package)
    monkeypatch.setitem(sys.modules, "urielplus.urielplus", module)
    held = uriel()
    assert held.values.tolist() == [[2, 1, 0], [1, 1, 2]]
    assert held.areas == ("syntactic", "phonological", "inventory")
    assert [found.item() for found in held.agreement([0], [1])] == [1, 2]
    assert held.match("stan1293").row == 1


def test_without_urielplus_the_cure_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "urielplus", None)
    monkeypatch.setitem(sys.modules, "urielplus.urielplus", None)
    with pytest.raises(LingraftError, match="pip install urielplus"):
        uriel()
