"""Each source of alignment alone gives what Wikidata gives, as far as the source carries it."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_helpers import articles, build_quietly, digest, links_of, names_of, write_dump, write_pairs, write_wikidata

from lingraft.corpus import preview, stats
from lingraft.entities.names import entity_of_pivot
from lingraft.errors import LingraftError
from lingraft.smallworld import WorldConfig, write_dumps

WORLD = WorldConfig(seed=3, num_entities=40, statements=3)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Paths of the small world's dumps, and the Greek corpus that Wikidata's JSON makes of them."""
    folder = tmp_path_factory.mktemp("world")
    dumps = write_dumps(folder / "dumps", WORLD)
    build_greek(folder / "wikidata", dumps, wikidata=dumps["wikidata"])
    return dumps, folder / "wikidata"


def build_greek(out: Path, dumps: dict[str, Path], **sources) -> dict:
    return build_quietly(out, dumps["el"], **{"lang": "el", "names": ["en"]} | sources)


def graph_of(corpus: Path) -> list[tuple]:
    """Every article with its entity and every link with its target and entity, in order."""
    return [
        (row["title"], row["entity"], [(link["target"], link["entity"]) for link in row["links"]])
        for row in articles(corpus)
    ]


def names_by_entity(corpus: Path) -> dict:
    return {key: name for key, (name, _) in names_of(corpus).items()}


@pytest.mark.parametrize(
    ("tables", "name_source"),
    [
        (["el-page_props"], None),
        (["el-page_props", "el-langlinks"], "langlink"),
        (["items"], "sitelink"),
        (["items", "el-page_props", "el-langlinks", "el-redirect", "el-page"], "sitelink"),
    ],
)
def test_sql_dumps_alone_give_the_graph_of_wikidata(world, tmp_path, tables, name_source):
    dumps, by_wikidata = world
    manifest = build_greek(tmp_path / "out", dumps, sql=[dumps[table] for table in tables])
    assert graph_of(tmp_path / "out") == graph_of(by_wikidata)
    assert sum(entity is not None for _, entity, _ in graph_of(by_wikidata)) > 100
    if name_source is None:
        assert names_of(tmp_path / "out") == {}
    else:
        assert names_by_entity(tmp_path / "out") == names_by_entity(by_wikidata)
        assert {source for _, source in names_of(tmp_path / "out").values()} == {name_source}
    assert manifest["counters"]["title_conflicts"] == manifest["counters"]["name_conflicts"] == 0
    assert manifest["problems"] == []


def test_langlinks_alone_give_the_same_graph_under_other_ids(world, tmp_path):
    dumps, by_wikidata = world
    counters = build_greek(tmp_path / "out", dumps, sql=[dumps["el-langlinks"]])["counters"]
    id_of = {}
    for (_, entity, links), (_, other, other_links) in zip(
        graph_of(by_wikidata), graph_of(tmp_path / "out"), strict=True
    ):
        for one, two in [(entity, other), *((a[1], b[1]) for a, b in zip(links, other_links, strict=True))]:
            assert id_of.setdefault(one, two) == two
            assert one is None or two < 0
    assert len(set(id_of.values())) == len(id_of)
    named = names_by_entity(by_wikidata)
    assert names_by_entity(tmp_path / "out") == {(id_of[entity], lang): name for (entity, lang), name in named.items()}
    assert counters["langlinks_without_qid"] == counters["langlinks_rows"] > 100


def test_page_props_flag_disambiguations(world, tmp_path):
    dumps, by_wikidata = world
    build_greek(tmp_path / "out", dumps, sql=[dumps["el-page_props"]])
    with_flag = {row["title"] for row in articles(tmp_path / "out") if "disambiguation" in row["flags"]}
    assert with_flag >= {row["title"] for row in articles(by_wikidata) if "disambiguation" in row["flags"]}
    assert len(with_flag) > 1


def test_labels_and_aliases_are_names_if_asked_for(world, tmp_path):
    dumps, by_wikidata = world
    lines = gzip.decompress(dumps["wikidata"].read_bytes()).decode().splitlines()
    items = [json.loads(line.rstrip(",")) for line in lines if line.startswith("{")]
    label = {int(item["id"][1:]): item["labels"]["en"]["value"] for item in items if "en" in item["labels"]}
    aliases = {
        int(item["id"][1:]): [alias["value"] for alias in item["aliases"]["en"]]
        for item in items
        if item["aliases"].get("en")
    }
    build_greek(tmp_path / "out", dumps, wikidata=dumps["wikidata"], name_sources=["label", "alias"])
    rows = pq.read_table(tmp_path / "out" / "names.parquet").to_pylist()
    assert graph_of(tmp_path / "out") == graph_of(by_wikidata)
    assert {row["entity"] for row in rows} == {entity for entity, _ in names_of(by_wikidata)}
    assert all(row["name"] == label[row["entity"]] for row in rows if row["source"] == "label")
    found = [(row["entity"], row["name"]) for row in rows if row["source"] == "alias"]
    assert found
    frequent = [row["entity"] for row in stats(tmp_path / "out")["frequent_names"]["en"]]
    assert len(frequent) == len(set(frequent))
    shown = [segment for article in preview(tmp_path / "out", 50) for segment in article["segments"]]
    names = {segment["text"].strip() for segment in shown if segment["kind"] == "name"}
    assert names <= set(label.values())
    assert names & {label[entity] for entity, _ in found}
    assert found == sorted((row["entity"], name) for row in rows if row["source"] == "label"
                           for name in aliases.get(row["entity"], []))  # fmt: skip


