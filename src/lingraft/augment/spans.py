"""From an anchor's characters to its tokens, without listing all offsets of an article in Python.

`Encoding.char_to_token` scans in Rust, which beats every search from Python up to some thousand tokens and goes
quadratic on a long article. Past SCAN_LIMIT tokens a galloping search from the previous mention takes over;
`Encoding.token_to_chars` answers it in constant time. Both give the same spans (tests/augment/test_spans.py).
"""

from functools import partial
from typing import Any

SCAN_LIMIT = 4096
"""Tokens up to which the scan in Rust is used."""


def token_span(encoding: Any, text: str, start: int, end: int, hint: int = 0) -> tuple[int, int] | None:
    """Return the tokens [first, last) that hold exactly `text[start:end]`, or None when a border lies inside a token.

    A first token that also covers white space before the anchor is fine: most vocabularies join a space to the word
    after it. White space at the anchor's own ends, and characters that the normalizer deletes, are left out.
    `hint` is a token at or before the anchor's first one. Offsets are code points.
    """
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    find = encoding.char_to_token if len(encoding) <= SCAN_LIMIT else partial(_search, encoding, hint)
    first = next((found for place in range(start, end) if (found := find(place)) is not None), None)
    if first is None:
        return None
    last = next(found for place in range(end - 1, start - 1, -1) if (found := find(place)) is not None)
    while last + 1 < len(encoding) and encoding.token_to_chars(last + 1)[0] < end:
        last += 1  # one character may be several tokens: bytes of an emoji
    before, after = encoding.token_to_chars(first)[0], encoding.token_to_chars(last)[1]
    if after > end or text[before:start].strip():
        return None
    return first, last + 1


def _search(encoding: Any, hint: int, place: int) -> int | None:
    """Return the first token from `hint` on that covers the character `place`, like `char_to_token`."""
    low, step, size = hint, 16, len(encoding)
    while low + step < size and encoding.token_to_chars(low + step)[1] <= place:
        low += step
        step *= 2
    high = min(low + step, size)
    while low < high:
        middle = (low + high) // 2
        if encoding.token_to_chars(middle)[1] > place:
            high = middle
        else:
            low = middle + 1
    return low if low < size and encoding.token_to_chars(low)[0] <= place else None
