"""First half of reading wikitext, as MediaWiki's preprocessor: comments, extension tags, templates, language variants.

Wikitext goes in and simpler wikitext comes out, without anything whose inside is not wikitext or is not shown: what
`wikitext.parse` sees has no comment, no reference, no formula (one U+FFFC stands for it), no template and no
`-{variant}-`. Character references are decoded, white space is plain. Where a reference or `<nowiki>` gave a character
that could be read as markup, a Unicode noncharacter stands for it until the end (`protect`, `unprotect`).

Every step is one scan with a literal to search for, and what has no end is found without looking for it twice, so the
time is linear in the text whatever is unclosed or nested (a page of 10,000 unclosed tags or braces is a test).
Source: https://www.mediawiki.org/wiki/Preprocessor_ABNF.
"""

import re
from collections import Counter
from functools import lru_cache
from html import unescape

PLACEHOLDER = "\ufffc"
"""Stands for a formula, score or the like, which has no text."""

HOLE = "\x00"
"""Marks where something was dropped, until `close_holes` has mended its surroundings; XML cannot carry it."""

_DROPPED = frozenset(
    "ref references gallery timeline syntaxhighlight source graph imagemap mapframe maplink templatedata "
    "templatestyles section inputbox categorytree indicator includeonly charinsert rss quiz dynamicpagelist ce-cite "
    "score-data languages listing phonos externaldata img map rating".split()
)
_PLACEHELD = frozenset("math chem ce hiero score".split())
_PROTECTED = frozenset(["nowiki", "pre", "poem"])
_TAG = re.compile(
    rf"<(?:!--|({'|'.join(sorted(_DROPPED | _PLACEHELD | _PROTECTED, key=len, reverse=True))})(?=[\s/>]))",
    re.IGNORECASE,
)
_CLOSE = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _DROPPED | _PLACEHELD | _PROTECTED}
# The plainest of references, by far the most frequent tag; it holds no comment and no other tag that hides text.
_REFERENCE = re.compile(
    r"<ref(?:[\s/][^<>]*+)?>(?:(?<=/>)|[^<]*+(?:<(?!/?ref\b|!--|nowiki|pre|math)[^<]*+)*+</ref\s*+>)"
)
_MARKUP = "[]{}<>'|=*#:;!-_~&"
PROTECTED = {chr(0xFDD0 + index): char for index, char in enumerate(_MARKUP)}
"""Stand-in -> character. A noncharacter is never text, so it can travel for another."""

_PROTECT = {ord(char): stand_in for stand_in, char in PROTECTED.items()}
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_INNERMOST = re.compile(r"\{\{\{[^{}]*+\}\}\}|\{\{[^{}]*+\}\}")
_BRACES = re.compile(r"\{\{+|\}\}+")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_SEPARATORS = " ,;:、，；："
_OPENING, _CLOSING = "(（", ")）"
_HANGING = _OPENING + _SEPARATORS
_FOLLOWING = tuple(")）.,;。，；、")

VARIANT_LANGUAGES = frozenset(
    "ban crh en-x-piglatin gan iu kk ku mni sh shi sr tg tly uz wuu zgh zh zh-classical".split()
)
"""Languages in whose wikis `-{...}-` is markup; elsewhere it is text. Source: MediaWiki's LanguageConverterFactory."""


def preprocess(wikitext: str, lang: str, tally: Counter[str]) -> str:
    """Return `wikitext` without comments, extension tags, templates and variants; `tally` counts what was dropped."""
    if "<" in wikitext:
        wikitext = _drop_tags(wikitext, tally)
    if "{{" in wikitext:
        wikitext = _drop_templates(wikitext, tally)
    if "-{" in wikitext and lang in VARIANT_LANGUAGES:
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
    decoded = unescape(reference)
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
    position = 0
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
            opened = text.find(">", resume)
            if opened >= 0 and text[opened - 1] == "/":
                pieces += (text[position:start], HOLE if name in _DROPPED else "")
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
        return "\n\n" + inside.strip("\n").replace("\n", "<br>") + "\n\n"
    if name == "nowiki":
        return protect(_ENTITY.sub(_decode, inside)).replace("\n", " ")
    return "\n\n" + protect(_ENTITY.sub(_decode, inside.strip("\n"))).replace("\n", "<br>") + "\n\n"


def _drop_templates(text: str, tally: Counter[str]) -> str:
    """Leave a hole for each `{{...}}` and `{{{...}}}`, nested or not; unpaired braces are text.

    Innermost templates go first, over the whole text at once; what is nested deeper than people write, or holds single
    braces, goes by the stack.
    """
    for _ in range(10):
        text, count = _INNERMOST.subn(HOLE, text)
        tally["templates"] += count
        if not count or "{{" not in text:
            break
    if "{{" in text and "}}" in text:
        text = _drop_by_stack(text, tally)
    return text


def _drop_by_stack(text: str, tally: Counter[str]) -> str:
    """Drop templates by matching runs of braces: a run closes the one on top of the stack, by threes or by twos."""
    opened: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for run in _BRACES.finditer(text):
        start, end = run.span()
        if text[start] == "{":
            opened.append((start, end - start))
            continue
        closing = end - start
        while closing >= 2 and opened:
            position, opening = opened.pop()
            width = 3 if opening >= 3 and closing >= 3 else 2
            opening -= width
            closing -= width
            begin = position + opening
            while dropped and dropped[-1][0] >= begin:
                dropped.pop()
            dropped.append((begin, end - closing))
            tally["templates"] += 1
            if opening >= 2:
                opened.append((position, opening))
    pieces = []
    position = 0
    for begin, end in dropped:
        pieces.append(text[position:begin])
        position = end
    pieces.append(text[position:])
    return HOLE.join(pieces)


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
