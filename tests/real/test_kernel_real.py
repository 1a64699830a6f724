"""The compiled parser gives on real dumps what the one in Python gives: some pages of each here, all under `slow`."""

from itertools import islice
from pathlib import Path

import pytest

from lingraft.wikimedia.columns import Columns
from lingraft.wikimedia.export_xml import pages, read_header
from lingraft.wikimedia.siteinfo import languages, site
from lingraft.wikimedia.wikitext import Parser

pytestmark = pytest.mark.real

kernel = pytest.importorskip("lingraft.wikimedia._kernel", reason="the parser is not compiled here (see setup.py)")


def dumps(shared_data: Path) -> list[tuple[Path, str]]:
    """Return every dump with its language; those of Berlin and the single pages carry it in their names only."""
    folder = shared_data / "dumps"
    found = [
        (dump, read_header(dump).lang)
        for dump in [
            *folder.glob("complete/*.bz2"),
            *folder.glob("excerpts/*wiki*"),
            *folder.glob("formats/*am.xml.bz2"),
        ]
    ]
    found += [(dump, dump.name.partition(".")[0]) for dump in folder.glob("minidumps/*.bz2")]
    found += [(dump, dump.name.partition("wiki")[0]) for dump in folder.glob("single_pages/*.xml")]
    return sorted((dump, lang) for dump, lang in found if lang in languages())


def differing(dump: Path, lang: str, limit: int | None) -> tuple[int, list[str]]:
    """Return how many pages were read and the titles of those on which the parsers differ."""
    parser = Parser(site(lang))
    reader = kernel.Reader(parser)
    compiled, reference = kernel.Columns(parser), Columns(parser)
    wrong, count = [], 0
    for page in islice(pages(dump), limit):
        count += 1
        expected = parser.parse_in_python(page.text, page.title)
        if reader.parse(page.text, page.title) != expected:
            wrong.append(page.title)
        compiled.add(page.text, title=page.title)
        parser._reader = None
        reference.add(page.text, title=page.title)
    if compiled.take() != reference.take():
        wrong.append("as columns")
    return count, wrong


def test_some_pages_of_each_dump_are_read_alike(shared_data):
    total = 0
    for dump, lang in dumps(shared_data):
        count, wrong = differing(dump, lang, limit=15)
        assert wrong == [], dump.name
        total += count
    assert total > 300


@pytest.mark.slow
def test_all_pages_of_each_dump_are_read_alike(shared_data):
    total = 0
    for dump, lang in dumps(shared_data):
        count, wrong = differing(dump, lang, limit=None)
        assert wrong == [], dump.name
        total += count
    assert total > 10_000
