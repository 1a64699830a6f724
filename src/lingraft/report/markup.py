"""HTML in which everything is text until somebody says otherwise.

Article titles, names and settings come from strangers. `tag` escapes each child and each attribute that is not `Html`
already, so forgetting to escape is not a mistake that one can make; a template language would be a dependency for
the same promise.

    tag("p", "1 < 2", tag("b", title), class_="note")
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = {"meta", "br"}
_NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


Child = str | int | None
"""What stands inside an element: Html as it is, anything else as text, None as nothing."""


def text(value: Any) -> Html:
    """Escape `value`; characters that HTML cannot hold (controls, lone surrogates) become U+FFFD."""
    if value is None:
        return Html()
    return value if isinstance(value, Html) else Html(escape(_NOT_IN_HTML.sub("\ufffd", str(value))))


def join(parts: Iterable[Child], between: str = "") -> Html:
    """Put `parts` one after the other, escaped like the children of an element."""
    return Html(text(between).join(text(part) for part in parts))


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """Build one element. `class_` is class, `aria_label` is aria-label; False and None leave an attribute out."""
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{shown}>" if name in _VOID else f"<{name}{shown}>{join(children)}</{name}>")


def _attribute(key: str, value: Any) -> str:
    if value is False:
        return ""
    key = key.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{text(value)}"'
