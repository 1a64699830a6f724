"""Templates that carry text: what each shows is data, in templates/common.toml and one file a language beside it.

    >>> from lingraft.wikimedia.siteinfo import site
    >>> Templates(site("en")).show("convert|5|km|mi", Seen())
    '5 kilometres'

The rest cannot be known without the wiki's own pages: other templates leave a hole and are counted by name, so that
whoever builds a corpus sees what is missing and can add a line to the data. docs/templates.md explains the format.
A language's file wins over common.toml. Rules are compiled when a wiki's parser is made, and a name is looked up once.
Sources: the templates' documentation on the wikis; https://www.mediawiki.org/wiki/Help:Magic_words.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lingraft.errors import LingraftError, did_you_mean
from lingraft.wikimedia.locales import FOLDER, fraction, locale, measure, superscript
from lingraft.wikimedia.patterns import Arguments, Filter, PatternError, Rule, compile_pattern, positional
from lingraft.wikimedia.preprocess import BAR, HOLE, NAME, protect
from lingraft.wikimedia.siteinfo import Site, languages

LONGEST_NAME = 100
"""Characters of an unknown template's name that are kept."""

_REMEMBERED = 100_000
_KEYS: Mapping[str, type] = {
    "drops": list,
    "disambiguation": list,
    "disambiguation_titles": list,
    "list_titles": list,
    "shows": dict,
    "links": list,
    "units": dict,
    "ranges": dict,
    "tables": dict,
}
_LINK_KEYS = frozenset(["templates", "target", "label", "name"])
# A parameter: it ends at a bar outside of links, which may hold links.
_PART = re.compile(r"(?:\A|\|)((?:[^|\[]++|\[\[[^\[\]]*+(?:\[\[[^\[\]]*+\]\][^\[\]]*+)*+\]\]|\[)*+)")
# `{{!}}` is a magic word; the others are templates everywhere. Tables that they make are tables.
_SIGNS = {"!": BAR, "!!": BAR * 2, "!-": f"{BAR}-", "!+": f"{BAR}+", "(!": f"{{{BAR}", "!)": f"{BAR}}}"}
_SIGNS |= {"=": protect("="), "(": "{", ")": "}", "((": "{{", "))": "}}", "*": protect("*"), "#": protect("#")}
_NOT_IN_TITLES = re.compile(r"[\[\]{}|<>]")


@dataclass(slots=True)
class Seen:
    """What the templates of a page want to know of it, and what they tell of it."""

    title: str = ""
    unknown: Counter[str] = field(default_factory=Counter)
    """Templates without a rule, by name."""

    flags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of the name before a template's first bar."""

    rule: Rule | None = None
    start: int = 0
    """Where the parameters begin."""

    rest: str = ""
    """What stood for the `*` of a rule's name."""

    unknown: str = ""
    is_text: bool = False


