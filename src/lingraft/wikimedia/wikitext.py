"""Wikitext to plain text, links and sections.

    >>> parse("[[Αθήνα]]ς, ''πόλη''", "el")
    Parsed(text='Αθήνας, πόλη', links=[(0, 6, 'Αθήνα')], sections=[(0, 12, 0, '')], drops=Counter())

Four linear steps. `preprocess` takes out whatever is not wikitext or not shown. `_blocks` reads the lines: headings,
lists, tables. `_simplify` rewrites all markup inside the lines to the plainest form of link, `[[target|anchor]]trail`,
by one compiled alternation. `_take_links` splits at these links and counts. White space is mended before the last step,
over the whole text at once, so no offset ever has to be. Characters that came from references or `<nowiki>` and look
like markup travel as Unicode noncharacters. Speed beside other extractors: benchmarks/extraction.py. What is shown:
docs/corpus.md.
"""

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from lingraft.wikimedia.preprocess import HOLE, PROTECTED, close_holes, preprocess, protect, unprotect
from lingraft.wikimedia.siteinfo import Site, languages, site

Link = tuple[int, int, str]
Section = tuple[int, int, int, str]


@dataclass(slots=True)
class Parsed:
    """A page as text.

    `links` are (start, end, target) with `text[start:end]` as the page shows it, sorted, not overlapping, never empty;
    the target is as written, without fragment. `sections` are (start, end, level, heading); level 0 is the lead, spans
    begin after the heading and hold the subsections. Offsets are code points. `drops` counts what went, by reason.
    """

    text: str
    links: list[Link]
    sections: list[Section]
    drops: Counter[str] = field(default_factory=Counter)


def parse(wikitext: str, lang: str | Site) -> Parsed:
    """Read wikitext of the wiki `lang` ("el", or a Site) as text with links and sections."""
    return parser(lang).parse(wikitext)


@cache
def _parser_of(lang: str) -> "Parser":
    return Parser(site(lang))


def parser(lang: str | Site) -> "Parser":
    """Return the parser of a wiki; one by language code is made once."""
    return Parser(lang) if isinstance(lang, Site) else _parser_of(lang)


_HEAD, _END_HEAD = "\x04", "\x05"
_SOFT_BREAK = "\x06"
_SIMPLE_LINK = r"(?!\s)[^\[\]|{}<>\n#:]++(?:\|(?!\s)[^\[\]<\n]++)?(?<!\s)\]\]"


def _nested(depth: int) -> str:
    """Return a regex for the inside of a link that holds links up to `depth` deep; it never backtracks."""
    inner = rf"\[\[{_nested(depth - 1)}\]\]|" if depth else ""
    return rf"[^\[\]\x04\x05]*+(?:(?:{inner}\[(?!\[)|\](?!\]))[^\[\]\x04\x05]*+)*+"


_SWITCH = re.compile(r"__[^\W\d_]{3,}__")
_HTML_TABLE_EDGE = re.compile(r"<(/?)table\b[^<>]*+>", re.IGNORECASE)
_SCHEME = r"(?:(?:https?|ftps?|ircs?|gopher|telnet|nntp|worldwind|svn|git|mms)://|//|mailto:|news:|geo:|tel:|urn:)"
_EXTERNAL = re.compile(rf"\s*{_SCHEME}[^\s|]*+[\s|]*")  # `[[http://x label]]`, one bracket too many
_NOT_IN_TARGETS = re.compile(r"[\[\]{}|<>\n]")
_NO_CONTROLS = dict.fromkeys([0, 4, 5, 6])
_PROTECTED_OPEN, _PROTECTED_CLOSE, _PROTECTED_LESS, _PROTECTED_APOSTROPHE = map(protect, ("[[", "]]", "<", "'"))
_BLOCK_TAGS = frozenset(
    "p div blockquote center ul ol dl h1 h2 h3 h4 h5 h6 table hr caption tr noinclude onlyinclude includeonly "
    "section article header footer".split()
)
_LINE_TAGS = frozenset("br li dt dd".split())
_INLINE_TAGS = frozenset(
    "abbr b bdi bdo big cite code data del dfn em font i ins kbd mark meta link nobr q rb rp rt rtc ruby s samp small "
    "span strike strong sub sup td th thead tbody tfoot time tt u var wbr col colgroup tvar translate nowiki "
    "langconvert ref references poem pre math gallery".split()
)


