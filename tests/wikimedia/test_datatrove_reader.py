"""WikipediaReader: a dump's articles as datatrove's Documents, shared out to tasks; and the pipeline that docs show."""

import bz2
import gzip
import json
import random
import re
import subprocess
import sys
from collections import Counter
from html import escape
from itertools import chain
from pathlib import Path

import pytest

pytest.importorskip("datatrove", reason="needs the extra [scale]")
from datatrove.data import Document
from datatrove.utils.logging import logger

from lingraft.errors import LingraftError
from lingraft.wikimedia.datatrove import WikipediaReader, Words

DOCS = Path(__file__).parents[2] / "docs" / "scaling.md"
HEADER = """<mediawiki xml:lang="en"><siteinfo><dbname>enwiki</dbname><case>first-letter</case></siteinfo>
"""


def page(number: int, title: str, wikitext: str, namespace: int = 0, redirect: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{namespace}</ns><id>{number}</id>"
        + (f'<redirect title="{redirect}" />' if redirect else "")
        + f"<revision><id>{number + 1000}</id><text>{escape(wikitext)}</text></revision></page>\n"
    )


def write(path: Path, pages: list[str], a_stream: int = 4) -> Path:
    """Write a multistream dump; with .gz, one that cannot be cut."""
    streams = [HEADER, *("".join(pages[at : at + a_stream]) for at in range(0, len(pages), a_stream)), "</mediawiki>\n"]
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(streams).encode()))
    else:
        path.write_bytes(b"".join(bz2.compress(stream.encode()) for stream in streams))
    return path


def numbered(count: int, first: int = 1) -> list[str]:
    return [
        page(number, f"Page {number}", " ".join(f"w{number * 31 + step}" for step in range(300)) + f" [[x{number}|y]].")
        for number in range(first, first + count)
    ]


