"""MediaWiki's own parser tests as cases of wikitext with the text and links that a reader sees.

Three things stand here, each in one place: how a test file is read (`read_cases`), by which mechanical rules a case
is set aside (`set_aside`), and by which rules expected HTML becomes text and links (`Shown`). What lingraft drops by
design (pictures with their captions, tables, edit links) is taken out of the expected HTML by element, attribute or
class, never by the name of a test. Format: https://www.mediawiki.org/wiki/Parser_tests.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from lingraft.entities.titles import normalise
from lingraft.wikimedia.siteinfo import Site, site
from lingraft.wikimedia.wikitext import Parsed, Parser, Tables

Link = tuple[str, str]
"""(anchor, title), both in normal form."""


@dataclass(frozen=True)
class Case:
    """One test: wikitext, and the HTML that MediaWiki's legacy parser or, where that has none, Parsoid makes of it."""

    file: str
    name: str
    options: str
    config: str
    wikitext: str
    html: str | None
    parsoid: bool

    @property
    def key(self) -> str:
        return f"{self.file}: {self.name}"

    @property
    def lang(self) -> str:
        return found[1] if (found := re.search(r"\blanguage=(\S+)", self.options)) else "en"

    @property
    def title(self) -> str:
        """The page on which the test is run."""
        found = re.search(r"\btitle=(?:\[\[([^\]]*)\]\]|(\S+))", self.options)
        return (found[1] or found[2]) if found else "Parser test"


_SECTION = re.compile(r"^!! *([a-z]+(?:/\S*)?)[^\n]*\n", re.MULTILINE)
# The legacy parser makes the pages that people read; Parsoid alone speaks where it has no expectation.
_EXPECTED = ("html/php", "html", "html/*", "html/parsoid", "html/parsoid+integrated", "html/parsoid+standalone")


def read_cases(file: Path) -> Iterator[Case]:
    """Yield the tests of one file, in its order."""
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
        text = stream.read().decode("utf-8")
    name = file.name.split(".")[0]
    sections: dict[str, str] = {}
    _, *parts = _SECTION.split(text)
    for key, body in zip(parts[::2], parts[1::2], strict=True):
        if key in ("test", "article"):
            sections = {}
        if key == "end" and "test" in sections and "wikitext" in sections:
            kind = next((kind for kind in _EXPECTED if kind in sections), "")
            yield Case(
                name,
                sections["test"].strip(),
                sections.get("options", ""),
                sections.get("config", ""),
                sections["wikitext"].removesuffix("\n"),
                sections.get(kind),
                "parsoid" in kind,
            )
            sections = {}
        sections.setdefault(key, body)


# What changes nothing in the text of the page: metadata that a test prints beside it, sizes, ids, who runs the test.
_PLAIN_OPTIONS = re.compile(
    r"\b(?:parsoid-compatible=\S+|version=2|showtitle|showflags|showtocdata|showindicators|showmedia|cat|ill|iwl|links|"
    r"extlinks|special|templates|property=\S+|extension=\S+|nohtml|notoc|thumbsize=\d+|language=\S+|wrap|djvu|php|externallinktarget=\S+|pmid-interwiki|preprocessor=\S+|"
    r"wg(?:MaxTocLevel|AllowExternalImages|LinkHolderBatchSize)=\S+|title=(?:\[\[[^\]]*\]\]|\S+)|parsoid(?:=[a-z0-9,]+)?)(?!\S)"
)
_PLAIN_CONFIG = re.compile(
    r"^wg(?:FragmentMode|AllowDisplayTitle|RestrictDisplayTitle|SVGNativeRendering|ExternalLinkTarget|EnableMagicLinks|"
    r"NoFollowLinks|NoFollowDomainExceptions|MaxTocLevel)=.*$",
    re.MULTILINE,
)
_PARSOID_JSON = re.compile(r"parsoid\s*=\s*\{.*\}", re.DOTALL)
_NOT_TO_HTML = re.compile(r"(?<![\w=])(?:pst|msg|comment|preload)(?![\w=])|(?<!\w)(?:section|replace)=")
_MODES = re.compile(r"parsoid=([a-z0-9,]+)|\"modes\"\s*:\s*\[([^\]]*)\]")
_EXTENSION_TAG = re.compile(  # of extensions, and those that the suite's own runner defines
    r"<(?:ref|references|math|poem|section|templatestyles|translate|tvar|langconvert|tag|spantag|divtag|statictag|"
    r"asidetag|embedtag|sealtag|pwraptest|dummyanno|ann2|i18ntag|i18nattr|t\u00e5g)\b",
    re.IGNORECASE,
)


def set_aside(case: Case) -> str | None:
    """Name the rule by which a case is no test of what `parse` does, or None. Rules see the test, not our answer."""
    modes = ",".join("".join(found) for found in _MODES.findall(case.options))
    if re.search(r"\bdisabled\b", case.options):
        return "disabled in the suite"
    if case.html is None or _NOT_TO_HTML.search(case.options) or (case.parsoid and modes and "wt2html" not in modes):
        return "no wikitext to HTML"
    options = _PLAIN_OPTIONS.sub("", _PARSOID_JSON.sub("", case.options))
    if options.strip() or _PLAIN_CONFIG.sub("", case.config).strip():
        return "parser option"
    if re.search(r"\{\{.*\}\}", case.wikitext, re.DOTALL):
        return "template engine"
    if _EXTENSION_TAG.search(case.wikitext):
        return "extension tag"
    return None


