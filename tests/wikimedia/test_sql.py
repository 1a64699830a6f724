"""mysqldump's files as rows: every escape, every border of a chunk, other schemas, and whatever is not SQL."""

import gzip
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.wikimedia import compressed, sql
from lingraft.wikimedia.sql import read_table, rows

HEAD = """-- MariaDB dump 10.19  Distrib 10.5.23-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: db1    Database: elwiki
-- ------------------------------------------------------

DROP TABLE IF EXISTS `langlinks`;
CREATE TABLE `langlinks` (
  `ll_from` int(8) unsigned NOT NULL DEFAULT 0,
  `ll_lang` varbinary(35) NOT NULL DEFAULT '',
  `ll_title` varbinary(255) DEFAULT 'a (b), `c`',
  PRIMARY KEY (`ll_from`,`ll_lang`),
  KEY `ll_lang` (`ll_lang`,`ll_title`)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

/*!40000 ALTER TABLE `langlinks` DISABLE KEYS */;
"""
TAIL = "/*!40000 ALTER TABLE `langlinks` ENABLE KEYS */;\n\n-- Dump completed on 2024-03-01 10:06:23\n"
COLUMNS = {"ll_from": int, "ll_lang": str, "ll_title": str}
ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"})


def value(held):
    if held is None:
        return "NULL"
    return f"'{held.translate(ESCAPES)}'" if isinstance(held, str) else str(held)


def insert(*statements, table="langlinks", between=","):
    return "".join(
        f"INSERT INTO `{table}` VALUES {between.join('(' + ','.join(map(value, row)) + ')' for row in held)};\n"
        for held in statements
    )


def written(tmp_path, body, name="elwiki-langlinks.sql", head=HEAD, tail=TAIL):
    path = tmp_path / name
    data = body if isinstance(body, bytes) else (head + body + tail).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return path


def read(path, columns=COLUMNS, **options):
    tally, problems = Counter(), []
    batches = list(rows(path, columns, tally, problems, **options))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()], tally, problems


ROWS = [
    (1, "en", "Athens"),
    (2, "fr", "L'Aquila"),
    (3, "en", 'The "City" \\ of\nlight'),
    (4, "de", "),(5,'de','x"),
    (5, "el", ""),
    (6, "en", "NULL"),
    (7, "en", None),
    (8, "en", "a);\nb"),
    (9, "ja", "東京"),
]


@pytest.mark.parametrize("name", ["a.sql", "a.sql.gz"])
@pytest.mark.parametrize("between", [",", ",\n", ",\n  "])
def test_rows_come_back_as_they_were(tmp_path, name, between):
    path = written(tmp_path, insert(ROWS[:4], ROWS[4:], between=between), name)
    assert read(path) == (ROWS, {"rows": 9}, [])
    assert read_table(path) == sql.Table("langlinks", ("ll_from", "ll_lang", "ll_title"), "elwiki")


text = st.text(st.sampled_from("a'\\\n\"(),;\0\r東 `0x_binary"), max_size=8)
some_rows = st.lists(
    st.lists(st.tuples(st.integers(-(10**17), 10**17), text, st.none() | text), min_size=1, max_size=5), max_size=4
)


