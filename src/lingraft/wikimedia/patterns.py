"""The patterns in which the data files say what a template shows; docs/templates.md explains them to speakers.

>>> compile_pattern("{1}< ({2})>", {}, {})({"1": "銃剣", "2": "jūken"}, None)
'銃剣 (jūken)'

{1|text}        the first of these parameters that is given
{1:number}      through a filter, or a table of the data; {1 2 3:date} gives it several
{lc?as of|As of}    one word or another
{1..., }        this parameter and all behind it, with ", " between
{:convert}      what code makes of the whole template
< ({2})>        only if every parameter in it is given
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lingraft.errors import did_you_mean
from lingraft.wikimedia.preprocess import HOLE

Arguments = Mapping[str, str]
"""A template's parameters, "1", "2", ... and by name, without white space around them."""

Rule = Callable[[Arguments, Any], str]
"""(parameters, what is seen of the page) -> wikitext."""

Filter = Callable[..., str]

LONGEST_REPEATED = 1000
"""Characters of a template up to which a pattern may show a parameter twice: nested, it would grow without bound."""

BLANK = f" \n\t{HOLE}"
"""What a parameter may hold that counts as nothing."""

_COUNTED = [str(number) for number in range(1, 100)]
_TOKEN = re.compile(r"\{([^{}]*)\}|([<>{}])|[^{}<>]+")
_CHOICE = re.compile(r"([^?|:]+)\?([^|]*)(?:\|(.*))?")
_JOINED = re.compile(r"(\d+)\.\.\.(.*)", re.DOTALL)


class PatternError(ValueError):
    """A pattern that cannot be read: what is wrong, and the cure."""


def compile_pattern(written: str, filters: Mapping[str, Filter], functions: Mapping[str, Rule]) -> Rule:
    """Return what fills the pattern; a hole when it has parameters and none is given. Raises PatternError."""
    names: Counter[str] = Counter()
    opened: list[list[Any]] = [[]]
    for token in _TOKEN.finditer(written):
        if token[2] == "<":
            opened.append([])
        elif token[2] == ">" and len(opened) > 1:
            part = opened.pop()
            opened[-1].append(part)
        elif token[2]:
            raise PatternError(f"'{token[2]}' without its partner", "Write {1} for a parameter, < ({2})> for a part.")
        else:
            opened[-1].append(token[0] if token[1] is None else _field(token[1], filters, functions, names))
    if len(opened) > 1:
        raise PatternError("'<' without its partner", "Write < ({2})> for a part that may be missing.")
    parts = opened[0]
    may_grow = any(count > 1 for count in names.values())
    alone = parts[0] if len(parts) == 1 and names and callable(parts[0]) else None  # by far the most frequent pattern

    def rule(arguments: Arguments, seen: Any) -> str:
        if may_grow and sum(map(len, arguments.values())) > LONGEST_REPEATED:
            return HOLE
        if alone:
            text = num_filled = alone(arguments, seen)
        else:
            text, _, num_filled = _fill(parts, arguments, seen)
        if (names and not num_filled) or not text:
            return HOLE
        # a parameter in [[ ]] may be a link already
        return text.replace("[[[[", "[[").replace("]]]]", "]]") if "[[[[" in text else text

    rule.pattern = parts, bool(names), may_grow  # for the compiled parser, which fills patterns itself
    return rule


def _fill(parts: list[Any], arguments: Arguments, seen: Any) -> tuple[str, bool, int]:
    """Return the text, whether nothing was missing, and how many parameters were given."""
    pieces: list[str] = []
    complete, num_filled = True, 0
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, list):
            text, whole, filled = _fill(part, arguments, seen)
            if whole:
                pieces.append(text)
                num_filled += filled
        else:
            value = part(arguments, seen)
            if value:
                num_filled += 1
            else:
                complete = False
            pieces.append(value)
    return "".join(pieces), complete, num_filled


def _field(written: str, filters: Mapping[str, Filter], functions: Mapping[str, Rule], names: Counter[str]) -> Rule:
    """Compile what stands between braces."""
    if written.startswith(":"):
        name = written[1:]
        names[name] += 1
        return _known(name, functions, "function")
    if choice := _CHOICE.fullmatch(written):
        name, yes, no = choice[1], choice[2], choice[3] or ""
        return lambda arguments, seen: yes if given(arguments, name) else no
    if joined := _JOINED.fullmatch(written):
        first, separator = int(joined[1]), joined[2]
        names[joined[1]] += 1
        return lambda arguments, seen: separator.join(positional(arguments, first))
    ways = []
    for way in written.split("|"):
        params, _, name = way.partition(":")
        ways.append((params.split(), _known(name, filters, "filter or table") if name else None))
        if not ways[-1][0]:
            raise PatternError(f"{{{written}}} names no parameter", "Write {1} for the first.")
        names.update(ways[-1][0])

    def first_given(arguments: Arguments, seen: Any) -> str:
        for params, change in ways:
            if len(params) == 1:
                value = arguments.get(params[0])
                if not value or not value.strip(BLANK):
                    continue
                value = change(value) if change else value
            else:
                values = [given(arguments, param) for param in params]
                value = any(values) and (change(*values) if change else values[0])
            if value:
                return value
        return ""

    first_given.ways = ways
    return first_given


def _known(name: str, choices: Mapping[str, Any], kind: str) -> Any:
    if name not in choices:
        hint = did_you_mean(name, choices) or f"There are {', '.join(sorted(choices)) or 'none'}."
        raise PatternError(f"unknown {kind} '{name}'", hint)
    return choices[name]


def given(arguments: Arguments, name: str) -> str:
    """Return a parameter, "" when it is missing or holds nothing that is shown."""
    value = arguments.get(name, "")
    return value if value.strip(BLANK) else ""


def positional(arguments: Arguments, first: int = 1) -> list[str]:
    """Return the parameters without a name, from number `first` on, without those that are empty."""
    names = [name for name in arguments if name.isdecimal()]
    if names != _COUNTED[: len(names)]:
        names = [str(number) for number in sorted([int(name) for name in names if len(name) < 6])]
        names = [name for name in names if int(name) >= first]
    elif first > 1:
        names = names[first - 1 :]
    return [value for name in names if (value := given(arguments, name))]
