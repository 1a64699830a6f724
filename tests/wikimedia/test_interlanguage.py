"""Interlanguage lines: `[[en:Tea]]` names the page, `[[:en:Tea]]` is a link, and what is not shown is not read."""

import pytest

from lingraft.wikimedia.interlanguage import interlanguage_links


@pytest.mark.parametrize(
    ("wikitext", "langs", "found"),
    [
        ("Τσάι\n[[en:Tea]]\n[[fr:Thé]]\n[[ja:茶]]", ["en", "fr"], [("en", "Tea"), ("fr", "Thé")]),
        ("[[ EN : Tea ]]", ["en"], [("en", "Tea")]),
        ("[[en:Mission: Impossible]]", ["en"], [("en", "Mission: Impossible")]),
        ("[[en:Tea#Green|tea]]", ["en"], [("en", "Tea")]),
        ("[[en:Tea]] [[en:Coffee]]", ["en"], [("en", "Tea")]),  # the first counts, as in MediaWiki
        ("[[no:Te]]", ["nb"], [("nb", "Te")]),  # spelled as asked
        ("[[zh-min-nan:Tê]]", ["nan"], [("nan", "Tê")]),
        ("[[:en:Tea|tea]] [[wikt:en:tea]] [[enn:Tea]] [[en:]]", ["en"], []),
        ("<!-- [[en:Tea]] --><nowiki>[[en:Tea]]</nowiki> <includeonly>[[en:Tea]]</includeonly>", ["en"], []),
        ("<!-- a --> [[en:Tea]] <!-- never closed [[fr:Thé]]", ["en", "fr"], [("en", "Tea")]),
        ("no links", ["en"], []),
    ],
)
def test_lines_are_found_as_mediawiki_reads_them(wikitext, langs, found):
    assert interlanguage_links(wikitext, langs) == found
