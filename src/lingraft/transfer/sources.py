"""Where a language's text is and how it becomes lines, each with a key that is the same where the content is the same.

Parallel text has the key of what it translates (a verse, a sentence id, the hash of the pivot sentence); other text the
hash of itself. Splits go by key, so a sentence and its translations, and a text that two languages share, fall on one
side.

    Source(kind="bible", path="bible/Swahili-NT.xml.xz")
    Source(kind="parallel", path="swh.txt", pivot="eng.txt", name="seed")
    Source(kind="corpus", path="out/ha")
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from lingraft.config import Config, InputPath, InputPaths
from lingraft.corpus.pairs import PairReading, PairsConfig
from lingraft.corpus.texts import TextSource, documents, numbered_lines
from lingraft.errors import LingraftError
from lingraft.transfer.bible import verses
from lingraft.transfer.conllu import sentences
from lingraft.transfer.exmaralda import utterances
from lingraft.transfer.languages import facts

Kind = Literal["corpus", "ud", "bible", "parallel", "text", "jsonl", "parquet", "hub", "exb"]

PLACEHOLDER = "\ufffc"
"""Stands in a corpus where the page has a formula or the like: such a line is no whole sentence."""

NEAR = 0.5
"""Share of words that two spellings of one pivot sentence have in common, at least."""


class _Punctuation(dict):
    """A table for `str.translate` that takes away punctuation, white space and controls; vowel signs stay."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "PZC" else code
        return self[code]


_WITHOUT_PUNCTUATION = _Punctuation()


class Line(NamedTuple):
    """One line of text and its key."""

    key: str
    text: str


class Source(Config):
    """One source of text of a language."""

    kind: Kind
    """corpus: a lingraft corpus, its lines. ud: CoNLL-U. bible: CES XML. parallel: a line file beside a pivot file.
    text, jsonl, parquet: a document a line or row, cut into lines. hub: a Hugging Face data set. exb: EXMARaLDA."""

    path: InputPaths = []
    """Files or folders."""

    pivot: InputPath | None = None
    """Of parallel: the file whose lines `path` translates. Its sentence is the key. `path` may be the pivot itself."""

    reference: InputPath | None = None
    """Of parallel: another spelling of the pivot; a sentence that differs gets the key of its nearest one there."""

    dataset: str | None = None
    """Of hub: name of the data set."""

    subset: str | None = None
    """Of hub: its configuration."""

    split: str = "train"
    """Of hub: its split."""

    field: str = "text"
    """Of jsonl, parquet, hub: the field that holds the text."""

    tier: str = Field("v/t", pattern=r"^[^/]+/[^/]+$")
    """Of exb: category and type of the tiers that are read."""

    skip_malformed: bool = False
    """Leave out lines that are not UTF-8 or not JSON, and count them, instead of stopping."""

    name: str | None = None
    """How the source is called in keys and in the card; default: its kind, or the treebank's name."""

    licence: str | None = None
    """Licence of the text, for the card."""

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> Self:
        if (self.kind == "hub") != bool(self.dataset) or (self.kind != "hub") != bool(self.path):
            raise ValueError("hub needs dataset: NAME, every other kind needs path")
        if (self.kind == "parallel") != (self.pivot is not None):
            raise ValueError("kind parallel, and no other, needs pivot: the file whose lines are translated")
        return self

    @property
    def title(self) -> str:
        """How the source is called in the card."""
        if self.name or not self.path:
            return self.name or self.dataset or self.kind
        return f"{self.kind} {', '.join(path.name for path in self.path)}"


def read(source: Source, drops: Counter[str]) -> Iterator[Line]:
    """Yield the lines of a source, white space as it stands there; `drops` counts what is left out, by reason.

    Raises LingraftError for what cannot be read (file, place, cure), also for a path that is not there.
    """
    for path in source.path:
        if not path.exists():
            raise LingraftError(f"no source of text at {path}", cure="Check the path.")
    yield from _READERS[source.kind](source, drops)


def text_key(text: str) -> str:
    """Return the key of text that is parallel to nothing; case, white space and punctuation do not count."""
    return f"text/{_digest(text)}"


def _digest(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_WITHOUT_PUNCTUATION)
    return blake2b((plain or text).encode("utf-8", errors="replace"), digest_size=8).hexdigest()


def _of_corpus(source: Source, drops: Counter[str]) -> Iterator[Line]:
    """Yield the lines of articles, without headings and lines in which something stands for a formula."""
    from lingraft.corpus.read import open as open_corpus

    for path in source.path:
        for article in open_corpus(path).articles(["text", "sections"]):
            headings = {section.heading for section in article.sections}
            for line in filter(str.strip, article.text.split("\n")):
                if line in headings:
                    drops["heading"] += 1
                elif PLACEHOLDER in line:
                    drops["placeholder"] += 1
                else:
                    yield Line(text_key(line), line)


def _of_text(source: Source, drops: Counter[str]) -> Iterator[Line]:
    asked = TextSource(
        path=source.path,
        dataset=source.dataset,
        subset=source.subset,
        split=source.split,
        format="auto" if source.kind == "hub" else source.kind,
        documents="line",
        field=source.field,
        skip_malformed=source.skip_malformed,
    )
    for document in documents(asked, drops):
        for line in document.text.split("\n"):
            yield Line(text_key(line), line)


def _of_ud(source: Source, drops: Counter[str]) -> Iterator[Line]:
    """Yield the sentences of treebanks; see `treebank_key` for their keys."""
    for path in source.path:
        for file in conllu_files(path):
            treebank = file.name.partition("-ud-")[0].partition(".")[0]
            for sentence in sentences(file, drops):
                text = sentence.written()
                key = treebank_key(treebank, sentence.id, sentence.comments.get("parallel_id", ""))
                if key is None:
                    drops["bible_text_without_verses"] += 1
                else:
                    yield Line(key or f"ud/{treebank}/{_digest(text)}", text)