@settings(max_examples=80, deadline=None)
@given(statements=some_rows, chunk=st.integers(1, 80), between=st.sampled_from([",", ",\n"]))
def test_neither_content_nor_chunks_matter(tmp_path_factory, statements, chunk, between):
    path = written(tmp_path_factory.mktemp("sql"), insert(*statements, between=between))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressed, "PLAIN_CHUNK", chunk)
        found, tally, problems = read(path)
    assert found == [row for statement in statements for row in statement]
    assert tally["rows"] == len(found)
    assert problems == []


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=300), at=st.integers(0, 400))
def test_no_bytes_are_a_crash(tmp_path_factory, data, at):
    whole = (HEAD + insert(ROWS) + TAIL).encode()
    place = len(HEAD.encode()) + at
    path = written(tmp_path_factory.mktemp("sql"), whole[:place] + data + whole[place + len(data) // 2 :])
    found, tally, problems = read(path)
    assert tally["rows"] == len(found)
    assert bool(problems) == bool(tally["truncated"] + tally["malformed_row"])


def test_columns_are_found_by_name_and_values_in_any_spelling(tmp_path):
    head = HEAD.replace("  `ll_from`", "  `ll_id` bigint(20) NOT NULL,\n  `ll_from`")
    spelled = "(1,10,_binary 'en',0x417468656E73),(2,11,'_binary ','0x41'),(3,12,'a','x''y')"
    body = f"INSERT INTO `langlinks` VALUES {spelled};\n"
    found, _, _ = read(written(tmp_path, body, head=head))
    assert found == [(10, "en", "Athens"), (11, "_binary ", "0x41"), (12, "a", "x'y")]
    found, _, _ = read(written(tmp_path, body, head=head), {"ll_title": str, "ll_id": int})
    assert found == [("Athens", 1), ("0x41", 2), ("x'y", 3)]


def test_only_the_rows_asked_for_are_decoded_and_all_are_counted(tmp_path):
    body = insert(ROWS).replace("'東京'", "'\xff'").encode("latin-1")
    path = written(tmp_path, HEAD.encode() + body + TAIL.encode())
    found, tally, _ = read(path, where={"ll_lang": ("fr", "de")})
    assert (found, tally) == ([ROWS[1], ROWS[3]], {"rows": 9})
    found, tally, _ = read(path, where={"ll_lang": ("ja",)})
    assert (found, tally) == ([(9, "ja", "\ufffd")], {"rows": 9, "invalid_utf8": 1})


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_a_dump_cut_inside_a_row_gives_every_complete_row(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(compressed, "PLAIN_CHUNK", chunk)
    whole = (HEAD + insert(ROWS)).encode()
    for end in range(len(HEAD) + 40, len(whole) - 1):
        found, tally, problems = read(written(tmp_path, whole[:end]))
        assert found == ROWS[: len(found)]
        assert tally == Counter(rows=len(found), truncated=1)
        assert problems[0].kind == "truncated"
    assert len(found) == 8
    assert problems[0].message == (
        "dump is cut off: elwiki-langlinks.sql ends in row 9 of table `langlinks`, "
        f"at byte {end:,} of its unpacked SQL."
    )
    with pytest.raises(LingraftError, match="8 complete rows were read"):
        read(written(tmp_path, whole[:end]), strict=True)


def test_a_cut_gzip_and_a_dump_without_its_end_are_told_once(tmp_path):
    many = [(number, "en", f"Title {number * 7919 % 10007}") for number in range(50_000)]
    path = written(tmp_path, insert(many), "elwiki-langlinks.sql.gz")
    path.write_bytes(path.read_bytes()[:-20_000])
    found, tally, problems = read(path)
    assert 1000 < len(found) < 50_000
    assert found == many[: len(found)]
    assert tally == {"rows": len(found), "truncated": 1}
    assert f"in row {len(found) + 1:,} of table `langlinks`" in problems[0].message
    _, tally, problems = read(written(tmp_path, insert(ROWS), tail=""))  # between two statements
    assert (tally, len(problems)) == ({"rows": 9, "truncated": 1}, 1)
    _, tally, _ = read(written(tmp_path, insert(ROWS), head=HEAD[HEAD.index("DROP") - 1 :], tail=""))
    assert tally == {"rows": 9}  # written without comments: its end has no mark


def test_rows_that_are_none_are_dropped_and_told(tmp_path):
    body = "INSERT INTO `langlinks` VALUES (1,'en','A'),(2,'en'),(x,'en','C'),(4,'en','D','E'),(5,'en','F');\n"
    found, tally, problems = read(written(tmp_path, body + insert(ROWS[:1])))
    assert found == [(1, "en", "A"), (5, "en", "F"), ROWS[0]]
    assert tally == {"rows": 3, "malformed_row": 3}
    assert [problem.message for problem in problems] == [
        "elwiki-langlinks.sql, table `langlinks`: 3 rows are not as CREATE TABLE says; dropped."
    ]


def test_a_string_that_never_ends_costs_its_statement(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "MAX_ROW", 5000)
    monkeypatch.setattr(compressed, "PLAIN_CHUNK", 1000)
    body = "INSERT INTO `langlinks` VALUES (1,'en','A'),(2,'en','" + "x" * 9000 + "\n" + insert(ROWS)
    found, tally, problems = read(written(tmp_path, body))
    assert found == [(1, "en", "A"), *ROWS]
    assert (tally["malformed_row"], len(problems)) == (1, 1)


def test_another_schema_is_refused_with_the_columns_of_both(tmp_path):
    path = written(tmp_path, insert([(1, "en", 7)]), head=HEAD.replace("ll_title` varbinary(255)", "ll_target` int(8)"))
    with pytest.raises(LingraftError) as caught:
        read(path)
    assert caught.value.what == f"{path}: table `langlinks` has no column ll_title"
    assert caught.value.why == "It has ll_from, ll_lang, ll_target; needed are ll_from, ll_lang, ll_title."
    assert "another version of MediaWiki's schema" in caught.value.cure


def test_statements_that_name_their_columns_in_another_order_are_refused(tmp_path):
    body = "INSERT INTO `langlinks` (`ll_lang`, `ll_from`, `ll_title`) VALUES ('en',1,'A');\n"
    with pytest.raises(LingraftError, match="INSERT names other columns"):
        read(written(tmp_path, body))
    body = "INSERT INTO `langlinks` (`ll_from`, `ll_lang`, `ll_title`) VALUES (1,'en','A');\n"
    assert read(written(tmp_path, body))[0] == [(1, "en", "A")]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.sql.gz", b"../20240301/rmwiki-20240301-page.sql.gz", "is named .gz but is not gzip"),
        ("a.sql", b"<html>404</html>", "No CREATE TABLE was found; its unpacked data begins with b'<html>404</html>'"),
        ("a.sql", b"INSERT INTO `t` VALUES (1);\n", "No CREATE TABLE"),
        ("a.sql", b"x" * 3_000_000, "No CREATE TABLE"),
        ("a.sql.gz", gzip.compress(b"-- MySQL dump" * 9, mtime=0)[:-12], "It is damaged at byte"),
    ],
)
def test_what_is_no_sql_is_one_clear_error(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(LingraftError) as caught:
        read(path)
    assert caught.value.what == f"{path} is not an SQL dump"
    assert words in caught.value.why


def test_other_tables_in_the_file_are_passed_over(tmp_path):
    other = HEAD.replace("langlinks", "page") + insert([(1, "en", "\nINSERT INTO `langlinks` VALUES (9")], table="page")
    found, _, _ = read(written(tmp_path, insert(ROWS[:2]) + other + insert(ROWS[2:])))
    assert found == ROWS
