"""What templates show, by example and by language; how their data is read; what must hold whatever it is given."""

import tomllib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.wikimedia.locales import FOLDER, locale
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.templates import LONGEST_NAME, Templates
from lingraft.wikimedia.wikitext import Parser, parse


@pytest.mark.parametrize(
    ("lang", "wikitext", "text"),
    [
        ("en", "{{nowrap|a {{small|b}}}} {{lang|de|''c''}}", "a b c"),
        ("en", "{{Nowrap|1=a=b}} {{nowrap_ |c}} {{Template:nobr|d}}", "a=b c d"),
        ("el", "{{πρότυπο:Nowrap|a}}", "a"),  # the wiki's own word for its templates
        ("en", "{{convert|37,555|km2|sqmi}} and {{cvt|5|mi}}", "37,555 square kilometres and 5 mi"),
        ("en", "{{convert|5|to|10|km}}, {{convert|2|x|3|by|4|m|abbr=on}}", "5 to 10 kilometres, 2 × 3 by 4 m"),
        ("en", "a {{convert|6|ft|adj=on}} man, {{convert|5|ft|11|in}}", "a 6-foot man, 5 feet 11 inches"),
        ("mr", "{{convert|1102|/km2|/sqmi}}, {{birth date|1999|4|5}}", "१,१०२/km², ५ एप्रिल, १९९९"),
        ("el", "{{flag|Poland}}, {{flag|Ρώμη}}", "Πολωνία, Ρώμη"),
        ("en", "{{convert|1|mi}}, {{convert|-5|C|F}}, {{convert|8|furlong}}", "1 mile, −5 °C, 8 furlong"),
        ("mr", "{{convert|123456|to|200000|m}}", "१,२३,४५६ ते २,००,००० m"),
        ("en", "{{formatnum:1234567.89}} {{formatnum:1234}}", "1,234,567.89 1,234"),
        ("en", "{{formatnum:-12}} {{formatnum:n/a}}", "−12 n/a"),
        ("el", "{{formatnum:1234567.8}}", "1.234.567,8"),
        ("uk", "{{formatnum:1234}} {{num|440000}}", "1234 440 000"),
        ("hi", "{{formatnum:1234567}}", "12,34,567"),
        ("en", "{{birth date and age|1964|04|02}}, {{dts|1778}}", "April 2, 1964, 1778"),
        ("uk", "{{ДН|2|10|1906|19|9}}, {{дата|2006|11}}", "2 жовтня 1906, листопад 2006"),
        ("ja", "{{生年月日と年齢|1960|5|23}}", "1960年5月23日"),
        ("de", "{{birth date|1960|5|23}}", "23. Mai 1960"),
        ("fr", "{{date|20|juin|1991}}, au {{s|XIX}}, {{unité|2853|km}}", "20 juin 1991, au XIXe siècle, 2 853 km"),
        ("ha", "{{start date|1999|4|5}}", "5 Afirilu, 1999"),
        ("kg", "{{start date|1999|4|5}}", "1999-04-05"),  # a language of which nothing is known
        ("en", "'''Berlin''' ({{lang-de|Bär}}, {{lang-xx|b}})", "Berlin (German: Bär, b)"),
        ("uk", "({{lang-sk|Fun Radio}})", "(словац. Fun Radio)"),
        ("en", "{{nihongo|Tea|茶|cha}}, {{nihongo|Tea|茶}}, {{nihongo||茶}}", "Tea (茶, cha), Tea (茶), (茶)"),
        ("en", "{{transl|ar|DIN|x}} {{transl|ja|y}}", "x y"),
        ("en", "{{as of|2014|5|lc=y}} {{As of|2014}} {{circa|300}}", "as of May 2014 As of 2014 c. 300"),
        ("en", "{{frac|2}} {{frac|3|4}} {{sfrac|1|3|4}} {{val|6.02|e=23|u=mol}}", "1⁄2 3⁄4 1 3⁄4 6.02×10²³ mol"),
        ("en", "a{{snd}}b{{nbsp}}c {{'}}d{{' \"}}", "a – b c 'd'\""),
        ("en", "He said:{{quote|So be it.|Luke|[[A]]}} And", "He said:\n\nSo be it. — Luke, A\n\nAnd"),
        ("de", "{{\"|Ja}}", "„Ja“"),
        ("en", "{{hlist|a|b|c}}, {{chem|H|2|O}}", "a · b · c, H2O"),
        ("en", "{{lc:ÀB}} {{uc:àb}} {{ucfirst:àb}} {{lcfirst:Àb}}", "àb ÀB Àb àb"),
        ("en", "a {{#if:x|y|z}} b {{#expr:1+1}} {{CURRENTYEAR}}", "a b"),  # not evaluated
        ("en", "{{{1|default}}} {{{2}}}.", "default."),
        ("en", "a{{=}}b {{(}}c{{)}}", "a=b {c}"),
        ("en", "{{nowrap|a{{!}}b}} {{nowrap|[[c|d]]|e}}", "a|b d"),
        ("en", "{{{!}}\n{{!}} cell\n{{!}}}\na", "a"),  # a table, made by magic words
        ("en", "({{IPA|x}}) a{{sfn|b}} {{flagicon|c}} d {{coord|1|2}}", "a d"),
        ("el", "{{USA}} {{flag|GRC}} {{flag|Τυνησία}}", "Ηνωμένες Πολιτείες Αμερικής Ελλάδα Τυνησία"),
        ("en", "the set {{}, {1, 2}}, {{|a}}", "the set {{}, {1, 2}}, {{|a}}"),  # no templates, says MediaWiki
        ("en", "a {{nowrap|* b}}", "a\n\nb"),  # a list begins a line
        ("en", "{{nowrap|}} {{lang|de}} {{quote| }}", ""),
    ],
)  # fmt: skip
def test_templates_show_what_the_page_shows(lang, wikitext, text):
    assert parse(wikitext, lang).text == text