class Parser:
    """The parser of one wiki's wikitext. It keeps no state between pages."""

    def __init__(self, site: Site):
        self.site = site
        self._fates: dict[str, str] = {}
        self._switches = frozenset(switch.casefold() for switch in site.switches)
        trail = f"((?:{site.link_trail})?)"
        self._link = re.compile(r"\[\[([^\[\]|{}<>\n]++)(?:\|([^\[\]\n]*+))?\]\]" + trail)
        self._prefix = re.compile(f"[{site.link_prefix_letters}]") if site.link_prefix_letters else None
        self._markup = re.compile(
            rf"\[\[(?!{_SIMPLE_LINK})"
            rf"({_nested(2)})\]\](\]?)()"
            r"|<(/?[a-zA-Z][a-zA-Z0-9]*+)(?=[\s/>])[^<>\x04\x05]*+>()"
            rf"|\[{_SCHEME}[^\s\[\]<>\"]*+[ \t]*+((?:[^\[\]\n]|\[\[{_SIMPLE_LINK})*+)\]()"
        )

    def parse(self, wikitext: str) -> Parsed:
        """Read one page."""
        drops: Counter[str] = Counter()
        if "\r" in wikitext:
            wikitext = wikitext.replace("\r\n", "\n").replace("\r", "\n")
        if any(control in wikitext for control in "\x00\x04\x05\x06"):
            wikitext = wikitext.translate(_NO_CONTROLS)
        text = preprocess(wikitext, self.site.lang, drops)
        if "'''" in text:
            text = _keep_apostrophes(text)
        text = text.replace("'''", "").replace("''", "")
        if "<table" in text or "<TABLE" in text:
            text = _drop_html_tables(text, drops)
        text = _blocks(text, drops)
        text = self._simplify(text, drops)
        if HOLE in text:
            text = close_holes(text)
        if "__" in text:
            text = _SWITCH.sub(lambda found: "" if found[0].casefold() in self._switches else found[0], text)
        text = _tidy(text)
        return self._take_links(text, drops)

    def _simplify(self, text: str, drops: Counter[str]) -> str:
        """Rewrite links, tags and external links to plain links and text, however they are nested."""

        def replace(found: re.Match[str]) -> str:
            kind = found.lastindex
            if kind == 3:
                return self._other_link(found[1], found[2], drops)
            if kind == 5:
                return _tag(found)
            return self._simplify(found[6], drops) if "<" in found[6] else found[6]

        return self._markup.sub(replace, text)

    def _other_link(self, inner: str, extra: str, drops: Counter[str]) -> str:
        """Rewrite a link that is not a plain one: it leads elsewhere, or has markup or white space inside."""
        if extra and inner.count("[") > inner.count("]"):
            inner, extra = inner + extra, ""
        if _EXTERNAL.match(inner):
            drops["links_external"] += 1
            return self._simplify(_EXTERNAL.sub("", inner), drops).strip() + extra
        target, _, label = inner.partition("|")
        title = target.partition("#")[0].strip()
        fate = self._fate(title) if ":" in title else "article"
        if fate == "file":
            drops["links_file"] += 1
            return HOLE + extra
        if "[[" in inner or _NOT_IN_TARGETS.search(target) or not target.strip():
            return f"{_PROTECTED_OPEN}{self._simplify(inner, drops)}{_PROTECTED_CLOSE}{extra}"
        if fate in ("category", "interlanguage"):
            drops[f"links_{fate}"] += 1
            return extra
        label = self._simplify(label, drops).replace("[", _PROTECTED_OPEN[0]).replace("]", _PROTECTED_CLOSE[0])
        anchor = label.strip()
        if not anchor:
            if label:
                drops["links_empty_anchor"] += 1
                return " " + extra
            anchor = label = target.strip().lstrip(":").strip() if title else target.strip().lstrip("#")
        head = " " if label[0].isspace() else ""
        tail = " " if label[-1].isspace() else ""
        if fate == "article" and title:
            return f"{head}[[{title.lstrip(':')}|{' '.join(anchor.split())}]]{tail}{extra}"
        drops[f"links_{fate if title else 'same_page'}"] += 1
        return f"{head}{anchor}{tail}{extra}"

    def _take_links(self, marked: str, drops: Counter[str]) -> Parsed:
        """Turn plain links and marked headings into text and offsets."""
        pieces: list[str] = []
        links: list[Link] = []
        headings: list[tuple[int, int, int]] = []
        lead, *rest = marked.split(_HEAD)
        length = self._take(lead, 0, pieces, links)
        for part in rest:
            heading, _, body = part[1:].partition(_END_HEAD)
            end = self._take(" ".join(heading.split()), length, pieces, links)
            headings.append((length, end, int(part[0])))
            length = self._take(body, end, pieces, links)
        text = unprotect("".join(pieces))
        targets = "\n".join([target for _, _, target in links])
        if any(stand_in in targets for stand_in in PROTECTED):
            links = [(start, end, unprotect(target)) for start, end, target in links]
        return Parsed(text, links, _sections(text, headings), drops)

    def _take(self, marked: str, length: int, pieces: list[str], links: list[Link]) -> int:
        """Add the text of `marked` to `pieces` and its links to `links`; return the length of the text so far."""
        if "[[" not in marked:
            pieces.append(marked)
            return length + len(marked)
        parts = self._link.split(marked)
        targets, befores = parts[1::4], parts[0::4]
        anchors = [
            (label or target) + trail for target, label, trail in zip(targets, parts[2::4], parts[3::4], strict=True)
        ]
        shown = [""] * (2 * len(anchors) + 1)
        if self._prefix:
            self._move_prefixes(befores, anchors)
        shown[0::2] = befores
        shown[1::2] = anchors
        ends = list(accumulate(map(len, shown), initial=length))
        links += zip(ends[1:-1:2], ends[2::2], targets, strict=True)
        pieces += shown
        return ends[-1]

    def _move_prefixes(self, befores: list[str], anchors: list[str]) -> None:
        """Move the letters that stand right before a link into its anchor, as wikis do whose words have prefixes."""
        for index, before in enumerate(befores[:-1]):
            start = len(before)
            while start and self._prefix.match(before, start - 1):
                start -= 1
            if start < len(before):
                befores[index], anchors[index] = before[:start], before[start:] + anchors[index]

    def _fate(self, target: str) -> str:
        """Say where a target with a colon leads: article, file, category, interlanguage, interwiki, other_namespace."""
        prefix, _, rest = target.partition(":")
        forced = not prefix
        if forced:
            prefix = rest.partition(":")[0] if ":" in rest else ""
        key = f":{prefix}" if forced else prefix
        fate = self._fates.get(key)
        if fate is None:
            if len(self._fates) > 100_000:
                self._fates.clear()
            fate = self._fates[key] = self._look_up(prefix.strip(), forced)
        return fate

    def _look_up(self, prefix: str, forced: bool) -> str:
        if not prefix:
            return "article"
        code = prefix.lower()
        if code == self.site.lang:
            return "interwiki"
        if code in self.site.interwiki:
            return "interlanguage" if code in languages() and not forced else "interwiki"
        namespace = self.site.namespace_of(prefix)
        if namespace is None:
            return "article"
        if namespace in (6, 14) and not forced:
            return "file" if namespace == 6 else "category"
        return "other_namespace"


