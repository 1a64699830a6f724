import gzip
from collections import Counter

import pytest

from lingraft.errors import LingraftError
from lingraft.wikimedia.title_pairs import pairs

GOOD = "Αθήνα\tAthens\nΡώμη\tRome\n"


def read(tmp_path, data, **options):
    path = tmp_path / "titles.tsv"
    path.write_bytes(data)
    tally = Counter()
    return list(pairs(path, tally, **options)), tally


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        GOOD.rstrip().encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        gzip.compress(GOOD.encode(), mtime=0),
        b"\n" + GOOD.replace("\t", " \t ").encode() + b"\n\n",
    ],
)
def test_pairs_however_they_are_saved(tmp_path, data):
    assert read(tmp_path, data) == ([("Αθήνα", "Athens"), ("Ρώμη", "Rome")], {"pairs": 2})


def test_bad_lines_are_counted_by_reason(tmp_path):
    bad = b"one\na\tb\tc\n\tAthens\n\xce\x91\t \na\xff\tb\n" + b"x" * 100_000 + b"\tb\n"
    found, tally = read(tmp_path, bad + GOOD.encode())
    assert found == [("a\ufffd", "b"), ("Αθήνα", "Athens"), ("Ρώμη", "Rome")]
    assert tally == {"pairs": 3, "wrong_columns": 2, "empty_title": 2, "invalid_utf8": 1, "oversized_line": 1}


def test_a_file_without_a_pair_is_one_clear_error(tmp_path):
    with pytest.raises(LingraftError, match=r"titles\.tsv holds no title pairs"):
        read(tmp_path, b"a,b\nc,d\n")
    with pytest.raises(LingraftError, match="is empty"):
        read(tmp_path, b"")


def test_a_file_of_something_else_is_refused_even_if_a_line_happens_to_have_a_tab(tmp_path):
    with pytest.raises(LingraftError, match="does not look like title pairs: 30 of its 31 lines are none"):
        read(tmp_path, b"\x7fELF\x00\n" * 30 + b"\x01\t\x02\n")
