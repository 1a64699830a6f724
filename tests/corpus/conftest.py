"""A small wiki that has one of everything that a build has to settle."""

import pytest
from corpus_helpers import write_dump, write_pairs, write_wikidata

PAGES = [
    ("Athens", "'''Athens''' is in [[Greece]]. See [[rome]], [[the City]], [[Atlantis]] and [[Sparta (city)|Sparta]]."),
    ("Rome", "'''Rome''' lies on the [[Tiber]].\n\n== Names ==\n[[Eternal_City|It]] is called so; [[Ath%C3%A8nes|A]]."),
    ("Greece", "A country of [[Athens]] and [[Loop]]."),
    ("Tiber", "A river without a Wikidata item."),
    ("Sparta (city)", "No links here."),
    ("Nothing", "{{stub}}"),
    ("The City", "#REDIRECT [[Eternal City]]"),
    ("Eternal City", "#REDIRECT [[Rome#Names]]"),
    ("Loop", "#REDIRECT [[Pool]]"),
    ("Pool", "#REDIRECT [[Loop]]"),
    ("Athènes", "#REDIRECT [[Athens]]"),
    ("Rules", "#REDIRECT [[Wikipedia:Rules]]"),
    ("Void", "#REDIRECT [[Never written]]"),
    ("Wikipedia:Rules", "Rules are [[Rules]].", 4),
    ("Category:Cities", "All cities.", 14),
]

ITEMS = {
    1524: {"enwiki": "Athens", "frwiki": "Athènes", "dewiki": "Athen"},
    220: {"enwiki": "Rome", "frwiki": "Rome (ville)"},
    41: {"enwiki": "Greece", "frwiki": "Portal:Grèce", "dewiki": "Griechenland"},
    99: {"frwiki": "Sparte"},
    7: {"dewiki": "Niemand"},
}

PAIRS = [("Sparta (city)", "Sparte"), ("Greece", "Grèce"), ("Atlantis", "Atlantide (île)")]


@pytest.fixture(scope="session")
def small_wiki(tmp_path_factory):
    """Paths of the small wiki's files: dump, wikidata, titles."""
    folder = tmp_path_factory.mktemp("small-wiki")
    return {
        "dump": write_dump(folder / "enwiki.xml.bz2", PAGES, a_stream=3),
        "wikidata": write_wikidata(folder / "wikidata.json", ITEMS),
        "titles": write_pairs(folder / "titles.tsv", PAIRS),
    }