@cache
def wiki(lang: str) -> Site:
    """The test wiki: prefixes as MediaWiki's ParserTestRunner sets them up, over what is known of the language."""
    known = site(lang)
    prefixes = "local wikipedia meatball memoryalpha zh es fr ru mi mul".split()
    return replace(known, interwiki=known.interwiki.union(prefixes).difference(known.namespaces, [lang]))


@cache
def reader(lang: str, tables: Tables) -> Parser:
    return Parser(wiki(lang), tables=tables)


_BLOCKS = frozenset(
    "p div blockquote center ul ol dl li dt dd h1 h2 h3 h4 h5 h6 pre hr br section table caption tr td th header "
    "footer article aside figure".split()
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
# Elements that lingraft leaves out with what they hold: tables, pictures (their captions too), and what no reader of
# the article's text reads: table of contents, edit links, styles.
_DROPPED_ELEMENTS = frozenset("figure style script audio video".split())
_DROPPED_CLASSES = frozenset("toc mw-editsection mw-empty-elt thumb gallery".split())
_DROPPED_TYPES = ("mw:File", "mw:Image", "mw:Error mw:File", "mw:Video", "mw:Audio")


class Shown(HTMLParser):
    """Text and links of expected HTML.

    A block's edges are white space. `[1]`, the number that MediaWiki gives to `[http://x.org]`, goes; an external
    picture is its address, as on Wikimedia's wikis, where such pictures are turned off. Links are those to articles of
    the wiki, red links and links of a page to itself among them; an anchor without text is none.
    """

    def __init__(self, wiki: Site, title: str, tables: Tables):
        super().__init__(convert_charrefs=True)
        self.wiki = wiki
        self.title = title
        self.tables = tables
        self.pieces: list[str] = []
        self.links: list[tuple[int, int, str]] = []
        self._opened: list[tuple[str, bool, str | None, int]] = []  # name, dropped, target of a link, where it began
        self._num_dropped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag in _BLOCKS:
            self._add("\n")
        if tag == "img" and "mw-file-element" not in values.get("class", ""):
            self._add(values.get("src", ""))
        if tag in _VOID:
            return
        dropped = self._is_dropped(tag, values)
        self._num_dropped += dropped
        target = self._target(values) if tag == "a" else None
        self._opened.append((tag, dropped, target, len(self.pieces)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in [name for name, *_ in self._opened]:
            return
        name = ""
        while name != tag:
            name, dropped, target, start = self._opened.pop()
            self._num_dropped -= dropped
            if target and not self._num_dropped:
                self.links.append((start, len(self.pieces), target))
            if name in _BLOCKS:
                self._add("\n")

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        if not self._num_dropped:
            self.pieces.append(text)

    def _is_dropped(self, tag: str, values: dict[str, str]) -> bool:
        classes = values.get("class", "").split()
        return (
            tag in _DROPPED_ELEMENTS
            or (tag == "table" and self.tables == "drop")
            or not _DROPPED_CLASSES.isdisjoint(classes)
            or values.get("id") == "toc"
            or values.get("typeof", "").startswith(_DROPPED_TYPES)
            or "autonumber" in classes
        )

    def _target(self, values: dict[str, str]) -> str | None:
        """Return the title of an article to which an `<a>` leads, in this wiki; red links and links to itself too."""
        classes = values.get("class", "").split()
        rel = values.get("rel", "")
        if not {"selflink", "mw-selflink", "mw-selflink-fragment"}.isdisjoint(classes):
            return self.title
        if not {"external", "extiw"}.isdisjoint(classes) or rel.startswith(("mw:ExtLink", "mw:WikiLink/")):
            return None
        parts = urlsplit(values.get("href", ""))
        if parts.scheme or parts.netloc:
            return None
        if "title" in (query := parse_qs(parts.query)):
            title = query["title"][0]
        elif parts.path.startswith("/wiki/"):
            title = unquote(parts.path.removeprefix("/wiki/"))
        elif parts.path.startswith("./"):
            title = unquote(parts.path.removeprefix("./"))
        else:
            return None
        prefix = title.partition(":")[0]
        return None if ":" in title and self.wiki.namespace_of(prefix) is not None else title


def expected(case: Case, tables: Tables = "drop") -> tuple[str, list[Link]]:
    """Return text and links of a case's HTML."""
    shown = Shown(wiki(case.lang), case.title, tables)
    shown.feed(case.html or "")
    shown.close()
    links = [("".join(shown.pieces[start:end]), target) for start, end, target in shown.links]
    return plain("".join(shown.pieces), tables), _normal(links, shown.wiki)


def given(case: Case, tables: Tables = "drop") -> tuple[str, list[Link]]:
    """Return text and links as lingraft reads the case."""
    parsed = reader(case.lang, tables).parse(case.wikitext, case.title)
    return plain(parsed.text, tables), _normal(anchors(parsed), wiki(case.lang))


def anchors(parsed: Parsed) -> list[Link]:
    """Return (anchor, target) of each link."""
    return [(parsed.text[start:end], target) for start, end, target in parsed.links]


def plain(text: str, tables: Tables = "drop") -> str:
    """Return text with single spaces: how white space runs is not compared, nor are the bars between cells."""
    return " ".join(word for word in text.split() if tables == "drop" or word != "|")


def _normal(links: list[Link], known: Site) -> list[Link]:
    return [(plain(anchor), normalise(target, known)) for anchor, target in links if anchor.strip()]
