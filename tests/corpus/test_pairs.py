"""Sentence pairs become a corpus that all verbs read; what is wrong with the files is said with its line."""

import bz2
import gzip
import lzma
import sys

import pytest
from corpus_helpers import articles, digest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft import corpus
from lingraft.corpus import PairsConfig
from lingraft.corpus.pairs import PairReading
from lingraft.corpus.texts import TextSource, texts
from lingraft.errors import LingraftError

ENGLISH = ["Hello.", "Good day!", "", "Radio", "The end.", "Hello.", "  Athens is old. "]
GREEK = ["Γεια.", "Καλημέρα!", "κενό", "Radio", "  ", "Γεια.", "Η Αθήνα είναι παλιά."]
KEPT = {1: ("Hello.", "Γεια."), 2: ("Good day!", "Καλημέρα!"), 6: ("Hello.", "Γεια.")}
KEPT[7] = ("Athens is old.", "Η Αθήνα είναι παλιά.")

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def write(path, lines, end="\n"):
    data = end.join([*lines, ""]).encode()
    path.write_bytes(PACK.get(path.suffix, bytes)(data))
    return path


def two_files(folder, english=ENGLISH, greek=GREEK, suffix=""):
    files = {"source": write(folder / f"a.en{suffix}", english), "target": write(folder / f"a.el{suffix}", greek)}
    return {**files, "langs": "en,el"}


def make(out, **config):
    return corpus.pairs(PairsConfig(**config), out, quiet=True)


@pytest.mark.parametrize("suffix", ["", *PACK])
def test_pairs_are_articles_and_what_is_left_out_is_counted(tmp_path, suffix):
    manifest = make(tmp_path / "out", **two_files(tmp_path, suffix=suffix), order="source_first")
    rows = articles(tmp_path / "out")
    assert {row["id"]: tuple(row["text"].split("\n")) for row in rows} == KEPT
    assert rows[1] | {"title": ""} == {
        "id": 2,
        "revision": 0,
        "title": "",
        "lang": "el",
        "entity": None,
        "text": "Good day!\nΚαλημέρα!",
        "sections": [{"start": 0, "end": 19, "level": 0, "heading": ""}],
        "links": [],
        "flags": ["parallel", "en"],
    }
    assert rows[1]["title"] == f"a.en{suffix} and a.el{suffix}, line 2"
    counters = manifest["counters"]
    left_out = {"empty_source": 1, "empty_target": 1, "identical_sides": 1, "repeated_pairs": 1, "too_long": 0}
    assert {name: counters[name] for name in left_out} == left_out
    assert counters["articles"] == 4


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tsv_gives_the_same_articles(tmp_path, end):
    make(tmp_path / "files", **two_files(tmp_path))
    lines = [f"{source}\t{target}\t0.9" for source, target in zip(ENGLISH, GREEK, strict=True)]
    make(tmp_path / "tsv", tsv=write(tmp_path / "a.tsv", lines, end), langs=["en", "el"])
    text = [[(row["id"], row["text"]) for row in articles(tmp_path / name)] for name in ("files", "tsv")]
    assert text[0] == text[1]


def test_the_order_is_drawn_by_the_seed_or_fixed(tmp_path):
    files = two_files(tmp_path, [f"one {k}" for k in range(200)], [f"ένα {k}" for k in range(200)])
    firsts = {}
    for name, how in {
        "source": {"order": "source_first"},
        "target": {"order": "target_first"},
        "zero": {},
        "again": {"shard_size": 100},
        "one": {"seed": 1},
    }.items():
        make(tmp_path / name, **files, **how)
        firsts[name] = [row["text"].startswith("one") for row in articles(tmp_path / name)]
    assert (set(firsts["source"]), set(firsts["target"])) == ({True}, {False})
    assert 70 < sum(firsts["zero"]) < 130
    assert firsts["zero"] == firsts["again"] != firsts["one"]


def test_the_same_bytes_for_two_workers_and_after_an_interruption(tmp_path, monkeypatch):
    config = PairsConfig(**two_files(tmp_path, [f"one {k}" for k in range(50)], ["ένα"] * 50), shard_size=100)
    corpus.pairs(config, tmp_path / "one", quiet=True)
    corpus.pairs(config, tmp_path / "two", workers=2, quiet=True)
    real, calls = PairReading._why_not, []

    def stops(self, pair):
        calls.append(pair)
        if len(calls) in (30, 70):
            raise KeyboardInterrupt
        return real(self, pair)

    monkeypatch.setattr(PairReading, "_why_not", stops)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            corpus.pairs(config, tmp_path / "twice", quiet=True)
    corpus.pairs(config, tmp_path / "twice", quiet=True)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") == digest(tmp_path / "twice")
    assert not (tmp_path / "one" / "work").exists()


_SENTENCE = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), max_size=4)


