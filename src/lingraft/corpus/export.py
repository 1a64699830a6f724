"""Write a corpus in the forms that other tools read.

    hf             Parquet and a dataset card; `datasets.load_dataset(DIR)` opens it
    jsonl          one article a line, all columns, gzip
    wikiextractor  text/AA/wiki_00 and so on, as WikiExtractor writes them: JSON lines, or <doc> elements
    datatrove      one Document a line, gzip, links in its metadata; `JsonlReader("DIR/documents")` reads it

Each has a README.md that says where the text is from and under which licence, and each article keeps its revision and
its address: CC BY-SA asks for both. One file a shard of the corpus, by as many processes as there are cores; a worker
holds one batch of articles.

    lingraft corpus export out/el --to hf --out out/el-hf
"""

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from lingraft import engine, progress, runs
from lingraft.config import Config, InputPath, Names
from lingraft.corpus.card import card
from lingraft.corpus.read import BATCH, Corpus
from lingraft.corpus.schema import LINK, ROW_GROUP
from lingraft.runs import atomic

STAGE = "corpus export"
FILES_A_FOLDER = 100
"""Files in one folder of WikiExtractor's layout."""

COMPRESSION = 5
"""Level of gzip; 6 takes twice as long for files that are 4% smaller, measured on Greek."""

Form = Literal["hf", "jsonl", "wikiextractor", "datatrove"]


class ExportConfig(Config):
    """What is written of which corpus, in which form."""

    corpus: InputPath
    """Folder of a finished corpus."""

    to: Form
    """hf, jsonl, wikiextractor or datatrove."""

    limit: int | None = Field(None, gt=0)
    """The first articles only."""

    with_names: Names = []
    """Languages: each article and each link gets its entity's name in them, as `name_en`."""

    doc: bool = False
    """wikiextractor: <doc> elements instead of JSON lines."""

    @model_validator(mode="after")
    def _the_form_has_a_place_for_it(self) -> Self:
        if self.with_names and self.to == "wikiextractor":
            raise ValueError("WikiExtractor's files hold no links, so names have no place in them: choose to: jsonl")
        if self.doc and self.to != "wikiextractor":
            raise ValueError(f"<doc> elements are a form of wikiextractor, not of {self.to}")
        return self