def test_several_name_languages_at_once(world, tmp_path):
    dumps, by_wikidata = world
    build_greek(tmp_path / "out", dumps, sql=[dumps["items"]], names=["en", "el"])
    names = names_by_entity(tmp_path / "out")
    assert {key: name for key, name in names.items() if key[1] == "en"} == names_by_entity(by_wikidata)
    assert sum(lang == "el" for _, lang in names) == len(names) // 2


OLD_PAGES = [
    ("Τσάι", "Από την [[Κίνα]].\n\n[[en:Tea]]\n[[fr:Thé]]"),
    ("Κίνα", "Χώρα.\n[[fr:Chine (pays)]]"),
    ("Πορτοκάλι", "[[Τσάι]] <!-- [[en:Orange]] -->"),
]


def test_interlanguage_lines_of_old_wikitext_make_a_graph(tmp_path):
    dump = write_dump(tmp_path / "a.xml", OLD_PAGES, lang="el")
    wikidata = write_wikidata(tmp_path / "w.json", {6097: {"enwiki": "Tea"}})
    options = {"lang": "el", "names": ["en", "fr"], "wikidata": wikidata}
    counters = build_quietly(tmp_path / "out", dump, interlanguage=True, **options)["counters"]
    china = entity_of_pivot("fr:Chine (pays)")  # no title in the first language of names
    assert links_of(tmp_path / "out") == {"Κίνα": ("Κίνα", china), "Τσάι": ("Τσάι", 6097)}
    assert names_of(tmp_path / "out") == {
        (6097, "en"): ("Tea", "sitelink"),
        (6097, "fr"): ("Thé", "langlink"),
        (china, "fr"): ("Chine", "langlink"),
    }
    assert counters["interlanguage_links"] == 3
    assert (counters["interlanguage_with_qid"], counters["interlanguage_without_qid"]) == (2, 1)
    without = build_quietly(tmp_path / "without", dump, **options)["counters"]
    assert without["links_with_entity"] == 0


def sql_dump(path: Path, table: str, columns: list[str], rows: list[tuple], database: str = "enwiki") -> Path:
    described = "".join(f"  `{column}` varbinary(255) NOT NULL,\n" for column in columns)
    written = ",".join(f"({','.join('NULL' if value is None else repr(value) for value in row)})" for row in rows)
    path.write_text(
        f"-- MariaDB dump\n-- Host: x    Database: {database}\n\n"
        f"CREATE TABLE `{table}` (\n{described}  PRIMARY KEY (`x`)\n) ENGINE=InnoDB;\n\n"
        f"INSERT INTO `{table}` VALUES {written};\n\n-- Dump completed on 2024-01-01\n"
    )
    return path


PROPS = ["pp_page", "pp_propname", "pp_value", "pp_sortkey"]
LANGLINKS = ["ll_from", "ll_lang", "ll_title"]


@pytest.fixture
def disputed(tmp_path):
    """Paths of a dump and of sources that disagree about it."""
    pages = [("Athens", "In [[Greece]]."), ("Greece", "Has [[Athens]].")]
    return {
        "dump": write_dump(tmp_path / "a.xml", pages),
        "wikidata": write_wikidata(
            tmp_path / "w.json",
            {1524: {"enwiki": "Athens", "frwiki": "Athènes"}, 41: {"enwiki": "Greece", "frwiki": "Grèce"}},
        ),
        "page_props": sql_dump(
            tmp_path / "p.sql", "page_props", PROPS, [(1, "wikibase_item", "Q999", 0), (2, "wikibase_item", "Q41", 0)]
        ),
        "langlinks": sql_dump(
            tmp_path / "l.sql", "langlinks", LANGLINKS, [(1, "fr", "Athènes"), (2, "fr", "La Grèce")]
        ),
    }


def build_disputed(out: Path, disputed: dict, **config) -> dict:
    return build_quietly(
        out,
        disputed["dump"],
        wikidata=disputed["wikidata"],
        sql=[disputed["langlinks"], disputed["page_props"]],
        **config,
    )


