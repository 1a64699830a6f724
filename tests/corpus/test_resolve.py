"""Links that lead to no page here, but carry the title that the page has in another language."""

from corpus_helpers import articles, build_quietly, links_of, write_dump, write_wikidata

from lingraft.entities.names import entity_of_pivot


def test_a_name_in_another_language_leads_to_the_entity(tmp_path):
    wikitext = "The {{ill|Tower|fr|Tour}}, the {{ill|Wall|fr|Mur}}, {{ill|Rome|fr|Roma}} and [[Void]]."
    dump = write_dump(tmp_path / "a.xml", [("Sights", wikitext), ("Rome", "Text.")])
    wikidata = write_wikidata(tmp_path / "w.json", {7: {"frwiki": "Tour"}, 220: {"enwiki": "Rome", "frwiki": "Rome"}})
    counters = build_quietly(tmp_path / "out", dump, wikidata=wikidata)["counters"]
    assert links_of(tmp_path / "out") == {
        "Tower": ("Tower", 7),
        "Wall": ("Wall", entity_of_pivot("Mur")),  # no source knows it
        "Rome": ("Rome", 220),  # the page here says more than the template
        "Void": ("Void", None),
    }
    names = [link["name"] for link in articles(tmp_path / "out")[0]["links"]]
    assert names == ["fr:Tour", "fr:Mur", "fr:Roma", None]
    expected = {
        "links": 4, "links_with_entity": 3, "links_by_name": 2, "links_red_link": 1, "links_no_item": 0,
        "links_named_fr": 3, "links_no_name_fr": 0,
    }  # fmt: skip
    assert {name: counters[name] for name in expected} == expected
