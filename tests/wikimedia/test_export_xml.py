import bz2
import gzip
import lzma
import pickle
import tracemalloc
from collections import Counter
from html import escape
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.wikimedia.export_xml import XML_FACTOR, Page, language_of, pages, read_header, read_shard, shards

HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="el">
  <siteinfo>
    <sitename>Βικιπαίδεια</sitename>
    <dbname>elwiki</dbname>
    <base>https://el.wikipedia.org/wiki/%CE%A0</base>
    <generator>MediaWiki 1.41</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="-2" case="first-letter">Μέσο</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="10" case="first-letter">Πρότυπο</namespace>
    </namespaces>
  </siteinfo>
"""
FOOTER = "</mediawiki>\n"


def revision(text="", number=7, attributes=' xml:space="preserve"'):
    return f"<revision>\n      <id>{number}</id>\n      <text{attributes}>{escape(text)}</text>\n    </revision>"


def page(title="Αθήνα", number=1, text="", namespace=0, redirect="", body=None):
    redirect = f'\n    <redirect title="{escape(redirect)}" />' if redirect else ""
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{number}</id>{redirect}\n"
        f"    {revision(text) if body is None else body}\n  </page>\n"
    )


def dump(*elements):
    return (HEADER + "".join(elements) + FOOTER).encode()


def multistream(xml, cuts):
    """Pack `xml` as one bzip2 stream for each piece between two cuts."""
    borders = [0, *sorted(cuts), len(xml)]
    return b"".join(bz2.compress(xml[start:end]) for start, end in pairwise(borders))


def two_streams(xml):
    return multistream(xml, [len(xml) // 2])


def saved(tmp_path, data, name="elwiki.xml"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def read(path, **options):
    tally, problems = Counter(), []
    return list(pages(path, tally, problems, **options)), tally, problems


def read_in_shards(path, shard_size, **options):
    tally, found = Counter(), []
    for shard in shards(path, shard_size, max_page_bytes=options.get("max_page_bytes", 1 << 25)):
        found += read_shard(pickle.loads(pickle.dumps(shard)), tally, **options)
    return found, tally


THREE = dump(page("Α", 1, "πρώτη"), page("Β", 2, "δεύτερη"), page("Γ", 3, "τρίτη"))


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress, lzma.compress, two_streams])
def test_every_format_is_told_by_its_bytes_not_by_its_name(tmp_path, pack):
    path = saved(tmp_path, pack(THREE), "misnamed.gz")
    found, tally, problems = read(path)
    assert [(p.id, p.title, p.text) for p in found] == [(1, "Α", "πρώτη"), (2, "Β", "δεύτερη"), (3, "Γ", "τρίτη")]
    assert tally == {"pages": 3}
    assert problems == []
    assert read_in_shards(path, 40)[0] == found


def test_header(tmp_path):
    header = read_header(saved(tmp_path, THREE))
    assert (header.lang, header.dbname, header.version, header.case) == ("el", "elwiki", "0.11", "first-letter")
    assert header.namespaces == {-2: "Μέσο", 0: "", 10: "Πρότυπο"}
    assert header.sitename == "Βικιπαίδεια"


@pytest.mark.parametrize(
    ("dbname", "base", "lang"),
    [
        ("elwiki", None, "el"),
        ("elwikivoyage", "http://localhost/elwv", "el"),
        ("zh_min_nanwiki", None, "zh-min-nan"),
        ("commonswiki", "https://commons.wikimedia.org/wiki/Main_Page", None),
        (None, "https://fr.wikipedia.org/wiki/Accueil", "fr"),
        (None, "https://www.wikidata.org/wiki/Main_Page", None),
    ],
)
def test_language_is_claimed_by_the_database_name_or_else_by_the_address(dbname, base, lang):
    assert language_of(dbname, base) == lang


@pytest.mark.parametrize("part", [page().encode(), page().strip().encode(), page().encode() + FOOTER.encode()])
def test_a_part_without_header_is_read_and_claims_nothing(tmp_path, part):
    path = saved(tmp_path, part)
    assert read_header(path).lang is None
    assert read(path)[1] == {"pages": 1}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (page("A &amp; B", text="x"), Page(1, 7, 0, "A &amp; B", None, "x")),
        (page("Q&A", redirect='"R" & R', text="#X"), Page(1, 7, 0, "Q&A", '"R" & R', "#X")),
        (page(body=revision(text="a\r\nb\rc")), Page(1, 7, 0, "Αθήνα", None, "a\nb\nc")),
        (page(body=revision(attributes=' bytes="0" /').replace("></text>", ">")), Page(1, 7, 0, "Αθήνα", None, "")),
        (page(text="&lt;b>&amp;amp;&#160;"), Page(1, 7, 0, "Αθήνα", None, "&lt;b>&amp;amp;&#160;")),
        (page(body="<restrictions>x</restrictions>" + revision("y")), Page(1, 7, 0, "Αθήνα", None, "y")),
        (
            page(text="#redirect : [[Ρώμη_2#Ιστορία|x]] y"),
            Page(1, 7, 0, "Αθήνα", "Ρώμη_2", "#redirect : [[Ρώμη_2#Ιστορία|x]] y"),
        ),
        (page(text="\n#REDIRECT[[:Ρώμη]]"), Page(1, 7, 0, "Αθήνα", "Ρώμη", "\n#REDIRECT[[:Ρώμη]]")),
        (page(text="#REDIRECT Ρώμη"), Page(1, 7, 0, "Αθήνα", None, "#REDIRECT Ρώμη")),
        (page(text="#ΑΝΑΚΑΤΕΥΘΥΝΣΗ [[Ρώμη]]"), Page(1, 7, 0, "Αθήνα", None, "#ΑΝΑΚΑΤΕΥΘΥΝΣΗ [[Ρώμη]]")),
        (page(body="<redirect />" + revision("")), Page(1, 7, 0, "Αθήνα", "", "")),
    ],
)
def test_page_fields(tmp_path, element, expected):
    assert read(saved(tmp_path, dump(element)))[0] == [expected]


def test_redirect_words_of_the_wiki_count_where_the_export_names_no_target(tmp_path):
    path = saved(tmp_path, dump(page(text="#ΑΝΑΚΑΤΕΥΘΥΝΣΗ [[Ρώμη]]")))
    (found,) = pages(path, redirect_words=("#ανακατευθυνση", "#REDIRECT"))
    assert found.redirect == "Ρώμη"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("&lt;&gt;&quot;&apos;&amp;", "<>\"'&"),
        ("&amp;lt; &#38;lt;", "&lt; &lt;"),  # resolved once, not twice
        ("&#x41;&#945;&#x1F600;", "Aα😀"),
        ("&#x110000;&#xD800;&#0;&#99999999999999999999;", "\ufffd" * 4),
        ("&nbsp; & &;", "&nbsp; & &;"),  # not XML's: left as it stands
    ],
)
def test_character_references(tmp_path, raw, text):
    (found,) = pages(saved(tmp_path, dump(page(text="TEXT").replace("TEXT", raw))))
    assert found.text == text


def test_old_exports_without_ns_take_the_namespace_from_the_title(tmp_path):
    elements = [page(title).replace("<ns>0</ns>", "") for title in ("Πρότυπο:Χ", "πρότυπο:Χ", "Άλλο: Χ", "Χ")]
    assert [p.namespace for p in pages(saved(tmp_path, dump(*elements)))] == [10, 10, 0, 0]


def test_the_last_revision_wins(tmp_path):
    body = revision("old", 1) + revision("older", 2) + revision("new", 3)
    found, tally, _ = read(saved(tmp_path, dump(page(body=body))))
    assert [(p.revision, p.text) for p in found] == [(3, "new")]
    assert tally == {"pages": 1, "extra_revisions": 2}


def test_a_deleted_text_is_empty_and_does_not_show_the_revision_before(tmp_path):
    body = revision("old", 1) + '<revision><id>2</id><text deleted="deleted" /></revision>'
    found, tally, _ = read(saved(tmp_path, dump(page(body=body))))
    assert [(p.revision, p.text) for p in found] == [(2, "")]
    assert tally["deleted_text"] == 1


def test_other_namespaces_are_counted_and_not_decoded(tmp_path):
    bad = page("Talk:X", 2, "TEXT", namespace=1).encode().replace(b"TEXT", b"\xff")
    path = saved(tmp_path, dump(page()).replace(FOOTER.encode(), bad))
    found, tally, _ = read(path, namespaces={0})
    assert [p.namespace for p in found] == [0]
    assert tally == {"pages": 1, "other_namespace": 1}


def test_invalid_utf8_is_replaced_and_counted(tmp_path):
    found, tally, _ = read(saved(tmp_path, dump(page(text="TEXT")).replace(b"TEXT", b"a\xffb\xed\xa0\x80")))
    assert found[0].text == "a\ufffdb\ufffd\ufffd\ufffd"
    assert tally == {"pages": 1, "invalid_utf8": 1}


@pytest.mark.parametrize(
    "broken",
    [
        page().replace("<title>Αθήνα</title>", ""),
        page().replace("<title>Αθήνα</title>", "<title> </title>"),
        page().replace("<id>1</id>", ""),
        page().replace("<id>1</id>", "<id>one</id>"),
        page().replace("<id>7</id>", "<id>-7</id>"),
        page().replace("<id>1</id>", f"<id>{'9' * 5000}</id>"),
        page(body=""),
        page(text="x").replace("</text>", "<br></text>"),
        page().replace("</page>", ""),
        page(text="x").partition("</text>")[0],
    ],
)
def test_a_malformed_page_is_counted_and_costs_no_other(tmp_path, broken):
    found, tally, _ = read(saved(tmp_path, dump(page("Α", 8), broken, page("Β", 9))))
    assert [p.id for p in found] == [8, 9]
    assert tally == {"pages": 2, "malformed_page": 1}


def test_utf16_is_read_too(tmp_path):
    path = saved(tmp_path, bz2.compress(THREE.decode().encode("utf-16")) * 1)
    assert [p.text for p in read(path)[0]] == ["πρώτη", "δεύτερη", "τρίτη"]
    assert read_in_shards(path, 50)[0] == read(path)[0]


def test_byte_order_mark_crlf_and_data_behind_the_end_do_no_harm(tmp_path):
    xml = b"\xef\xbb\xbf" + THREE.replace(b"\n", b"\r\n") + b"<!-- request took 3 s -->\n"
    found, tally, _ = read(saved(tmp_path, xml))
    assert [p.text for p in found] == ["πρώτη", "δεύτερη", "τρίτη"]
    assert tally == {"pages": 3}


texts = st.text(alphabet=st.sampled_from('aαあ😀<>&"[]\n'), max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(texts, min_size=1, max_size=12), st.integers(1, 900))
def test_any_cut_into_streams_and_shards_gives_the_same_pages(tmp_path_factory, data, contents, shard_size):
    xml = dump(*(page(f"T{index}", index, text) for index, text in enumerate(contents)))
    cuts = data.draw(st.lists(st.integers(0, len(xml)), max_size=12))
    folder = tmp_path_factory.mktemp("shards")
    packed = saved(folder, multistream(xml, cuts), "dump.xml.bz2")
    plain = saved(folder, xml)
    expected = [(index, f"T{index}", text) for index, text in enumerate(contents)]
    for path in (packed, plain):
        found, tally = read_in_shards(path, shard_size)
        assert [(p.id, p.title, p.text) for p in found] == expected
        assert tally == {"pages": len(contents)}


def damaged(packed, data):
    """Break `packed` in one way: cut it off, overwrite some bytes, or take some out."""
    start = data.draw(st.integers(0, len(packed) - 1))
    length = data.draw(st.integers(1, 40))
    match data.draw(st.sampled_from(["cut", "overwrite", "remove"])):
        case "cut":
            return packed[:start]
        case "overwrite":
            return packed[:start] + b"\x55" * min(length, len(packed) - start) + packed[start + length :]
        case _:
            return packed[:start] + packed[start + length :]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 900))
def test_damage_costs_the_same_pages_and_counts_the_same_for_any_shard_size(tmp_path_factory, data, shard_size):
    contents = [f"text {index} " * index for index in range(8)]
    xml = dump(*(page(f"T{index}", index, text) for index, text in enumerate(contents)))
    cuts = data.draw(st.lists(st.integers(0, len(xml)), min_size=2, max_size=12))
    path = saved(tmp_path_factory.mktemp("damage"), damaged(multistream(xml, cuts), data), "dump.xml.bz2")
    try:
        found, tally, problems = read(path)
    except LingraftError:
        return  # nothing was left to read, and it said so
    assert {(p.id, p.text) for p in found} <= set(enumerate(contents))
    assert len(problems) == tally["truncated"] + tally["corrupt"] + tally["corrupt_stream"]
    sharded, sharded_tally = read_in_shards(path, shard_size)
    assert sharded == found
    assert sharded_tally == tally


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, lzma.compress, two_streams])
def test_a_cut_off_file_gives_its_complete_pages_and_says_where_it_ends(tmp_path, pack):
    noise = Random(0).randbytes(60_000).hex()
    xml = dump(*(page(f"Σελίδα {index}", index, noise[index:]) for index in range(20)))
    packed = pack(xml)
    path = saved(tmp_path, packed[: len(packed) * 3 // 4], "elwiki.xml.packed")
    found, tally, problems = read(path)
    assert [p.id for p in found] == list(range(len(found)))
    assert tally["truncated"] == 1
    assert problems[0].kind == "truncated"
    assert problems[0].message.startswith("dump is cut off: elwiki.xml.packed ends")
    assert f"byte {len(packed) * 3 // 4:,}" in problems[0].place


def test_strict_stops_at_the_cut_and_names_the_page(tmp_path):
    xml = THREE[: THREE.index("τρίτη".encode())]
    path = saved(tmp_path, gzip.compress(xml, mtime=0), "elwiki.xml.gz")
    with pytest.raises(LingraftError) as error:
        list(pages(path, strict=True))
    assert error.value.what == (
        f"dump is cut off: elwiki.xml.gz ends inside page 'Γ' (id 3) at byte {len(xml):,} of its unpacked XML."
    )
    assert error.value.why == "2 complete pages were read before it."
    assert "leave out --strict" in error.value.cure


def test_a_damaged_stream_is_passed_over(tmp_path):
    elements = [page(f"T{index}", index, f"text {index}" * 50) for index in range(4)]
    streams = [bz2.compress(part.encode()) for part in [HEADER, *elements, FOOTER]]
    streams[2] = streams[2][:40] + bytes(20) + streams[2][60:]
    path = saved(tmp_path, b"".join(streams))
    found, tally, problems = read(path)
    assert [p.id for p in found] == [0, 2, 3]
    assert tally == {"pages": 3, "corrupt_stream": 1}
    assert problems[0].place == f"elwiki.xml, byte {len(streams[0] + streams[1]):,}"
    with pytest.raises(LingraftError, match="dump is damaged"):
        list(pages(path, strict=True))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_damage_without_a_second_stream_keeps_what_came_before(tmp_path, pack):
    packed = bytearray(pack(dump(page("Α", 1), page("Β", 2, Random(0).randbytes(400_000).hex()), page("Γ", 3))))
    half = len(packed) // 2
    packed[half : half + 4] = b"\xff\0\xff\0"
    found, tally, problems = read(saved(tmp_path, bytes(packed)))
    assert [p.id for p in found] == [1]
    assert tally == {"pages": 1, "corrupt": 1}
    assert "inside page 'Β' (id 2)" in problems[0].message
    assert "the rest is lost" in problems[0].message


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "elwiki.xml", "is empty"),
        (b"<!DOCTYPE html><html><body>404 Not Found", "elwiki.xml.bz2", "is an HTML page, not a dump"),
        (gzip.compress(b"<html>", mtime=0), "elwiki.xml.gz", "is an HTML page, not a dump"),
        (HEADER.encode() + FOOTER.encode(), "elwiki.xml", "holds a header and no page"),
        (b"plain text", "elwiki.xml.gz", "named .gz but is not gzip"),
        (bytes(range(256)) * 100, "elwiki.xml", "is not a MediaWiki export"),
        (bz2.compress(b"14:2566:Title\n"), "elwiki-multistream-index.txt.bz2", "without -index in its name"),
        (bz2.compress(THREE)[:30], "elwiki.xml.bz2", "cut off at byte 30, before its first page"),
        (b"7z\xbc\xaf\x27\x1c rest", "elwiki.xml.7z", "is a 7z file"),
    ],
)
@pytest.mark.parametrize("reader", [pages, shards, read_header])
def test_what_is_no_dump_is_one_clear_error(tmp_path, data, name, words, reader):
    with pytest.raises(LingraftError) as error:
        reader(saved(tmp_path, data, name))
    assert name in str(error.value)
    assert words in str(error.value)
    assert error.value.cure


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(LingraftError, match=r"no file at .*nowhere\.xml"):
        pages(tmp_path / "nowhere.xml")
    with pytest.raises(LingraftError, match="is a folder, not a file"):
        shards(tmp_path)


@pytest.mark.parametrize("declaration", ["<!DOCTYPE lolz [<!ENTITY a 'b'>]>", "<!doctype x>", "<!ENTITY a 'b'>"])
def test_an_xml_bomb_is_refused(tmp_path, declaration):
    path = saved(tmp_path, gzip.compress(declaration.encode() + THREE, mtime=0))
    with pytest.raises(LingraftError, match=r"declares XML entities .* XML bomb|(?s:declares XML entities.*XML bomb)"):
        read_header(path)


def peak_memory(function):
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("pack", "size"),
    [
        (bytes, 12_000_000),
        (gzip.compress, 50_000_000),
        (lambda xml: multistream(xml, range(0, len(xml), 2_000_000)), 12_000_000),
    ],
)
def test_an_oversized_page_is_passed_over_without_being_held(tmp_path, pack, size):
    path = saved(tmp_path, pack(dump(page("Α", 1), page("Β", 2, "x" * size), page("Γ", 3))))
    (found, tally, _), peak = peak_memory(lambda: read(path, max_page_bytes=1 << 20))
    assert [p.id for p in found] == [1, 3]
    assert tally == {"pages": 2, "oversized_page": 1}
    assert peak < 40_000_000  # a few chunks
    found, tally = read_in_shards(path, 1 << 20, max_page_bytes=1 << 20)
    assert [p.id for p in found] == [1, 3]
    assert tally == {"pages": 2, "oversized_page": 1}


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_a_packed_bomb_does_not_fill_the_memory(tmp_path, pack):
    path = saved(tmp_path, pack(bytes(120_000_000)))

    def refused():
        with pytest.raises(LingraftError, match="is not a MediaWiki export"):
            pages(path)

    assert peak_memory(refused)[1] < 60_000_000


def test_skipped_shards_are_listed_without_their_data(tmp_path):
    path = saved(tmp_path, gzip.compress(dump(*(page(f"T{index}", index, "x" * 1_000_000) for index in range(30)))))
    whole = list(shards(path, 1 << 20))
    assert len(whole) > 2
    rest = list(shards(path, 1 << 20, skip=lambda index: index < 2))
    assert [shard.index for shard in rest] == [shard.index for shard in whole]
    assert [shard.skipped for shard in rest] == [index < 2 for index in range(len(rest))]
    assert rest[0].data is None
    assert rest[2] == whole[2]
    with pytest.raises(ValueError, match="was skipped"):
        list(read_shard(rest[0], Counter()))


def test_shards_are_cut_lazily(tmp_path):
    path = saved(tmp_path, gzip.compress(dump(*(page(f"T{index}", index, "x" * 1_000_000) for index in range(60)))))
    _, peak = peak_memory(lambda: sum(1 for _ in shards(path, 1 << 20)))
    assert peak < 60_000_000


@pytest.mark.parametrize("feed", [50, 1000, 1 << 16])
def test_where_a_dump_is_cut_does_not_depend_on_how_it_is_unpacked(tmp_path, monkeypatch, feed):
    elements = [page(f"P{n}", n, "x" * (37 * n % 500)) for n in range(1, 80)]
    expected, size = [[]], 0
    for n, element in enumerate(elements, start=1):
        if size >= 1000 * XML_FACTOR:
            expected.append([])
            size = 0
        expected[-1].append(n)
        size += len(element.strip().encode())
    path = saved(tmp_path, gzip.compress(dump(*elements)), "a.gz")
    monkeypatch.setattr("lingraft.wikimedia.compressed.FEED", feed)
    assert [[p.id for p in read_shard(shard, Counter())] for shard in shards(path, 1000)] == expected
    assert len(expected) > 5
