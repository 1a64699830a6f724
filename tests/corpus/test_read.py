"""A corpus as Python objects: records, names, attribution, Hugging Face datasets."""

import pyarrow as pa
import pytest
from corpus_helpers import articles, build_quietly, write_dump, write_wikidata

import lingraft.corpus
from lingraft.corpus import Article, open
from lingraft.corpus.names import best_names
from lingraft.corpus.schema import ARTICLE
from lingraft.errors import LingraftError

LONG = [(f"Page {number}", f"Page {number} is after [[Page {number - 1}]].\n\n== A ==\nb") for number in range(3000)]


@pytest.fixture(scope="module")
def built(tmp_path_factory, small_wiki):
    out = tmp_path_factory.mktemp("read") / "corpus"
    build_quietly(out, small_wiki["dump"], names=["fr", "de"], wikidata=[small_wiki["wikidata"]])
    return out


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A corpus of several shards, one of them of several row groups."""
    folder = tmp_path_factory.mktemp("sharded")
    first = write_dump(folder / "enwiki-20230501-pages-articles1.xml", LONG[:100], a_stream=None)
    second = write_dump(folder / "second.xml.bz2", LONG[100:], a_stream=500)
    build_quietly(folder / "corpus", [first, second], shard_size=1500)
    return folder / "corpus"


def test_records_are_the_rows(sharded):
    corpus = open(sharded)
    rows = articles(sharded)
    assert len(corpus.parts) > 3
    assert len(corpus) == len(rows) == 3000
    for record, row in zip(corpus.articles(), rows, strict=True):
        shown = record._asdict() | {name: [item._asdict() for item in getattr(record, name)] for name in LISTS}
        assert shown == row


LISTS = ("sections", "links")


def test_links_read_as_anchors(built):
    texts = {
        article.title: [(article.text[link.start : link.end], link.target, link.entity) for link in article.links]
        for article in open(built).articles()
    }
    assert texts["Athens"][:2] == [("Greece", "Greece", 41), ("rome", "Rome", 220)]


def test_only_the_columns_that_are_asked_for_are_read(built):
    found = list(open(built).articles(["title", "links"]))
    assert [article.title for article in found][:2] == ["Athens", "Rome"]
    assert found[0].links
    assert {name for name in ARTICLE.names if getattr(found[0], name) is None} == set(ARTICLE.names) - {
        "title",
        "links",
    }
    with pytest.raises(LingraftError, match=r"no column 'txt'\ndid you mean 'text'"):
        next(open(built).articles(["txt"]))


def test_shards_add_up(sharded):
    corpus = open(sharded)
    by_shard = [list(corpus.articles(["id"], shard=shard)) for shard in range(len(corpus.parts))]
    assert [len(shard) for shard in by_shard] == corpus.sizes
    assert [article for shard in by_shard for article in shard] == list(corpus.articles(["id"]))
    with pytest.raises(LingraftError, match=rf"no shard {len(by_shard)} .*\nIt has {len(by_shard)}"):
        next(corpus.articles(shard=len(by_shard)))


def test_single_articles_are_found_in_any_order(sharded):
    corpus = open(sharded)
    whole = list(corpus.articles())
    rows = [2999, 0, 1500, 99, 100, 0]
    assert corpus.take(rows) == [whole[row] for row in rows]
    for row in (3000, -1):
        with pytest.raises(LingraftError, match=f"no article {row} "):
            corpus.take([row])


def test_names_by_entity(built):
    corpus = open(built)
    assert corpus.names("de") == {1524: "Athen", 41: "Griechenland"}
    with pytest.raises(LingraftError, match=r"no names in 'en'\nIt holds names in: de, fr\."):
        corpus.names("en")


def test_of_several_names_the_best_source_wins_in_any_order():
    rows = [(7, "b", "label"), (7, "z", "sitelink"), (7, "y", "sitelink"), (-3, "c", "alias"), (9, "d", "unheard of")]
    for order in (rows, rows[::-1]):
        table = best_names(pa.table(dict(zip(("entity", "name", "source"), zip(*order, strict=True), strict=True))))
        assert list(zip(*table.to_pydict().values(), strict=True)) == [(-3, "c"), (7, "y"), (9, "d")]


def test_attribution_names_title_revision_and_licence(sharded):
    corpus = open(sharded)
    (article,) = corpus.take([1])
    assert corpus.address == "https://en.wikipedia.org"
    assert (corpus.date, corpus.licence.id) == ("20230501", "cc-by-sa-3.0")
    assert corpus.attribution(article) == (
        f'"Page 1", its authors at https://en.wikipedia.org/w/index.php?oldid={article.revision}, '
        "CC BY-SA 3.0 (https://creativecommons.org/licenses/by-sa/3.0/)"
    )


@pytest.mark.parametrize(
    ("old", "new", "address", "licence"),
    [
        ("https://en.wikipedia.org/", "http://localhost/", "https://en.wikipedia.org", "CC BY-SA 4.0"),
        ("https://en.wikipedia.org/", "https://wiki.example.org/", "https://wiki.example.org", None),
        ("<dbname>enwiki<", "<dbname>enwikivoyage<", "https://en.wikipedia.org", "CC BY-SA 4.0"),
        ("<base>https://en.wikipedia.org/wiki/Main_Page</base>", "", "https://en.wikipedia.org", "CC BY-SA 4.0"),
        ("<dbname>enwiki<", "<dbname>frwiki<", "https://en.wikipedia.org", "CC BY-SA 4.0"),
    ],
)
def test_the_wiki_is_the_one_of_the_header_if_that_can_be(tmp_path, old, new, address, licence):
    dump = write_dump(tmp_path / "a.xml", [("A", "b")])
    dump.write_text(dump.read_text().replace(old, new))
    build_quietly(tmp_path / "out", dump)
    corpus = open(tmp_path / "out")
    assert corpus.address == address
    assert (corpus.licence and corpus.licence.name) == licence


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_datasets_hold_the_same_rows(sharded, tmp_path, streaming):
    pytest.importorskip("datasets")
    data = open(sharded).to_datasets(streaming=streaming, cache_dir=tmp_path)
    rows = articles(sharded)
    assert sum(1 for _ in data) == len(rows)
    assert next(iter(data)) == rows[0]
    if not streaming:
        assert data.cache_files
        assert data[2999] == rows[2999]


def test_what_is_no_corpus_is_an_error(tmp_path, sharded):
    with pytest.raises(LingraftError, match="holds no finished run"):
        open(tmp_path)
    (tmp_path / "manifest.json").write_text('{"stage": "train"}')
    with pytest.raises(LingraftError, match=r"holds no articles\nIt holds a run of 'train'"):
        open(tmp_path)
    part = tmp_path / "articles" / "part-00000.parquet"
    part.parent.mkdir()
    part.write_bytes((sharded / "articles" / "part-00000.parquet").read_bytes()[:-100])
    with pytest.raises(LingraftError, match=r"part-00000\.parquet is damaged"):
        open(tmp_path)


def test_a_damaged_shard_is_named_when_it_is_read(tmp_path, sharded):
    (tmp_path / "manifest.json").write_bytes((sharded / "manifest.json").read_bytes())
    part = tmp_path / "articles" / "part-00001.parquet"
    part.parent.mkdir()
    data = bytearray((sharded / "articles" / "part-00001.parquet").read_bytes())
    data[4:400] = bytes(396)
    part.write_bytes(data)
    corpus = open(tmp_path)
    with pytest.raises(LingraftError, match=r"part-00001\.parquet is damaged"):
        list(corpus.articles())
    with pytest.raises(LingraftError, match=r"part-00001\.parquet is damaged"):
        corpus.take([0])


def test_the_package_offers_it():
    assert lingraft.corpus.open is open
    assert Article(id=1).title is None


def test_entities_without_an_item_have_negative_ids(tmp_path, small_wiki):
    write_wikidata(tmp_path / "none.json", {})
    build_quietly(tmp_path / "out", small_wiki["dump"], titles=[small_wiki["titles"]])
    names = open(tmp_path / "out").names("fr")
    assert set(names.values()) == {"Sparte", "Grèce", "Atlantide"}
    assert all(entity < 0 for entity in names)