def test_the_title_of_the_page_is_text():
    assert parse("'''{{PAGENAME}}'''", "en", "a [[b]] ''c''").text == "a [[b]] ''c''"


@pytest.mark.parametrize(
    ("lang", "wikitext", "text", "link", "name"),
    [
        ("en", "{{ill|Foo Bar|de|Fuß}}s", "Foo Bars", (0, 8, "Foo Bar"), "de:Fuß"),
        ("en", "{{ill|Foo|de|lt=the foo}}", "the foo", (0, 7, "Foo"), "de:Foo"),
        ("en", "{{ill|de|Foo|Fuß}}", "Foo", (0, 3, "Foo"), "de:Fuß"),  # the order of before 2016
        ("ja", "{{仮リンク|東京塔|en|Tokyo Tower|label=塔}}は", "塔は", (0, 1, "東京塔"), "en:Tokyo Tower"),
        ("uk", "у {{нп|Лист|Листі|en|Letter: #1}}", "у Листі", (2, 7, "Лист"), "en:Letter: #1"),
        ("fr", "{{lien|lang=en|trad=The Foo|fr=Le Foo|texte=foo}}", "foo", (0, 3, "Le Foo"), "en:The Foo"),
        ("zh", "{{tsl|en|Foo|福}}", "福", (0, 1, "福"), "en:Foo"),
        ("zh", "{{link-de|美盟广场|Platz}}", "美盟广场", (0, 4, "美盟广场"), "de:Platz"),
        ("uk", "{{iw|Pyra Labs}}", "Pyra Labs", (0, 9, "Pyra Labs"), None),  # the template leaves the language open
        ("en", "{{ill|Foo|qqq|Bar}}", "Foo", (0, 3, "Foo"), None),  # no such wiki
        ("en", "{{ill|Foo|de|a<b>}}", "Foo", (0, 3, "Foo"), None),
        ("el", "{{Redwd|Χαζάρα|Q115473|Χαζάρων}}", "Χαζάρων", (0, 7, "Χαζάρα"), None),
    ],
)
def test_links_may_carry_the_name_on_another_wiki(lang, wikitext, text, link, name):
    parsed = parse(wikitext, lang)
    assert (parsed.text, parsed.links) == (text, [link])
    assert parsed.names == ({0: name} if name else {})


def test_names_stay_with_their_links():
    parsed = parse("[[a]] {{ill|b|de|B}} [[File:c.png|{{ill|c|de|C}}]] [[d]] {{ill|e|fr|E}}", "en")
    assert [target for _, _, target in parsed.links] == ["a", "b", "d", "e"]
    assert parsed.names == {1: "de:B", 3: "fr:E"}


