"""First half of reading wikitext, as MediaWiki's preprocessor: comments, extension tags, templates, language variants.

Wikitext goes in and simpler wikitext comes out, without anything whose inside is not wikitext or is not shown: what
`wikitext.parse` sees has no comment, no reference, no formula (one U+FFFC stands for it), no `-{variant}-`, and in the
place of a template what it shows (`templates`). Character references are decoded, white space is plain. Where a
reference or `<nowiki>` gave a character that could be read as markup, a Unicode noncharacter stands for it until the
end (`protect`, `unprotect`).

Every step is one scan with a literal to search for, and what has no end is found without looking for it twice, so the
time is linear in the text whatever is unclosed or nested (a page of 10,000 unclosed tags or braces is a test).
Source: https://www.mediawiki.org/wiki/Preprocessor_ABNF.
"""

import re
from collections import Counter
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingraft.wikimedia.templates import Seen, Templates

PLACEHOLDER = "\ufffc"
"""Stands for a formula, score or the like, which has no text."""

HOLE = "\x00"
"""Marks where something was dropped, until `close_holes` has mended its surroundings; XML cannot carry it."""

BOUNDARY = "\x01"
"""Stands where nowiki began: it shows nothing, but parts markup, as in `[[link]]<nowiki/>s`."""

NAME = "\x02"
"""Parts a link's target from its name in another language, which a template gave."""

BAR = "\x03"
"""Stands for the bar that `{{!}}` shows, until no template can take it for its own."""

FARTHEST = 100
"""Characters before a hole that may be mended, so that a thousand holes behind a long text cost no more."""

DEEPEST = 40
"""Templates inside templates that are read; MediaWiki stops at 40 too."""

_DROPPED = frozenset(
    "ref references gallery timeline syntaxhighlight source graph imagemap mapframe maplink templatedata "
    "templatestyles section inputbox categorytree indicator includeonly charinsert rss quiz dynamicpagelist ce-cite "
    "score-data languages listing phonos externaldata img map rating".split()
)
_PLACEHELD = frozenset("math chem ce hiero score".split())
_PROTECTED = frozenset(["nowiki", "pre", "poem"])
_TAG = re.compile(
    rf"<(?:!--|({'|'.join(sorted(_DROPPED | _PLACEHELD | _PROTECTED, key=len, reverse=True))})(?=[\s/>]))",
    re.IGNORECASE | re.ASCII,  # without ASCII, "ſ" would be read as "s"
)
_CLOSE = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE | re.ASCII) for name in _DROPPED | _PLACEHELD | _PROTECTED}
# The plainest of references, by far the most frequent tag; it holds no comment and no other tag that hides text.
_REFERENCE = re.compile(
    r"<ref(?:[\s/][^<>]*+)?>(?:(?<=/>)|[^<]*+(?:<(?!/?ref\b|!--|nowiki|pre|math)[^<]*+)*+</ref\s*+>)"
)
_MARKUP = "[]{}<>'|=*#:;!-_~&"
PROTECTED = {chr(0xFDD0 + index): char for index, char in enumerate(_MARKUP)}
"""Stand-in -> character. A noncharacter is never text, so it can travel for another."""

_PROTECT = {ord(char): stand_in for stand_in, char in PROTECTED.items()}
_ENTITY = re.compile(r"&(?:#[0-9]{1,16}|#[xX][0-9a-fA-F]{1,16}|[A-Za-z][A-Za-z0-9]{1,31}|רלמ|رلم);")
_NAMED = html5 | {"רלמ;": "\u200f", "رلم;": "\u200f"}  # MediaWiki knows its own two beside those of HTML
_INCLUSION = re.compile(r"</?(?:noinclude|onlyinclude|includeonly)\b[^<>]*+>", re.IGNORECASE | re.ASCII)
_BRACES = re.compile(r"\{\{+|\}\}+")
_LINE_MARKUP = ("*", "#", ":", ";", "{|")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_SEPARATORS = " ,;:、，；："
_OPENING, _CLOSING = "(（", ")）"
_HANGING = _OPENING + _SEPARATORS
_FOLLOWING = tuple(")）.,;。，；、")

VARIANT_LANGUAGES = frozenset(
    "ban crh en-x-piglatin gan iu kk ku mni sh shi sr tg tly uz wuu zgh zh zh-classical".split()
)
"""Languages in whose wikis `-{...}-` is markup; elsewhere it is text. Source: MediaWiki's LanguageConverterFactory."""


