"""A dump as the beginning of a datatrove pipeline: Documents with their links, to be filtered and deduplicated there.

datatrove gives each task whole files; this reader gives each its byte ranges of one file, so one dump keeps all tasks
busy. A Document costs datatrove about 60 microseconds, and its filters cost far more than our reading does.
To build a corpus with resolved links use `lingraft corpus build`, on a cluster too (docs/scaling.md).

    LocalPipelineExecutor(
        [WikipediaReader("elwiki-latest-pages-articles-multistream.xml.bz2", "el"), GopherRepetitionFilter(), ...],
        tasks=8,
    )
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lingraft.errors import missing_package
from lingraft.wikimedia import wikis
from lingraft.wikimedia.compressed import Problem, is_splittable
from lingraft.wikimedia.export_xml import SHARD_SIZE, Shard, read_header, read_shard, shards
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.wikitext import Parser, Tables

try:
    from datatrove.data import Document
    from datatrove.pipeline.readers.base import BaseReader
    from datatrove.utils.logging import logger
    from datatrove.utils.word_tokenizers import WordTokenizer
except ImportError:
    raise missing_package("datatrove", "scale", "lingraft.wikimedia.datatrove") from None

_WORD = re.compile(r"\w+|[^\w\s]+")
_BLOCK = re.compile(r"[^\n]+")


class WikipediaReader(BaseReader):
    """Reads the articles of a dump: pages of the main namespace that are no redirects and have text.

    A Document's id is "elwiki/123", the wiki and the page. Its metadata: `title`, `revision`, `url` (of the revision,
    whose history names the authors), `lang`, `links` (start, end, target; `name` where the wikitext gave one in another
    language), `sections` (start, end, level, heading) and `flags`. Offsets are code points of the text as it was read:
    a step that changes the text makes them void. Targets are as written, redirects not followed.

    Counters and damage of the dump go to the step's stats and to the log. Raises LingraftError for a file that is no
    dump, for a language without a wiki, and, with `strict`, at damage.
    """

    name = "🌐 Wikipedia dump"

    def __init__(
        self,
        dumps: str | Path | Sequence[str | Path],
        lang: str,
        *,
        tables: Tables = "drop",
        captions: bool = False,
        strict: bool = False,
        shard_size: int = SHARD_SIZE,
        limit: int = -1,
        skip: int = 0,
        adapter: Callable[..., dict[str, Any]] | None = None,
        default_metadata: dict[str, Any] | None = None,
    ):
        """Read `dumps`, a file or its parts in order, of the wiki of `lang`; a task gets shards of `shard_size` bytes.

        `limit`, `skip`, `adapter` and `default_metadata` are those of datatrove's readers: per task.
        """
        super().__init__(limit, skip, adapter, default_metadata=default_metadata)
        self.dumps = [Path(dumps)] if isinstance(dumps, str | Path) else [Path(dump) for dump in dumps]
        for dump in self.dumps:
            read_header(dump)  # a wrong file is known now, not when the tasks have begun
        self.lang = site(lang).lang
        self.tables, self.captions, self.strict, self.shard_size = tables, captions, strict, shard_size

    def run(self, data: Iterator[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Yield the Documents of the shards rank, rank + world_size, ..., after those of `data`."""
        if data:
            yield from data
        self._log_limit_scope(rank, world_size)
        tally: Counter[str] = Counter()
        problems: list[Problem] = []
        try:
            number = 0
            for document in self._documents(rank, world_size, tally, problems):
                number += 1
                if number <= self.skip:
                    continue
                if self.limit != -1 and number > self.skip + self.limit:
                    return
                self.update_doc_stats(document)
                self.stat_update("documents")
                yield document
        finally:
            for reason, count in tally.items():
                self.stat_update(reason, value=count)
            for problem in problems:
                logger.warning(problem.message)

    def _documents(
        self, rank: int, world_size: int, tally: Counter[str], problems: list[Problem]
    ) -> Iterator[Document]:
        readers: dict[Path, _Articles] = {}
        for shard in self._shards(rank, world_size):
            if shard.dump not in readers:
                readers[shard.dump] = _Articles(self, shard.dump)
            self.stat_update("shards")
            for data in readers[shard.dump].read(shard, tally, problems):
                document = self.get_document_from_dict(data, str(shard.dump), data["id"])
                if document is not None:  # an adapter may leave no text
                    yield document

    def _shards(self, rank: int, world_size: int) -> Iterator[Shard]:
        first = 0
        for dump in self.dumps:
            if world_size > 1 and not is_splittable(dump):
                logger.warning(f"{dump} cannot be cut: every task unpacks all of it, and parses its own part")

            def is_of_others(index: int, first: int = first) -> bool:
                return (first + index) % world_size != rank

            for shard in shards(dump, self.shard_size, skip=is_of_others):
                if not is_of_others(shard.index):
                    yield shard
            first += shard.index + 1


class Words(WordTokenizer):
    """Words and punctuation marks, for datatrove's filters where spaCy is not installed, which its own tokenizers need.

    For scripts that set spaces between words. Pass it as `language` to GopherQualityFilter and its like.
    """

    def word_tokenize(self, text: str) -> list[str]:
        """Return words, and runs of other marks, in order."""
        return _WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        """Return the blocks of the text."""
        return [text[start:end] for start, end in self.span_tokenize(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of the blocks."""
        return [found.span() for found in _BLOCK.finditer(text)]


class _Articles:
    """Reads the articles in shards of one dump."""

    def __init__(self, reader: WikipediaReader, dump: Path):
        self.header = read_header(dump)
        self.strict = reader.strict
        self.site = site(reader.lang, self.header)
        self.parser = Parser(self.site, tables=reader.tables, captions=reader.captions)
        own = self.header.dbname if self.header.lang == self.site.lang else None
        self.wiki = own or wikis.database_name(self.site.lang)
        self.address = wikis.address(self.wiki)

    def read(self, shard: Shard, tally: Counter[str], problems: list[Problem]) -> Iterator[dict[str, Any]]:
        """Yield the articles of a shard; count what is passed over."""
        pages = read_shard(
            shard,
            tally,
            problems,
            header=self.header,
            namespaces=(0,),
            redirect_words=self.site.redirect_words,
            strict=self.strict,
        )
        for page in pages:
            if page.redirect is not None:
                tally["redirect_pages"] += 1
                continue
            parsed = self.parser.parse(page.text, page.title)
            if not parsed.text:
                tally["empty_text"] += 1
                continue
            yield {
                "id": f"{self.wiki}/{page.id}",
                "text": parsed.text,
                "title": page.title,
                "revision": page.revision,
                "url": f"{self.address}/w/index.php?oldid={page.revision}",
                "lang": self.site.lang,
                "links": [
                    {"start": start, "end": end, "target": target, "name": parsed.names.get(index)}
                    for index, (start, end, target) in enumerate(parsed.links)
                ],
                "sections": [
                    {"start": start, "end": end, "level": level, "heading": heading}
                    for start, end, level, heading in parsed.sections
                ],
                "flags": list(parsed.flags),
            }
