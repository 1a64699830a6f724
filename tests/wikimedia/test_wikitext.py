"""What a page's wikitext becomes, by example; then what must hold whatever it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.wikimedia.wikitext import parse, parser


def shown(wikitext: str, lang: str = "el") -> str:
    return parse(wikitext, lang).text


def anchors(wikitext: str, lang: str = "el") -> list[tuple[str, str]]:
    parsed = parse(wikitext, lang)
    return [(parsed.text[start:end], target) for start, end, target in parsed.links]


@pytest.mark.parametrize(
    ("lang", "wikitext", "text", "links"),
    [
        ("el", "[[Αθήνα]]ς", "Αθήνας", [(0, 6, "Αθήνα")]),  # Greek link trail belongs to the anchor
        ("ja", "[[東京]]都", "東京都", [(0, 2, "東京")]),  # Japanese trails are [a-z] only
        ("ar", "قرأ و[[كتاب|الكتاب]] ثم", "قرأ والكتاب ثم", [(4, 11, "كتاب")]),  # Arabic prefixes belong to the anchor
        ("en", "pre[[fix]]", "prefix", [(3, 6, "fix")]),
        ("uk", "«[[Зоря]]»", "«Зоря»", [(0, 6, "Зоря")]),  # Ukrainian wikis take quotation marks in, on both sides
        ("zh", "[[北京]]abc", "北京abc", [(0, 2, "北京")]),  # Chinese has no trail
        ("en", "[[:en:Tea|tea]]", "tea", []),  # a link to another wiki is text
        ("el", "[[Αρχείο:Map.png|μικρογραφία|[[Ρώμη]]]]", "", []),  # a file goes, caption and all
        ("el", "α [[Αρχείο:a.png|thumb|[[Ρώμη]] και [http://x.gr εδώ]]] β", "α β", []),
        ("el", "[[Image:a.png|x [[File:b.png|y [[Ρώμη]]]] z]]α", "α", []),
        ("el", "[[Κατηγορία:Πόλεις]] [[en:Athens]]", "", []),
        ("el", "[[:Κατηγορία:Πόλεις]]", "Κατηγορία:Πόλεις", []),
        ("el", "[[Ρώμη|η ''Ρώμη'']]", "η Ρώμη", [(0, 6, "Ρώμη")]),
        ("el", "α [[Ρώμη| Ρώμη ]]β", "α Ρώμη β", [(2, 6, "Ρώμη")]),  # white space stays outside of the anchor
        ("el", "[[Ρώμη#Ιστορία|αυτή]] [[#Ιστορία|εδώ]]", "αυτή εδώ", [(0, 4, "Ρώμη")]),
        ("el", "[[Ρώμη|]]", "Ρώμη", [(0, 4, "Ρώμη")]),
        ("en", "[[Foo|[bar]]]", "[bar]", [(0, 5, "Foo")]),
        ("en", "[[a|b [[c]] d]]", "[[a|b c d]]", [(6, 7, "c")]),  # no link inside a link: the outer brackets are text
        ("en", "[[AT&amp;T]]", "AT&T", [(0, 4, "AT&T")]),
        ("en", "[[Foo|<small>bar</small>]]s", "bars", [(0, 4, "Foo")]),
        ("en", "[[Alien: Covenant]]", "Alien: Covenant", [(0, 15, "Alien: Covenant")]),  # a colon, and no namespace
        ("en", "[[Help:Links|help]]", "help", []),
        ("en", "[[http://a.org a ''label'']], [[https://a.org|b]] [[http://a.org]]", "a label, b", []),
        ("en", "[[]] [[ ]] [[|x]]", "[[]] [[ ]] [[|x]]", []),
        ("en", "[[un\n\nclosed", "[[un\n\nclosed", []),
        ("en", "[[foo]]<nowiki/>s [[foo]]<nowiki>s</nowiki>", "foos foos", [(0, 3, "foo"), (5, 8, "foo")]),
        ("uk", "«<nowiki/>[[Зоря]]<nowiki /> і", "«Зоря і", [(1, 5, "Зоря")]),
        ("en", "[[Project:]] [[Category:{{x}}]] [[#top]]", "[[Project:]] #top", []),
        ("en", "end.[[File:a.png|thumb|left]]Next 1[[File:b.png|20px]]2", "end. Next 12", []),
    ],
)
def test_internal_links_follow_mediawiki(lang, wikitext, text, links):
    parsed = parse(wikitext, lang)
    assert (parsed.text, parsed.links) == (text, links)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Bold''' and ''italic'' and '''''both'''''", "Bold and italic and both"),
        ("l''''Île'''", "l'Île"),
        ("dans l'''Iliade'' d''''Homère'''", "dans l'Iliade d'Homère"),  # an apostrophe and italics, not bold
        ("'''B'''s l'''[[Iliade]]'' ''x''", "Bs l'Iliade x"),
        ("'''foo'' ''<nowiki/>'bar''", "'foo 'bar"),  # bold that only italics could end is an apostrophe and italics
        ("[http://a.org a label] [http://b.org] http://c.org", "a label http://c.org"),
        ("[HTTPS://a.org a [b] [//b.org <i title='[c]'>d</i>] [http://[::1]/ e] [http:// f]", "a [b d e [http:// f]"),
        ("[http://a.org/<nowiki>b</nowiki>]", "b"),
        ("a<ref>note</ref> b<ref name=x/> c<ref>{{cite}}<br></ref>", "a b c"),
        ("a<ref>unclosed", "aunclosed"),
        ("a<!-- gone -->b\n<!-- a line -->\nc", "ab c"),
        ("a<!-- unclosed", "a"),
        ("E = <math>mc^{{2}}</math>.", "E = \ufffc."),
        ("<nowiki>[[a]] ''b'' {{c}} &lt;</nowiki>", "[[a]] ''b'' {{c}} <"),
        ("<pre>\n* a\n  [[b]]\n</pre>", "* a\n[[b]]"),
        ("<gallery>\nFile:a.png|b\n</gallery>x", "x"),
        ("<poem>a\n: b</poem>", "a\nb"),
        ("<pre><nowiki>a</nowiki> <nowiki></pre>", "a <nowiki>"),
        ("a<noinclude>b</noinclude> <i <includeonly>x</includeonly>class=y>c</i>", "ab c"),
        ("<onlyinclude>== H ==</onlyinclude>\n__NOTOC__== I ==\nx", "H\n\nI\n\nx"),
        ("a&nbsp;b &amp;lt; &#945; &#x3b2; &bogus; &#0;", "a b &lt; α β &bogus; \ufffd"),
        ("&ampamp; &#0000065; &#x0000000041; |&רלמ;|&rlm;|", "&ampamp; A A |\u200f|\u200f|"),
        ("a __NOTOC__ b __init__", "a b __init__"),
        ("<div class=x>a</div><p>b<br/>c</p><span>d</span>", "a\n\nb\nc\n\nd"),
        ("3 < 4 > 2 <foo>x</foo> <b>y</b>", "3 < 4 > 2 <foo>x</foo> y"),
        ("a  b\tc\u00a0d", "a b c d"),
        ("one\nparagraph\n\nanother", "one paragraph\n\nanother"),
        ("text\n* a\n* [[b]]\n# c\nafter", "text\n\na\nb\nc\n\nafter"),
        ("; term : meaning\n: more", "term\nmeaning\nmore"),
        ("; [http://a.org b:c] <b>d:e</b> [[f|g:h]] http://a.org/: i : j", "b:c d:e g:h http://a.org/\ni : j"),
        ("*; a: b\n; c<br>d:e", "a\nb\nc\nd\ne"),
        ("a\n----\nb", "a\n\nb"),
        ("a\n {| x\n|-\n| b\n|}\nc", "a\n\nc"),
        ("a\n:{| \n|| b\n{|\n|}\n|}c\nd", "a\n\nc d"),
        ("a\n{| unclosed\n| b\n== H ==\nc", "a\n\nH\n\nc"),
        ("a <table><tr><td>b<table></table></td></tr></table> c", "a\n\nc"),
        ("a\n|-\n|}\nb", "a\n\nb"),  # rows of a table that a template began
    ],
)
def test_markup_becomes_text(wikitext, text):
    assert shown(wikitext, "en") == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("a {{b|{{c}}|d={{{e|f}}}}} g", "a g"),
        ("{{a|{x}}} b", "} b"),  # two braces close two
        ("a {{unclosed [[b]]", "a {{unclosed b"),
        ("a }} b", "a }} b"),
        ("x ({{unknown|grc|y}}) z", "x z"),  # brackets that dropping has emptied go too
        ("x ({{a}}, 1900; {{b}}) z", "x (1900) z"),
        ("x ({{a}}), z", "x, z"),
        ("f() ({{a}})", "f()"),  # brackets that were empty before stay
        ("柏林（{{unknown|de|Berlin}}）是", "柏林是"),
        ("柏林（はくりん、{{a}}{{b}}、{{c}}）", "柏林（はくりん）"),
        ("x (y: z, {{a}} ; {{b}};) w", "x (y: z) w"),
        ("x&nbsp;{{a}})", "x)"),
        ("x<ref>a</ref> {{b}}y:<ref/>\n* z", "x y:\n\nz"),
        ("x ((({{a}}))) y ( {{b}} {{c}}, d", "x (()) y (d"),
        ("x<ref>a</ref> <ref name=b/>, y (<ref>c</ref>) z ([[File:d.png]]) {{e}}.", "x, y z."),
        ("=={{a}}==\n== b {{c}} ==", "b"),
        ("{{a\n|b=1\n|c={{d}}\n}}\n'''Text'''", "Text"),
    ],
)
def test_templates_go_with_the_brackets_they_leave_empty(wikitext, text):
    assert shown(wikitext, "en") == text


@pytest.mark.parametrize(
    ("lang", "wikitext", "text"),
    [
        ("zh", "-{zh-hans:计算机;zh-hant:電腦}-", "计算机"),
        ("zh", "[[-{zh-hans:计算机;zh-hant:電腦}-]]", "计算机"),
        ("zh", "a-{H|zh-cn:x}-b-{T|y}-c-{d}-", "abcd"),
        ("en", "a -{b}- c", "a -{b}- c"),
    ],
)
def test_language_variants(lang, wikitext, text):
    assert shown(wikitext, lang) == text


def test_sections_nest_and_begin_after_their_headings():
    parsed = parse("lead\n== A ==\na\n=== [[B]] ===\n== C ==\n==== D ====\nd", "en")
    found = [(parsed.text[start:end], level, heading) for start, end, level, heading in parsed.sections]
    assert parsed.text == "lead\n\nA\n\na\n\nB\n\nC\n\nD\n\nd"
    assert found == [
        ("lead", 0, ""),
        ("a\n\nB", 2, "A"),
        ("", 3, "B"),
        ("D\n\nd", 2, "C"),
        ("d", 4, "D"),
    ]
    assert anchors("== [[B|b]] ==\n", "en") == [("b", "B")]


def test_headings_are_one_line_without_space_around():
    parsed = parse("=== [[File:flag.svg|20px]] [[A| a]] ===\nx\n== <center>b</center> c ==\ny", "en")
    assert parsed.text == "a\n\nx\n\nb c\n\ny"
    assert [heading for *_, heading in parsed.sections] == ["", "a", "b c"]
    assert parsed.links == [(0, 1, "A")]


def test_drops_are_counted_by_reason():
    wikitext = "{{a}}{{b}}<ref>c</ref>[[File:d.png]][[Category:e]]\n{|\n|}\n{|\n<math>f</math>"
    drops = parse(wikitext, "en").drops
    assert drops == {
        "templates": 2,
        "tag_ref": 1,
        "tag_math": 1,
        "links_file": 1,
        "links_category": 1,
        "tables": 2,
        "tables_unclosed": 1,
    }


PIECES = st.sampled_from(
    "[[ ]] [ ] {{ }} {{{ }}} {| |} |- | \n \n\n == === * # : ; '' ''' ''''' <ref> </ref> <ref/> <nowiki> </nowiki> "
    "<table> </table> <!-- --> <br> <div> </div> &amp; &#91; &lt; -{ }- __TOC__ http:// [http://x File: Category: :en: "
    "# Αθήνα x y z 東京 \u00a0 \t ( ) , . \x00 \x04 \x05 \ufdd0 <math> </math> <pre> </pre>".split(" ")
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join), st.sampled_from(["en", "el", "zh"]))
def test_spans_hold_whatever_the_wikitext_is(wikitext, lang):
    parsed = parse(wikitext, lang)
    text = parsed.text
    assert text == text.strip(" \n")
    assert "\n\n\n" not in text
    position = 0
    for start, end, target in parsed.links:
        assert position <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip(" \n")
        assert target.strip()
        position = end
    assert parsed.sections[0][2] == 0
    for start, end, level, heading in parsed.sections:
        assert 0 <= start <= end <= len(text)
        assert (level == 0) == (heading == "")
    assert parse(wikitext, lang) == parsed


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{" * 20_000,
        "{{a|" * 10_000 + "}}" * 10_000,
        "[[" * 20_000,
        "[[File:a|" * 10_000 + "]]" * 10_000,
        "[[a [[b]] " * 10_000,
        "\n{|" * 10_000,
        "\n{|" * 10_000 + "\n|}" * 10_000,
        "\n{|\n==h==" * 5_000,
        "<ref>" * 20_000,
        "<ref><math>" * 10_000,
        "<!--" * 20_000,
        "<table>" * 10_000,
        "-{" * 20_000,
        "'" * 100_000,
        "a'''b" * 20_000,
        "({{a}} , " * 20_000,
        "(" * 20_000 + "{{a}})" * 20_000,
        "[http://" * 20_000,
        "<div " * 20_000,
        "&amp" * 50_000,
        "(" * 50_000 + "{{a}}" + ")" * 50_000,
    ],
    ids=lambda wikitext: wikitext[:12].strip(),
)
def test_hostile_pages_are_read_in_linear_time(wikitext):
    parse(wikitext, "zh")  # quadratic time would be minutes here


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("[[:]] [[#]] [[#|x]] [[:|x]]", "[[:]] [[#]] x [[:|x]]"),  # links without a target
        ("a\n{|\n|}{| b\n|}\nc", "a\n\n{| b\n\nc"),  # what stands behind "|}" begins no table
        ("<\u017fource>a</source>", "<\u017fource>a</source>"),  # the long s is no s
        ("[[http://a.org b http://c.org d]]", "b http://c.org d"),
        ("[http://a.org b [HTTP://c.org d] e]", "[http://a.org b d e]"),
    ],
)
def test_odd_markup_is_text(wikitext, text):
    assert shown(wikitext, "en") == text


@pytest.mark.parametrize("after", ["{{a}} ", "{{a}}", "({{a}})", "<ref/>, "])
def test_holes_behind_long_separators_are_closed_in_linear_time(after):
    parser("en").parse_in_python(", (" * 100_000 + after * 50_000)  # quadratic time would be minutes here
