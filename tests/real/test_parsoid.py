"""MediaWiki's own parser tests: the share that reads as MediaWiki shows it, and every case that does not.

    pytest -n 0 -s tests/real/test_parsoid.py        prints the rate of each file, what was set aside, and the failures

How cases are read, set aside and compared stands in parsoid_helpers.py.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from parsoid_helpers import Case, expected, given, read_cases, set_aside

pytestmark = pytest.mark.real

ADDRESS = "bare addresses are kept as they are written, not as a browser needs them"
AFTER_TEMPLATES = "signs without text count as a heading whose template was dropped, and go"
CONVERTER = "titles are not converted between scripts (LanguageConverter)"
FOSTERED = "text between the cells of a table goes with the table; MediaWiki's HTML puts it before it"
PERCENT = "%XX in a link is decoded when the title is looked up, not in what is shown"

KNOWN_FAILURES = {
    "badCharacters: External links: invalid character backspace (preserved)": "XML cannot carry the character",
    "definitionLists: Second colon on line: No templates involved": "bold is gone when the term's colon is looked for",
    "extLinks: External links: newline forbidden in text (T8230 regression check)": "a label may run over a line break",
    "extLinks: External links: with entity": "a reference to white space ends an address",
    "extLinks: External links: IDN ignored character reference in hostname; strip it right off": ADDRESS,
    "extLinks: %7C in URL": ADDRESS,
    "extLinks: External link containing double-single-quotes with no space separating the url from text in italics": (
        "italics do not end an address, so the first word of the label goes with it"
    ),
    "extLinks: Brackets in urls": ADDRESS,
    "headings: Short headings with trailing space should match behavior of Parser::doHeadings (T21910)": (
        AFTER_TEMPLATES
    ),
    "indicators: Page status indicators: Empty name is invalid": "MediaWiki's error message",
    "langParserTests: Self-link in language variants": CONVERTER,
    "langParserTests: Link to another existing title shouldn't be parsed as self-link even if it's a variant of this "
    "title": CONVERTER,
    "langParserTests: Link to a section of a variant of this title should be parsed as mw-selflink-fragment": CONVERTER,
    "langParserTests: Link to pages in language variants": CONVERTER,
    "langParserTests: Multiple links to pages in language variants": CONVERTER,
    "langParserTests: T179579: Nowiki and lc interaction": "we show a variant where Parsoid leaves a placeholder",
    "media: Italics markup in link attribute (T206940)": "two apostrophes inside a title are read as italics",
    "media: Image with heading and horizontal rule in caption": "a heading's line inside a caption ends the picture",
    "media: Percent decode titles in the link option (T216003#7836261)": PERCENT,
    "media: Should not double decode the link option": PERCENT,
    "media: T374445: Non extlink in media caption": "MediaWiki leaves a stray bracket of the caption behind; we do not",
    "pWrapping: Paragraph wrapping following unclosed table": "a table without end goes up to the next heading",
    "pWrapping: Tags which are hidden from tidiers cannot pass through the Sanitizer": "<meta> without use goes",
    "parserTests: T368721: Closing block tags not on the stack of open elements in lists": (
        "a closing block tag ends a block even where none was opened"
    ),
    "parserTests: Mixing markup for italics and bold": (
        "the sixth apostrophe of six is no letter: dropping a template out of bold leaves six"
    ),
    "parserTests: Handling of &#x0A; in URLs": ADDRESS,
    "parserTests: Illegal character references (T106578, T113194)": "references are decoded as browsers do",
    "parserTests: 1. Ensure fostered text content is wrapped in element nodes": FOSTERED,
    "parserTests: 2. Ensure fostered text content is wrapped in element nodes (traps regressions around fostered "
    "marker on the element getting lost)": FOSTERED,
    "parserTests: unclosed internal link XSS (T137264)": PERCENT,
    "preTags: <nowiki> and <pre> preference (first one wins)": "a closing nowiki tag without a partner goes",
    "pst: Parsoid: Recognize nowiki with trailing space in tags": "`<nowiki/ >` is read as `<nowiki/>`",
    "regressions: Unpacking fostered content": FOSTERED,
    "sanitizer: Sanitizer: angle brackets are invalid, even in interwiki links (T182338)": (
        "a reference to an angle bracket is let into the title of another wiki"
    ),
    "tokenStreamPatcher: Table wikitext syntax outside wiki-tables": "rows outside of a table go: a template began it",
    "wtEscaping: Headings: 4d. Short headings (2)": AFTER_TEMPLATES,
    "wtEscaping: Headings: Used as horizontal rule": AFTER_TEMPLATES,
    "wtEscaping: Links 5. ExtLinks: No escapes needed": "[[http://x]] goes whole, its outer brackets too",
}


KNOWN_FAILURES_IN_ROWS = {
    "media: Table in figcaption nested in table": "a table's lines inside a caption end the picture",
    "parserTests: Unbalanced includeonly and noinclude tags": "a closing tag without a partner goes",
    **{
        name: KNOWN_FAILURES[name]
        for name in (
            "pWrapping: Paragraph wrapping following unclosed table",
            "parserTests: 1. Ensure fostered text content is wrapped in element nodes",
            "parserTests: 2. Ensure fostered text content is wrapped in element nodes (traps regressions around "
            "fostered marker on the element getting lost)",
            "regressions: Unpacking fostered content",
        )
    },
}


def test_wikitext_reads_as_mediawiki_shows_it(shared_data):
    aside: Counter[str] = Counter()
    num_cases, num_passed = Counter[str](), Counter[str]()
    failed = []
    for case in cases(shared_data):
        if reason := set_aside(case):
            aside[reason] += 1
            continue
        num_cases[case.file] += 1
        if given(case) == expected(case):
            num_passed[case.file] += 1
        else:
            failed.append(case.key)
    for name, number in num_cases.items():
        print(f"{name:28} {num_passed[name]:4} of {number:4}  {num_passed[name] / number:7.1%}")
    rate = num_passed.total() / num_cases.total()
    print(f"{'total':28} {num_passed.total():4} of {num_cases.total():4}  {rate:7.1%}")
    print(f"set aside {aside.total()} of {aside.total() + num_cases.total()}: {dict(aside.most_common())}")
    show(failed, KNOWN_FAILURES)
    assert aside.total() + num_cases.total() == 2172
    assert sorted(failed) == sorted(KNOWN_FAILURES)
    assert rate >= 0.95


def test_tables_read_by_rows_as_mediawiki_shows_them(shared_data):
    with_tables = [case for case in cases(shared_data) if not set_aside(case) and "<table" in case.html]
    failed = [case.key for case in with_tables if given(case, "rows") != expected(case, "rows")]
    print(f"tables by rows: {len(with_tables) - len(failed)} of {len(with_tables)}")
    show(failed, KNOWN_FAILURES_IN_ROWS)
    assert len(with_tables) == 88
    assert sorted(failed) == sorted(KNOWN_FAILURES_IN_ROWS)


def cases(shared_data: Path) -> Iterator[Case]:
    files = sorted((shared_data / "wikitext_suites" / "parsoid").iterdir())
    assert len(files) == 35
    return (case for file in files for case in read_cases(file))


def show(failed: list[str], reasons: dict[str, str]) -> None:
    for key in failed:
        print(f"fails: {key}\n       {reasons.get(key, 'not known')}")
