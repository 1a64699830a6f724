"""Verses of the parallel Bible corpus: CES XML, one `<seg id="b.MAT.1.1">` a verse.

Source: Christodoulopoulos and Steedman 2015, https://github.com/christos-c/bible-corpus. The id of a verse is the same
in all languages, and so is its split. Numbering follows each translation: a verse may be missing, or joined to the one
before.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import Chunks


def verses(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of the verses of a file (also .gz, .bz2, .xz), white space as it stands there.

    Raises LingraftError for a file that is cut off, is not well-formed XML (line and column), or holds no verse.
    """
    found = False
    for element in _closed(path):
        if element.tag == "seg" and element.get("id"):
            found = True
            yield element.get("id"), "".join(element.itertext())
        if element.tag in ("seg", "div"):
            element.clear()
    if not found:
        raise LingraftError(
            f"{path} holds no verses",
            'Verses are <seg id="b.MAT.1.1" type="verse"> of the Corpus Encoding Standard.',
            "Give a file of the parallel Bible corpus, or read it as kind: text.",
        )


def language_of(path: Path) -> tuple[str, str]:
    """Return name and code of the language as the header says them; the code may be wrong (languages.toml, [bible])."""
    for element in _closed(path):
        if element.tag == "language":
            return "".join(element.itertext()).strip(), (element.get("iso639") or element.get("id") or "").strip()
        if element.tag == "cesHeader":
            break
    return "", ""


def _closed(path: Path) -> Iterator[Element]:
    """Yield the elements as they close; what is damaged stops the reading with its place."""
    parser = XMLPullParser(["end"])
    try:
        for chunk in Chunks(path):
            if not isinstance(chunk, bytes):
                raise LingraftError(
                    f"{path} is damaged ({chunk.kind}) at byte {chunk.byte:,}", chunk.why, "Fetch the file again."
                )
            parser.feed(chunk)
            yield from (element for _, element in parser.read_events())
        parser.close()
        yield from (element for _, element in parser.read_events())
    except ParseError as error:
        line, column = error.position
        raise LingraftError(
            f"{path}, line {line:,}, column {column + 1:,}: not well-formed XML ({error.msg.partition(':')[0]})",
            cure="Fetch the file again, or mend it: xmllint shows all that is wrong.",
        ) from None