class Templates:
    """What the templates of one wiki show. It keeps nothing of a page."""

    def __init__(self, site: Site, extra: Iterable[Path] = ()):
        """Read the data for the wiki's language; files of `extra` win over it.

        Raises LingraftError, naming file and template, for data that cannot be understood.
        """
        self.site = site
        own = FOLDER / f"{'en' if site.lang == 'simple' else site.lang}.toml"
        files = [FOLDER / "common.toml", *([own] if own.exists() else []), *extra]
        data = {path: _read(path) for path in files}
        self.list_titles = tuple(word for rows in data.values() for word in rows.get("list_titles", ()))
        self.disambiguation_titles = tuple(
            word for rows in data.values() for word in rows.get("disambiguation_titles", ())
        )
        self._filters, self._functions = _vocabulary(site, list(data.values()))
        self._rules: dict[str, Rule | None] = {name: _sign(shown) for name, shown in _SIGNS.items()}
        for path, rows in data.items():
            self._rules |= self._compiled(path, rows)
        stems = (name[:-1] for name in self._rules if name.endswith("*") and name != "*")
        self._stems = sorted(stems, key=len, reverse=True)
        self._found: dict[str, _Found] = {}

    def show(self, inside: str, seen: Seen) -> str:
        """Return the wikitext that stands for `{{inside}}`, whose inner templates are shown already.

        A hole where nothing is shown; what cannot be a template, like the braces of a set, stays as it is written.
        """
        head = inside.partition("|")[0]
        found = self._found.get(head)
        if found is None:
            if len(self._found) > _REMEMBERED:
                self._found.clear()
            found = self._find(head)
            if len(head) <= LONGEST_NAME:
                self._found[head] = found
        if found.rule:
            return found.rule(_arguments(inside[found.start :], found.rest), seen)
        if found.is_text:
            return f"{{{{{inside}}}}}"
        if found.unknown:
            seen.unknown[found.unknown] += 1
        return HOLE

    def flags_of(self, title: str) -> set[str]:
        """Return what a page's title tells of the page."""
        flags = {"list"} if title.startswith(self.list_titles) else set()
        return flags | {"disambiguation"} if title.endswith(self.disambiguation_titles) else flags

    def _find(self, head: str) -> _Found:
        """Look up what stands before the first bar: a template's name, or a function's and its first parameter."""
        name = _normal(head)
        if HOLE in name:
            return _Found()
        first_line = name.partition("\n")[0]
        if not name or _NOT_IN_TITLES.search(first_line.partition(":")[0]):  # a function's parameter may hold links
            return _Found(is_text=True)
        prefix, colon, after = name.partition(":")
        if colon and self.site.namespace_of(prefix) == 10:
            name, colon = _normal(after), ""
        function = f"{prefix.lower()}:"
        if name in self._rules:
            return _Found(self._rules[name], len(head) + 1)
        if colon and function in self._rules:
            return _Found(self._rules[function], head.index(":") + 1)
        for stem in self._stems:
            if name.startswith(stem) and name != stem:
                return _Found(self._rules[f"{stem}*"], len(head) + 1, name[len(stem) :])
        unknown = f"{prefix}:" if colon else name.partition("\n")[0]
        return _Found(unknown=unknown[:LONGEST_NAME])

    def _compiled(self, path: Path, rows: dict[str, Any]) -> dict[str, Rule | None]:
        """Return the rules of one file; None for a template that is known to show nothing."""
        rules: dict[str, Rule | None] = {}

        def put(names: list[str], rule: Rule | None) -> None:
            for name in names:
                key = name.lower() if name.endswith(":") else _normal(name)
                if key in rules:
                    raise _error(path, f"template '{name}' stands in it twice", "Leave one of the two.")
                rules[key] = rule

        put(rows.get("drops", []), None)
        put(rows.get("disambiguation", []), _flag_disambiguation)
        for pattern, names in rows.get("shows", {}).items():
            put(names, self._compile(pattern, path))
        for code, title in rows.get("tables", {}).get("country", {}).items():
            rules.setdefault(_normal(code), self._compile(f"[[{title}]]", path))
        for link in rows.get("links", []):
            if link.keys() != _LINK_KEYS:
                cure = f"Each has {', '.join(sorted(_LINK_KEYS))}."
                raise _error(path, f"one of [[links]] has {', '.join(sorted(link))}", cure)
            target, label, name = (self._compile(link[part], path) for part in ("target", "label", "name"))
            put(link["templates"], partial(_link, target, label, name))
        return rules

    def _compile(self, pattern: str, path: Path) -> Rule:
        try:
            return compile_pattern(pattern, self._filters, self._functions)
        except PatternError as error:
            what, cure = error.args
            raise _error(path, f"pattern '{pattern}': {what}", cure) from None


