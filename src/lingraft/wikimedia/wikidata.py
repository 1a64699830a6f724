"""Read Wikidata's entity JSON dumps (plain, bzip2, gzip, xz): which page of which wiki is about which item.

A dump has one entity a line, and one line may be megabytes of claims; what is wanted stands at its two ends. The last
`"sitelinks":` of a line cannot lie inside a string (its quotes would be escaped), so only the tail from it is decoded;
labels and aliases stand before `"claims":`. A line that is laid out otherwise is decoded whole. Reading then costs
little more than unpacking: fetch the `.json.gz`, which unpacks about ten times faster than the `.json.bz2`.

Counted: `items` (yielded), `property`, `lexeme` (passed over), `bad_json`, `no_id`, `bad_entity` (its parts are no
mappings), `oversized_line`, and the faults of `compressed.lines`.

    for item, titles in sitelinks(Path("latest-all.json.gz"), {"elwiki", "enwiki"}, tally):
        print(f"Q{item}", titles.get("elwiki"))
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Problem, lines, unread_format

MAX_LINE = 64 << 20
"""Default limit of an entity's JSON; the largest entities have a few MB."""

_ID = re.compile(
    rb'\s*\{(?:\s*"(?:type|datatype|pageid|ns|title|lastrevid|modified)"\s*:\s*(?:"[^"\\]*"|\d+)\s*,)*'
    rb'\s*"id"\s*:\s*"([QPLqpl])(\d{1,18})"'
)
_SITELINKS = b'"sitelinks":'
_CLAIMS = b',"claims":'
_NAMES = {"labels", "aliases"}
_SKIPPED = {b"P": "property", b"L": "lexeme"}


@dataclass(slots=True)
class Item:
    """What was asked for of one item; Q42 is 42."""

    id: int
    sitelinks: dict[str, str] = field(default_factory=dict)
    """Wiki -> title: {"elwiki": "Αθήνα"}."""

    labels: dict[str, str] = field(default_factory=dict)
    """Language -> label."""

    aliases: dict[str, list[str]] = field(default_factory=dict)
    """Language -> other names."""


