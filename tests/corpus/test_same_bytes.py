"""A corpus has the same bytes whoever made it: one worker or many, the compiled kernels or Python."""

import pyarrow.parquet as pq
import pytest
from corpus_helpers import articles, build_quietly, digest, write_dump

from lingraft.corpus import extract
from lingraft.corpus.schema import ROW_GROUP
from lingraft.smallworld.dumps import write_dumps
from lingraft.smallworld.world import WorldConfig
from lingraft.wikimedia.wikitext import kernel


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_dumps(tmp_path_factory.mktemp("dumps"), WorldConfig(seed=3, num_entities=60, statements=3))


@pytest.fixture
def python_kernel(monkeypatch):
    """Turn the compiled kernels off in this process."""

    def turn_off():
        monkeypatch.setenv("LINGRAFT_KERNEL", "python")
        extract._wiki.cache_clear()
        assert kernel() is None

    yield turn_off
    extract._wiki.cache_clear()


@pytest.mark.parametrize("lang", ["el", "en"])
def test_the_small_world(world, tmp_path, python_kernel, lang):
    config = {"lang": lang, "names": ["el" if lang == "en" else "en"], "wikidata": [world["wikidata"]]}
    builds = {"one": 1, "three": 3, "python": 1}
    for name, workers in builds.items():
        if name == "python":
            python_kernel()
        build_quietly(tmp_path / name, world[lang], workers=workers, shard_size=20_000, **config)
    digests = [digest(tmp_path / name) for name in builds]
    assert len(articles(tmp_path / "one")) > 50
    assert digests[0] == digests[1] == digests[2]


def test_markup_of_all_kinds_and_letters(tmp_path, python_kernel):
    pages = [
        (
            "Αθήνα",
            "'''Αθήνα''' &amp; [[ρώμη|Ρώμη]]ς\r\n{{x|y}} {{ill|Πύργος|en|Tower}} <ref>[[no]]</ref>\n== Α [[Β]] ==\n* 1",
        ),
        ("東京", "[[%E4%BA%AC%E9%83%BD|京都]]と[[大阪_市]]。\n\n{|\n| [[cell]]\n|}\n''x''"),
        ("Empty", "{{only}}"),
        ("😀", "😀[[😀 two]]&#x1F600;&nbsp;[[a|b]][[ :A |c]]"),
        ("Way", "#REDIRECT [[Αθήνα#Α]]"),
    ]
    dump = write_dump(tmp_path / "a.xml.bz2", pages, lang="el", a_stream=2)
    digests = []
    for name in ("compiled", "python"):
        if name == "python":
            python_kernel()
        build_quietly(tmp_path / name, dump, lang="el", names=["en"])
        digests.append(digest(tmp_path / name))
    assert digests[0] == digests[1]


def test_a_row_group_is_bounded_by_articles_and_by_text(tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "_BATCH_CHARS", 50_000)
    many = [(f"Page {number}", "Short [[text]].") for number in range(ROW_GROUP + 100)]
    long = [(f"Long {number}", "Words of a long text. " * 1000) for number in range(10)]
    build_quietly(tmp_path / "out", write_dump(tmp_path / "a.xml", [*many, *long]))
    file = pq.ParquetFile(tmp_path / "out" / "articles" / "part-00000.parquet")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [ROW_GROUP, 103, 3, 3, 1]
