"""The dumps are well-formed in their formats, and the same config gives the same bytes."""

import bz2
import gzip
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from lingraft.smallworld.articles import pages
from lingraft.smallworld.dumps import PAGES_A_STREAM, write_dumps
from lingraft.smallworld.world import World, WorldConfig

CONFIG = WorldConfig(seed=5, num_entities=60, statements=3)
SPACE = "{http://www.mediawiki.org/xml/export-0.11/}"
STREAM = b"BZh91AY&SY"


@pytest.fixture(scope="module")
def world():
    return World(CONFIG)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_dumps(tmp_path_factory.mktemp("dumps"), CONFIG)


def test_the_same_config_gives_the_same_bytes(tmp_path, paths):
    again = write_dumps(tmp_path, CONFIG)
    digests = [
        {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in made.items()} for made in (paths, again)
    ]
    assert digests[0] == digests[1]
    assert write_dumps(tmp_path / "other", CONFIG.replace(seed=6))["en"].read_bytes() != paths["en"].read_bytes()


def test_names_are_those_of_wikimedia(paths):
    assert sorted(path.name for path in paths.values()) == sorted(
        ["wikidata.json.gz", "wikidatawiki-wb_items_per_site.sql.gz", "elwiki-pages-articles-multistream.xml.bz2"]
        + [f"{wiki}-pages-articles-multistream.xml.bz2" for wiki in ("enwiki", "elwiki")]
        + [f"{wiki}-{table}.sql.gz" for wiki in ("enwiki", "elwiki")
           for table in ("page", "redirect", "page_props", "langlinks")]
    )  # fmt: skip


@pytest.mark.parametrize("edition", ["en", "el", "el-early"])
def test_articles_are_a_multistream_of_header_pages_and_footer(world, paths, edition):
    held = pages(world, world.editions()[edition])
    data = paths[edition].read_bytes()
    starts = [match.start() for match in re.finditer(STREAM, data)]
    streams = [bz2.decompress(data[start:end]) for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    assert len(streams) == 2 + -(-len(held) // PAGES_A_STREAM)
    assert len(streams) > 4
    assert streams[0].rstrip().endswith(b"</siteinfo>")
    assert streams[-1] == b"</mediawiki>\n"
    assert all(part.startswith(b"  <page>") and part.endswith(b"</page>\n") for part in streams[1:-1])

    root = ElementTree.fromstring(bz2.decompress(data))
    assert root.get("version") == "0.11"
    read = [
        (page.findtext(f"{SPACE}title"), page.findtext(f"{SPACE}ns"), page.findtext(f"{SPACE}revision/{SPACE}text"))
        for page in root.iter(f"{SPACE}page")
    ]
    assert read == [(page.title, str(page.namespace), page.text) for page in held]
    redirects = {element.get("title") for element in root.iter(f"{SPACE}redirect")}
    assert redirects == {page.redirect for page in held if page.redirect}


def test_the_index_points_into_the_streams(world, paths):
    index = paths["el"].with_name("elwiki-pages-articles-multistream-index.txt.bz2")
    data = paths["el"].read_bytes()
    lines = bz2.decompress(index.read_bytes()).decode().splitlines()
    assert len(lines) == len(pages(world, world.editions()["el"]))
    for line in lines[:: len(lines) // 7]:
        offset, page_id, title = line.split(":", 2)
        stream = bz2.BZ2Decompressor().decompress(data[int(offset) :]).decode()
        assert f"<title>{title}</title>" in stream
        assert f"<id>{page_id}</id>" in stream


def test_wikidata_names_each_entity_in_both_languages(world, paths):
    lines = gzip.decompress(paths["wikidata"].read_bytes()).decode().splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    items = {item["id"]: item for item in (json.loads(line.rstrip(",")) for line in lines[1:-1])}
    assert len(items) == len(lines) - 2
    for entity in world.entities:
        item = items[f"Q{entity.qid}"]
        assert {lang: label["value"] for lang, label in item["labels"].items()} == entity.names
    for edition in ("en", "el"):
        titles = {page.qid: page.title for page in pages(world, world.editions()[edition]) if page.qid}
        linked = {
            int(name[1:]): item["sitelinks"][f"{edition}wiki"]["title"]
            for name, item in items.items()
            if f"{edition}wiki" in item["sitelinks"]
        }
        assert linked == titles


def rows_of(path):
    """Read a dump's rows with a few lines of our own: the values of every INSERT, as Python values."""
    text = gzip.decompress(path.read_bytes()).decode()
    value = r"'((?:[^'\\]|\\.)*)'|(NULL)|(-?[0-9.e-]+)"
    for line in text.splitlines():
        if line.startswith("INSERT INTO"):
            body = line[line.index(" VALUES ") + 8 :]
            assert body.endswith(");")
            for row in re.findall(rf"\(((?:(?:{value}),?)+)\)[,;]", body):
                yield [
                    re.sub(r"\\(.)", r"\1", quoted) if not null and not number else None if null else float(number)
                    for quoted, null, number in re.findall(value, row[0])
                ]


def test_sql_tables_agree_with_the_pages(world, paths):
    for wiki, other in (("en", "el"), ("el", "en")):
        held = pages(world, world.editions()[wiki])
        elsewhere = {page.qid: page.title for page in pages(world, world.editions()[other]) if page.qid}
        rows = list(rows_of(paths[f"{wiki}-page"]))
        assert [int(row[0]) for row in rows] == [page.id for page in held]
        assert {row[2] for row in rows if row[1] == 0} == {
            page.title.replace(" ", "_") for page in held if page.namespace == 0
        }
        assert {(int(row[0]), row[2].replace("_", " ")) for row in rows_of(paths[f"{wiki}-redirect"])} == {
            (page.id, page.redirect) for page in held if page.redirect
        }
        props = list(rows_of(paths[f"{wiki}-page_props"]))
        assert {(int(row[0]), row[2]) for row in props if row[1] == "wikibase_item"} == {
            (page.id, f"Q{page.qid}") for page in held if page.qid
        }
        assert {(int(row[0]), row[1], row[2]) for row in rows_of(paths[f"{wiki}-langlinks"])} == {
            (page.id, other, elsewhere[page.qid]) for page in held if page.qid in elsewhere
        }


def test_items_per_site_hold_every_sitelink(world, paths):
    rows = {(int(row[1]), row[2], row[3]) for row in rows_of(paths["items"])}
    titles = {
        (page.qid, f"{wiki}wiki", page.title)
        for wiki in ("en", "el")
        for page in pages(world, world.editions()[wiki])
        if page.qid
    }
    assert rows == titles


def test_sql_escapes_are_those_of_mariadb():
    from lingraft.smallworld.dumps import _sql_value

    assert _sql_value("a'b\\c\"d\ne") == r"'a\'b\\c\"d\ne'"
    assert (_sql_value(None), _sql_value(7), _sql_value(0.5)) == ("NULL", "7", "0.5")