@given(st.lists(st.tuples(_SENTENCE, _SENTENCE), min_size=1))
@settings(max_examples=50, deadline=None)
def test_every_pair_is_kept_or_counted(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("pairs") / "a.tsv"
    path.write_bytes("".join(f"{source}\t{target}\n" for source, target in rows).encode())
    reading = PairReading(PairsConfig(tsv=path, langs="en,el", max_characters=3))
    kept = list(reading.kept())
    stripped = [(source.strip(), target.strip()) for source, target in rows]
    expected = [pair for pair in stripped if all(pair) and pair[0] != pair[1] and max(map(len, pair)) <= 3]
    assert [(pair.source, pair.target) for pair in kept] == expected
    assert len(kept) + sum(reading.tally.values()) == len(rows)
    assert reading.num_repeated() == len(expected) - len(set(expected))


def test_other_verbs_read_it(tmp_path):
    make(tmp_path / "out", **two_files(tmp_path), order="source_first")
    figures = {row["figure"]: row["value"] for row in corpus.stats(tmp_path / "out")["statistics"]}
    assert (figures["articles"], figures["links"]) == (4, 0)
    assert len(corpus.preview(tmp_path / "out", 9)) == 4
    assert corpus.open(tmp_path / "out").lang == "el"
    assert next(texts(TextSource(path=tmp_path / "out"))) == "Hello.\nΓεια."


def test_files_of_unlike_length(tmp_path):
    files = two_files(tmp_path, greek=GREEK[:5])
    with pytest.raises(LingraftError, match=r"a\.el ends after line 5, .*a\.en goes on[\s\S]*align them"):
        make(tmp_path / "out", **files)
    files = two_files(tmp_path, english=ENGLISH[:3])
    with pytest.raises(LingraftError, match=r"a\.en ends after line 3, .*a\.el goes on"):
        make(tmp_path / "out2", **files)


def test_a_cut_off_file_is_told_from_a_short_one(tmp_path):
    files = two_files(tmp_path, [f"one {k}" for k in range(9999)], [f"ένα {k}" for k in range(9999)], suffix=".gz")
    path = files["target"]
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(LingraftError, match=r"file is cut off: a\.el\.gz[\s\S]*Fetch it again"):
        make(tmp_path / "out", **files)


def test_a_cut_off_tsv_keeps_what_can_be_read(tmp_path, capsys):
    path = write(tmp_path / "a.tsv.gz", [f"one {k}\tένα {k}" for k in range(9999)])
    path.write_bytes(path.read_bytes()[:-3000])
    manifest = make(tmp_path / "out", tsv=path, langs="en,el")
    assert 1000 < manifest["counters"]["articles"] < 9999
    assert manifest["counters"]["truncated"] == 1
    assert "file is cut off: a.tsv.gz" in manifest["problems"][0]
    assert "file is cut off: a.tsv.gz" in capsys.readouterr().err


def test_lines_that_are_not_utf8(tmp_path):
    files = two_files(tmp_path)
    files["target"].write_bytes("\n".join(GREEK).encode().replace("Κ".encode(), b"\xff"))
    with pytest.raises(LingraftError, match=r"a\.el, line 2, byte 1 of it: not UTF-8[\s\S]*0xff[\s\S]*skip_malformed"):
        make(tmp_path / "out", **files)
    manifest = make(tmp_path / "out", **files, skip_malformed=True)
    assert manifest["counters"]["malformed_line"] == 1
    assert [row["id"] for row in articles(tmp_path / "out")] == [1, 6, 7]


def test_a_line_without_a_tab(tmp_path):
    path = write(tmp_path / "a.tsv", ["one\tένα", "two δύο", "", "three\tτρία"])
    with pytest.raises(LingraftError, match=r"a\.tsv, line 2: no tab[\s\S]*skip_malformed"):
        make(tmp_path / "out", tsv=path, langs="en,el")
    manifest = make(tmp_path / "out", tsv=path, langs="en,el", skip_malformed=True)
    assert manifest["counters"]["malformed_line"] == 2
    assert [row["id"] for row in articles(tmp_path / "out")] == [1, 4]


def test_too_long_lines_are_left_out(tmp_path):
    files = two_files(tmp_path, ["a" * 50, "b"], ["ά", "β" * 51])
    manifest = make(tmp_path / "out", **files, max_characters=50)
    assert (manifest["counters"]["too_long"], manifest["counters"]["articles"]) == (1, 1)


def test_a_line_beyond_all_measure_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["lingraft.corpus.pairs"], "MAX_DOCUMENT", 1 << 20)
    files = two_files(tmp_path, ["a" * (1 << 20) + "b", "c"], ["ά", "γ"])
    with pytest.raises(LingraftError, match=r"a\.en has a line of more than 1 MiB"):
        make(tmp_path / "out", **files)


def test_no_pairs_at_all(tmp_path):
    with pytest.raises(LingraftError, match=r"a\.en and a\.el has no pairs[\s\S]*Left out: 1 empty_target"):
        make(tmp_path / "out", **two_files(tmp_path, ["a"], [" "]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give either tsv, or source and target"),
        ({"source": "a"}, "give either tsv, or source and target"),
        ({"source": "a", "target": "b", "tsv": "c"}, "give either tsv, or source and target"),
        ({"tsv": "a", "langs": "en"}, "two languages"),
    ],
)
def test_what_is_given_must_fit(given, words):
    with pytest.raises(ValueError, match=words):
        PairsConfig(**{"langs": "en,el"} | given)


def test_the_command(lingraft, tmp_path):
    files = two_files(tmp_path)
    asked = ["--source", files["source"], "--target", files["target"], "--langs", "en,el", "--out", tmp_path / "out"]
    plan = lingraft("corpus", "pairs", *asked, "--dry-run")
    assert "output: new" in plan.out
    done = lingraft("corpus", "pairs", *asked)
    assert (done.code, done.out.splitlines()[0]) == (0, f"{tmp_path / 'out'}: 4 pairs")
    assert "complete already" in lingraft("corpus", "pairs", *asked).out
    assert "4" in lingraft("corpus", "stats", tmp_path / "out").out
