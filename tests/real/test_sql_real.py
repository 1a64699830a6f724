"""Real MariaDB dumps: every table of the folder, the 226 escapes of langlinks, and what only looks like SQL."""

import gzip
import re
from collections import Counter

import pytest

from lingraft.errors import LingraftError
from lingraft.wikimedia.sql import read_table, rows


def read(path, columns):
    tally, problems = Counter(), []
    batches = list(rows(path, columns, tally, problems))
    assert problems == []
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()], tally


def test_langlinks_of_2017(shared_data):
    path = shared_data / "sql" / "wikidatawiki-2017-langlinks.sql.gz"
    found, tally = read(path, {"ll_from": int, "ll_lang": str, "ll_title": str})
    assert len(found) == 90_551
    assert tally == {"rows": 90_551}
    assert sum(not title for _, _, title in found) == 1
    assert found[0] == (14928, "aa", "Category:User aa")
    text = gzip.decompress(path.read_bytes()).decode()
    value = r"'((?:[^'\\]|\\.)*)'"
    expected = re.findall(rf"\((\d+),{value},{value}\)", text[text.index("INSERT INTO") :])  # row by row
    assert sum("\\" in title for _, _, title in expected) == 226
    plain = [(int(number), lang, re.sub(r"\\(.)", r"\1", title)) for number, lang, title in expected]
    assert found == plain
    assert any("'" in title for _, _, title in found)
    french = [row for row in plain if row[1] == "fr"]
    wanted = rows(path, {"ll_from": int, "ll_lang": str, "ll_title": str}, tally, where={"ll_lang": ("fr",)})
    assert [tuple(row.values()) for batch in wanted for row in batch.to_pylist()] == french


def test_every_table_can_be_read(shared_data):
    num_rows = {}
    for path in sorted((shared_data / "sql").glob("*-20*.sql.gz")):
        table = read_table(path)
        found, _ = read(path, dict.fromkeys(table.columns, str))
        statements = gzip.decompress(path.read_bytes()).count(b"INSERT INTO")
        assert bool(found) == bool(statements), path.name
        num_rows[path.name.removesuffix(".sql.gz")] = len(found)
    assert len(num_rows) == 20
    assert num_rows["aawiki-20260101-pagelinks"] == 637
    assert num_rows["wikidatawiki-20240401-page_props"] == 16


def test_page_props_of_a_small_wiki(shared_data):
    path = shared_data / "sql" / "rmwiki-20240301-page_props.sql.gz"
    found, tally = read(path, {"pp_page": int, "pp_propname": str, "pp_value": str})
    assert [(page, value) for page, name, value in found if name == "wikibase_item"] == [
        (1, "Q5296"),
        (799, "Q72"),
        (3824, "Q662541"),
    ]
    assert tally == {"rows": 6}


def test_link_texts_that_are_named_gz_are_one_clear_error(shared_data):
    for path in (shared_data / "sql").glob("rmwiki-latest-*"):
        with pytest.raises(LingraftError, match="is not an SQL dump") as caught:
            read_table(path)
        assert "is named .gz but is not gzip" in caught.value.why