def sitelinks(
    path: Path,
    sites: Collection[str] | None,
    tally: Counter[str],
    problems: list[Problem] | None = None,
    *,
    max_line: int = MAX_LINE,
    strict: bool = False,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each item with its titles in the wikis `sites` (None: all); an item without any is yielded with none."""
    for item in items(path, tally, problems, sites=sites, max_line=max_line, strict=strict):
        yield item.id, item.sitelinks


def labels(
    path: Path,
    languages: Collection[str] | None,
    tally: Counter[str],
    problems: list[Problem] | None = None,
    *,
    max_line: int = MAX_LINE,
    strict: bool = False,
) -> Iterator[tuple[int, dict[str, str], dict[str, list[str]]]]:
    """Yield each item with its labels and its aliases in `languages` (None: all)."""
    for item in items(path, tally, problems, sites=(), languages=languages, max_line=max_line, strict=strict):
        yield item.id, item.labels, item.aliases


def items(
    path: Path,
    tally: Counter[str],
    problems: list[Problem] | None = None,
    *,
    sites: Collection[str] | None = None,
    languages: Collection[str] | None = (),
    labels_if: Callable[[Item], bool] = lambda item: True,
    max_line: int = MAX_LINE,
    strict: bool = False,
) -> Iterator[Item]:
    """Yield the items of a dump with sitelinks to `sites` and with names in `languages`, in one pass.

    None asks for all, () for none, which is then not decoded; nor are the names of an item that `labels_if`, shown its
    sitelinks, does not want. Raises LingraftError for a file without any entity, and
    with `strict` for one that is cut off or damaged.
    """
    opened = closed = last_is_bad = False
    num_lines = num_entities = 0
    faults = _faults(tally)
    for line in lines(path, tally, problems, max_bytes=max_line, strict=strict):
        num_lines += 1
        line = line.strip().removesuffix(b",")
        if line in (b"", b"[", b"]"):
            opened, closed = opened or line == b"[", closed or line == b"]"
            continue
        if last_is_bad:
            tally["bad_json"] += 1
        found = _entity(line, sites, languages, labels_if)
        last_is_bad, closed = found == "bad_json", False
        if isinstance(found, Item):
            tally["items"] += 1
            num_entities += 1
            yield found
        elif not last_is_bad:
            tally[found] += 1
            num_entities += found in _SKIPPED.values()
    cut_off = opened and not closed and _faults(tally) == faults
    if last_is_bad and not cut_off:
        tally["bad_json"] += 1
    if cut_off:
        tally["truncated"] += 1
        where = f"inside line {num_lines:,}" if last_is_bad else f"after line {num_lines:,}"
        message = f"dump is cut off: {path.name} ends {where}, without the ']' that closes its list."
        problem = Problem("truncated", f"{path.name}, line {num_lines:,}", message)
        if problems is not None:
            problems.append(problem)
        if strict:
            raise problem.error(f"{num_entities:,} complete entities were read before it.")
    if num_entities == 0:
        why = unread_format(path) or 'Not one of its lines is a JSON object with an id such as "Q42".'
        cure = "Give an entity dump, one entity a line: dumps.wikimedia.org/wikidatawiki/entities/latest-all.json.gz."
        raise LingraftError(f"{path} holds no Wikidata entity", why, cure)


def _faults(tally: Counter[str]) -> int:
    return tally["truncated"] + tally["corrupt"]


def _entity(
    line: bytes, sites: Collection[str] | None, languages: Collection[str] | None, labels_if: Callable[[Item], bool]
) -> Item | str:
    """Return the item that `line` is, or the reason why there is none."""
    try:
        found = _ID.match(line)
        entity = {} if found else orjson.loads(line)
        kind, number = (found[1].upper(), int(found[2])) if found else _id_of(entity)
        if kind != b"Q":
            return _SKIPPED.get(kind, "no_id")
        if sites != () and "sitelinks" not in entity:
            entity = _tail(line) or orjson.loads(line)
        item = Item(number, {site: _title(link) for site, link in _asked(entity.get("sitelinks"), sites)})
        if languages == () or not labels_if(item):
            return item
        if not entity.keys() >= _NAMES:
            entity = _head(line)
        if not entity.keys() >= _NAMES:
            entity = orjson.loads(line)
        item.labels = {language: label["value"] for language, label in _asked(entity.get("labels"), languages)}
        item.aliases = {
            language: [alias["value"] for alias in many] for language, many in _asked(entity.get("aliases"), languages)
        }
        return item
    except orjson.JSONDecodeError:
        return "bad_json"
    except (AttributeError, KeyError, TypeError):
        return "bad_entity"


def _id_of(entity: Any) -> tuple[bytes, int]:
    name = entity.get("id") if isinstance(entity, dict) else None
    found = re.fullmatch(r"([QPL])(\d{1,18})", name.upper()) if isinstance(name, str) else None
    return (found[1].encode(), int(found[2])) if found else (b"", 0)


def _tail(line: bytes) -> dict[str, Any]:
    """Return what stands from the last `"sitelinks":` on; {} when this cannot be decoded alone."""
    at = line.rfind(_SITELINKS)
    return _try(b"{" + line[at:]) if at >= 0 else {}


def _head(line: bytes) -> dict[str, Any]:
    """Return what stands before the claims; {} when this cannot be decoded alone."""
    at = line.find(_CLAIMS)
    return _try(line[:at] + b"}") if at >= 0 else {}


def _try(part: bytes) -> dict[str, Any]:
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError:
        return {}


def _asked(values: Any, keys: Collection[str] | None) -> Iterator[tuple[str, Any]]:
    """Yield the entries of `values` under `keys` (None: all). Old dumps write an empty mapping as []."""
    if keys == () or not values:
        return
    yield from values.items() if keys is None else ((key, values[key]) for key in keys if key in values)


def _title(link: Any) -> str:
    return link if isinstance(link, str) else link["title"]  # the dumps of 2013 wrote the bare title
