"""A build settles every link and every name, counts what it drops, and does not depend on who did the work."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_helpers import articles, build_quietly, digest, links_of, names_of, write_dump, write_pairs, write_wikidata

from lingraft.corpus import BuildConfig
from lingraft.entities.names import entity_of_pivot
from lingraft.errors import LingraftError

ATLANTIS = entity_of_pivot("Atlantide (île)")


@pytest.fixture(scope="module")
def built(tmp_path_factory, small_wiki):
    """(folder, manifest) of the small wiki."""
    out = tmp_path_factory.mktemp("built") / "corpus"
    manifest = build_quietly(
        out, small_wiki["dump"], wikidata=[small_wiki["wikidata"]], titles=[small_wiki["titles"]], names=["fr", "de"]
    )
    return out, manifest


def test_every_link_finds_its_page_and_its_entity(built):
    out, _ = built
    assert links_of(out) == {
        "Greece": ("Greece", 41),
        "rome": ("Rome", 220),
        "the City": ("Rome", 220),  # through a chain of two redirects, the second to a section
        "It": ("Rome", 220),
        "Atlantis": ("Atlantis", ATLANTIS),  # no page, but a title pair
        "Sparta": ("Sparta (city)", 99),  # the QID of the pair's French title
        "Tiber": ("Tiber", None),
        "A": ("Athens", 1524),  # percent-encoded redirect
        "Athens": ("Athens", 1524),
        "Loop": ("Loop", None),
    }


def test_articles_know_their_own_entity(built):
    out, _ = built
    held = {row["title"]: (row["id"], row["revision"], row["entity"]) for row in articles(out)}
    assert held == {
        "Athens": (1, 1001, 1524),
        "Rome": (2, 1002, 220),
        "Greece": (3, 1003, 41),
        "Tiber": (4, 1004, None),
        "Sparta (city)": (5, 1005, 99),
    }
    assert {row["lang"] for row in articles(out)} == {"en"}


def test_names_come_from_both_sources(built):
    out, _ = built
    assert names_of(out) == {
        (1524, "fr"): ("Athènes", "sitelink"),
        (1524, "de"): ("Athen", "sitelink"),
        (220, "fr"): ("Rome", "sitelink"),
        (41, "de"): ("Griechenland", "sitelink"),
        (99, "fr"): ("Sparte", "sitelink"),  # of the item that the pair leads to
        (41, "fr"): ("Grèce", "title_pair"),  # its sitelink is a portal
        (ATLANTIS, "fr"): ("Atlantide", "title_pair"),
    }


def test_the_counters_say_what_became_of_everything(built):
    _, manifest = built
    expected = {
        "pages": 13,
        "other_namespace": 2,
        "redirect_pages": 7,
        "redirects": 6,
        "redirects_unusable": 1,  # leads to another namespace
        "redirects_broken": 1,
        "redirect_cycles": 2,
        "redirects_through_redirects": 3,
        "empty_text": 1,
        "articles": 5,
        "articles_with_entity": 4,
        "articles_without_links": 2,
        "links": 10,
        "links_with_entity": 8,
        "links_no_item": 1,  # Tiber
        "links_red_link": 1,  # Loop
        "links_named_fr": 8,
        "links_no_name_fr": 0,
        "links_named_de": 3,
        "links_no_name_de": 5,
        "names_dropped_namespace_fr": 1,
        "title_conflicts": 0,
        "wikidata_items": 5,
        "title_pairs_with_qid": 2,
        "title_pairs_without_qid": 1,  # Atlantis
    }
    assert {name: manifest["counters"].get(name) for name in expected} == expected
    assert manifest["problems"] == []


def test_the_counters_add_up(built):
    counters = built[1]["counters"]
    assert counters["pages"] == counters["articles"] + counters["redirect_pages"] + counters["empty_text"]
    assert counters["links"] == sum(counters[f"links_{fate}"] for fate in ("with_entity", "no_item", "red_link"))
    for lang in ("fr", "de"):
        assert counters["links_with_entity"] == counters[f"links_named_{lang}"] + counters[f"links_no_name_{lang}"]
    assert counters["redirect_pages"] == counters["redirects"] + counters["redirects_unusable"]


def test_counters_of_text_are_those_of_the_articles(built):
    out, manifest = built
    texts = [row["text"] for row in articles(out)]
    assert manifest["counters"]["words"] == sum(len(text.split()) for text in texts)
    assert manifest["counters"]["characters"] == sum(len(text) for text in texts)
    assert manifest["counters"]["links"] == sum(len(row["links"]) for row in articles(out))


def test_the_files_keep_the_contract(built):
    out, _ = built
    schema = pq.read_schema(out / "articles" / "part-00000.parquet")
    section = {"start": pa.int32(), "end": pa.int32(), "level": pa.int8(), "heading": pa.string()}
    link = {"start": pa.int32(), "end": pa.int32(), "target": pa.string(), "entity": pa.int64(), "name": pa.string()}
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "id": pa.int64(),
        "revision": pa.int64(),
        "title": pa.string(),
        "lang": pa.string(),
        "entity": pa.int64(),
        "text": pa.large_string(),
        "sections": pa.list_(pa.struct(section.items())),
        "links": pa.list_(pa.struct(link.items())),
        "flags": pa.list_(pa.string()),
    }
    assert schema.metadata[b"lingraft.schema"] == b"1"
    names = pq.read_schema(out / "names.parquet")
    assert (names.names, names.types) == (["entity", "lang", "name", "source"], [pa.int64(), *[pa.string()] * 3])
    assert {"articles", "names.parquet", "manifest.json", "request.json", "tables"} <= {p.name for p in out.iterdir()}
    assert not (out / "work").exists()


def test_links_and_sections_lie_inside_their_text(built):
    out, _ = built
    for row in articles(out):
        end = 0
        for link in row["links"]:
            assert end <= link["start"] < link["end"] <= len(row["text"])
            end = link["end"]
        for section in row["sections"]:
            assert 0 <= section["start"] <= section["end"] <= len(row["text"])
    sections = {row["title"]: [(s["level"], s["heading"]) for s in row["sections"]] for row in articles(out)}
    assert sections["Rome"] == [(0, ""), (2, "Names")]


def many_pages(number: int, length: int = 20) -> list[tuple[str, str]]:
    """Pages that link to each other, through redirects and to pages that are not there."""
    pages = []
    for index in range(number):
        targets = [(index * 7 + step) % (number + 9) for step in range(length)]
        pages.append((f"Page {index}", "\n\n".join(f"See [[page {target}|'''no''' {target}]]s." for target in targets)))
        if index % 3 == 0:
            pages.append((f"Alias {index}", f"#REDIRECT [[Page {index}]]"))
    return pages


ITEMS = {number + 1: {"enwiki": f"Page {number}", "frwiki": f"Feuille {number}"} for number in range(0, 60, 2)}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    dump = write_dump(folder / "enwiki.xml.bz2", many_pages(60), a_stream=16)
    return dump, write_wikidata(folder / "wikidata.json", ITEMS)


def test_the_number_of_workers_changes_no_byte(many, tmp_path):
    dump, wikidata = many
    digests = []
    for workers in (1, 2, 3):
        out = tmp_path / str(workers)
        build_quietly(out, dump, wikidata=wikidata, shard_size=1000, workers=workers)
        digests.append(digest(out))
    assert sum(name.startswith("articles/") for name in digests[0]) > 3
    assert digests[0] == digests[1] == digests[2]


def test_the_size_of_shards_and_the_packing_change_no_article(many, tmp_path):
    dump, wikidata = many
    build_quietly(tmp_path / "one", dump, wikidata=wikidata)
    expected = articles(tmp_path / "one")
    assert len(expected) == 60
    assert len(list((tmp_path / "one" / "articles").iterdir())) == 1
    parts = {"small": (dump, 1500)}
    for name in ("a.xml", "a.xml.bz2", "a.xml.gz", "a.xml.xz"):
        parts[name] = write_dump(tmp_path / name, many_pages(60)), 1500
    for name, (path, shard_size) in parts.items():
        out = tmp_path / f"out-{name}"
        build_quietly(out, path, wikidata=wikidata, shard_size=shard_size)
        num_parts = len(list((out / "articles").iterdir()))
        assert num_parts > 1 or name not in ("small", "a.xml"), name  # the others are cut behind 8 MiB of XML at least
        assert articles(out) == expected, name
        assert names_of(out) == names_of(tmp_path / "one")


def test_a_shard_without_articles_is_an_empty_part(tmp_path):
    pages = [("Rome", "A city."), *((f"Alias {number}", "#REDIRECT [[Rome]]") for number in range(300))]
    dump = write_dump(tmp_path / "a.xml", pages)
    counters = build_quietly(tmp_path / "out", dump, shard_size=2000)["counters"]
    assert (counters["articles"], counters["redirects"]) == (1, 300)
    rows = [pq.read_metadata(part).num_rows for part in sorted((tmp_path / "out" / "articles").iterdir())]
    assert len(rows) > 3
    assert rows == [1, *[0] * (len(rows) - 1)]


def test_a_dump_in_parts_is_one_wiki(tmp_path):
    pages = many_pages(12, 4)
    whole = write_dump(tmp_path / "whole.xml", pages)
    parts = [write_dump(tmp_path / "part1.xml", pages[:6]), write_dump(tmp_path / "part2.xml", pages[6:])]
    build_quietly(tmp_path / "a", whole)
    build_quietly(tmp_path / "b", parts)
    texts = [[(row["title"], row["text"], row["links"]) for row in articles(tmp_path / name)] for name in "ab"]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
def test_a_limit_keeps_the_first_articles(many, tmp_path, limit):
    dump, wikidata = many
    manifest = build_quietly(tmp_path / "out", dump, wikidata=wikidata, limit=limit, shard_size=1000, workers=2)
    kept = min(limit, 60)
    assert [row["title"] for row in articles(tmp_path / "out")] == [f"Page {number}" for number in range(kept)]
    counters = manifest["counters"]
    assert counters["articles"] == kept
    assert counters["links"] == kept * 20
    assert counters["links"] == sum(counters[f"links_{fate}"] for fate in ("with_entity", "no_item", "red_link"))


def test_a_finished_corpus_is_left_alone(many, tmp_path):
    dump, wikidata = many
    first = build_quietly(tmp_path / "out", dump, wikidata=wikidata)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    assert build_quietly(tmp_path / "out", dump, wikidata=wikidata) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")} == stamps


def test_moved_inputs_are_the_same_inputs(many, tmp_path):
    dump, wikidata = many
    build_quietly(tmp_path / "out", dump, wikidata=wikidata)
    moved = tmp_path / "moved.bz2"
    moved.write_bytes(dump.read_bytes())
    assert build_quietly(tmp_path / "out", moved, wikidata=wikidata)["config"]["dump"] == [str(dump)]


def test_a_folder_of_other_settings_is_refused_or_replaced(many, tmp_path):
    dump, _ = many
    build_quietly(tmp_path / "out", dump)
    with pytest.raises(LingraftError, match="limit: None there, 3 asked"):
        build_quietly(tmp_path / "out", dump, limit=3)
    config = BuildConfig(dump=dump, lang="en", names=["fr"], limit=3)
    from lingraft.corpus import build

    assert build(config, tmp_path / "out", workers=1, overwrite=True, quiet=True)["counters"]["articles"] == 3
    assert len(articles(tmp_path / "out")) == 3


PARAGRAPHS = [
    ("i", "Lower case."),
    ("I", "Upper case."),
    ("Start", "To [[i]] and [[I]] and [[start]]."),
]


def test_a_case_sensitive_wiki_keeps_two_pages_apart(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PARAGRAPHS, case="case-sensitive")
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"enwiki": "i"}, 2: {"enwiki": "I"}})
    counters = build_quietly(tmp_path / "out", dump, wikidata=wikidata)["counters"]
    assert links_of(tmp_path / "out") == {"i": ("i", 1), "I": ("I", 2), "start": ("start", None)}
    assert counters["links_red_link"] == 1


def test_a_turkish_wiki_has_a_dotted_capital(tmp_path):
    dump = write_dump(
        tmp_path / "a.xml", [("İstanbul", "Bir [[Iğdır]] ve [[istanbul]]."), ("Iğdır", "Şehir.")], lang="tr"
    )
    build_quietly(tmp_path / "out", dump, lang="tr")
    assert links_of(tmp_path / "out") == {"Iğdır": ("Iğdır", None), "istanbul": ("İstanbul", None)}


def test_titles_meet_in_their_normal_form(tmp_path):
    pages = [
        ("AT&T", "A [[Cafe\u0301|c]], a [[caf%C3%A9|d]], [[Caf&eacute;|e]] and [[AT&amp;T|f]]."),
        ("Café", "A place."),
    ]
    dump = write_dump(tmp_path / "a.xml", pages)
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"enwiki": "AT&T"}, 2: {"enwiki": "Café"}})
    build_quietly(tmp_path / "out", dump, wikidata=wikidata)
    cafe = ("Café", 2)
    assert links_of(tmp_path / "out") == {"c": cafe, "d": cafe, "e": cafe, "f": ("AT&T", 1)}


def test_the_given_language_wins_over_a_wrong_header(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("Αθήνα", "Η [[Αθήνα]]ς.")], lang="en")
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"elwiki": "Αθήνα", "enwiki": "Athens"}})
    manifest = build_quietly(tmp_path / "out", dump, wikidata=wikidata, lang="el", names=["en"])
    assert links_of(tmp_path / "out") == {"Αθήνας": ("Αθήνα", 1)}  # the Greek trail belongs to the link
    assert articles(tmp_path / "out")[0]["lang"] == "el"
    assert manifest["counters"]["links_named_en"] == 1


@pytest.mark.parametrize("header_lang", ["no", "en"])
def test_a_synonym_of_the_language_is_the_wiki(tmp_path, header_lang):
    dump = write_dump(tmp_path / "a.xml", [("Oslo", "I [[Norge]].")], lang=header_lang)
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"nowiki": "Norge", "frwiki": "Norvège"}})
    build_quietly(tmp_path / "out", dump, wikidata=wikidata, lang="nb")
    assert links_of(tmp_path / "out") == {"Norge": ("Norge", 1)}
    assert articles(tmp_path / "out")[0]["lang"] == "no"


def test_a_wiki_of_another_project_is_known_by_its_database_name(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("Oslo", "In [[Norway]].")], dbname="enwikivoyage")
    items = {1: {"enwiki": "Norway"}, 2: {"enwikivoyage": "Norway"}}
    build_quietly(tmp_path / "out", dump, wikidata=write_wikidata(tmp_path / "w.json", items))
    assert links_of(tmp_path / "out") == {"Norway": ("Norway", 2)}


def test_without_sources_links_stay_unresolved_and_are_counted(many, tmp_path):
    counters = build_quietly(tmp_path / "out", many[0], names=[])["counters"]
    assert counters["links_with_entity"] == 0
    assert counters["links"] == counters["links_no_item"] + counters["links_red_link"] == 1200


def test_title_pairs_alone_make_a_graph(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("Athens", "In [[Greece]]."), ("Greece", "Has [[Athens]].")])
    pairs = write_pairs(tmp_path / "a.tsv", [("Greece", "Grèce"), ("Athens", "Athènes")])
    build_quietly(tmp_path / "out", dump, titles=pairs)
    greece, athens = entity_of_pivot("Grèce"), entity_of_pivot("Athènes")
    assert links_of(tmp_path / "out") == {"Greece": ("Greece", greece), "Athens": ("Athens", athens)}
    assert [row["entity"] for row in articles(tmp_path / "out")] == [athens, greece]


def test_the_log_and_the_tables_are_there_for_the_report(built):
    out, manifest = built
    tables = {path.stem: json.loads(path.read_text()) for path in (out / "tables").iterdir()}
    rows = tables["counters"]["rows"] + tables["drops"]["rows"]
    assert {row["name"]: row["value"] for row in rows} == manifest["counters"]
    assert {row["name"] for row in tables["drops"]["rows"]} >= {"links_red_link", "redirect_cycles", "empty_text"}
    assert json.loads((out / "tables" / "frequent_names_fr.json").read_text())["rows"][0] == {
        "name": "Rome",
        "entity": "Q220",
        "links": 3,
    }


def test_template_data_of_ones_own_wins_and_wrong_data_is_told_before_the_dump_is_read(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("Tea", "Tea {{IPA|tiː}} is {{nowrap|a drink}}.")])
    own = tmp_path / "own.toml"
    own.write_text('[shows]\n"[{1}]" = ["IPA"]\n')
    build_quietly(tmp_path / "plain", dump)
    build_quietly(tmp_path / "own", dump, templates=[own])
    assert [articles(tmp_path / name)[0]["text"] for name in ("plain", "own")] == [
        "Tea is a drink.",
        "Tea [tiː] is a drink.",
    ]
    own.write_text('[show]\n"[{1}]" = ["IPA"]\n')
    with pytest.raises(LingraftError, match=r"own\.toml: unknown key 'show'(.|\n)*did you mean 'shows'"):
        build_quietly(tmp_path / "wrong", dump, templates=[own])
    assert not (tmp_path / "wrong" / "work").exists()
