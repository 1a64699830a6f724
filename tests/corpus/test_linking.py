"""Plain text becomes a corpus that other verbs read, whatever the workers and interruptions."""

import json
import random

import pyarrow.parquet as pq
import pytest
from corpus_helpers import articles, build_quietly, digest, write_dump, write_wikidata

from lingraft.corpus import LinkConfig, link, linking, preview, stats
from lingraft.corpus.held_out import THRESHOLDS, MeasureConfig, measure
from lingraft.corpus.texts import TextSource
from lingraft.entities.mentions import Mentions
from lingraft.errors import LingraftError
from lingraft.runs import read_manifest

TOWNS = {100 + number: f"Town {name}" for number, name in enumerate("Alba Brno Cork Deva Eger Faro Gent Hull".split())}
LINES = ["I saw Town Alba.", "", "Then Town Brno, and Town Alba again: no town.", "Nothing here", "Town Hull"]


@pytest.fixture(scope="module")
def wiki(tmp_path_factory):
    """A corpus of 60 pages that each link some towns, at first mention, and mention them again."""
    folder = tmp_path_factory.mktemp("linking")
    drawn = random.Random(0)
    pages = [(name, f"'''{name}''' is a town.") for name in TOWNS.values()]
    for number in range(60):
        towns = drawn.sample(sorted(TOWNS.values()), 3)
        links = ", ".join(f"[[{town}]]" for town in towns)
        pages.append((f"Page {number}", f"Here are {links}. {towns[0]} is old."))
    dump = write_dump(folder / "dump.xml", pages)
    items = {entity: {"enwiki": name, "frwiki": f"Ville {name[5:]}"} for entity, name in TOWNS.items() if entity != 107}
    build_quietly(folder / "corpus", dump, wikidata=[write_wikidata(folder / "wikidata.json", items)])
    return folder / "corpus"


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES))
    return path


def config(lines, wiki, **values) -> LinkConfig:
    return LinkConfig(texts=TextSource(path=[lines], documents="line"), wiki=wiki, **values)


def shown(corpus) -> list[tuple[str, list[tuple[str, int | None]]]]:
    return [
        (row["title"], [(row["text"][link["start"] : link["end"]], link["entity"]) for link in row["links"]])
        for row in articles(corpus)
    ]


def test_mentions_become_links(wiki, lines, tmp_path):
    manifest = link(config(lines, wiki), tmp_path / "linked", workers=1, quiet=True)
    assert shown(tmp_path / "linked") == [
        ("lines.txt, line 1", [("Town Alba", 100)]),
        ("lines.txt, line 3", [("Town Brno", 101), ("Town Alba", 100)]),
        ("lines.txt, line 4", []),
        ("lines.txt, line 5", []),  # Town Hull has no entity
    ]
    counters = manifest["counters"]
    assert (counters["articles"], counters["links"], counters["links_named_fr"]) == (4, 3, 3)
    assert (counters["articles_without_links"], counters["empty_text"]) == (2, 1)
    assert [row["id"] for row in articles(tmp_path / "linked")] == [1, 2, 3, 4]


def test_links_without_an_entity_are_asked_for(wiki, lines, tmp_path):
    mentions = Mentions(only_entities=False)
    manifest = link(config(lines, wiki, mentions=mentions), tmp_path / "linked", workers=1, quiet=True)
    assert shown(tmp_path / "linked")[-1] == ("lines.txt, line 5", [("Town Hull", None)])
    assert manifest["counters"]["links_no_item"] == 1


def test_other_verbs_read_it(wiki, lines, tmp_path, lingraft):
    done = lingraft("corpus", "link", "--text", lines, "--documents", "line", "--with", wiki, "--out", tmp_path / "l")
    assert (done.code, done.out.splitlines()[0]) == (0, f"{tmp_path / 'l'}: 4 articles, 3 links")
    figures = {row["figure"]: row["value"] for row in stats(tmp_path / "l")["statistics"]}
    assert figures["share of links with a name in fr"] == 1
    kinds = [segment["kind"] for article in preview(tmp_path / "l", 4) for segment in article["segments"]]
    assert kinds.count("name") == 3
    from lingraft.adapt import Tiny, make_tiny
    from lingraft.augment import EncodeConfig, encode

    make_tiny(tmp_path / "l", tmp_path / "tiny", Tiny(vocabulary=300, hidden=8, layers=1, heads=1))
    encoded = encode(
        EncodeConfig(corpus=tmp_path / "l", model=str(tmp_path / "tiny" / "model"), names=["fr"]),
        tmp_path / "encoded",
        workers=1,
    )
    assert encoded["counters"]["mentions_with_name"] == 3


