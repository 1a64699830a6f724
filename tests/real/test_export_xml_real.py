from collections import Counter

import pytest

from lingraft.errors import LingraftError
from lingraft.wikimedia.export_xml import pages, read_header, read_shard, shards
from lingraft.wikimedia.title_pairs import pairs
from lingraft.wikimedia.wikidata import sitelinks


@pytest.mark.parametrize(
    ("name", "lang", "num_pages", "num_articles", "num_redirects"),
    [
        ("complete/hawiki-latest-pages-articles.xml.bz2", "ha", 2101, 1651, 183),
        ("complete/igwiki-latest-pages-articles.xml.bz2", "ig", 3317, 1044, 1533),
        ("complete/ffwiki-latest-pages-articles.xml.bz2", "ff", 671, 240, 111),
        ("complete/elwikivoyage-pages-articles.xml.bz2", "el", 2040, 1310, 240),
        ("complete/aawiki-20260101-pages-meta-current.xml.bz2", "aa", 507, 1, 19),
        ("excerpts/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", "en", 206, 106, 100),
        ("excerpts/bgwiki-latest-pages-articles-shortened.xml.bz2", "bg", 3, 1, 0),  # UTF-16
        ("excerpts/frwiki-20101103-pages-articles-sample.xml.gz", "en", 6, 5, 1),  # 0.3, a pasted header, no <ns>
    ],
)
def test_counts_of_complete_dumps(shared_data, name, lang, num_pages, num_articles, num_redirects):
    path = shared_data / "dumps" / name
    tally, problems = Counter(), []
    found = list(pages(path, tally, problems))
    assert read_header(path).lang == lang
    assert tally == {"pages": num_pages}
    assert problems == []
    assert sum(page.namespace == 0 and page.redirect is None for page in found) == num_articles
    assert sum(page.redirect is not None for page in found) == num_redirects


@pytest.mark.parametrize(
    ("wiki", "num_pages", "num_articles", "place"),
    [
        ("el", 933, 524, "inside page '18 Μαρτίου' (id 1489) at byte 15,436,371 of its unpacked XML."),
        ("uk", 532, 512, "inside page '1702' (id 1219) at byte 13,592,574 of its unpacked XML."),
        ("mr", 1820, 949, "inside page 'समुद्र' (id 3186) at byte 12,231,085 of its unpacked XML."),
    ],
)
def test_excerpts_cut_inside_a_page_give_the_complete_ones(shared_data, wiki, num_pages, num_articles, place):
    path = shared_data / "dumps" / "excerpts" / f"{wiki}wiki-truncated-100k.xml.xz"
    tally, problems = Counter(), []
    found = list(pages(path, tally, problems))
    assert tally == {"pages": num_pages, "truncated": 1}
    assert sum(page.namespace == 0 and page.redirect is None for page in found) == num_articles
    assert [problem.message for problem in problems] == [f"dump is cut off: {path.name} ends {place}"]

    sharded, sharded_tally = [], Counter()
    for shard in shards(path, 1 << 20):
        sharded += read_shard(shard, sharded_tally)
    assert sharded == found
    assert sharded_tally == tally


@pytest.mark.parametrize("variant", ["", "-noheader", "-nofooter"])
@pytest.mark.parametrize("shard_size", [101, 997, 4096, 1 << 22])
def test_multistream_variants_in_ranges_of_any_size(shared_data, variant, shard_size):
    path = shared_data / "dumps" / "formats" / f"pages-articles-p2566p2583.multistream{variant}.xml.bz2"
    tally = Counter()
    found = [page for shard in shards(path, shard_size) for page in read_shard(shard, tally)]
    assert found == list(pages(path))
    assert tally == {"pages": 17}


def test_a_multistream_index_is_told_from_its_dump(shared_data):
    with pytest.raises(LingraftError, match="is the index of a multistream dump"):
        pages(shared_data / "dumps" / "formats" / "pages-articles-p2566p2583.multistream-index.xml.bz2")


def test_minidumps(shared_data):
    num_pages = {}
    for path in sorted((shared_data / "dumps" / "minidumps").glob("*.bz2")):
        if path.name != "wikidata.org.xml.bz2":
            num_pages[path.name.split(".")[0]] = sum(1 for _ in pages(path))
    assert num_pages["en"] == 27
    assert min(num_pages.values()) == 1
    with pytest.raises(LingraftError, match="holds a header and no page"):
        pages(shared_data / "dumps" / "minidumps" / "wikidata.org.xml.bz2")


def test_single_pages(shared_data):
    for path in (shared_data / "dumps" / "single_pages").iterdir():
        (page,) = pages(path)
        assert page.title
        assert len(page.text) > 1000


def test_what_is_named_gz_and_is_not_is_told(shared_data):
    path = next((shared_data / "sql").glob("rmwiki-latest-*"))
    with pytest.raises(LingraftError, match="is not a MediaWiki export") as error:
        pages(path)
    assert "is not gzip" in error.value.why


def test_wikidata(shared_data):
    tally = Counter()
    path = shared_data / "wikidata" / "wikidata-20151109-1000-entities.json.bz2"
    found = list(sitelinks(path, None, tally))
    assert tally == {"items": 542, "property": 458}
    assert sum(len(titles) for _, titles in found) == 53_420
    assert len({site for _, titles in found for site in titles}) == 507
    assert sum("enwiki" in titles for _, titles in found) == 527


def test_title_pairs(shared_data):
    found = list(pairs(shared_data / "interlanguage" / "el-en-titles.tsv", Counter()))
    assert len(found) == 2290
    assert ("Μίχαελ Χάνεκε", "Michael Haneke") in found