@pytest.fixture
def logged():
    """What datatrove's logger was told."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING")
    yield lines
    logger.remove(sink)


def test_a_document_has_the_text_and_all_that_belongs_to_it(tmp_path):
    wikitext = "'''Tea''' is [[Drink|a drink]]; [[leaf|leaves]].\n\n== History ==\nOld."
    dump = write(tmp_path / "dump.xml.bz2", [page(7, "Tea", wikitext)])
    (document,) = WikipediaReader(dump, "en", default_metadata={"set": "a"}).run()
    assert document == Document(
        text="Tea is a drink; leaves.\n\nHistory\n\nOld.",
        id="enwiki/7",
        metadata={
            "set": "a",
            "title": "Tea",
            "revision": 1007,
            "url": "https://en.wikipedia.org/w/index.php?oldid=1007",
            "lang": "en",
            "links": [
                {"start": 7, "end": 14, "target": "Drink", "name": None},
                {"start": 16, "end": 22, "target": "leaf", "name": None},
            ],
            "sections": [
                {"start": 0, "end": 23, "level": 0, "heading": ""},
                {"start": 34, "end": 38, "level": 2, "heading": "History"},
            ],
            "flags": [],
        },
    )


def test_only_articles_with_text_are_documents_and_the_rest_is_counted(tmp_path):
    pages = [
        page(1, "Tea", "A drink."),
        page(2, "Chai", "#REDIRECT [[Tea]]", redirect="Tea"),
        page(3, "Category:Drinks", "All.", namespace=14),
        page(4, "Nothing", "{{stub}}"),
    ]
    reader = WikipediaReader(write(tmp_path / "dump.xml.bz2", pages), "en")
    assert [document.id for document in reader.run()] == ["enwiki/1"]
    counted = {name: stats.total for name, stats in reader.stats.stats.items()}
    assert counted | {"documents": 1, "redirect_pages": 1, "other_namespace": 1, "empty_text": 1} == counted


@pytest.mark.parametrize("name", ["dump.xml.bz2", "dump.xml.gz"])
def test_every_article_goes_to_one_task(tmp_path, name):
    dumps = [write(tmp_path / f"1-{name}", numbered(30)), write(tmp_path / f"2-{name}", numbered(10, first=31))]
    reader = WikipediaReader(dumps, "en", shard_size=3000)
    alone = [document.id for document in reader.run()]
    assert alone == [f"enwiki/{number}" for number in range(1, 41)]
    shared = [[document.id for document in reader.run(rank=rank, world_size=2)] for rank in range(2)]
    assert all(shared)
    assert Counter(chain(*shared)) == Counter(alone)


def test_documents_that_come_in_are_passed_on_and_limits_are_those_of_a_task(tmp_path):
    before = Document(text="before", id="0")
    reader = WikipediaReader(write(tmp_path / "dump.xml.bz2", numbered(9)), "en", limit=2, skip=3)
    assert [document.id for document in reader.run(iter([before]))] == ["0", "enwiki/4", "enwiki/5"]


def test_an_adapter_makes_the_document(tmp_path):
    def adapt(self, data, path, id_in_file):
        return {"text": data["title"].upper() if data["revision"] != 1002 else "", "id": id_in_file}

    reader = WikipediaReader(write(tmp_path / "dump.xml.bz2", numbered(3)), "en", adapter=adapt)
    assert [(document.id, document.text) for document in reader.run()] == [
        ("enwiki/1", "PAGE 1"),
        ("enwiki/3", "PAGE 3"),
    ]


def test_a_dump_that_cannot_be_cut_is_read_and_said_to_be_slow(tmp_path, logged):
    reader = WikipediaReader(write(tmp_path / "dump.xml.gz", numbered(3)), "en")
    assert len(list(reader.run())) == 3
    assert logged == []
    list(reader.run(rank=1, world_size=2))
    assert "dump.xml.gz cannot be cut: every task unpacks all of it" in logged[0]


def test_damage_is_logged_and_counted_or_ends_a_strict_reading(tmp_path, logged):
    dump = write(tmp_path / "dump.xml.bz2", numbered(9))
    dump.write_bytes(dump.read_bytes()[:-300])
    reader = WikipediaReader(dump, "en")
    kept = len(list(reader.run()))
    assert 0 < kept < 9
    assert "dump is cut off: dump.xml.bz2" in logged[0]
    assert reader.stats.stats["truncated"].total == 1
    with pytest.raises(LingraftError, match="dump is cut off"):
        list(WikipediaReader(dump, "en", strict=True).run())


def test_what_is_no_dump_or_no_language_is_refused_before_the_tasks_begin(tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><p>404")
    with pytest.raises(LingraftError, match="is an HTML page, not a dump"):
        WikipediaReader(tmp_path / "page.html", "en")
    dump = write(tmp_path / "dump.xml.bz2", numbered(1))
    with pytest.raises(LingraftError, match="xx"):
        WikipediaReader(dump, "xx")


def test_words_are_what_filters_count():
    words = Words()
    assert words.word_tokenize("Tea, 100 °C…\n\nή τσάι!") == ["Tea", ",", "100", "°", "C", "…", "ή", "τσάι", "!"]
    assert words.sent_tokenize("One.\n\nTwo three.\n") == ["One.", "Two three."]


def essay(seed: int) -> str:
    """A text that passes Gopher's rules, and is like no other."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(200)]
    return " ".join(["The", *words[:100], "of", *words[100:]])


def test_the_pipeline_in_the_docs_filters_and_deduplicates(tmp_path):
    texts = {f"Town {number}": essay(number) for number in range(12)}
    texts |= {"Copy": essay(3) + " So.", "Chorus": "The song of the sea " * 60, "Stub": "A town."}
    pages = [page(number, title, text) for number, (title, text) in enumerate(texts.items(), start=1)]
    dump = write(tmp_path / "enwiki.xml.bz2", pages)
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (example,) = (block for block in blocks if "def clean" in block)
    call = f"clean({str(dump)!r}, 'en', ['The', 'of'], {str(tmp_path / 'out')!r}, tasks=1)"
    script = tmp_path / "example.py"
    script.write_text(f"{example}\nif __name__ == '__main__':\n    {call}\n")
    subprocess.run([sys.executable, script], check=True, capture_output=True, timeout=100)

    def titles(folder: str) -> list[str]:
        files = sorted((tmp_path / "out" / folder).glob("*.jsonl.gz"))
        return [json.loads(line)["metadata"]["title"] for file in files for line in gzip.open(file)]

    assert titles("filtered") == [*(f"Town {number}" for number in range(12)), "Copy"]
    assert len(titles("unique")) == 12
    assert set(titles("filtered")) - set(titles("unique")) <= {"Town 3", "Copy"}
