"""The alignment report: what becomes of links, adding up to all, and a sheet to read."""

import csv
import json
from collections import Counter

import pyarrow as pa
import pytest
from anchor_helpers import article, write_corpus

from lingraft import runs
from lingraft.entities.quality import QualityConfig, quality
from lingraft.entities.title_writer import write_index
from lingraft.errors import LingraftError

ENTITIES = {"Athens": 1524, "Sparta": 99, "Names": 5}
PAGES = [
    article(1, "Athens", "[[Athens|here]] and [[Athens]], [[Sparta]], [[Java]], [[Towns]], [[Names]]", ENTITIES),
    article(2, "Tiber", "[[Athens]] on the [[Tiber]] and [[Atlantis]]", ENTITIES),
    article(3, "Java", "[[Athens]]", ENTITIES, flags=["disambiguation"]),
    article(4, "Towns", "[[Athens]]", ENTITIES, flags=["list"]),
    article(5, "Names", "none", ENTITIES, flags=["list"]),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = write_corpus(tmp_path_factory.mktemp("quality") / "corpus", [PAGES[:2], [], PAGES[2:]], {1524: "Athènes"})
    titles = [row["title"] for row in PAGES]
    seen = pa.record_batch([pa.array(titles), pa.nulls(len(titles), pa.string())], names=["title", "redirect"])
    aligned = pa.table({"title": list(ENTITIES), "entity": list(ENTITIES.values())})
    write_index(folder / "titles.arrow", [seen], aligned, Counter())
    return folder


def test_every_link_has_one_outcome(corpus, tmp_path):
    found = quality(QualityConfig(corpus=corpus), tmp_path / "q")
    outcomes = {row["outcome"]: row["fr"] for row in found["outcomes"]}
    assert outcomes == {
        "named": 5,
        "no_sitelink": 1,  # Sparta
        "list": 2,  # Towns has no entity, Names no name
        "disambiguation": 1,
        "no_item": 1,  # Tiber
        "red_link": 1,
        "no_entity": 0,
    }
    assert sum(outcomes.values()) == sum(len(page["links"]) for page in PAGES)
    assert sum(row["share fr"] for row in found["outcomes"]) == pytest.approx(1, abs=1e-3)


def test_bands_count_targets_by_frequency(corpus, tmp_path):
    bands = quality(QualityConfig(corpus=corpus), tmp_path / "q")["bands"]
    assert [(row["links to the target"], row["targets"], row["links"]) for row in bands] == [
        ("1", 6, 6),
        ("2 to 9", 1, 5),
    ]
    assert [row["share named fr"] for row in bands] == [0, 1]
    assert [row["share with entity"] for row in bands] == [round(2 / 6, 4), 1]


def test_a_red_title_may_have_an_entity_in_some_links(tmp_path):
    pages = [article(1, "A", "[[Red]] [[Red]]", {}), article(2, "B", "[[Red]]", {"Red": 9})]
    found = quality(QualityConfig(corpus=write_corpus(tmp_path / "corpus", [pages], {9: "Rouge"})), tmp_path / "q")
    assert {row["outcome"]: row["fr"] for row in found["outcomes"] if row["fr"]} == {"named": 1, "no_entity": 2}
    [band] = found["bands"]
    assert (band["targets"], band["links"], band["share with entity"]) == (1, 3, 0.3333)


def test_samples_are_links_of_the_corpus_and_the_same_again(corpus, tmp_path):
    config = QualityConfig(corpus=corpus, samples=11, seed=3, context=4)
    found = quality(config, tmp_path / "one")
    quality(config, tmp_path / "two")
    sheets = [(tmp_path / name / "samples.tsv").read_text() for name in ("one", "two")]
    assert sheets[0] == sheets[1]
    rows = list(csv.DictReader(sheets[0].splitlines(), dialect="excel-tab"))
    links = {(page["id"], page["text"][link["start"] : link["end"]]) for page in PAGES for link in page["links"]}
    assert {(int(row["page"]), row["anchor"]) for row in rows} == links  # eleven of eleven
    first = next(row for row in found["samples"] if row["anchor"] == "here")
    assert (first["after"], first["entity"], first["names"]) == (" and", 1524, {"fr": "Athènes"})


def test_another_seed_draws_other_links(corpus, tmp_path):
    drawn = [
        [
            row["anchor"]
            for row in quality(QualityConfig(corpus=corpus, samples=4, seed=seed), tmp_path / f"{seed}")["samples"]
        ]
        for seed in range(4)
    ]
    assert all(len(anchors) == 4 for anchors in drawn)
    assert len({tuple(anchors) for anchors in drawn}) > 1


def test_tables_are_written_for_the_report(corpus, tmp_path):
    found = quality(QualityConfig(corpus=corpus), tmp_path / "q")
    tables = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "q" / "tables").glob("*.json")}
    assert {name: table["kind"] for name, table in tables.items()} == {
        "outcomes": "table", "bands": "table", "not_links": "counts", "conflicts": "table", "samples": "examples",
    }  # fmt: skip
    assert tables["not_links"]["rows"] == [{"name": "links_file", "value": 3}]
    assert tables["conflicts"]["rows"] == [{"name": "title_conflicts", "value": 1}]
    assert len(tables["samples"]["rows"]) == len(found["samples"]) == 11
    assert runs.read_json(tmp_path / "q" / "quality.json") == found


def test_linked_text_has_no_titles_of_its_own(corpus, tmp_path):
    linked = write_corpus(tmp_path / "linked", [PAGES[:2]], {1524: "Athènes"})
    outcomes = {row["outcome"]: row["fr"] for row in quality(QualityConfig(corpus=linked), tmp_path / "q")["outcomes"]}
    assert (outcomes["named"], outcomes["no_sitelink"], outcomes["no_entity"], outcomes["red_link"]) == (3, 2, 4, 0)


def test_a_folder_without_articles_is_refused(corpus, tmp_path):
    quality(QualityConfig(corpus=corpus), tmp_path / "q")
    with pytest.raises(LingraftError, match=r"holds no articles\nIt holds a run of 'corpus quality'"):
        quality(QualityConfig(corpus=tmp_path / "q"), tmp_path / "again")
