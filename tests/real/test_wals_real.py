"""WALS 2020 as it is published, held to what is known of it."""

import pytest

from lingraft.transfer.features import features
from lingraft.transfer.typology import read_typology


@pytest.fixture(scope="module")
def wals(shared_data):
    return read_typology(shared_data / "typology" / "wals")


def test_wals_is_read_whole(wals):
    assert len(wals.features) == 192
    assert (wals.values > 0).sum() == 76_475
    assert wals.drops == {}
    assert {"phonology", "morphology", "word order", "lexicon"} < set(wals.areas)


@pytest.mark.parametrize(
    ("code", "name", "genus"),
    [
        ("deu", "German", "Germanic"),  # six entries
        ("quc", "Quiché", "Mayan"),
        ("swh", "Swahili", "Bantu"),
        ("ekk", "Estonian", "Finnic"),
        ("est", "Estonian", "Finnic"),
        ("cmn", "Mandarin", "Chinese"),
        ("azj", "Azerbaijani", "Turkic"),
        ("eus", "Basque", "Basque"),  # twelve
        ("aar", "Qafar", "Lowland East Cushitic"),
    ],
)
def test_known_languages_are_found(wals, code, name, genus):
    found = wals.find(code)
    assert (found.name, found.genus) == (name, genus)


def test_related_languages_are_nearer(shared_data):
    table = features(None, ["nld", "jpn"], ["deu", "kor"], typology=[shared_data / "typology" / "wals"])
    dutch_german, dutch_korean, japanese_german, japanese_korean = table.to_pylist()
    assert dutch_german["wals_similarity"] > 0.8 > dutch_korean["wals_similarity"]
    assert japanese_korean["wals_similarity"] > 0.6 > japanese_german["wals_similarity"]
    assert dutch_german["same_genus"] and not japanese_korean["same_family"]
    assert dutch_german["distance_km"] < 500
    assert japanese_korean["wals_shared"] > 100
