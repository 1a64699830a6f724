"""Interlanguage lines in wikitext: `[[en:Tea]]` says what a page is called in another language.

Wikis kept them in the text until Wikidata took them over in 2013; small wikis and old dumps still have them. They are
read apart from the text, because most builds do not ask for them.

    >>> interlanguage_links("Τσάι.\\n[[en:Tea]]\\n[[fr:Thé]]", ["en"])
    [('en', 'Tea')]
"""

import re
from collections.abc import Sequence
from functools import cache

from lingraft.wikimedia.siteinfo import languages, site

_NOT_READ = re.compile(r"<!--.*?(?:-->|\Z)|<(nowiki|pre|includeonly)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


def interlanguage_links(wikitext: str, langs: Sequence[str]) -> list[tuple[str, str]]:
    """Return (language, title as it is written) for each link to a page in one of `langs`, spelled as in `langs`.

    A page has one in a language: the first is taken, as MediaWiki does. `[[:en:Tea]]` is a link, and none of these.
    """
    pattern, lang_of = _pattern(tuple(langs))
    if not pattern.search(wikitext):
        return []
    found = pattern.findall(_NOT_READ.sub("", wikitext))
    return list({lang_of[code.lower()]: title.strip() for code, title in reversed(found)}.items())[::-1]


@cache
def _pattern(langs: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    wikis = {site(lang).lang: lang for lang in reversed(langs)}
    lang_of = {code: wikis[known] for code in languages() if (known := site(code).lang) in wikis}
    codes = "|".join(map(re.escape, sorted(lang_of, key=len, reverse=True)))
    return re.compile(rf"\[\[[ _]*+({codes})[ _]*+:([^\[\]|{{}}<>\n#]++)[^\[\]\n]*+\]\]", re.IGNORECASE), lang_of
