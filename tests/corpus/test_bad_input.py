"""Whatever is wrong with the input: one clear error, or a counted skip and the rest; the same from Python and shell."""

import gzip
import os
import random
from pathlib import Path

import pytest
from corpus_helpers import articles, build_quietly, header, page_xml, write_dump, write_pairs, write_wikidata

from lingraft.corpus import BuildConfig, build
from lingraft.errors import LingraftError

PAGES = [(f"Page {number}", f"Text {number} about [[Page {number + 1}]]. " * 40) for number in range(60)]
BOMB = '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>\n'


def file_of(name: str, content: str | bytes):
    """A maker of one file."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def folder_of_dumps(folder: Path) -> Path:
    (folder / "dumps").mkdir()
    return write_dump(folder / "dumps" / "a.xml", PAGES).parent


NO_DUMPS = {
    "missing": (
        lambda folder: folder / "gone.xml.bz2",
        ["cannot read", "gone.xml.bz2", "No such file", "Check the path"],
    ),
    "folder": (folder_of_dumps, ["is a folder, not a file", "Name the file in it"]),
    "nothing in it": (file_of("a.xml", ""), ["a.xml is empty"]),
    "not XML": (
        file_of("a.xml", "Dear diary,\n" * 99),
        ["a.xml is not a MediaWiki export", "No <page> was found", "Dear diary"],
    ),
    "HTML": (file_of("a.xml", "<!DOCTYPE html><html><p>404</p></html>"), ["is an HTML page, not a dump"]),
    "XML bomb": (file_of("a.xml", BOMB + header() + page_xml(1, "A", "&lol2;")), ["declares XML entities", "XML bomb"]),
    "no page": (file_of("a.xml", header() + "</mediawiki>"), ["holds a header and no page"]),
    "wrong name": (file_of("a.xml.bz2", "plain"), ["is not a MediaWiki export", "is named .bz2 but is not bzip2"]),
    "cut at once": (
        lambda folder: cut(write_dump(folder / "a.xml.xz", PAGES), 40),
        ["holds no readable page", "is cut off"],
    ),
    "7z": (file_of("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(99)), ["is a 7z file", "Unpack it"]),
    "index": (file_of("a.txt", "597:10:Rome\n597:11:Athens\n"), ["is the index of a multistream dump"]),
    "no article": (
        lambda folder: write_dump(folder / "a.xml", [("Talk:A", "x", 1)]),
        ["no articles in a.xml", "1 of others"],
    ),
}


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def fails(command, words: list[str], *args) -> str:
    """Run a command that has to fail with these words, as one message."""
    finished = command("corpus", "build", "--quiet", "--workers", 1, *args)
    assert finished.code == 1, finished
    assert finished.err.startswith("error: ")
    assert "Traceback" not in finished.err
    assert finished.out == ""
    for word in words:
        assert word in finished.err
    return finished.err.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize("case", NO_DUMPS)
def test_what_is_no_dump_is_one_clear_error(tmp_path, lingraft, case):
    make, words = NO_DUMPS[case]
    path = make(tmp_path)
    with pytest.raises(LingraftError) as caught:
        build_quietly(tmp_path / "out", path)
    message = fails(lingraft, words, "--dump", path, "--lang", "en", "--names", "fr", "--out", tmp_path / "other")
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("elwiki", ["unknown wiki language 'elwiki'", "did you mean 'el'?"]),
        ("simpel", ["did you mean 'simple'?"]),
        ("Klingonese", ["unknown wiki language 'Klingonese'", "Give the code that stands in the wiki's address"]),
    ],
)
def test_an_unknown_language_names_the_nearest(tmp_path, lingraft, lang, words):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    fails(lingraft, words, "--dump", dump, "--lang", lang, "--out", tmp_path / "out")
    fails(lingraft, words, "--dump", dump, "--lang", "en", "--names", f"fr,{lang}", "--out", tmp_path / "out")
    with pytest.raises(LingraftError, match="unknown wiki language"):
        build_quietly(tmp_path / "out", dump, lang=lang)


SOURCES = {
    "not JSON": (
        "wikidata",
        file_of("w.json", "Q1 is Universe\n" * 9),
        ["holds no Wikidata entity", "one entity a line"],
    ),
    "no entities": ("wikidata", file_of("w.json", "[\n]\n"), ["holds no Wikidata entity"]),
    "missing": ("wikidata", lambda folder: folder / "gone.json", ["cannot read", "gone.json"]),
    "one column": ("titles", file_of("t.tsv", "Athens\nRome\n"), ["holds no title pairs", "title, tab, title"]),
    "three columns": ("titles", file_of("t.tsv", "Athens\tAthen\t1\n"), ["holds no title pairs"]),
    "named gz": ("titles", file_of("t.tsv.gz", "no tab"), ["holds no title pairs", "is named .gz but is not gzip"]),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_wrong_source_is_told_before_the_dump_is_read(tmp_path, lingraft, case):
    option, make, words = SOURCES[case]
    dump, source = write_dump(tmp_path / "a.xml", PAGES), make(tmp_path)
    args = ["--dump", dump, "--lang", "en", "--names", "fr", f"--{option}", source, "--out", tmp_path / "out"]
    message = fails(lingraft, words, *args)
    with pytest.raises(LingraftError) as caught:
        build_quietly(tmp_path / "out", dump, **{option: source})
    assert str(caught.value) == message
    assert not (tmp_path / "out" / "work").exists()
    assert build_quietly(tmp_path / "out", dump)["counters"]["articles"] == 60  # the folder is not lost to the mistake


def test_lines_that_are_wrong_are_counted_and_the_others_used(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    wikidata = write_wikidata(tmp_path / "w.json", {1: {"enwiki": "Page 1"}})
    wikidata.write_text(wikidata.read_text().replace("[\n", '[\n{"id": "Q5", oops},\n{"type":"property","id":"P1"},\n'))
    titles = write_pairs(
        tmp_path / "t.tsv", [("Page 2", "Feuille 2"), ("Page 3",), ("Page 4", "a", "b"), ("Page 5", "")]
    )
    counters = build_quietly(tmp_path / "out", dump, wikidata=wikidata, titles=titles)["counters"]
    assert (counters["wikidata_items"], counters["wikidata_bad_json"], counters["wikidata_property"]) == (1, 1, 1)
    assert (counters["title_pairs_pairs"], counters["title_pairs_wrong_columns"]) == (1, 2)
    assert counters["title_pairs_empty_title"] == 1
    assert counters["titles_aligned"] == 2


@pytest.mark.parametrize(
    ("name", "a_stream"),
    [("a.xml.bz2", 6), ("a.xml.bz2", None), ("a.xml.xz", None), ("a.xml.gz", None), ("a.xml", None)],
)
def test_a_dump_that_is_cut_off_gives_what_is_there_and_a_warning(tmp_path, lingraft, name, a_stream):
    noise = random.Random(0)  # texts too random to be packed into one block
    pages = [(title, f"{text} {noise.randbytes(400).hex()}") for title, text in PAGES]
    path = write_dump(tmp_path / name, pages, a_stream=a_stream)
    cut(path, path.stat().st_size * 2 // 3)
    args = ["--dump", path, "--lang", "en", "--out"]
    if name.endswith(".bz2") and not a_stream:  # bzip2 gives nothing of a block that is not whole
        fails(lingraft, ["holds no readable page", "is cut off at byte"], *args, tmp_path / "out")
        return
    kept = lingraft("corpus", "build", "--quiet", "--workers", 1, *args, tmp_path / "out")
    assert kept.code == 0
    assert f"warning: dump is cut off: {name} ends" in kept.err
    titles = [row["title"] for row in articles(tmp_path / "out")]
    assert 20 < len(titles) < 60
    assert titles == [title for title, _ in PAGES[: len(titles)]]
    manifest = build_quietly(tmp_path / "api", path)
    assert manifest["counters"]["truncated"] == 1
    assert len(manifest["problems"]) == 1
    assert f"warning: {manifest['problems'][0]}" in kept.err
    words = [f"dump is cut off: {name}", "complete pages were read", "leave out --strict"]
    fails(lingraft, words, *args, tmp_path / "strict", "--strict")


def test_a_damaged_stream_costs_that_stream(tmp_path, lingraft):
    path = write_dump(tmp_path / "a.xml.bz2", PAGES, a_stream=6)
    data = bytearray(path.read_bytes())
    middle = data.index(b"BZh9", len(data) // 2)
    data[middle + 60 : middle + 80] = bytes(20)
    path.write_bytes(data)
    finished = lingraft(
        "corpus", "build", "--quiet", "--workers", 1, "--dump", path, "--lang", "en", "--out", tmp_path / "out"
    )
    assert finished.code == 0
    assert "warning: dump is damaged: a.xml.bz2 cannot be unpacked at byte" in finished.err
    assert len(articles(tmp_path / "out")) == 54


def test_a_wikidata_dump_that_is_cut_off_is_a_warning(tmp_path, lingraft):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    wikidata = write_wikidata(tmp_path / "w.json", {n + 1: {"enwiki": f"Page {n}"} for n in range(60)})
    cut(wikidata, wikidata.stat().st_size // 2)
    args = ["--dump", dump, "--lang", "en", "--wikidata", wikidata, "--out"]
    finished = lingraft("corpus", "build", "--quiet", "--workers", 1, *args, tmp_path / "out")
    assert finished.code == 0
    assert "warning: dump is cut off: w.json ends inside line" in finished.err
    fails(lingraft, ["dump is cut off: w.json"], *args, tmp_path / "strict", "--strict")


def test_a_page_of_50_mb_is_skipped_and_counted(tmp_path):
    path = tmp_path / "a.xml.gz"
    small = [page_xml(number, title, text) for number, (title, text) in enumerate(PAGES[:2], start=1)]
    opened, closed = page_xml(3, "Huge", "@").split("@")
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write((header() + small[0] + opened).encode())
        for _ in range(50):
            file.write(b"word " * 200_000)
        file.write((closed + small[1] + "</mediawiki>").encode())
    counters = build_quietly(tmp_path / "out", path)["counters"]
    assert counters["oversized_page"] == 1
    assert [row["title"] for row in articles(tmp_path / "out")] == ["Page 0", "Page 1"]


DEPTH = 10_000


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{a|" * DEPTH + " end",
        "{{{" * DEPTH + " end",
        "{|\n|\n" * DEPTH + " end",
        "[[Page 1|" * DEPTH + " end",
        "<ref>" * DEPTH + " end",
        "<div><b>" * DEPTH + " end",
        "<!--" * DEPTH + " end",
        "'''''" * DEPTH + " end",
        "*:#;" * DEPTH + " end",
        "-{zh:" * DEPTH + " end",
        "{|\n|\n" * DEPTH + "[[Page 1]]" + "\n|}" * DEPTH,
    ],
    ids=lambda text: text[:6].strip(),
)
def test_markup_that_is_never_closed_or_very_deep_costs_that_page_at_most(tmp_path, wikitext):
    dump = write_dump(tmp_path / "a.xml", [("Deep", f"Begin. {wikitext}"), ("Page 1", "A [[deep]] page.")])
    counters = build_quietly(tmp_path / "out", dump)["counters"]
    assert counters["pages"] == 2
    assert counters["articles"] + counters.get("empty_text", 0) == 2
    assert articles(tmp_path / "out")[-1]["text"] == "A deep page."


def test_text_that_is_no_utf8_is_read_with_marks_and_counted(tmp_path):
    path = write_dump(tmp_path / "a.xml", [("A", "caf@ [[B|b@]] end"), ("B", "fine")])
    path.write_bytes(path.read_bytes().replace(b"@", b"\xe9"))
    counters = build_quietly(tmp_path / "out", path)["counters"]
    assert counters["invalid_utf8"] == 1
    first = articles(tmp_path / "out")[0]
    assert first["text"] == "caf\ufffd b\ufffd end"
    assert [(link["start"], link["end"]) for link in first["links"]] == [(5, 7)]


def test_pages_that_are_not_whole_are_counted(tmp_path):
    path = write_dump(tmp_path / "a.xml", PAGES[:4])
    path.write_text(path.read_text().replace("<title>Page 1</title>", "").replace("<id>3</id>", "<id>three</id>"))
    counters = build_quietly(tmp_path / "out", path)["counters"]
    assert (counters["malformed_page"], counters["articles"]) == (2, 2)


def test_a_folder_of_another_corpus_is_refused_with_the_difference(tmp_path, lingraft):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    build_quietly(tmp_path / "out", dump)
    args = ["--dump", dump, "--lang", "en", "--names", "fr", "--limit", 3, "--out", tmp_path / "out"]
    fails(lingraft, ["holds another run", "limit: None there, 3 asked", "--overwrite"], *args)
    assert len(articles(tmp_path / "out")) == 60
    assert lingraft("corpus", "build", "--quiet", "--workers", 1, *args, "--overwrite").code == 0
    assert len(articles(tmp_path / "out")) == 3


def test_an_output_that_cannot_be_written_is_named(tmp_path, lingraft):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    fails(lingraft, [f"cannot write to {dump}", "Choose another --out"], "--dump", dump, "--lang", "en", "--out", dump)
    message = fails(lingraft, ["is not a run folder and not empty"], "--dump", dump, "--lang", "en", "--out", tmp_path)
    assert "a.xml" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a folder without permission")
def test_an_output_without_permission_is_named(tmp_path, lingraft):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    fails(lingraft, ["Permission denied"], "--dump", dump, "--lang", "en", "--out", closed / "out")


def test_a_full_disk_is_one_error_from_the_shell_too(tmp_path, lingraft, monkeypatch):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    args = ["--dump", dump, "--lang", "en", "--names", "fr", "--out", tmp_path / "out"]

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    fails(lingraft, ["cannot write", "No space left on device", "Free some space"], *args)
    monkeypatch.undo()
    assert build_quietly(tmp_path / "out", dump)["counters"]["articles"] == 60


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["dump is not given in the options", "lang is not given"]),
        (
            ["--set", "dumpp=x"],
            ["unknown key 'dumpp' in --set, the top level: did you mean 'dump'?", "Valid keys: dump, lang"],
        ),
        (["--set", "shard_size=big"], ["shard_size in --set: 'big' is not a size"]),
        (["--limit", 0], ["limit in the options: Input should be greater than 0 (given: 0)"]),
        (["--set", "names=[]", "--titles", "t.tsv"], ["title pairs give names in the first name language"]),
        (["--recipe", "gone.yaml"], ["no recipe at gone.yaml"]),
    ],
)
def test_options_that_are_wrong_are_explained(tmp_path, lingraft, args, words):
    given = ["--dump", tmp_path / "a.xml", "--lang", "en"] if args else []
    fails(lingraft, words, *given, *args, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_python_gets_the_same_refusal_of_title_pairs_without_a_language(tmp_path):
    with pytest.raises(ValueError, match="names is empty"):
        build(BuildConfig(dump="a.xml", lang="en", names=[], titles="t.tsv"), tmp_path / "out")
