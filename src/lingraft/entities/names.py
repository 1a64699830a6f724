"""What an entity is called in another language, from the title of its article there.

A title is a name after LEIA's rules: what stands in parentheses goes; lists and pages that are no articles have none.
Labels and aliases are names as they stand. Source: LEIA, section 3.1 and its published preprocessing.
"""

import re
from collections import Counter
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

NAMES_SCHEMA = pa.schema(
    [("entity", pa.int64()), ("lang", pa.string()), ("name", pa.string()), ("source", pa.string())]
)
"""names.parquet, sorted by entity and language: one row for each pair, and behind it one for each of its aliases."""

NAME_SOURCES = ("sitelink", "langlink", "title_pair", "template", "label", "alias")
"""Where a name comes from, best first: titles before labels, as LEIA uses titles."""

TITLE_KINDS = NAME_SOURCES[:4]
"""Those that are titles of articles."""

_NOT_ARTICLES = (
    "Wikipedia:", "Category:", "File:", "Portal:", "Template:", "MediaWiki:", "User:", "Help:", "Book:", "Draft:",
    "WikiProject:", "Special:", "Talk:",
)  # fmt: skip
_PARENTHESES = re.compile(r"\s*[(（][^()（）]*[)）]")
_NOT_PLAIN = r"[(（]|^(?:\w+:|List of )|^[\s\p{Z}]|[\s\p{Z}]$|^$"


def names_from_titles(titles: pa.Array, lang: str, tally: Counter[str]) -> pa.Array:
    """Return the name that each title carries, null where it carries none; `tally` counts why."""
    is_odd = pc.match_substring_regex(titles, _NOT_PLAIN)
    names = [name_from_title(title, lang, tally) for title in titles.filter(is_odd).to_pylist()]
    return pc.replace_with_mask(titles, is_odd, pa.array(names, titles.type))


def name_from_title(title: str, lang: str, tally: Counter[str]) -> str | None:
    """Return the name that a title carries, or None; `tally` counts why: namespace, list, empty."""
    if title.startswith(_NOT_ARTICLES):
        tally[f"names_dropped_namespace_{lang}"] += 1
        return None
    if title.startswith("List of "):
        tally[f"names_dropped_list_{lang}"] += 1
        return None
    name, nested = title, 1
    while nested:  # the innermost parentheses go first
        name, nested = _PARENTHESES.subn("", name)
    name = name.strip()
    if not name:
        tally[f"names_dropped_empty_{lang}"] += 1
        return None
    return name


def entity_of_pivot(pivot_title: str) -> int:
    """Return the negative id of an entity that is known only by its pivot title (no QID): a 62-bit hash.

    The pivot is the title in the first language of names; for a title in another one, "fr:Athènes".
    """
    return -1 - (int.from_bytes(blake2b(pivot_title.encode(), digest_size=8).digest(), "little") >> 2)
