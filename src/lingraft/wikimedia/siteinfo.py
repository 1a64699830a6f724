"""What a wiki's dump does not say about itself: names, link trails, words.

A dump's header gives the wiki's namespaces (where it is right: some dumps carry another wiki's header), but not their
aliases, not which letters after `[[Αθήνα]]ς` belong to the link, not which prefixes lead to other wikis, and not the
local words for redirects, pictures and switches. Two tables beside this file hold these facts, for every Wikipedia:

    sites.json      one block a language, sorted by code; each field may be left out
        fallback      languages whose words (redirect, image, switches) this wiki understands too; English always is
        first_letter  false where the first letter of a title is case-sensitive; default true
        link_trail    regular expression for what a link takes in after "]]"; default [a-z]+, "" for nothing at all
        link_prefix   inside of a character class: what a link takes in before "[["; default nothing
        redirect      words that make a page a redirect, with their "#"
        image         options of a picture, lower case: a word; one that takes a value after it ends as it is written
                      before the value ("alt=", "page "); a unit of width begins with "=" ("=px" for 300px)
        switches      words like __TOC__, as they are written
        namespaces    number: names, the wiki's own name first if it is not English; without the English ones
    interwiki.json  synonyms of codes (nb is the wiki no), and the prefixes of wikis other than the Wikipedias

To correct or add a language, edit its block: nothing else has to know. Invisible letters are written as escapes.

    >>> site("el").namespace_of("Εικόνα")
    6

Sources: message files of MediaWiki 1.39 and later (names, aliases, trails, words; rules of inheritance as in its
LocalisationCache), the siteinfo of 318 Wikipedias in late 2022 as mwconstants 0.1 recorded it (names as they are in
use), Wikimedia's site configuration of 2024 (portals, drafts, names since), and the interwiki map of 2022.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from lingraft.errors import LingraftError, did_you_mean

ENGLISH_NAMESPACES: Mapping[str, int] = {
    "Media": -2,
    "Special": -1,
    "Talk": 1,
    "User": 2,
    "User talk": 3,
    "Project": 4,
    "Project talk": 5,
    "File": 6,
    "File talk": 7,
    "Image": 6,
    "Image talk": 7,
    "MediaWiki": 8,
    "MediaWiki talk": 9,
    "Template": 10,
    "Template talk": 11,
    "Help": 12,
    "Help talk": 13,
    "Category": 14,
    "Category talk": 15,
    "TimedText": 710,
    "TimedText talk": 711,
    "Module": 828,
    "Module talk": 829,
}
"""Names that every wiki understands, whatever its language."""

_WIKIPEDIA_NAMESPACES = {"Wikipedia": 4, "WP": 4, "Wikipedia talk": 5}

_PROJECTS = ("wiktionary", "wikibooks", "wikinews", "wikiquote", "wikisource", "wikiversity", "wikivoyage", "wiki")

# "300", "x200" or "300x200" before a unit of width; "page 3" or "upright_1.2".
_SIZE = re.compile(r"(?:\d+(?:x\d+)?|x\d+)\s*")
_NUMBERED = re.compile(r"(.*[ _])[\d.]+")

# Direction marks, which MediaWiki takes out of titles: they come with text copied from a browser.
_UNSEEN = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c\u202d\u202e"))


class Header(Protocol):
    """What is read of a dump's header: export_xml.Header."""

    @property
    def lang(self) -> str | None: ...
    @property
    def case(self) -> str | None: ...
    @property
    def namespaces(self) -> Mapping[int, str]: ...


@dataclass(frozen=True)
class Site:
    """What reading a wiki's pages takes to know about the wiki. Made by `site`; shared, so not to be changed."""

    lang: str
    """Code of the wiki's language, as in `jawiki` -> "ja"."""

    namespaces: Mapping[str, int] = field(hash=False, repr=False)
    """Name or alias, as `normal_namespace` gives it -> number; the English names are among them."""

    first_letter: bool = True
    """Whether a title's first letter may be written small or large ("first-letter" in a dump's header)."""

    link_trail: str = "[a-z]+"
    """Regular expression for what belongs to a link's text after "]]"; "" where nothing does."""

    link_prefix: bool = False
    """Whether letters right before "[[" belong to the link's text."""

    interwiki: frozenset[str] = field(default=frozenset(), repr=False)
    """Prefixes, in lower case, that lead to other wikis; neither the wiki's own code nor a namespace's name."""

    redirect_words: tuple[str, ...] = ("#REDIRECT",)
    """Words that make a page a redirect, local ones first; case does not count."""

    image_options: frozenset[str] = field(default=frozenset(), repr=False)
    """Options of a picture in lower case: "thumb"; "alt=" takes a value after it; "=px" one before it."""

    switches: frozenset[str] = field(default=frozenset(), repr=False)
    """Words like "__TOC__" that do something to the page and are not shown; case does not count."""

    link_prefix_letters: str = ""
    """Inside of the character class that `link_prefix` means; "" where no prefix counts."""

    def namespace_of(self, prefix: str) -> int | None:
        """Return the namespace that stands before a title's colon, or None if it is none: " file " is 6."""
        return self.namespaces.get(normal_namespace(prefix))

    def is_image_option(self, part: str) -> bool:
        """Say whether a part of `[[File:x.png|part|part]]` is an option; what is none is the caption."""
        part = part.strip().lower()
        key, equals, _ = part.partition("=")
        if part in self.image_options or (equals and key.rstrip() + "=" in self.image_options):
            return True
        if size := _SIZE.match(part):
            unit = part[size.end() :]
            return not self.image_options.isdisjoint(("=" + unit, "=" + unit.removesuffix("px")))  # 300pxpx counts
        numbered = _NUMBERED.fullmatch(part)
        return numbered is not None and numbered[1] in self.image_options


