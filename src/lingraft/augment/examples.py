"""What the model will read: some articles with their names in place, as text segments of several kinds."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lingraft.augment.operators import KINDS, NAME, TAG, Insertion, TagIds, draw, graft
from lingraft.augment.store import EncodedCorpus
from lingraft.augment.tokenizer import CLOSE_TAG, OPEN_TAG

Segment = dict[str, str]


def preview(
    encoded: str | Path,
    number: int,
    insertion: Insertion | None = None,
    *,
    seed: int = 0,
    epoch: int = 0,
    max_characters: int = 600,
) -> list[dict[str, Any]]:
    """Return `number` articles as rows {title, segments} for a report table of kind "examples".

    A segment is {text, kind}, kind one of text, mention, name, tag. Articles whose shown part has a name come first.
    """
    from tokenizers import Tokenizer

    corpus = EncodedCorpus(encoded)
    tokenizer = Tokenizer.from_file(str(corpus.path / "tokenizer" / "tokenizer.json"))
    insertion = insertion or Insertion()
    rows: list[dict[str, Any]] = []
    spare: list[dict[str, Any]] = []
    for article, ids, kinds in _articles(corpus, insertion, seed, epoch, max_characters):
        if len(rows) == number:
            break
        segments = _segments(tokenizer, ids, kinds, max_characters)
        named = any(segment["kind"] == "name" for segment in segments)
        if named or len(spare) < number:
            (rows if named else spare).append({"title": f"article {article}", "segments": segments})
    return (rows + spare)[:number]


def _articles(
    corpus: EncodedCorpus, insertion: Insertion, seed: int, epoch: int, max_tokens: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Give (article id, ids, kinds) of each article, in the order of the corpus; a tag's id is that of its text."""
    for index in range(len(corpus)):
        shard = corpus.shard(index)
        for row in range(len(shard.article)):
            rows = np.array([row])
            drawn = draw(shard, rows, insertion, seed, epoch)
            ids, kinds = graft(shard, rows, drawn, insertion, eos_id=-1, tags=TagIds(0, 1))
            yield int(shard.article[row]), ids[:-1][:max_tokens], kinds[:-1][:max_tokens]


def _segments(tokenizer: Any, ids: np.ndarray, kinds: np.ndarray, max_characters: int) -> list[Segment]:
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(ids)]
    segments: list[Segment] = []
    written: list[int] = []
    shown = 0
    for begin, end in pairwise(cuts):
        kind, piece = int(kinds[begin]), ids[begin:end].tolist()
        if kind == TAG:
            texts = [OPEN_TAG if token == 0 else CLOSE_TAG for token in piece]
        elif kind == NAME:
            texts = [" " + tokenizer.decode(piece, skip_special_tokens=False).strip() + " "]
        else:  # decoded behind what stands before it, so that its leading space is not lost
            before = len(tokenizer.decode(written, skip_special_tokens=False))
            written += piece
            texts = [tokenizer.decode(written, skip_special_tokens=False)[before:]]
        for text in texts:
            segments.append({"text": text[: max_characters - shown], "kind": KINDS[kind]})
            shown += len(text)
        if shown >= max_characters:
            segments[-1]["text"] += " …"
            break
    return [segment for segment in segments if segment["text"]]