def export(
    config: ExportConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Write the export folder `out`; return its manifest. A finished folder is left as it is, a begun one is resumed.

    The bytes do not depend on `workers`. Raises LingraftError when the corpus is not finished, is damaged, or holds no
    names in a language of `with_names`.
    """
    corpus = Corpus(config.corpus)
    for lang in config.with_names:
        corpus.name_table(lang)  # a language without names is an error before anything is written
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["pyarrow"]) as run:
        if run.complete:
            return run.manifest
        kept = _kept(corpus.sizes, config.limit)
        tasks = [engine.Task(f"{index:05d}", (index, rows)) for index, rows in enumerate(kept) if rows]
        with run.timed("export"), progress.bar(f"export {config.to}", sum(kept), "articles", quiet=quiet) as bar:
            results = engine.run(
                Export(corpus.path, run.path, config),
                tasks,
                run.path / "markers",
                workers=workers or engine.default_workers(),
                on_done=lambda key, counters: bar.advance(counters["articles"]),
            )
        counters: Counter[str] = Counter()
        for result in results.values():
            counters.update(result)
        with run.write("README.md") as path:
            path.write_text(card(corpus, config.to, config.with_names, counters), encoding="utf-8")
        return run.finish(counters, licence=corpus.licence and corpus.licence.name, wiki=corpus.address)


def _kept(sizes: list[int], limit: int | None) -> list[int]:
    """Return how many articles are taken of each shard."""
    left = sum(sizes) if limit is None else limit
    kept = []
    for size in sizes:
        kept.append(min(size, left))
        left -= kept[-1]
    return kept


@dataclass(frozen=True)
class Export:
    """The step that writes one shard; it can be pickled."""

    corpus: Path
    out: Path
    config: ExportConfig

    def __call__(self, shard: tuple[int, int]) -> dict[str, int]:
        """Write the first articles of a shard, given as (index, articles); return counters."""
        index, rows = shard
        corpus = Corpus(self.corpus)
        tally: Counter[str] = Counter(articles=0, characters=0, links=0)
        with atomic(self.out / self._name(index)) as path:
            self._write(path, corpus, self._batches(corpus, index, rows, tally))
        return dict(tally)

    def _name(self, index: int) -> str:
        folder = "documents" if self.config.to == "datatrove" else "articles"
        if self.config.to == "wikiextractor":
            return _wiki_file(index)
        return f"{folder}/part-{index:05d}.{'parquet' if self.config.to == 'hf' else 'jsonl.gz'}"

    def _write(self, path: Path, corpus: Corpus, batches: Iterator[pa.RecordBatch]) -> None:
        if self.config.to == "hf":
            _write_parquet(path, batches)
            return
        write = partial(_LINES["doc" if self.config.doc else self.config.to], corpus)
        lines = (write(article) for batch in batches for article in batch.to_pylist())
        with path.open("wb") as file:
            if self.config.to == "wikiextractor":
                file.writelines(lines)
            else:
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0) as packed:
                    packed.writelines(lines)

    def _batches(self, corpus: Corpus, index: int, rows: int, tally: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Give the articles with `url` and names, batch by batch."""
        names = {lang: _Names(corpus, lang) for lang in self.config.with_names}
        for batch in corpus.batches(index, size=ROW_GROUP if self.config.to == "hf" else BATCH):
            batch = batch.slice(0, rows)
            rows -= len(batch)
            tally["articles"] += len(batch)
            tally["characters"] += pc.sum(pc.utf8_length(batch["text"])).as_py()
            tally["links"] += len(batch["links"].flatten())
            yield _with_names(_with_url(batch, corpus), names)
            if not rows:
                return


class _Names:
    """Names of one language, found by column."""

    def __init__(self, corpus: Corpus, lang: str):
        table = corpus.name_table(lang)
        self.entities = table["entity"].to_numpy()
        self.names = table["name"].combine_chunks()

    def find(self, entities: pa.Array) -> pa.Array:
        """Return the name of each entity, null where there is none."""
        wanted = entities.fill_null(0).to_numpy()
        rows = np.minimum(np.searchsorted(self.entities, wanted), len(self.entities) - 1)
        missing = (self.entities[rows] != wanted) | entities.is_null().to_numpy(zero_copy_only=False)
        return self.names.take(pa.array(rows, mask=missing))


def _with_url(batch: pa.RecordBatch, corpus: Corpus) -> pa.RecordBatch:
    urls = [corpus.url(revision) for revision in batch["revision"].to_pylist()]
    return batch.append_column("url", pa.array(urls, pa.string()))


def _with_names(batch: pa.RecordBatch, tables: dict[str, _Names]) -> pa.RecordBatch:
    """Add `name_{lang}` to the articles and to their links."""
    if not tables:
        return batch
    links = batch["links"]
    flat = links.flatten()
    found = {f"name_{lang}": table.find(flat.field("entity")) for lang, table in tables.items()}
    columns = [*(flat.field(field.name) for field in LINK), *found.values()]
    named = pa.StructArray.from_arrays(columns, fields=list(_link_type(tuple(tables))))
    offsets = pc.subtract(links.offsets, links.offsets[0])
    batch = batch.set_column(batch.schema.get_field_index("links"), "links", pa.ListArray.from_arrays(offsets, named))
    for lang, table in tables.items():
        batch = batch.append_column(f"name_{lang}", table.find(batch["entity"]))
    return batch


def _link_type(languages: tuple[str, ...]) -> pa.StructType:
    return pa.struct([*LINK, *(pa.field(f"name_{lang}", pa.string()) for lang in languages)])


def _write_parquet(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as file:
        file.write_batch(first)
        for batch in batches:
            file.write_batch(batch)


def _all_columns(corpus: Corpus, article: dict[str, Any]) -> bytes:
    return orjson.dumps(article) + b"\n"


def _document(corpus: Corpus, article: dict[str, Any]) -> bytes:
    """Return a line that datatrove's JsonlReader makes a Document of; ids tell wikis apart."""
    text, page = article.pop("text"), article.pop("id")
    return orjson.dumps({"text": text, "id": f"{corpus.wiki}/{page}", "metadata": article}) + b"\n"


def _wikiextractor(corpus: Corpus, article: dict[str, Any]) -> bytes:
    row = {"id": str(article["id"]), "revid": str(article["revision"])}
    return orjson.dumps(row | {name: article[name] for name in ("url", "title", "text")}) + b"\n"


def _doc(corpus: Corpus, article: dict[str, Any]) -> bytes:
    url, title = escape(article["url"] or ""), escape(article["title"])
    text = escape(f"{article['title']}\n\n{article['text']}", quote=False)
    head = f'<doc id="{article["id"]}" revid="{article["revision"]}" url="{url}" title="{title}">'
    return f"{head}\n{text}\n</doc>\n".encode()


_LINES: dict[str, Callable[[Corpus, dict[str, Any]], bytes]] = {
    "jsonl": _all_columns,
    "datatrove": _document,
    "wikiextractor": _wikiextractor,
    "doc": _doc,
}


def _wiki_file(index: int) -> str:
    """Return the file of a shard as WikiExtractor numbers them: text/AA/wiki_00 ... AA/wiki_99, AB/wiki_00."""
    folder, file = divmod(index, FILES_A_FOLDER)
    return f"text/{chr(ord('A') + folder // 26 % 26)}{chr(ord('A') + folder % 26)}/wiki_{file:02d}"
