"""Mentions and alignment on real wikis: figures that must not fall (benchmarks/mentions.py)."""

from pathlib import Path

import pytest

from lingraft.corpus import BuildConfig, LinkConfig, build, link
from lingraft.corpus.held_out import MeasureConfig, measure
from lingraft.corpus.read import Corpus
from lingraft.corpus.texts import TextSource
from lingraft.entities.mentions import Mentions
from lingraft.entities.quality import QualityConfig, quality

pytestmark = pytest.mark.real

SENTENCES = {
    "Ο Πλάτων έζησε στην Αθήνα.": {"Πλάτων", "Αθήνα"},
    "Το Βερολίνο είναι η μεγαλύτερη πόλη της Γερμανίας.": {"Βερολίνο", "Γερμανία"},
    "Στον Β΄ Παγκόσμιο Πόλεμο η Ιταλία εισέβαλε στην Ελλάδα.": {"Β΄ Παγκόσμιος Πόλεμος", "Ιταλία", "Ελλάδα"},
    "Η Ευρωπαϊκή Ένωση ιδρύθηκε με τη Συνθήκη του Μάαστριχτ.": {"Ευρωπαϊκή Ένωση", "Συνθήκη του Μάαστριχτ"},
}


@pytest.fixture(scope="module")
def greek(shared_data: Path, tmp_path_factory) -> Path:
    """A corpus of the Greek excerpt: 523 articles."""
    config = BuildConfig(
        dump=[shared_data / "dumps" / "excerpts" / "elwiki-truncated-100k.xml.xz"],
        lang="el",
        wikidata=[shared_data / "wikidata" / "wikidata-20151109-1000-entities.json.bz2"],
        titles=[shared_data / "interlanguage" / "el-en-titles.tsv"],
    )
    out = tmp_path_factory.mktemp("mentions") / "el"
    build(config, out, workers=1, quiet=True)
    return out


def test_held_out_articles_are_linked_about_as_well_as_before(greek, tmp_path):
    config = MeasureConfig(corpus=greek, share=0.2, mentions=Mentions(only_entities=False))
    measured = measure(config, tmp_path / "held-out", workers=1)
    strict, first = measured.scores["strict"], measured.scores["first mention"]
    assert measured.articles > 90
    assert strict.precision > 0.55
    assert strict.recall > 0.58
    assert first.precision > 0.7
    assert measured.reachable > first.recall > 0.6


def test_sentences_get_the_links_that_a_reader_expects(greek, tmp_path):
    text = tmp_path / "sentences.txt"
    text.write_text("\n".join(SENTENCES), encoding="utf-8")
    source = TextSource(path=[text], documents="line")
    config = LinkConfig(texts=source, wiki=greek, mentions=Mentions(only_entities=False))
    link(config, tmp_path / "linked", workers=1, quiet=True)
    articles = list(Corpus(tmp_path / "linked").articles())
    assert {article.text: {found.target for found in article.links} for article in articles} == SENTENCES
    for article in articles:
        for found in article.links:
            assert 0 <= found.start < found.end <= len(article.text)


def test_the_report_adds_up_to_the_counters_of_the_build(greek, tmp_path):
    found = quality(QualityConfig(corpus=greek, samples=20), tmp_path / "quality")
    counters = Corpus(greek).manifest["counters"]
    outcomes = {row["outcome"]: row["en"] for row in found["outcomes"]}
    assert sum(outcomes.values()) == counters["links"]
    assert outcomes["named"] == counters["links_named_en"]
    assert outcomes["red_link"] <= counters["links_red_link"]
    assert sum(row["links"] for row in found["bands"]) == counters["links"]
    shares = [row["share with entity"] for row in found["bands"]]
    assert shares == sorted(shares)  # what is linked often is aligned best
    assert len(found["samples"]) == 20
