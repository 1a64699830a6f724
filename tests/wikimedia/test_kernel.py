"""The compiled parser gives exactly what the one in Python gives, and never worse than in linear time."""

import subprocess
import sys
import threading
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.wikimedia.columns import Columns, columns
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.wikitext import Parser

kernel = pytest.importorskip("lingraft.wikimedia._kernel", reason="the parser is not compiled here (see setup.py)")

# With link prefixes, trails that are no set of letters, and language variants among them.
PARSERS = {lang: Parser(site(lang)) for lang in ("en", "el", "zh", "ar", "ca", "uk", "kaa")}

MARKUP = [
    " ",
    "  ",
    *"[[ ]] [ ] {{ }} {{{ }}} { } {| |} |- |+ | ! = == === * # : ; ;: ' '' ''' '''' ''''' ---- __ < > & -{ }-".split(),
    *"<ref> </ref> <ref/> <REF <nowiki> </nowiki> <nowiki/> <pre> </pre> <poem> </poem> <math> </math>".split(),
    *"<table> </table> <TABLE <br> <div </div> <small> <foo> </ <!-- --> <noinclude>".split(),
    *"&amp; &lt; &#91; &nbsp; &#0; &bogus; http:// [http://x.y [HTTP://x [//x [mailto:a".split(),
    *"File: Category: :en: en: :: User: # #a __TOC__ __init__ |thumb| |left|".split(),
    *"{{! }} {{lang|el| {{convert|5|km}} {{ill|a|en|b}} {{PAGENAME}}".split(),
    *"x y zé Αθήνα 東京 （ ） 、 ， 。 ： ( ) , . ſ İ ʼ « »".split(),
    *"\u0303|\u200f|\ufdd0|\ufde0|\ud800|\U0001f600|\n|\n\n|\t|\xa0|\u2028|\u3000|\x1f|\r|\r\n".split("|"),
    *map(chr, range(8)),
]

WIKITEXT = st.lists(st.sampled_from(MARKUP) | st.text(max_size=3), max_size=50).map("".join)


@settings(max_examples=600, deadline=None)
@given(WIKITEXT, st.sampled_from(sorted(PARSERS)))
def test_compiled_and_python_agree(wikitext, lang):
    parser = PARSERS[lang]
    assert kernel.Reader(parser).parse(wikitext, "Title") == parser.parse_in_python(wikitext, "Title")


@settings(max_examples=150, deadline=None)
@given(st.lists(WIKITEXT, max_size=4), st.sampled_from(sorted(PARSERS)), st.binary(max_size=3), st.integers(0, 100))
def test_columns_of_compiled_and_python_agree(pages, lang, noise, at):
    """Pages as they stand in an export, some of them with bytes that are no UTF-8."""
    parser = PARSERS[lang]
    reference, compiled = Columns(parser), kernel.Columns(parser)
    for page in pages:
        raw = escape(page).encode("utf-8", "surrogatepass")
        raw = raw[:at] + noise + raw[at:]
        assert compiled.add(raw, escaped=True, title="T") == reference.add(raw, escaped=True, title="T")
    assert len(compiled) == len(reference)
    assert compiled.num_chars == reference.num_chars
    assert compiled.take() == reference.take()
    assert compiled.take() == Columns(parser).take()  # empty again


def test_columns_hold_the_rows_one_after_the_other():
    held = kernel.Columns(PARSERS["en"])
    assert held.add("[[a]]s &amp;\n== b ==\n[[c|d]]") == 10
    assert held.add("<ref>gone</ref>") == 0
    assert held.add(b"&lt;b&gt;e&lt;/b&gt; &amp;lt; \xff", escaped=True) == 5
    batch = held.take()
    assert batch.num_rows == 2
    assert batch.text.decode() == "as &\n\nb\n\nde < \ufffd"
    assert memoryview(batch.text_offsets).cast("q").tolist() == [0, 10, 17]
    assert memoryview(batch.words).cast("i").tolist() == [4, 3]
    assert memoryview(batch.link_offsets).cast("i").tolist() == [0, 2, 2]
    assert memoryview(batch.link_starts).cast("i").tolist() == [0, 9]
    assert batch.targets == b"ac"
    assert batch.drops == {"tag_ref": 1, "invalid_utf8": 1}


def test_a_wiki_has_compiled_columns_unless_python_is_asked_for(monkeypatch):
    assert isinstance(columns(Parser(site("en"))), kernel.Columns)
    monkeypatch.setenv("LINGRAFT_KERNEL", "python")
    assert isinstance(columns(Parser(site("en"))), Columns)
    assert Parser(site("en")).parse("[[a]]s").text == "as"


def test_rows_of_tables_and_captions_are_read_in_python():
    wikitext = "[[File:a.png|thumb|b]]\n{|\n|c||d\n|}"
    assert kernel.Reader(PARSERS["en"]).parse(wikitext).text == ""
    assert Parser(site("en"), tables="rows", captions=True).parse(wikitext).text == "b\n\nc | d"


def test_threads_share_a_parser():
    parser = Parser(site("en"))
    page = "{{convert|5|km}} [[a]]s {{lang|el|b}} '''c'''\n" * 200
    expected = parser.parse_in_python(page)
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(parser.parse(page) == expected for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


HOSTILE = [
    *"{ {{ {{a| {{{a| {{1x| {{lc: }} [[ [ [[a| [[a|b< [[a[[b]] [[a]]b [[File:a| [[http://x ]] [http://".split(),
    *"[HTTP://x [http://x[[a < <ref> <ref/> <!-- <table> <div".split(),
    *"<nowiki> <pre> <noinclude> <foo> -{ ' a'''b &amp & = __ é , ::".split(),
    *["\n{|", "\n{|\n==h==", "\n|}", "\n=", "\n; [[", "\n*[//x ", "\x04", "\x00", " \n", "\u3000"],
    *["''' ", "({{a}} , ", "<ref a", "<ref><b>"],
]


@pytest.mark.parametrize("unit", HOSTILE, ids=ascii)
def test_ten_megabytes_of_anything_are_read_in_linear_time(unit):
    """Quadratic time would be hours here; Python agrees on a small piece, with an end and without."""
    reader, parser = kernel.Reader(PARSERS["zh"]), PARSERS["zh"]
    for end in ("", "}}]]</ref>-->|}"):
        few = unit * 300 + end * 100
        assert reader.parse(few) == parser.parse_in_python(few)
    reader.parse(unit * (10_000_000 // len(unit)))


def test_the_fuzzer_finds_no_difference():
    fuzzer = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
    command = [sys.executable, str(fuzzer), "--seconds", "2", "--seed", "1", "--pages", "none"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "inputs in" in done.stdout