def _vocabulary(site: Site, data: list[dict[str, Any]]) -> tuple[dict[str, Filter], dict[str, Rule]]:
    """Return the filters and the functions that patterns may name."""
    place = locale(site.lang)
    tables: dict[str, dict[str, str]] = {}
    units: dict[str, Any] = {}
    ranges: dict[str, str] = {}
    for rows in data:
        units |= rows.get("units", {})
        ranges |= rows.get("ranges", {})
        for name, table in rows.get("tables", {}).items():
            tables.setdefault(name, {}).update(table)
    filters: dict[str, Filter] = {
        "number": place.number,
        "date": place.date,
        "super": superscript,
        "lower": str.lower,
        "upper": str.upper,
        "capital": lambda text: text[:1].upper() + text[1:],
        "uncapital": lambda text: text[:1].lower() + text[1:],
        "unit": lambda code: units[code] if isinstance(units.get(code), str) else units.get(code, [code])[0],
    }
    filters |= {name: partial(_looked_up, table) for name, table in tables.items()}
    functions: dict[str, Rule] = {
        "convert": lambda arguments, seen: measure(positional(arguments), arguments, place, units, ranges),
        "convert_short": lambda arguments, seen: measure(
            positional(arguments), {"abbr": "on", **arguments}, place, units, ranges
        ),
        "fraction": lambda arguments, seen: fraction(positional(arguments)),
        "title": lambda arguments, seen: protect(seen.title),
    }
    return filters, functions


def _looked_up(table: Mapping[str, str], value: str) -> str:
    return table.get(value, "")


def _read(path: Path) -> dict[str, Any]:
    """Read a file of data; refuse what has no meaning."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _error(path, str(error), "See docs/templates.md for the format.") from None
    for key, value in rows.items():
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS) or f"There are {', '.join(_KEYS)}."
            raise _error(path, f"unknown key '{key}'", hint)
        if not isinstance(value, _KEYS[key]):
            raise _error(path, f"'{key}' has the wrong type", "See docs/templates.md for the format.")
    return rows


def _error(path: Path, what: str, cure: str) -> LingraftError:
    return LingraftError(f"data of templates {path}: {what}", cure=cure)


def _normal(name: str) -> str:
    """Return a template's name as MediaWiki files it: spaces for underscores, the first letter raised."""
    name = " ".join(name.replace("_", " ").split(" ")).strip()
    return name[:1].upper() + name[1:]


def _arguments(written: str, rest: str) -> Arguments:
    """Return the parameters of a template from what stands behind its name; `rest` as "*"."""
    arguments = {"*": rest} if rest else {}
    if not written:
        return arguments
    number = 0
    for part in _PART.findall(written) if "[[" in written else written.split("|"):
        if "=" in part:
            name, _, value = part.partition("=")
            if "[[" not in name:
                arguments[name.strip()] = value.strip()
                continue
        number += 1
        arguments[str(number)] = part.strip()
    return arguments


def _sign(shown: str) -> Rule:
    return lambda arguments, seen: shown


def _flag_disambiguation(arguments: Arguments, seen: Seen) -> str:
    seen.flags.add("disambiguation")
    return HOLE


def _link(target: Rule, label: Rule, name: Rule, arguments: Arguments, seen: Seen) -> str:
    """Return a link that carries the name of its target on another wiki, as "en:Tokyo Tower", behind NAME."""
    first, second = arguments.get("1", ""), arguments.get("2", "")
    if first in languages() and name(arguments, seen).partition(":")[0].lower() not in languages():
        arguments = {**arguments, "1": second, "2": first}  # {{ill|de|Title|Titel}}, as it was before 2016
    shown = label(arguments, seen)
    title = target(arguments, seen).partition("#")[0].strip()
    if _NOT_IN_TITLES.search(title) or "\n" in title or "[[" in shown or HOLE in title + shown or not title:
        return shown
    code, _, foreign = name(arguments, seen).partition(":")
    code, foreign = code.strip().lower(), foreign.strip()
    if code in languages() and foreign and not _NOT_IN_TITLES.search(foreign) and HOLE not in foreign:
        return f"[[{title}{NAME}{protect(f'{code}:{foreign}')}|{shown}]]"
    return f"[[{title}|{shown}]]"