def test_sources_that_disagree_are_settled_by_priority_counted_and_listed(disputed, tmp_path):
    out = tmp_path / "out"
    counters = build_disputed(out, disputed)["counters"]
    assert links_of(out) == {"Greece": ("Greece", 41), "Athens": ("Athens", 999)}
    assert names_of(out) == {(41, "fr"): ("Grèce", "sitelink")}  # Athènes is Q1524's name, and no one's here
    assert (counters["title_conflicts"], counters["name_conflicts"]) == (2, 1)
    assert counters["langlinks_refused"] == 1
    listed = json.loads((out / "tables" / "conflicts.json").read_text())["rows"]
    assert listed == [
        conflict("Athens", "entity", "Q999", "page_props", "Q1524", "langlinks"),
        conflict("Athens", "entity", "Q999", "page_props", "Q1524", "wikidata"),
        conflict("Q41", "name in fr", "Grèce", "wikidata", "La Grèce", "langlinks"),
    ]
    counted = json.loads((out / "tables" / "conflicts_by_source.json").read_text())["rows"]
    assert {row["name"]: row["value"] for row in counted} == {
        "name: wikidata over langlinks": 1,
        "title: page_props over langlinks": 1,
        "title: page_props over wikidata": 1,
    }


def conflict(of, what, kept, source, refused, refused_source) -> dict:
    return {
        "of": of,
        "what": what,
        "kept": kept,
        "source": source,
        "refused": refused,
        "refused source": refused_source,
    }


def test_the_priority_can_be_turned_round(disputed, tmp_path):
    build_disputed(tmp_path / "out", disputed, priority="wikidata")
    assert links_of(tmp_path / "out")["Athens"] == ("Athens", 1524)
    build_disputed(tmp_path / "names", disputed, priority="wikidata", name_sources="langlink,sitelink")
    assert names_of(tmp_path / "names")[41, "fr"] == ("La Grèce", "langlink")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"priority": "wikidata,pageprops"}, "unknown source 'pageprops': did you mean 'page_props'?"),
        ({"name_sources": "titles"}, "unknown kind of names 'titles'"),
        ({"interlanguage": True, "names": []}, "interlanguage lines are read in the name languages"),
    ],
)
def test_options_that_make_no_sense_are_refused(disputed, tmp_path, option, words):
    with pytest.raises(ValueError, match=words):
        build_quietly(tmp_path / "out", disputed["dump"], **option)


def test_the_order_of_the_files_and_the_workers_change_no_byte(world, tmp_path):
    dumps, _ = world
    tables = ["items", "el-page_props", "el-langlinks", "el-redirect", "el-page"]
    made = []
    for name, workers, order in (("a", 1, tables), ("b", 2, tables)):
        sql = [dumps[table] for table in order]
        out = tmp_path / name
        build_greek(out, dumps, sql=sql, wikidata=dumps["wikidata"], workers=workers, shard_size=20_000)
        made.append(digest(out))
    assert made[0] == made[1]
    build_greek(tmp_path / "c", dumps, sql=[dumps[table] for table in tables[::-1]], wikidata=dumps["wikidata"])
    assert graph_of(tmp_path / "c") == graph_of(tmp_path / "a")
    assert names_of(tmp_path / "c") == names_of(tmp_path / "a")


def test_redirects_that_a_cut_dump_lacks_come_from_sql(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("Rome", "The [[Eternal City]]; [[Roma]]."), ("Away", "x")])
    page = sql_dump(
        tmp_path / "page.sql",
        "page",
        ["page_id", "page_namespace", "page_title"],
        [(1, 0, "Rome"), (7, 0, "Eternal_City"), (8, 0, "Roma"), (9, 4, "Rules")],
    )
    redirect = sql_dump(
        tmp_path / "redirect.sql",
        "redirect",
        ["rd_from", "rd_namespace", "rd_title", "rd_interwiki"],
        [(7, 0, "Rome", ""), (8, 0, "Rome", "it"), (9, 0, "Rome", ""), (1, 0, "Away", ""), (8, 1, "Rome", "")],
    )
    wikidata = write_wikidata(tmp_path / "w.json", {220: {"enwiki": "Rome"}})
    counters = build_quietly(tmp_path / "out", dump, wikidata=wikidata, sql=[redirect, page])["counters"]
    assert links_of(tmp_path / "out") == {"Eternal City": ("Rome", 220), "Roma": ("Roma", None)}
    expected = {"redirect_added": 1, "redirect_in_dump": 1, "redirect_no_page": 1, "redirect_other_namespace": 2}
    assert {name: counters[name] for name in expected} == expected
    assert (counters["page_rows"], counters["page_titles"]) == (4, 3)


