"""Sources of alignment feed one graph: the first claim wins, and every disagreement is counted."""

import json
from collections import Counter

import pytest

from lingraft.entities import alignment
from lingraft.entities.alignment import LISTED, gather
from lingraft.entities.names import NAMES_SCHEMA, entity_of_pivot
from lingraft.entities.sources import Sources
from lingraft.errors import LingraftError
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.wikis import database_name


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
    sources = Sources(wikidata=wikidata, titles=pairs, languages=names)
    found = gather(site(lang), database_name(site(lang).lang), sources, (), tally, problems)
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
    assert names == {(41, "en"): ("Greece", "sitelink"), (own, "en"): ("Atlantis", "title_pair")}
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
    assert tally["title_conflicts"] == 1  # Q2
    assert tally["name_conflicts"] == 2  # Alpha, and Third, which no QID is known for


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


def test_labels_stand_in_where_a_title_is_missing_or_no_name(tmp_path):
    path = tmp_path / "a.json"
    entities = [
        {"labels": {"en": {"value": "Alpha"}, "nb": {"value": "Alfa"}}, "sitelinks": {"elwiki": {"title": "Α"}}},
        {
            "labels": {"en": {"value": " Beta (b) "}},
            "sitelinks": {"elwiki": {"title": "Β"}, "enwiki": {"title": "(B)"}},
        },
        {"labels": {"en": {"value": "C"}}, "sitelinks": {"elwiki": {"title": "Γ"}, "enwiki": {"title": "Gamma"}}},
        {"labels": {"en": {"value": "Nothing here"}}, "sitelinks": {"dewiki": {"title": "D"}}},
    ]
    lines = [json.dumps({"id": f"Q{number}", **entity}) for number, entity in enumerate(entities, start=1)]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    _, names, tally = aligned([path], names=["en", "no"])
    assert names == {
        (1, "en"): ("Alpha", "label"),
        (1, "no"): ("Alfa", "label"),  # labels of the Norwegian wiki's items are in nb
        (2, "en"): ("Beta (b)", "label"),  # a label is a name as it stands
        (3, "en"): ("Gamma", "sitelink"),
    }
    assert tally["name_conflicts"] == 0  # a label may differ from the title


def test_names_of_links_lead_to_what_any_source_knows(tmp_path):
    wikidata = write_wikidata(
        tmp_path / "a.json",
        [(1, {"enwiki": "Tokyo Tower"}), (2, {"elwiki": "Α", "enwiki": "Alpha"}), (3, {"enwiki": "C"})],
    )
    pairs = write_pairs(tmp_path / "a.tsv", ("Β", "Beta"))
    given = ["de:Turm", "en:Alpha", "en:Beta", "en:Never (town)", "en:tokyo_Tower", "fr:Jamais", "xx:?"]
    sources = Sources(wikidata=[wikidata], titles=[pairs], languages=["en", "fr"], link_names=given)
    found = gather(site("el"), "elwiki", sources, (), Counter(), [])
    entities = dict(zip(*(column.to_pylist() for column in found.link_names.columns), strict=True))
    assert entities == {
        "de:Turm": entity_of_pivot("de:Turm"),  # no language of names
        "en:Alpha": 2,
        "en:Beta": entity_of_pivot("Beta"),  # the entity of the page that the pair names
        "en:Never (town)": entity_of_pivot("Never (town)"),
        "en:tokyo_Tower": 1,  # no page here
        "fr:Jamais": entity_of_pivot("fr:Jamais"),
        "xx:?": entity_of_pivot("xx:?"),
    }
    named = {(row["entity"], row["lang"]): (row["name"], row["source"]) for row in found.names.to_pylist()}
    assert named == {
        (1, "en"): ("Tokyo Tower", "sitelink"),
        (2, "en"): ("Alpha", "sitelink"),
        (entity_of_pivot("Beta"), "en"): ("Beta", "title_pair"),
        (entity_of_pivot("Never (town)"), "en"): ("Never", "template"),
        (entity_of_pivot("fr:Jamais"), "fr"): ("Jamais", "template"),
    }


def test_the_size_of_the_parts_changes_nothing(tmp_path, monkeypatch):
    one = write_wikidata(
        tmp_path / "a.json",
        [(number, {"elwiki": f"Τ{number % 80}", "enwiki": f"T{number} (t)"}) for number in range(1, 100)],
    )
    pairs = write_pairs(
        tmp_path / "a.tsv", *((f"Τ{number * 7 % 90}", f"T{number}") for number in range(1, 90)), ("Ω", "T3 (t)")
    )
    sources = Sources(wikidata=[one], titles=[pairs], languages=["en"], link_names=["en:T5 (t)", "en:Never"])
    made = []
    for at_once in (1 << 18, 7, 1):
        monkeypatch.setattr(alignment, "_AT_ONCE", at_once)
        tally = Counter()
        found = gather(site("el"), "elwiki", sources, (), tally, [])
        titles = sorted(zip(*(column.to_pylist() for column in found.aligned.columns), strict=True))
        made.append((titles, found.names.to_pylist(), found.link_names.to_pylist(), found.conflicts, tally))
    assert tally["title_conflicts"] > 10
    assert tally["name_conflicts"] > 10
    assert made[0] == made[1] == made[2]


def test_conflicts_are_listed_up_to_a_limit_and_all_are_counted(tmp_path):
    titles = [f"Τ{number:04}" for number in range(500)]
    one = write_wikidata(tmp_path / "a.json", [(number, {"elwiki": title}) for number, title in enumerate(titles, 1)])
    two = write_wikidata(tmp_path / "b.json", [(9000 + number, {"elwiki": t}) for number, t in enumerate(titles)])
    tally = Counter()
    found = gather(site("el"), "elwiki", Sources(wikidata=[one, two]), (), tally, [])
    assert tally["title_conflicts"] == 500
    assert found.conflict_counts == {("title", "wikidata", "wikidata"): 500}
    assert [row["of"] for row in found.conflicts] == titles[:LISTED]
    assert found.conflicts[0] | {"kept": "Q1", "refused": "Q9000"} == found.conflicts[0]
