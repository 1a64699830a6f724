"""Sources of alignment feed one graph: the first claim wins, and every disagreement is counted."""

import json
from collections import Counter

import pytest

from lingraft.entities.alignment import gather, wiki_id
from lingraft.entities.names import NAMES_SCHEMA, entity_of_pivot
from lingraft.errors import LingraftError
from lingraft.wikimedia.siteinfo import site


def write_wikidata(path, items):
    lines = [
        json.dumps(
            {
                "type": "item",
                "id": f"Q{number}",
                "sitelinks": {wiki: {"site": wiki, "title": title} for wiki, title in links.items()},
            }
        )
        for number, links in items
    ]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    return path


def write_pairs(path, *pairs):
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs))
    return path


def aligned(wikidata=(), pairs=(), names=("en",), lang="el"):
    """(title -> entity, (entity, language) -> (name, source), counters)"""
    tally, problems = Counter(), []
    found = gather(site(lang), wiki_id(site(lang).lang), names, wikidata, pairs, tally, problems)
    assert found.names.schema == NAMES_SCHEMA
    titles = dict(zip(*(column.to_pylist() for column in found.aligned.columns), strict=True))
    named = {(row["entity"], row["lang"]): (row["name"], row["source"]) for row in found.names.to_pylist()}
    assert problems == []
    return titles, named, tally


def test_sitelinks_give_entities_and_names(tmp_path):
    path = write_wikidata(
        tmp_path / "a.json",
        [
            (1524, {"elwiki": "Αθήνα", "enwiki": "Athens", "frwiki": "Athènes"}),
            (99, {"elwiki": "Σπάρτη (πόλη)", "frwiki": "Sparte (ville)"}),
            (5, {"enwiki": "Human"}),
        ],
    )
    titles, names, tally = aligned([path], names=["en", "fr"])
    assert titles == {"Αθήνα": 1524, "Σπάρτη (πόλη)": 99}
    assert names == {
        (1524, "en"): ("Athens", "sitelink"),
        (1524, "fr"): ("Athènes", "sitelink"),
        (99, "fr"): ("Sparte", "sitelink"),
    }
    assert (tally["titles_aligned"], tally["wikidata_items"], tally["title_conflicts"]) == (2, 3, 0)


def test_title_pairs_take_the_qid_of_their_pivot_or_an_id_of_their_own(tmp_path):
    wikidata = write_wikidata(tmp_path / "a.json", [(41, {"enwiki": "Greece"})])
    pairs = write_pairs(tmp_path / "a.tsv", ("ελλάδα", "greece"), ("Ατλαντίδα", "Atlantis"), ("Άτλας", "Atlantis"))
    titles, names, tally = aligned([wikidata], [pairs])
    own = entity_of_pivot("Atlantis")
    assert titles == {"Ελλάδα": 41, "Ατλαντίδα": own, "Άτλας": own}
    assert names == {(41, "en"): ("Greece", "title_pair"), (own, "en"): ("Atlantis", "title_pair")}
    assert (tally["title_pairs_pairs"], tally["title_pairs_with_qid"], tally["title_pairs_without_qid"]) == (3, 1, 2)


def test_wikidata_wins_over_title_pairs_and_the_first_file_over_the_second(tmp_path):
    first = write_wikidata(tmp_path / "a.json", [(1, {"elwiki": "Α", "enwiki": "A"})])
    second = write_wikidata(
        tmp_path / "b.json", [(2, {"elwiki": "Α", "enwiki": "Other"}), (1, {"elwiki": "Α", "enwiki": "Alpha"})]
    )
    pairs = write_pairs(tmp_path / "a.tsv", ("Α", "Third"), ("Α", "A"))
    titles, names, tally = aligned([first, second], [pairs])
    assert titles == {"Α": 1}
    assert names[1, "en"] == ("A", "sitelink")
    assert tally["title_conflicts"] == 2  # Q2, and the pair's own entity; the last pair agrees
    assert tally["name_conflicts"] == 1  # Alpha


def test_names_that_are_none_are_counted_and_a_later_source_may_give_one(tmp_path):
    items = [
        (1, {"elwiki": "Α", "enwiki": "List of A"}),
        (2, {"elwiki": "Β", "enwiki": "Portal:B"}),
        (3, {"elwiki": "Γ", "enwiki": "(C)"}),
    ]
    path = write_wikidata(tmp_path / "a.json", items)
    titles, names, tally = aligned([path], [write_pairs(tmp_path / "a.tsv", ("Δ", "List of D"))])
    assert len(titles) == 4
    assert names == {}
    counted = {reason: tally[f"names_dropped_{reason}_en"] for reason in ("list", "namespace", "empty")}
    assert counted == {"list": 2, "namespace": 1, "empty": 1}


def test_a_title_that_is_none_is_counted(tmp_path):
    _, _, tally = aligned(pairs=[write_pairs(tmp_path / "a.tsv", ("_", "A"), ("Α", "B"), ("Α", "Β", "C"), ("Α", ""))])
    assert tally["title_pairs_invalid_title"] == 1
    assert tally["title_pairs_wrong_columns"] == 1
    assert tally["title_pairs_empty_title"] == 1
    assert tally["titles_aligned"] == 1


def test_title_pairs_need_a_language_of_names(tmp_path):
    with pytest.raises(LingraftError, match="title pairs, but no language of names"):
        aligned(pairs=[write_pairs(tmp_path / "a.tsv", ("Α", "A"))], names=[])


@pytest.mark.parametrize(
    ("code", "wiki"),
    [
        ("nb", "nowiki"),
        ("EL", "elwiki"),
        ("yue", "zh_yuewiki"),
        ("zh_min_nan", "zh_min_nanwiki"),
        ("be-tarask", "be_x_oldwiki"),
    ],
)
def test_synonyms_of_a_language_lead_to_its_wiki(tmp_path, code, wiki):
    path = write_wikidata(tmp_path / "a.json", [(1, {"frwiki": "Un", wiki: "Name"})])
    _, names, _ = aligned([path], names=[code], lang="fr")
    assert names == {(1, code): ("Name", "sitelink")}
    titles, _, _ = aligned([write_wikidata(tmp_path / "b.json", [(1, {wiki: "Name"})])], lang=code)
    assert titles == {"Name": 1}


def test_the_order_of_items_decides_nothing_but_conflicts(tmp_path):
    items = [(number, {"elwiki": f"Τ{number}", "enwiki": f"T{number}"}) for number in range(30)]
    one = aligned([write_wikidata(tmp_path / "a.json", items)])
    other = aligned([write_wikidata(tmp_path / "b.json", items[::-1])])
    assert one == other
    assert list(one[1]) == sorted(one[1])
    assert list(other[1]) == sorted(other[1])
