"""Utterances of EXMARaLDA transcriptions (.exb): the events of the tiers that transcribe speech.

Source: https://exmaralda.org/en/; a basic transcription has a common timeline, and tiers with events between two of its
points. An utterance ends with a speaker's `.`, `?`, `!` or `…`, or where the next event does not begin where it stops.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, fromstring

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Chunks

_ENDS = (".", "?", "!", "…", "。", "؟", "।")


def utterances(path: Path, category: str = "v", kind: str = "t") -> Iterator[str]:
    """Yield the utterances of the tiers of a category and type (default: transcribed verbal behaviour), in time.

    Raises LingraftError for broken XML, and for a file without such a tier (those that it has are named).
    """
    root = _parsed(path)
    order = {point.get("id"): place for place, point in enumerate(root.iter("tli"))}
    tiers = [tier for tier in root.iter("tier") if (tier.get("category"), tier.get("type")) == (category, kind)]
    if not tiers:
        held = sorted({f"{tier.get('category')}/{tier.get('type')}" for tier in root.iter("tier")})
        raise LingraftError(
            f"{path} has no tier {category}/{kind}",
            f"Its tiers (category/type): {', '.join(held) or 'none'}.",
            "Say which holds the text: tier: CATEGORY/TYPE.",
        )
    found = [utterance for tier in tiers for utterance in _of_tier(tier, order)]
    yield from (text for _, text in sorted(found, key=lambda pair: pair[0]))


def _of_tier(tier: Element, order: dict[str | None, int]) -> Iterator[tuple[int, str]]:
    """Yield (place in time, text) of a tier's utterances."""
    held: list[str] = []
    began = 0
    stopped = None
    events = sorted(tier.iter("event"), key=lambda event: order.get(event.get("start"), 0))
    for event in events:
        if held and (event.get("start") != stopped or held[-1].rstrip().endswith(_ENDS)):
            yield began, "".join(held)
            held = []
        began = began if held else order.get(event.get("start"), 0)
        held.append("".join(event.itertext()))
        stopped = event.get("end")
    if held:
        yield began, "".join(held)


def _parsed(path: Path) -> Element:
    chunks = list(Chunks(path))
    fault = next((chunk for chunk in chunks if not isinstance(chunk, bytes)), None)
    if fault is not None:
        raise LingraftError(f"{path} is damaged ({fault.kind}) at byte {fault.byte:,}", cure="Fetch the file again.")
    try:
        return fromstring(b"".join(chunks))
    except ParseError as error:
        line, column = error.position
        raise LingraftError(
            f"{path}, line {line:,}, column {column + 1:,}: not well-formed XML ({error.msg.partition(':')[0]})",
            cure="Open it in the EXMARaLDA Partitur-Editor and save it again.",
        ) from None
