"""What stats and preview tell of a corpus."""

import json

import pytest
from corpus_helpers import build_quietly, write_dump, write_wikidata

from lingraft.corpus import preview, stats
from lingraft.errors import LingraftError


@pytest.fixture(scope="module")
def built(tmp_path_factory, small_wiki):
    out = tmp_path_factory.mktemp("inspected") / "corpus"
    sources = {"wikidata": [small_wiki["wikidata"]], "titles": [small_wiki["titles"]]}
    build_quietly(out, small_wiki["dump"], names=["fr", "de"], **sources)
    return out


def test_stats_are_figures_of_the_text_and_its_links(built):
    found = stats(built)
    figures = {row["figure"]: row["value"] for row in found["statistics"]}
    assert figures == {
        "articles": 5,
        "words": 37,
        "words an article": 7.4,
        "links": 10,
        "links a hundred words": 27.03,
        "share of links with an entity": 0.8,
        "share of articles without links": 0.4,
        "links with a name in fr": 8,
        "share of links with a name in fr": 0.8,
        "links with a name in fr a hundred words": 21.62,
        "links with a name in de": 3,
        "share of links with a name in de": 0.3,
        "links with a name in de a hundred words": 8.11,
    }
    assert found["frequent_names"]["fr"] == [
        {"name": "Rome", "entity": "Q220", "links": 3},
        {"name": "Athènes", "entity": "Q1524", "links": 2},
        {"name": "Atlantide", "entity": "title pair", "links": 1},
        {"name": "Grèce", "entity": "Q41", "links": 1},
        {"name": "Sparte", "entity": "Q99", "links": 1},
    ]
    assert {row["counter"]: row["value"] for row in found["counters"]}["links"] == 10
    assert json.loads(json.dumps(found)) == found


def test_a_wiki_written_without_spaces_is_counted_in_characters(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("東京", "[[日本]]の首都である。")], lang="ja")
    build_quietly(tmp_path / "out", dump, lang="ja")
    figures = {row["figure"]: row["value"] for row in stats(tmp_path / "out")["statistics"]}
    assert figures["characters"] == 9
    assert "words" not in figures


def test_a_preview_tells_text_mentions_names_and_headings_apart(built):
    shown = {article["title"]: article["segments"] for article in preview(built, 10)}
    assert len(shown) == 5
    assert shown["Rome (Q220), page 2"] == [
        {"text": "Rome lies on the ", "kind": "text"},
        {"text": "Tiber", "kind": "tag"},
        {"text": ".\n\n", "kind": "text"},
        {"text": "Names", "kind": "heading"},
        {"text": "\n\n", "kind": "text"},
        {"text": "It", "kind": "mention"},
        {"text": " Rome", "kind": "name"},
        {"text": " is called so; ", "kind": "text"},
        {"text": "A", "kind": "mention"},
        {"text": " Athènes", "kind": "name"},
        {"text": ".", "kind": "text"},
    ]
    assert "Tiber, page 4" in shown


def test_a_preview_is_the_same_for_a_seed_and_another_for_another(built):
    titles = [[article["title"] for article in preview(built, 2, seed=seed)] for seed in (1, 1, *range(2, 12))]
    assert titles[0] == titles[1]
    assert len({tuple(pair) for pair in titles}) > 1


@pytest.fixture
def long_article(tmp_path):
    text = "The history of [[Rome]] is long. " + "It goes on. " * 20 + "\n\n== history ==\nMuch [[Athens]] later."
    dump = write_dump(tmp_path / "a.xml", [("Rome", text), *((f"Alias {n}", "#REDIRECT [[Rome]]") for n in range(99))])
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"enwiki": "Rome", "frwiki": "Rome"}})
    build_quietly(tmp_path / "out", dump, wikidata=wikidata, shard_size=1000)
    return tmp_path / "out"


def test_a_preview_is_cut_and_its_headings_are_not_looked_for_in_what_is_left(long_article):
    (article,) = preview(long_article, 5, limit=60)
    assert article["segments"][0] == {"text": "The history of ", "kind": "text"}
    assert "heading" not in {segment["kind"] for segment in article["segments"]}
    assert article["segments"][-1]["text"].endswith("…")
    text = "".join(segment["text"] for segment in article["segments"] if segment["kind"] != "name")
    assert len(text) == 61
    (whole,) = preview(long_article, 5, limit=None)
    assert {"text": "history", "kind": "heading"} in whole["segments"]
    assert whole["segments"][-1]["text"] == " later."


def test_what_is_no_corpus_is_refused(tmp_path):
    for look in (lambda: stats(tmp_path), lambda: preview(tmp_path, 1)):
        with pytest.raises(LingraftError, match="holds no finished run"):
            look()