def _tag(found: re.Match[str]) -> str:
    name = found[4].lstrip("/").lower()
    if name in _INLINE_TAGS:
        return ""
    if name in _LINE_TAGS:
        return "\n"
    return "\n\n" if name in _BLOCK_TAGS else found[0].replace("<", _PROTECTED_LESS)


_APOSTROPHES = re.compile("''+")
_ELISION = re.compile(r"'''(?!')(?<=\w''')[\w\[]")


def _keep_apostrophes(text: str) -> str:
    """Protect the apostrophe of `l'''Iliade''`, which is not bold but a letter, an apostrophe and italics.

    Source: doQuotes of MediaWiki's parser.
    """
    pieces: list[str] = []
    position = 0
    found = _ELISION.search(text)
    while found:
        start = text.rfind("\n", position, found.start()) + 1 or position
        end = text.find("\n", found.end())
        end = len(text) if end < 0 else end
        pieces += (text[position:start], _with_apostrophe(text[start:end]))
        position = end
        found = _ELISION.search(text, end)
    return "".join([*pieces, text[position:]])


def _with_apostrophe(line: str) -> str:
    """Protect an apostrophe where bold and italics are both left open; a single letter before it is the best sign."""
    runs = list(_APOSTROPHES.finditer(line))
    lengths = [min(len(run[0]), 5) for run in runs]
    num_bold, num_italics = (sum(length in kinds for length in lengths) for kinds in ((3, 4, 5), (2, 5)))
    candidates = [run.start() for run in runs if len(run[0]) == 3 and run.start() and line[run.start() - 1] != " "]
    if not (num_bold % 2 and num_italics % 2 and candidates):
        return line
    at = next((start for start in candidates if line[start - 2 : start - 1] == " "), candidates[0])
    return line[:at] + _PROTECTED_APOSTROPHE + line[at + 1 :]


_EMPTY_HEADING = re.compile("\x04[1-6][ \n]*\x05")
_HEADING = re.compile(r"(={1,6})(.+?)(={1,6})[ \t]*\Z")
_TERM = re.compile(r"([^\[\]<>{}:]*?)\s*:\s*")
_TABLE_STARTS = frozenset(" \t:*#;{|=")
_SPECIAL = frozenset(" \t=*#:;{|-")
_BLANK, _PARAGRAPH, _LIST, _INDENTED = range(4)