def treebank_key(treebank: str, sentence: str, parallel: str = "") -> str | None:
    """Return the key of a sentence id; "" where there is no id, None for Bible text that is not cut into verses.

    Ids are shared between languages where `# parallel_id` says so, and in treebanks that are made so (PUD): `test-s1`
    of two others is a coincidence. Parts of a sentence (parallel_id pud/n01/part2) share its key.
    """
    ud = facts()["ud"]
    if parallel:
        return f"ud-{'/'.join(parallel.split('/')[:2])}"
    if (pattern := ud["verses"].get(treebank)) and (verse := re.fullmatch(pattern, sentence)):
        return f"bible/b.{ud['books'].get(verse[1], verse[1])}.{verse[2]}.{verse[3]}"
    if (pattern := ud["bible"].get(treebank)) and re.match(pattern, sentence):
        return None
    if not sentence:
        return ""
    family = treebank.rpartition("_")[2]
    return f"ud-{family}/{sentence}" if family in ud["parallel"] else f"ud/{treebank}/{sentence}"


def conllu_files(path: Path) -> list[Path]:
    """Return the CoNLL-U files of a treebank's folder, or the file itself; LingraftError when there are none."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if ".conllu" in file.name)
    if not files:
        raise LingraftError(f"{path} holds no .conllu files", cure="Give the folder of a treebank.")
    return files


def _of_bible(source: Source, drops: Counter[str]) -> Iterator[Line]:
    for path in source.path:
        yield from (Line(f"bible/{verse}", text) for verse, text in verses(path))


def _of_exb(source: Source, drops: Counter[str]) -> Iterator[Line]:
    for path in source.path:
        files = sorted(path.rglob("*.exb*")) if path.is_dir() else [path]
        for file in files:
            yield from (Line(text_key(text), text) for text in utterances(file, *source.tier.split("/")))


def _of_parallel(source: Source, drops: Counter[str]) -> Iterator[Line]:
    """Yield the lines of a translation; the key is the pivot's sentence on the same line."""
    prefix = source.name or "parallel"
    for path in source.path:
        named = _spellings(source.pivot, source.reference, source, drops)
        for pivot, text in _side_by_side(source, path, drops):
            yield Line(f"{prefix}/{_digest(named.get(pivot, pivot))}", _without_csv_quotes(text, drops))


def _without_csv_quotes(text: str, drops: Counter[str]) -> str:
    """Return a line as it was before a table's writer doubled its quotes; NLLB-Seed has such lines."""
    if '""' not in text:
        return text
    drops["repaired_csv_quotes"] += 1
    if len(text) > 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    text = text.replace('""', '"')
    if text.count('"') % 2:  # one of the outer two got lost in translation
        text = text.removesuffix('"') if text.endswith('"') else text.removeprefix('"')
    return text


def _side_by_side(source: Source, path: Path, drops: Counter[str]) -> Iterator[tuple[str, str]]:
    if path == source.pivot:
        yield from ((line, line) for line in _plain_lines(path, source, drops))
        return
    asked = PairsConfig(source=source.pivot, target=path, langs=["pivot", "text"], skip_malformed=source.skip_malformed)
    reading = PairReading(asked)
    yield from ((pair.source, pair.target) for pair in reading.kept())
    drops.update({reason: number for reason, number in reading.tally.items() if number})


def _plain_lines(path: Path, source: Source, drops: Counter[str]) -> Iterator[str]:
    asked = TextSource(path=[path], skip_malformed=source.skip_malformed)
    return (line.strip() for _, line in numbered_lines(path, asked, drops) if line.strip())


def _spellings(pivot: Path, reference: Path | None, source: Source, drops: Counter[str]) -> dict[str, str]:
    """Return pivot sentence -> the reference's sentence, for those that are spelled otherwise there.

    Editions of one pivot differ in order and in typing errors; the sentences that only one of them has are paired by
    the words that they share. Each is used once; what has no partner stays what it is.
    """
    if reference is None or reference == pivot:
        return {}
    ours, theirs = ({_digest(line): line for line in _plain_lines(path, source, drops)} for path in (pivot, reference))
    left = {line: _words(line) for key, line in theirs.items() if key not in ours}
    found = {}
    for line in (line for key, line in ours.items() if key not in theirs):
        words = _words(line)
        shared = {other: len(words & its) / len(words | its) for other, its in left.items() if words or its}
        best = max(shared, key=lambda other: (shared[other], other), default=None)
        if best is not None and shared[best] >= NEAR:
            found[line] = best
            del left[best]
    return found


def commonest(files: Sequence[Path]) -> Path:
    """Return the file whose lines most of the others have too; the first of equals."""
    asked = Source(kind="text", path=list(files), skip_malformed=True)
    held = {file: {_digest(line) for line in _plain_lines(file, asked, Counter())} for file in files}
    num_files = Counter(digest for digests in held.values() for digest in digests)
    return max(files, key=lambda file: sum(num_files[digest] for digest in held[file]))


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


_READERS: dict[str, Callable[[Source, Counter[str]], Iterator[Line]]] = {
    "corpus": _of_corpus,
    "ud": _of_ud,
    "bible": _of_bible,
    "parallel": _of_parallel,
    "text": _of_text,
    "jsonl": _of_text,
    "parquet": _of_text,
    "hub": _of_text,
    "exb": _of_exb,
}