def preprocess(wikitext: str, templates: "Templates", seen: "Seen", tally: Counter[str]) -> str:
    """Return `wikitext` without comments, extension tags, templates and variants.

    `tally` counts what was dropped; `seen` knows the page's title, and learns its unknown templates and flags.
    """
    if "<" in wikitext:
        wikitext = _drop_tags(wikitext, tally)
        wikitext = _INCLUSION.sub("", wikitext)
    if "{{" in wikitext:
        wikitext = _show_templates(wikitext, templates, seen, tally)
    if "-{" in wikitext and templates.site.lang in VARIANT_LANGUAGES:
        wikitext = _choose_variants(wikitext)
    if "&" in wikitext:
        wikitext = _ENTITY.sub(_decode, wikitext)
    wikitext = wikitext.replace("\t", " ").replace("\xa0", " ")
    return close_holes(wikitext) if HOLE in wikitext else wikitext


def close_holes(text: str) -> str:
    """Return `text` without its holes, the brackets that they leave empty, and the separators that hang before them."""
    first, *rest = text.split(HOLE)
    kept = [first]
    for after in rest:
        if len(kept[-1]) > FARTHEST:
            kept[-1:] = kept[-1][:-FARTHEST], kept[-1][-FARTHEST:]
        hangs = kept[-1][-1:] in _HANGING or not after.strip(" ")
        if hangs or after[:2].lstrip(" ").startswith(_FOLLOWING):
            kept[-1], after = _joined(kept[-1], after)
        if after:
            kept.append(after)
    return "".join(kept)


def _joined(before: str, after: str) -> tuple[str, str]:
    """Return what to keep of the text on either side of a hole."""
    bare = before.rstrip(_SEPARATORS + "\n")
    if bare and bare[-1] in _OPENING:
        following = after.lstrip(_SEPARATORS + "\n")
        if not following or following[0] not in _CLOSING:
            return bare, following
        before, after = bare[:-1], following[1:]
    if not after.strip(" "):
        return (before + " " if after and not before.endswith(" ") else before), ""
    following = after.lstrip(_SEPARATORS)
    if following and following[0] in _CLOSING:
        return before.rstrip(_SEPARATORS), following
    if after[:2].lstrip(" ").startswith(_FOLLOWING):
        return before.rstrip(_SEPARATORS), after
    return before, after


def protect(text: str) -> str:
    """Return `text` with stand-ins for the characters that could be read as markup."""
    return text.translate(_PROTECT)


def unprotect(text: str) -> str:
    """Return `text` with the characters for which stand-ins stood."""
    for stand_in, char in PROTECTED.items():
        if stand_in in text:
            text = text.replace(stand_in, char)
    return text


@lru_cache(10_000)
def _decode_reference(reference: str) -> str:
    """Decode one character reference; white space other than a space becomes a space, controls vanish."""
    decoded = unescape(reference) if reference[1] == "#" else _NAMED.get(reference[1:], reference)
    if len(decoded) == 1 and (decoded.isspace() or ord(decoded) < 32):
        return " "
    return protect(decoded) if decoded != reference else "&" + reference[1:].translate(_PROTECT)


def _decode(found: re.Match[str]) -> str:
    return _decode_reference(found[0])


def _drop_tags(text: str, tally: Counter[str]) -> str:
    """Drop comments and extension tags, with what they hold; an unclosed tag is text, an unclosed comment runs on."""
    if "<!--" not in text and "<nowiki" not in text and "<pre" not in text:
        text, count = _REFERENCE.subn(HOLE, text)
        if count:
            tally["tag_ref"] += count
    pieces: list[str] = []
    unclosed: set[str] = set()
    position = opened = 0
    found = _TAG.search(text)
    while found:
        start, resume = found.start(), found.end()
        if found[1] is None:
            close = text.find("-->", resume)
            end = len(text) if close < 0 else close + 3
            if start and text[start - 1] == "\n" and text[end : end + 1] == "\n":
                end += 1  # a comment that fills its line goes with the line
            pieces.append(text[position:start])
            position = resume = end
        else:
            name = found[1].lower()
            if 0 <= opened < resume:
                opened = text.find(">", resume)
            if opened >= 0 and text[opened - 1] == "/":
                pieces += (text[position:start], HOLE if name in _DROPPED else BOUNDARY if name == "nowiki" else "")
                position = resume = opened + 1
            elif opened >= 0 and name not in unclosed:
                closed = _CLOSE[name].search(text, opened + 1)
                if closed is None:
                    unclosed.add(name)
                else:
                    pieces.append(text[position:start])
                    pieces.append(_shown(name, text[opened + 1 : closed.start()]))
                    position = resume = closed.end()
                    tally[f"tag_{name}"] += 1
        found = _TAG.search(text, resume)
    pieces.append(text[position:])
    return "".join(pieces)


