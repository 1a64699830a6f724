"""A look into a corpus: random articles as text segments, with mentions, names and headings told apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.corpus.read import BUILD, Article, Corpus
from lingraft.errors import LingraftError


def stats(corpus: str | Path) -> dict[str, Any]:
    """Return the statistics, the most frequent names and the counters of a finished corpus."""
    manifest = _manifest(corpus)
    figures = dict(manifest["statistics"])
    frequent = figures.pop("most frequent names")
    return {
        "statistics": [{"figure": figure, "value": value} for figure, value in figures.items()],
        "frequent_names": frequent,
        "counters": [{"counter": name, "value": value} for name, value in manifest["counters"].items()],
        "problems": manifest["problems"],
    }


def preview(corpus: str | Path, number: int, *, seed: int = 0, limit: int | None = 1200) -> list[dict[str, Any]]:
    """Return `number` random articles as {title, segments}; a segment is {text, kind}, cut after `limit` characters.

    Kinds: text, mention (a link with an entity), name (in the first name language), tag (a link without an entity),
    heading.
    """
    names = _names(Path(corpus), _manifest(corpus)["config"]["names"])
    articles = Corpus(corpus)
    chosen = np.random.default_rng(seed).choice(len(articles), size=min(number, len(articles)), replace=False)
    return [
        {"title": _title(article), "segments": _segments(article, names, limit)}
        for article in articles.take(sorted(chosen.tolist()))
    ]


def _manifest(corpus: str | Path) -> dict[str, Any]:
    manifest = runs.read_manifest(corpus)
    if "statistics" not in manifest or not (Path(corpus) / "articles").is_dir():
        raise LingraftError(f"{corpus} holds a run of '{manifest['stage']}', not of '{BUILD}'", cure="Check the path.")
    return manifest


def _names(corpus: Path, languages: list[str]) -> dict[int, str]:
    if not languages:
        return {}
    filters = [("lang", "=", languages[0]), ("source", "!=", "alias")]
    table = pq.read_table(corpus / "names.parquet", columns=["entity", "name"], filters=filters)
    return dict(zip(table.column("entity").to_pylist(), table.column("name").to_pylist(), strict=True))


def _title(article: Article) -> str:
    known = "" if article.entity is None else f" (Q{article.entity})" if article.entity > 0 else " (title pair)"
    return f"{article.title}{known}, page {article.id}"


def _segments(article: Article, names: dict[int, str], limit: int | None) -> list[dict[str, str]]:
    text = article.text if limit is None else article.text[:limit]
    marks = [(link.start, link.end, link.entity) for link in article.links]
    headings = [
        (start, start + len(section.heading), "heading")
        for section in article.sections
        if section.level
        and (start := article.text.rfind(section.heading, 0, section.start)) >= 0
        and not any(start < end and begin < start + len(section.heading) for begin, end, _ in marks)
    ]
    segments = []
    position = 0
    for start, end, entity in sorted(marks + headings, key=lambda mark: mark[0]):
        if end > len(text):
            break
        segments.append({"text": text[position:start], "kind": "text"})
        kind = entity if entity == "heading" else "tag" if entity is None else "mention"
        segments.append({"text": text[start:end], "kind": kind})
        if kind == "mention" and entity in names:
            segments.append({"text": f" {names[entity]}", "kind": "name"})
        position = end
    segments.append({"text": text[position:] + ("…" if len(text) < len(article.text) else ""), "kind": "text"})
    return [segment for segment in segments if segment["text"]]