BAD_SQL = {
    "another schema": (
        lambda folder: sql_dump(folder / "l.sql", "langlinks", ["ll_from", "ll_lang", "ll_target_id"], [(1, "fr", 7)]),
        ["table `langlinks` has no column ll_title", "It has ll_from, ll_lang, ll_target_id", "another version"],
    ),
    "another wiki": (
        lambda folder: sql_dump(folder / "l.sql", "langlinks", LANGLINKS, [(1, "fr", "A")], database="dewiki"),
        ["l.sql is a dump of dewiki, not of enwiki", "Page ids of one wiki mean other pages in another"],
    ),
    "another table": (
        lambda folder: sql_dump(folder / "l.sql", "pagelinks", ["pl_from"], [(1,)]),
        ["holds table `pagelinks`, which is no source of alignment", "page_props, langlinks"],
    ),
    "not SQL": (
        lambda folder: write_pairs(folder / "l.sql", [("a", "b")]),
        ["l.sql is not an SQL dump", "No CREATE TABLE was found"],
    ),
}


@pytest.mark.parametrize("case", BAD_SQL)
def test_a_wrong_sql_dump_is_told_before_the_dump_is_read(tmp_path, lingraft, case):
    make, words = BAD_SQL[case]
    dump, path = write_dump(tmp_path / "a.xml", OLD_PAGES), make(tmp_path)
    with pytest.raises(LingraftError) as caught:
        build_quietly(tmp_path / "out", dump, sql=path)
    for word in words:
        assert word in str(caught.value)
    finished = lingraft("corpus", "build", "--quiet", "--dump", dump, "--lang", "en", "--names", "fr",
                        "--sql", path, "--out", tmp_path / "other")  # fmt: skip
    assert (finished.code, finished.err) == (1, f"error: {caught.value}\n")


def test_sql_cut_inside_a_row_gives_what_is_there_and_a_warning(disputed, tmp_path):
    whole = disputed["langlinks"].read_bytes()
    disputed["langlinks"].write_bytes(whole[: whole.index(b"La Gr") + 4])
    manifest = build_disputed(tmp_path / "out", disputed)
    assert (manifest["counters"]["langlinks_rows"], manifest["counters"]["langlinks_truncated"]) == (1, 1)
    assert manifest["problems"][0].startswith("dump is cut off: l.sql ends in row 2 of table `langlinks`, at byte")
    with pytest.raises(LingraftError, match="1 complete rows were read"):
        build_disputed(tmp_path / "strict", disputed, strict=True)


def test_null_where_mediawiki_has_none_is_a_malformed_row(disputed, tmp_path):
    rows = [(1, "fr", None), (None, "fr", "A"), (2, "fr", "Grèce")]
    disputed["langlinks"] = sql_dump(tmp_path / "l.sql", "langlinks", LANGLINKS, rows)
    rows = [(None, "disambiguation", "", 0), (1, "wikibase_item", None, 0), (2, "wikibase_item", "Q41", None)]
    disputed["page_props"] = sql_dump(tmp_path / "p.sql", "page_props", PROPS, rows)
    counters = build_disputed(tmp_path / "out", disputed)["counters"]
    assert (counters["langlinks_rows"], counters["langlinks_malformed_row"]) == (3, 2)
    assert counters["langlinks_with_qid"] == 1
    assert (counters["page_props_malformed_row"], counters["page_props_items"]) == (2, 1)


def test_page_ids_that_match_nothing_are_a_warning_with_their_share(disputed, tmp_path):
    rows = [(number, "wikibase_item", f"Q{number}", 0) for number in range(1000, 1200)]
    disputed["page_props"] = sql_dump(tmp_path / "p.sql", "page_props", PROPS, [*rows, (1, "wikibase_item", "?", 0)])
    manifest = build_disputed(tmp_path / "out", disputed)
    assert manifest["problems"] == [
        "p.sql: only 1 of its 201 page ids (0.5%) are articles of the dump. Is it of the same wiki and date?"
    ]
    assert (manifest["counters"]["page_props_no_page"], manifest["counters"]["page_props_bad_item"]) == (200, 1)
    assert build_disputed(tmp_path / "limited", disputed, limit=1)["problems"] == []


def test_command_line_takes_every_source(world, tmp_path, lingraft):
    dumps, by_wikidata = world
    finished = lingraft(
        "corpus", "build", "--quiet", "--workers", 1, "--dump", dumps["el"], "--lang", "el", "--sql",
        dumps["el-page_props"], dumps["el-langlinks"], "--interlanguage", "--priority", "langlinks", "--name-sources",
        "langlink", "--out", tmp_path / "out",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    assert graph_of(tmp_path / "out") == graph_of(by_wikidata)
    assert names_by_entity(tmp_path / "out") == names_by_entity(by_wikidata)