def _shown(name: str, inside: str) -> str:
    """Return the wikitext that stands for an extension tag."""
    if name in _DROPPED:
        return HOLE
    if name in _PLACEHELD:
        return PLACEHOLDER
    if name == "poem":
        lines = [line.lstrip(":") for line in inside.strip("\n").split("\n")]  # colons indent
        return "\n\n" + "<br>".join(lines) + "\n\n"
    if name == "nowiki":
        return BOUNDARY + protect(_ENTITY.sub(_decode, inside)).replace("\n", " ")
    inside = _without_nowiki(inside.strip("\n"))
    return "\n\n" + protect(_ENTITY.sub(_decode, inside)).replace("\n", "<br>") + "\n\n"


def _without_nowiki(inside: str) -> str:
    """Take the pairs of nowiki tags out of `<pre>`, where they have no use."""
    parts = inside.split("</nowiki>")
    for index, part in enumerate(parts[:-1]):
        parts[index] = part.replace("<nowiki>", "", 1) if "<nowiki>" in part else part + "</nowiki>"
    return "".join(parts)


def _show_templates(text: str, templates: "Templates", seen: "Seen", tally: Counter[str]) -> str:
    """Put what it shows in the place of each `{{template}}` and `{{{parameter|default}}}`; unpaired braces are text.

    A run of closing braces closes the run on top of the stack, by threes or by twos. What is nested in more than
    `DEEPEST` others shows nothing, so that no text is copied more often than that.
    """
    opened: list[tuple[list[str], int, int]] = []
    pieces: list[str] = []
    position = 0
    for run in _BRACES.finditer(text):
        start, end = run.span()
        if text[start] == "{":
            pieces.append(text[position:start])
            opened.append((pieces, start, end - start))
            pieces, position = [], end
            continue
        closing = end - start
        while closing >= 2 and opened:
            pieces.append(text[position:start])
            inside = "".join(pieces)
            pieces, begin, opening = opened.pop()
            width = 3 if opening >= 3 and closing >= 3 else 2
            opening -= width
            closing -= width
            position = start = end - closing
            if len(opened) >= DEEPEST:
                shown = HOLE
            elif width == 3:
                shown = inside.partition("|")[2].strip() or HOLE
            else:
                shown = templates.show(inside, seen)
            if shown == HOLE:
                tally["templates"] += 1
            elif shown.startswith(_LINE_MARKUP) and text[begin + opening - 1 : begin + opening] not in ("", "\n"):
                shown = "\n" + shown
            if opening >= 2:
                opened.append((pieces, begin, opening))
                pieces = []
            else:
                pieces.append("{" * opening)
            pieces.append(shown)
    rest = [*pieces, text[position:]]
    pieces = []
    for before, _, opening in opened:
        pieces += (*before, "{" * opening)
    return "".join(pieces + rest).replace(BAR, "|")


def _choose_variants(text: str) -> str:
    """Show one variant of each `-{...}-`, from the inside out; unbalanced ones stay as text."""
    for _ in range(8):
        text, count = _VARIANT.subn(lambda found: _variant(found[1]), text)
        if not count:
            break
    return text


def _variant(inside: str) -> str:
    """Return what `-{inside}-` shows: the first variant given; nothing for rules and titles.

    Source: https://www.mediawiki.org/wiki/Writing_systems/Syntax.
    """
    flags, bar, body = inside.partition("|")
    if not bar:
        flags, body = "", inside
    elif flags.strip().upper() in {"H", "T", "-"}:
        return ""
    first = body.split(";")[0]
    code, colon, shown = first.partition(":")
    is_rule = colon and re.fullmatch(r"\s*[a-z]{2,3}(-[a-z]+)*\s*", code)
    return shown.strip() if is_rule else body