def test_neither_workers_nor_interruptions_change_the_bytes(wiki, lines, tmp_path, monkeypatch):
    small = config(lines, wiki, shard_size=10)
    link(small, tmp_path / "one", workers=1, quiet=True)
    link(small, tmp_path / "two", workers=2, quiet=True)
    real, calls = linking._Linking.__call__, []

    def stops(self, given):
        calls.append(given[0])
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        return real(self, given)

    monkeypatch.setattr(linking._Linking, "__call__", stops)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            link(small, tmp_path / "stopped", workers=1, quiet=True)
    link(small, tmp_path / "stopped", workers=1, quiet=True)
    assert calls == [0, 1, 1, 2, 2, 3]
    wanted = parts(tmp_path / "one")
    assert len(wanted) == 4 + 2
    assert parts(tmp_path / "two") == parts(tmp_path / "stopped") == wanted


def parts(corpus) -> dict[str, str]:
    return {name: held for name, held in digest(corpus).items() if name.startswith(("articles", "names", "manifest"))}


def test_another_run_at_the_same_place_is_another_run(wiki, lines, tmp_path):
    pages = [(f"Page {number}", "[[Nothing here]] and [[Town Alba|elsewhere]]. Town Alba") for number in range(3)]
    build_quietly(tmp_path / "other", write_dump(tmp_path / "dump.xml", pages))
    mentions = Mentions(only_entities=False)
    link(config(lines, wiki, mentions=mentions), tmp_path / "linked", workers=1, quiet=True)
    other = config(lines, tmp_path / "other", mentions=mentions)
    link(other, tmp_path / "linked", workers=1, quiet=True, overwrite=True)
    assert [links for _, links in shown(tmp_path / "linked")] == [[], [], [("Nothing here", None)], []]


def test_anchors_are_counted_once_and_used_again(wiki, lines, tmp_path):
    link(config(lines, wiki), tmp_path / "first", workers=1, quiet=True)
    link(config(lines, tmp_path / "first" / "anchors"), tmp_path / "second", workers=1, quiet=True)
    assert shown(tmp_path / "second") == shown(tmp_path / "first")
    assert not (tmp_path / "second" / "anchors").exists()
    assert pq.read_table(tmp_path / "second" / "names.parquet").equals(pq.read_table(wiki / "names.parquet"))


def test_precision_and_recall_on_held_out_articles(wiki, tmp_path):
    mentions = Mentions(only_entities=False, min_probability=0.1)
    measured = measure(MeasureConfig(corpus=wiki, share=0.3, mentions=mentions), tmp_path / "m", workers=1)
    strict, first = measured.scores["strict"], measured.scores["first mention"]
    assert measured.reachable == strict.recall == first.recall == 1  # every anchor is known and clear
    assert first.precision == 1  # only repetitions are unlinked
    pages = int(strict.truth.astype(bool).sum())
    assert (int(strict.found.sum()), int(strict.right.sum())) == (4 * pages, 3 * pages)
    low, high = strict.interval(strict.found)
    assert low == high == strict.precision  # all pages are alike, so the interval has no width
    recalls = [measured.curve[threshold]["strict"].recall for threshold in THRESHOLDS]
    assert recalls == sorted(recalls, reverse=True)
    assert (recalls[0], recalls[-1]) == (1, 0)


def test_measuring_is_part_of_the_run(wiki, lines, tmp_path):
    link(config(lines, wiki, measure=0.3), tmp_path / "linked", workers=1, quiet=True)
    tables = {name: json.loads((tmp_path / "linked" / "tables" / f"{name}.json").read_text()) for name in
              ("held_out", "threshold_curve")}  # fmt: skip
    assert [tables[name]["kind"] for name in tables] == ["scores", "curve"]
    assert {row["label"] for row in tables["held_out"]["rows"]} == {"precision", "recall"}
    assert len(tables["threshold_curve"]["rows"]) == len(THRESHOLDS) * 6
    assert read_manifest(tmp_path / "linked" / "held-out", "corpus anchors")["counters"]["held_out_articles"] > 10


WRONG = {
    "other language": ({"lang": "fr"}, r"is a corpus in 'en', the text is said to be in 'fr'"),
    "no corpus": ({"wiki": "anchors"}, r"measure needs articles"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_linked(wiki, lines, tmp_path, name):
    values, message = WRONG[name]
    if "wiki" in values:
        link(config(lines, wiki), tmp_path / "first", workers=1, quiet=True)
        values = {"wiki": tmp_path / "first" / "anchors", "measure": 0.1}
    with pytest.raises(LingraftError, match=message):
        link(config(lines, **({"wiki": wiki} | values)), tmp_path / "out", workers=1, quiet=True)


def test_a_run_that_is_no_corpus(wiki, lines, tmp_path, lingraft):
    link(config(lines, wiki), tmp_path / "first", workers=1, quiet=True)
    lingraft("corpus", "quality", wiki, "--out", tmp_path / "quality")
    done = lingraft("corpus", "link", "--text", lines, "--with", tmp_path / "quality", "--out", tmp_path / "o")
    assert done.code == 1
    assert "holds a run of 'corpus quality', neither a corpus nor anchors" in done.err