def test_unknown_templates_are_counted_by_name():
    parsed = parse(
        "{{infobox_city|a={{foo}}|b={{nowrap|c}}}} {{Infobox city\n|x}} {{sfn|y}} {{#if:a|b}} {{DEFAULTSORT:z}}", "en"
    )
    assert parsed.templates == {"Infobox city": 2, "Foo": 1, "#if:": 1}
    assert parsed.drops == {"templates": 6}
    assert parse(f"{{{{{'n' * 300}}}}}", "en").templates == {"N" + "n" * (LONGEST_NAME - 1): 1}


@pytest.mark.parametrize(
    ("lang", "title", "wikitext", "flags"),
    [
        ("en", "Mercury", "{{disambig|geo}}", ("disambiguation",)),
        ("el", "ΝΔ", "{{Αποσαφήνιση}}", ("disambiguation",)),
        ("ja", "東京 (曖昧さ回避)", "x", ("disambiguation",)),
        ("en", "List of towns", "x", ("list",)),
        ("uk", "Список міст", "x", ("list",)),
        ("en", "Listing", "x", ()),
        ("en", "Towns", "x\n" + "* [[Town]] of the land\n" * 40, ("list",)),
        ("en", "Towns", "A town is a town and no village. " * 20 + "\n" + "* [[Town]] of the land\n" * 40, ()),
        ("en", "Town", "x\n" + "* [http://x.org Town] of the land\n" * 40, ()),  # addresses are no list of anything
        ("en", "Mercury", "{{dab}}\n" + "* [[Mercury (planet)]], a planet\n" * 40, ("disambiguation", "list")),
    ],
)
def test_pages_are_flagged(lang, title, wikitext, flags):
    assert parse(wikitext, lang, title).flags == flags


TABLE = """before
{| class="wikitable" style="a: b"
|+ class=x | The ''towns''
! scope=col | Name !! People || Area
|-
| style="x" | [[Rome|Roma]] || 1 || {{flagicon|IT}}
|- style="y"
|
* one
* two
| [[File:a.png|20px]]
|-
| {{convert|5|km2}}
{| class=inner
| in || side
|}
| after
|}
behind"""


def test_tables_are_dropped_or_read_by_rows():
    rows = Parser(site("en"), tables="rows").parse(TABLE)
    assert rows.text.split("\n\n") == [
        "before",
        "The towns\nName | People | Area\nRoma | 1 |\none two |\n5 square kilometres\nin | side\nafter",
        "behind",
    ]
    assert [(rows.text[start:end], target) for start, end, target in rows.links] == [("Roma", "Rome")]
    assert rows.drops["tables"] == 0
    dropped = parse(TABLE, "en")
    assert (dropped.text, dropped.drops["tables"]) == ("before\n\nbehind", 1)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("<table class=x><tr><th>a</th><td>b|c</td></tr><tr><td>[[d]]</td></tr></table>e", "a | b|c\nd\n\ne"),
        ("{|\n| a\n== H ==\nb", "a\n\nH\n\nb"),  # unclosed: it ends at the next heading
        ("{|\n| a\n{|\n| b\n|}\n|}\nc", "a\nb\n\nc"),
        ("{|\n| || \n|-\n|}\na", "a"),  # nothing in it
        ("{|\n| [[a|b]] || x=y | c\n|}", "b | c"),
        (":{|\n| a\n|}", "a"),
        ("<td>a</td> b", "a b"),
    ],
)
def test_rows_of_odd_tables(wikitext, text):
    assert Parser(site("en"), tables="rows").parse(wikitext).text == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("[[File:a.png|thumb|200px|A ''[[town]]'' at {{convert|5|km}}]]One.", "A town at 5 km\n\nOne."),
        ("One [[Αρχείο:a.png|μικρογραφία|alt=x|Cap.]] two.", "Cap.\n\nOne two."),  # the paragraph stays whole
        ("[[File:a.svg|20px|Greece]] One", "One"),  # an icon shows no caption
        ("[[File:a.png|thumb]] [[File:b.png|thumb|upright=1.2|]] One", "One"),
        ("[[File:a.png|thumb|[[File:b.png|thumb|in]] out]]", "in out"),
    ],
)
def test_captions_become_blocks(wikitext, text):
    parsed = Parser(site("el"), captions=True).parse(wikitext)
    assert parsed.text == text
    assert parse(wikitext, "el").text == text.rpartition("\n\n")[2].replace("in out", "")


