"""Extraction on real dumps: what holds for every article, and figures that must not fall (benchmarks/quality.py)."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from lingraft.corpus import BuildConfig, build, stats
from lingraft.wikimedia.export_xml import pages, read_header
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.wikitext import parse

pytestmark = pytest.mark.real

WIKIDATA = ("wikidata-20151109-1000-entities.json.bz2", "wikidata-49-entities.json.bz2")


def articles(dump: Path, lang: str):
    wiki = site(lang, read_header(dump))
    for page in pages(dump, namespaces=(0,), redirect_words=wiki.redirect_words):
        if page.redirect is None:
            yield wiki, page


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def check_article(page, wiki) -> None:
    parsed = parse(page.text, wiki)
    text, where = parsed.text, f"{wiki.lang}: {page.title}"
    assert text == text.strip(" \n"), where
    assert not re.search("  |\n\n\n| \n|\n |\x00|[\x04-\x06]|[\ufdd0-\ufdef]", text), where
    position = 0
    for start, end, target in parsed.links:
        assert position <= start < end <= len(text), where
        anchor = text[start:end]
        assert anchor == anchor.strip(), where
        assert target.strip(), where
        assert not re.search(r"[\[\]{}|<>\n#]", target), where
        position = end
    last = 0
    for start, end, level, heading in parsed.sections:
        assert last <= start <= end <= len(text), where
        assert (level == 0) == (heading == ""), where
        assert "\n" not in heading, where
        assert level == 0 or text[:start].rstrip("\n").endswith(heading), where
        last = start


@pytest.mark.parametrize(
    ("name", "lang", "num_pages", "num_articles"),
    [
        ("complete/hawiki-latest-pages-articles.xml.bz2", "ha", 2101, 1651),
        ("complete/igwiki-latest-pages-articles.xml.bz2", "ig", 3317, 1044),
        ("complete/ffwiki-latest-pages-articles.xml.bz2", "ff", 671, 240),
        ("complete/elwikivoyage-pages-articles.xml.bz2", "el", 2040, 1310),
        ("excerpts/elwiki-truncated-100k.xml.xz", "el", 933, 524),
        ("excerpts/ukwiki-truncated-100k.xml.xz", "uk", 532, 512),
        ("excerpts/mrwiki-truncated-100k.xml.xz", "mr", 1820, 949),
        ("excerpts/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", "en", 206, 106),
    ],
)
def test_every_article_keeps_the_contract(shared_data, name, lang, num_pages, num_articles):
    dump = shared_data / "dumps" / name
    tally: Counter[str] = Counter()
    assert sum(1 for _ in pages(dump, tally)) == tally["pages"] == num_pages
    found = 0
    for wiki, page in articles(dump, lang):
        check_article(page, wiki)
        found += 1
    assert found == num_articles


def test_every_language_of_the_minidumps_keeps_the_contract(shared_data):
    wikis = 0
    for dump in sorted((shared_data / "dumps" / "minidumps").glob("*.xml.bz2")):
        lang = dump.name.removesuffix(".xml.bz2")
        if lang in ("commons", "wikidata", "wikidata.org"):  # no Wikipedias
            continue
        for wiki, page in articles(dump, lang):
            check_article(page, wiki)
        wikis += 1
    assert wikis >= 115


@pytest.mark.parametrize(
    ("lang", "num_documents", "recall", "precision"),
    [("ha", 1640, 0.990, 0.94), ("ig", 1040, 0.997, 0.84), ("ff", 238, 0.999, 0.95)],
)
def test_words_of_wikiextractor_2015(shared_data, lang, num_documents, recall, precision):
    """What is missing is captions and image names that it left in; what is beyond is lists, which it left out."""
    extracted = shared_data / "dumps" / "wikiextractor_output" / f"{lang}wiki.txt.gz"
    with gzip.open(extracted, "rt", encoding="utf-8") as file:
        found = re.findall(r'<doc id="(\d+)"[^>]*>\n[^\n]*\n(.*?)</doc>', file.read(), re.DOTALL)
    reference = {int(number): words(text) for number, text in found}
    dump = shared_data / "dumps" / "complete" / f"{lang}wiki-latest-pages-articles.xml.bz2"
    ours = {page.id: words(parse(page.text, wiki).text) for wiki, page in articles(dump, lang) if page.id in reference}
    assert len(ours) >= num_documents
    common = sum((ours[number] & reference[number]).total() for number in ours)
    assert common / sum(reference[number].total() for number in ours) >= recall
    assert common / sum(counted.total() for counted in ours.values()) >= precision


def test_leads_read_as_dbpedia_wrote_them(shared_data):
    missing: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    golds = sorted((shared_data / "wikitext_suites" / "dbpedia").glob("*-gold.txt"))
    assert len(golds) == 8
    for gold in golds:
        parsed = parse(gold.with_name(gold.name.replace("-gold.txt", ".wiki")).read_text(encoding="utf-8"), "en")
        lead, wanted = words(parsed.text[: parsed.sections[0][1]]), words(gold.read_text(encoding="utf-8"))
        missing += wanted - lead
        beyond += lead - wanted
    assert missing == {"five": 1}
    # "Akira Kurosawa (黒澤 明 or 黒沢 明, Kurosawa Akira)": DBpedia leaves out what stands in parentheses.
    assert beyond == Counter("黒澤 明 or 黒沢 明 Kurosawa Akira".split())


@pytest.mark.parametrize(
    ("lang", "name", "counted", "shown"),
    [
        ("ha", "complete/hawiki-latest-pages-articles.xml.bz2", 1237, 1115),
        ("ig", "complete/igwiki-latest-pages-articles.xml.bz2", 226, 133),
        ("ff", "complete/ffwiki-latest-pages-articles.xml.bz2", 65, 64),
        ("el", "excerpts/elwiki-truncated-100k.xml.xz", 5256, 4893),
        ("uk", "excerpts/ukwiki-truncated-100k.xml.xz", 2090, 1858),
        ("mr", "excerpts/mrwiki-truncated-100k.xml.xz", 1733, 1601),
    ],
)
def test_named_links_are_those_of_an_independent_count(shared_data, tmp_path, lang, name, counted, shown):
    """`counted` is data/README.md's count over raw wikitext; what stands in infoboxes, tables, notes is not shown."""
    wikidata = [shared_data / "wikidata" / file for file in WIKIDATA]
    config = BuildConfig(dump=[shared_data / "dumps" / name], lang=lang, wikidata=wikidata)
    counters = build(config, tmp_path / lang, workers=1, quiet=True)["counters"]
    assert shown - 3 <= counters["links_named_en"] <= shown
    assert counters["links_named_en"] <= counted
    assert counters.get("truncated", 0) == int("truncated" in name)


def test_the_greek_command_of_the_readme(shared_data, tmp_path):
    config = BuildConfig(
        dump=[shared_data / "dumps" / "excerpts" / "elwiki-truncated-100k.xml.xz"],
        lang="el",
        names=["en"],
        wikidata=[shared_data / "wikidata" / file for file in WIKIDATA],
        titles=[shared_data / "interlanguage" / "el-en-titles.tsv"],
    )
    manifest = build(config, tmp_path / "el", workers=2, quiet=True)
    counters = manifest["counters"]
    assert counters["articles"] + counters["empty_text"] == 524
    assert counters["links"] == counters["links_with_entity"] + counters["links_no_item"] + counters["links_red_link"]
    assert 97_300 <= counters["links"] <= 97_600
    assert 13_000 <= counters["links_named_en"] <= 14_000  # about 14,000 in raw wikitext
    assert any("18 Μαρτίου" in problem for problem in manifest["problems"])
    assert stats(tmp_path / "el")["counters"]
