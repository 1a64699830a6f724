"""The package's own readers, written for the dumps of Wikimedia, read the world's dumps back."""

from collections import Counter

import pytest

from lingraft.smallworld.articles import pages
from lingraft.smallworld.dumps import write_dumps
from lingraft.smallworld.world import World, WorldConfig
from lingraft.wikimedia import export_xml, wikitext

CONFIG = WorldConfig(seed=9, num_entities=40, statements=3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_dumps(tmp_path_factory.mktemp("dumps"), CONFIG)


@pytest.mark.parametrize("edition", ["en", "el", "el-early"])
def test_the_export_reader_gives_every_page(paths, edition):
    tally, problems = Counter(), []
    read = list(export_xml.pages(paths[edition], tally, problems))
    world = World(CONFIG)
    written = pages(world, world.editions()[edition])
    assert [(p.id, p.namespace, p.title, p.redirect, p.text) for p in read] == [
        (p.id, p.namespace, p.title, p.redirect, p.text) for p in written
    ]
    assert problems == []
    header = export_xml.read_header(paths[edition])
    assert (header.lang, header.dbname) == (edition[:2], f"{edition[:2]}wiki")


def test_its_streams_are_shared_out_among_processes(paths):
    shards = list(export_xml.shards(paths["el"], shard_size=20_000))
    assert len(shards) > 1
    ids = [page.id for shard in shards for page in export_xml.read_shard(shard, Counter())]
    assert ids == [page.id for page in export_xml.pages(paths["el"])]


def test_the_parser_finds_every_statement_without_markup():
    world = World(CONFIG)
    edition = world.editions()["el"]
    parsed = [wikitext.parse(page.text, "el") for page in pages(world, edition) if page.namespace == 0]
    text = "\n".join(page.text for page in parsed)
    missing = []
    for fact in edition.facts:
        names = {"s": world.name_of(fact.subject, edition.language), "o": world.name_of(fact.object, edition.language)}
        for phrasing in range(3):
            said = edition.language.sentence(fact.relation, phrasing, lambda slot, end, n=names: n[slot] + end)
            missing += [] if said in text else [said]
    assert missing == []
    anchors = Counter(page.text[start:end] for page in parsed for start, end, _ in page.links)
    assert sum(count for anchor, count in anchors.items() if anchor.endswith("ωμ")) > 200