def test_every_language_has_data_that_can_be_read():
    languages = [path.stem for path in FOLDER.glob("*.toml") if path.stem not in ("common", "locales")]
    assert len(languages) > 15
    for lang in languages:
        Templates(site(lang))
    months = tomllib.loads((FOLDER / "locales.toml").read_text(encoding="utf-8"))
    for lang in months:
        place = locale(lang)
        assert len(place.months) == 12 and len(place.months_alone) in (0, 12)
        assert place.months[3] in place.date("1999", "4", "5"), lang


def test_own_data_wins_over_what_is_known(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('drops = ["Small"]\n[shows]\n"<{1:colour}: >{2|1}" = ["Paint"]\n[tables.colour]\nr = "red"\n')
    parser = Parser(site("en"), templates=Templates(site("en"), [own]))
    assert parser.parse("{{paint|r|wall}}, {{paint|x|door}}, {{paint|z}}{{small|y}}").text == "red: wall, door, z"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("show = 1", "unknown key 'show'\ndid you mean 'shows'?"),
        ("drops = 1", "'drops' has the wrong type"),
        ("drops = ['a'", "own.toml"),
        ("drops = ['A']\n[shows]\n'{1}' = ['a']", "template 'a' stands in it twice"),
        ("[shows]\n'{1' = ['a']", "'{' without its partner"),
        ("[shows]\n'<{1}' = ['a']", "'<' without its partner"),
        ("[shows]\n'{1:nummer}' = ['a']", "unknown filter or table 'nummer'"),
        ("[shows]\n'{:convrt}' = ['a']", "did you mean 'convert'?"),
        ("[shows]\n'{}' = ['a']", "names no parameter"),
        ("[[links]]\ntemplates = ['a']\ntarget = '{1}'", "label, name, target, templates"),
    ],
)
def test_bad_data_is_refused_with_its_place(tmp_path, data, words):
    own = tmp_path / "own.toml"
    own.write_text(data)
    with pytest.raises(LingraftError) as caught:
        Templates(site("en"), [own])
    assert str(own) in str(caught.value)
    assert words in str(caught.value)


parser_of = cache(lambda lang, tables, captions: Parser(site(lang), tables=tables, captions=captions))
PIECES = st.sampled_from(
    "{{ }} {{{ }}} | = [[ ]] nowrap convert lang ill quote flag lang- formatnum: lc: PAGENAME km 5 12.5 1234 de "
    "ja to x <nowiki/> <ref/> ! (! !) {| |} |- || !! <table> <tr> <td> </td> </table> [[File:a.png|thumb| \n * # : '' "
    "\x00 \x02 \x03 \x07 α".split(" ")
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join),
    st.sampled_from(["en", "ja", "mr"]),
    st.sampled_from(["drop", "rows"]),
    st.booleans(),
)
def test_whatever_is_written_spans_hold(wikitext, lang, tables, captions):
    parsed = parser_of(lang, tables, captions).parse(wikitext, "T")
    position = 0
    for start, end, target in parsed.links:
        assert position <= start < end <= len(parsed.text)
        assert target.strip() and parsed.text[start:end].strip()
        position = end
    assert all(0 <= index < len(parsed.links) for index in parsed.names)
    written = "".join([parsed.text, *parsed.names.values(), *(target for _, _, target in parsed.links)])
    assert not any(control in written for control in "\x00\x01\x02\x03\x04\x05\x06\x07")


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{nowrap|" * 5_000 + "x" * 50_000 + "}}" * 5_000,
        "{{formatnum:" * 5_000 + "1" * 50_000 + "}}" * 5_000,
        "{{ship|a|b" * 5_000 + "}}" * 5_000,
        "{{hlist|" + "a|" * 100_000 + "}}",
        "{{nowrap|" + "[[a|" * 50_000 + "}}",
        "{{nowrap|" + "[[a [[b]] " * 20_000 + "}}",
        "{{!}}" * 50_000,
        "{{convert|" + "1|to|" * 50_000 + "km}}",
        "{{{a|" * 20_000 + "}}}" * 20_000,
        "{|\n|" + "a\n" * 100_000,
        "{|" + "\n{|\n| a" * 20_000,
        "<table><tr><td>" * 20_000,
        "[[File:a|thumb|" * 10_000 + "]]" * 10_000,
        "[[File:a|thumb|b]]" * 20_000,
    ],
    ids=lambda wikitext: wikitext[:16].replace("\n", " "),
)
def test_hostile_templates_and_tables_are_read_in_linear_time(wikitext):
    parser_of("en", "rows", True).parse(wikitext)  # quadratic time would be minutes here