def normal_namespace(name: str) -> str:
    """Return a namespace's name as `Site.namespaces` has it: lower case, single spaces.

    Source: MediaWiki title rules, https://www.mediawiki.org/wiki/Manual:Page_title.
    """
    return " ".join(name.translate(_UNSEEN).replace("_", " ").split()).lower()


def site(lang: str, header: Header | None = None) -> Site:
    """Return what is known of the wiki in `lang`, with the names that its dump's header gives.

    A header of another language is not believed: some dumps carry an English one. A header of another project in this
    language (elwikivoyage) brings its own project's names; those of the Wikipedia then do not count.
    Raise LingraftError for a language that neither the table nor the header has.
    """
    code = _wiki_code(lang)
    own = header is not None and header.lang is not None and _wiki_code(header.lang) == code
    if code not in _rows() and not own:
        raise _unknown(lang)
    known = _site(code)
    return _with_header(known, header) if own and header is not None else known


def languages() -> frozenset[str]:
    """Return every language code that has a wiki, synonyms included ("nb" and "no")."""
    return _languages()


def dbname_language(dbname: str) -> str | None:
    """Return the language of a wiki's database name: "elwikivoyage" -> "el"; None where it has none: "commonswiki"."""
    for project in _PROJECTS:
        if dbname.endswith(project):
            code = _wiki_code(dbname.removesuffix(project))
            return code if code in _rows() else None
    return None


def _wiki_code(lang: str) -> str:
    """Return the code under which the wiki stands: "nb" -> "no", "zh_min_nan" -> "zh-min-nan"."""
    code = lang.strip().lower().replace("_", "-")
    return _interwiki()["synonyms"].get(code, code)


def _unknown(lang: str) -> LingraftError:
    inside = dbname_language(lang)
    near = f"did you mean '{inside}'?" if inside else did_you_mean(lang, languages())
    return LingraftError(
        f"unknown wiki language '{lang}'",
        "No Wikimedia wiki is known under this code.",
        near or "Give the code that stands in the wiki's address, as 'el' in el.wikipedia.org.",
    )


@cache
def _rows() -> dict[str, dict[str, Any]]:
    return json.loads(Path(__file__).with_name("sites.json").read_bytes())


@cache
def _interwiki() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("interwiki.json").read_bytes())


@cache
def _languages() -> frozenset[str]:
    return frozenset(_rows()) | frozenset(_interwiki()["synonyms"])


@cache
def _site(code: str) -> Site:
    row = _rows().get(code, {})
    spellings = {code} | {other for other, wiki in _interwiki()["synonyms"].items() if wiki == code}
    names = _names(row)
    prefix = row.get("link_prefix", "")
    return Site(
        lang=code,
        namespaces=names,
        first_letter=row.get("first_letter", True),
        link_trail=row.get("link_trail", "[a-z]+"),
        link_prefix=bool(prefix),
        interwiki=_languages().union(_interwiki()["prefixes"]).difference(spellings, names),
        redirect_words=tuple(dict.fromkeys(_words(code, "redirect"))),
        image_options=frozenset(_words(code, "image")),
        switches=frozenset(_words(code, "switches")),
        link_prefix_letters=prefix,
    )


def _names(row: Mapping[str, Any]) -> dict[str, int]:
    """Return every name of a Wikipedia's namespaces; a local name wins over an English one."""
    names = _normal((ENGLISH_NAMESPACES | _WIKIPEDIA_NAMESPACES).items())
    for number, spellings in row.get("namespaces", {}).items():
        names |= _normal((name, int(number)) for name in spellings)
    return names


def _normal(names: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {normal_namespace(name): number for name, number in names}


def _words(code: str, field: str) -> Iterator[str]:
    """Yield a wiki's own words, then those of the languages that it falls back on, English last."""
    rows = _rows()
    for lang in (code, *rows.get(code, {}).get("fallback", ()), "en"):
        yield from rows[lang].get(field, ()) if lang in rows else ()


def _with_header(known: Site, header: Header) -> Site:
    names = dict(known.namespaces)
    project = normal_namespace(header.namespaces.get(4, ""))
    if project and names.get(project) != 4:  # another project: its own names, and none of the Wikipedia's
        english = _normal(ENGLISH_NAMESPACES.items())
        names = {name: number for name, number in names.items() if name in english or _is_common(number)}
    names |= _normal((name, number) for number, name in header.namespaces.items() if name)
    return replace(
        known,
        namespaces=names,
        first_letter=header.case != "case-sensitive" if header.case else known.first_letter,
        interwiki=known.interwiki.union(["wikipedia"]).difference(names),
    )


def _is_common(number: int) -> bool:
    """Whether a namespace means the same in all of a language's projects."""
    return (number < 16 and number not in (4, 5)) or number in (710, 711, 828, 829)