def _blocks(text: str, drops: Counter[str]) -> str:
    """Read the lines: in the result "\\n" is a line break, a blank line ends a block, and headings are marked."""
    out: list[str] = []
    add = out.append
    lines = text.split("\n")
    tables = _tables(lines) if "{|" in text else {}
    resume = 0
    kind = _BLANK
    for index, line in enumerate(lines):
        if index < resume:
            continue
        if not line:
            kind = _BLANK
            continue
        first = line[0]
        if first not in _SPECIAL:
            add(line if kind == _PARAGRAPH else "\n\n" + line)
            kind = _PARAGRAPH
            continue
        if first in "*#:;":
            body = line.lstrip("*#:; \t")
            if not body.startswith("{|"):
                if body:
                    if first == ";" and (term := _TERM.match(body)):
                        body = f"{term[1]}\n{body[term.end() :]}"
                    add("\n" + body if kind == _LIST else "\n\n" + body)
                    kind = _LIST
                continue
        else:
            body = line.lstrip(" \t")
        if body.startswith("{|"):
            drops["tables"] += 1
            resume, closed = tables[index]
            if closed:
                lines[resume] = lines[resume].lstrip(" \t:*#;")[2:]
            else:
                drops["tables_unclosed"] += 1
            kind = _BLANK
        elif first == "=" and not line.strip("= "):
            kind = _BLANK  # a heading that was a template
        elif first == "=" and (heading := _HEADING.match(line)):
            level = min(len(heading[1]), len(heading[3]))
            add(f"\n\n\x04{level}{line[level : heading.end(3) - level].strip()}\x05")
            kind = _BLANK
        elif not body:
            kind = _BLANK
        elif body.startswith("----"):
            add("\n\n" + body.lstrip("-"))
            kind = _BLANK
        elif body.startswith(("|}", "|-", "|+")):  # left over from a table that a template began
            drops["stray_table_rows"] += 1
            kind = _BLANK
        elif first in " \t":
            add("\n" + body if kind == _INDENTED else "\n\n" + body)
            kind = _INDENTED
        else:
            add(line if kind == _PARAGRAPH else "\n\n" + line)
            kind = _PARAGRAPH
    return _SOFT_BREAK.join(out).replace(_SOFT_BREAK + "\n", "\n").replace(_SOFT_BREAK, " ")


def _tables(lines: list[str]) -> dict[int, tuple[int, bool]]:
    """Match the lines where tables start with (line of their end, True), or (next heading, False) if unclosed."""
    ends: dict[int, tuple[int, bool]] = {}
    opened: list[int] = []
    headings: list[int] = []
    for index, line in enumerate(lines):
        if line[:1] not in _TABLE_STARTS:
            continue
        body = line.lstrip(" \t:*#;")
        if body.startswith("{|"):
            opened.append(index)
        elif body.startswith("|}") and not body.startswith("|}}") and opened:
            ends[opened.pop()] = (index, True)
        elif line.startswith("==") and opened:
            headings.append(index)
    for start in opened:
        following = bisect_right(headings, start)
        ends[start] = (headings[following] if following < len(headings) else len(lines), False)
    return ends


def _drop_html_tables(text: str, drops: Counter[str]) -> str:
    """Drop `<table>...</table>`, nested or not; of an unclosed one only the tag goes, later."""
    pieces: list[str] = []
    opened: list[int] = []
    spans: list[tuple[int, int]] = []
    for edge in _HTML_TABLE_EDGE.finditer(text):
        if not edge[1]:
            opened.append(edge.start())
        elif opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, edge.end()))
    position = 0
    for start, end in spans:
        pieces.append(text[position:start])
        position = end
    drops["tables"] += len(spans)
    return "\n\n".join([*pieces, text[position:]])


def _tidy(text: str) -> str:
    """Drop empty headings and collapse white space."""
    if _HEAD in text:
        text = _EMPTY_HEADING.sub("", text)
    runs = text.split("  ")
    if len(runs) > 1:
        text = " ".join([run.lstrip(" ") for run in runs if run])
    text = "\n".join([line.strip(" ") for line in text.split("\n")])
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip("\n")


def _sections(text: str, headings: list[tuple[int, int, int]]) -> list[Section]:
    """Turn the headings' (start, end, level) into nested sections; two characters part a heading from its text."""
    sections: list[Section] = [(0, max(0, headings[0][0] - 2) if headings else len(text), 0, "")]
    ends = [len(text)] * len(headings)
    opened: list[int] = []
    for index, (start, _, level) in enumerate(headings):
        while opened and headings[opened[-1]][2] >= level:
            ends[opened.pop()] = start - 2
        opened.append(index)
    for (start, end, level), section_end in zip(headings, ends, strict=True):
        begin = min(end + 2, section_end)
        sections.append(
            (begin, section_end, level, text[start:end]) if begin < section_end else (end, end, level, text[start:end])
        )
    return sections
