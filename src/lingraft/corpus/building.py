"""Build a corpus: a wiki's dump and sources of alignment in, articles with resolved links and entity names out.

One pass over the dump writes parsed articles and titles a shard (extract); the titles of all shards become one index;
links are then resolved shard by shard over what was written (resolve). Both passes run on all cores, each shard leaves
a marker, and an interrupted build goes on where it stopped. Speed beside other extractors: benchmarks/extraction.py.

    lingraft corpus build --dump elwiki-latest-pages-articles-multistream.xml.bz2 --lang el --names en \\
        --wikidata latest-all.json.gz --out out/el
"""

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from lingraft import engine, progress, runs
from lingraft.config import Config, InputPaths, Names, Size
from lingraft.errors import LingraftError

STAGE = "corpus build"

_DROPS = re.compile(
    r"wikitext_(?!tag_(nowiki|pre|poem)$)|links_(no_|red_link)|names_dropped_|redirects?_(unusable|broken|cycles|shadowed)"
    r"|other_namespace|empty_text|invalid_|malformed_|oversized_|deleted_|truncated|corrupt|title_conflicts|name_conflicts"
    r"|wikidata_(?!items$)|title_pairs_(?!pairs$|with)"
)
"""How the counters begin that count what did not make it."""


class BuildConfig(Config):
    """What goes into a corpus."""

    dump: InputPaths = Field(min_length=1)
    """MediaWiki export XML of one wiki (.xml, .bz2, .gz, .xz), whole or in parts. Multistream .bz2 uses all cores."""

    lang: str
    """Language code of the wiki, as in jawiki -> ja. It wins over the dump's header."""

    names: Names = ["en"]
    """Languages in which entities get names. Title pairs give names in the first."""

    wikidata: InputPaths = []
    """Wikidata entity JSON dumps (.json, .gz, .bz2); .json.gz reads ten times faster than .bz2."""

    titles: InputPaths = []
    """Tab-separated pairs: title in this wiki, title in the first name language."""

    limit: int | None = Field(None, gt=0)
    """Keep the first articles only; the dump is then read on one core."""

    strict: bool = False
    """Stop at a cut-off or damaged dump instead of keeping what can be read."""

    shard_size: Size = 4 << 20
    """Bytes of the dump in a shard."""

    @field_validator("names")
    @classmethod
    def _names_are_languages(cls, names: list[str]) -> list[str]:
        from lingraft.wikimedia.siteinfo import site

        for lang in names:
            site(lang)
        return names

    @model_validator(mode="after")
    def _title_pairs_need_a_language(self) -> Self:
        if self.titles and not self.names:
            raise ValueError("title pairs give names in the first name language, and names is empty: say names: [en]")
        return self


def build(
    config: BuildConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Build the corpus folder `out`; return its manifest. A finished folder is left as it is.

    Raises LingraftError for input that cannot be read at all, for a folder of another request, and, when
    `config.strict`, for a damaged dump.
    """
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["pyarrow"]) as run:
        work = run.path / "work"
        if run.complete:
            shutil.rmtree(work, ignore_errors=True)
            return run.manifest
        builder = _Build(config, run, work, workers or engine.default_workers(), quiet)
        with run.timed("extract"):
            builder.extract()
        with run.timed("titles"):
            builder.index_titles()
        with run.timed("resolve"):
            builder.resolve()
        manifest = builder.finish()
        shutil.rmtree(work, ignore_errors=True)
        return manifest


class _Build:
    """The stages of one build, in the order of their methods."""

    def __init__(self, config: BuildConfig, run: runs.Run, work: Path, workers: int, quiet: bool):
        from lingraft.wikimedia.export_xml import read_header
        from lingraft.wikimedia.siteinfo import site

        self.config, self.run, self.work, self.workers, self.quiet = config, run, work, workers, quiet
        self.headers = [read_header(dump) for dump in config.dump]
        self.site = site(config.lang, self.headers[0])
        self._open_sources()
        self.tally: Counter[str] = Counter()
        self.problems: list[str] = []
        self.keep: dict[int, int] = {}
        self.shards: list[int] = []

    def _open_sources(self) -> None:
        """Read the first line of each source of alignment: a wrong file is known now, not after hours of parsing."""
        from lingraft.wikimedia.title_pairs import pairs
        from lingraft.wikimedia.wikidata import sitelinks

        for path in self.config.wikidata:
            next(sitelinks(path, (), Counter()), None)
        for path in self.config.titles:
            next(pairs(path, Counter()), None)

    def extract(self) -> None:
        """Parse every shard of the dump."""
        limit = self.config.limit
        articles = 0
        total = sum(dump.stat().st_size for dump in self.config.dump)

        def on_done(key: str, result: dict[str, Any]) -> None:
            nonlocal articles
            index, found = int(key), result["counters"].get("articles", 0)
            if limit is not None and articles + found > limit:
                self.keep[index] = limit - articles
            articles += found
            bar.advance(result["bytes"], f"{articles:,} articles")

        with progress.bar(f"extract {self.config.lang}", total, "B", quiet=self.quiet) as bar:
            results = engine.run(
                _extract_shard,
                self._tasks(lambda: limit is not None and articles >= limit),
                self.work / "markers" / "extract",
                workers=1 if limit is not None else self.workers,
                on_done=on_done,
            )
        for key, result in results.items():
            self.shards.append(int(key))
            self.tally.update(result["counters"])
            self._warn(result["problems"])
        if self.tally["truncated"]:
            print(self._kept(), file=sys.stderr)

    def _kept(self) -> str:
        pages = self.tally["pages"] + self.tally["other_namespace"]
        return (
            f"{pages:,} complete pages were read and kept. The download probably broke off: fetch it again,\n"
            "or accept what is there (this is the default; --strict would have stopped here)."
        )

    def _warn(self, problems: list[str]) -> None:
        for problem in problems:
            self.problems.append(problem)
            self.run.log("problem", message=problem)
            print(f"warning: {problem}", file=sys.stderr)

    def _tasks(self, enough: Any) -> Iterator[engine.Task]:
        from lingraft.corpus.extract import Extraction
        from lingraft.wikimedia.export_xml import shards

        markers = self.work / "markers" / "extract"
        first = 0
        for dump, header in zip(self.config.dump, self.headers, strict=True):
            extraction = Extraction(self.work, self.config.lang, header, self.config.strict)
            count = 0

            def is_done(index: int, first: int = first) -> bool:
                return engine.is_done(markers, f"{first + index:05d}")

            for shard in shards(dump, self.config.shard_size, skip=is_done):
                if enough():
                    return
                yield engine.Task(f"{first + shard.index:05d}", (extraction, first + shard.index, shard))
                count += 1
            first += count

    def index_titles(self) -> None:
        """Write titles.arrow and names.parquet."""
        done = runs.read_json(self.work / "titles.json")
        if done is not None:
            self.tally.update(done["counters"])
            self._warn(done["problems"])
            return
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        from lingraft.entities.alignment import gather, wiki_id
        from lingraft.entities.titles import write_index
        from lingraft.wikimedia.compressed import Problem

        tally: Counter[str] = Counter()
        problems: list[Problem] = []
        sources = [*self.config.wikidata, *self.config.titles]
        header = self.headers[0]
        own_wiki = header.dbname if header.dbname and header.lang == self.site.lang else wiki_id(self.site.lang)
        with progress.bar("alignment", sum(path.stat().st_size for path in sources), "B", quiet=self.quiet) as bar:
            alignment = gather(
                self.site,
                own_wiki,
                self.config.names,
                self.config.wikidata,
                self.config.titles,
                tally,
                problems,
                strict=self.config.strict,
                on_file=lambda path: bar.advance(path.stat().st_size, path.name),
            )
        seen = pa.concat_tables(
            pa.ipc.open_file(pa.memory_map(str(self.work / f"titles-{index:05d}.arrow"))).read_all()
            for index in self.shards
        )
        is_redirect = pc.is_valid(seen.column("redirect"))
        with self.run.write("titles.arrow") as path:
            write_index(
                path,
                seen.filter(pc.invert(is_redirect)).select(["title"]),
                seen.filter(is_redirect).rename_columns(["title", "target"]),
                alignment.aligned,
                tally,
            )
        with self.run.write("names.parquet") as path:
            pq.write_table(alignment.names, path, compression="zstd")
        messages = [problem.message for problem in problems]
        runs.write_json(self.work / "titles.json", {"counters": dict(tally), "problems": messages})
        self.tally.update(tally)
        self._warn(messages)

    def resolve(self) -> None:
        """Write the shards of the corpus."""
        from lingraft.corpus.resolve import Resolution

        resolution = Resolution(self.run.path, self.work, self.site.lang, tuple(self.config.names), self.keep)
        with progress.bar(f"resolve {self.config.lang}", len(self.shards), "shards", quiet=self.quiet) as bar:
            results = engine.run(
                resolution,
                [engine.Task(f"{index:05d}", index) for index in self.shards],
                self.work / "markers" / "resolve",
                workers=self.workers,
                on_done=lambda key, counters: bar.advance(1),
            )
        for name in ("articles", "links"):
            self.tally.pop(name, None)  # counted again, over what was kept
        for counters in results.values():
            self.tally.update(counters)

    def finish(self) -> dict[str, Any]:
        """Write the tables and the manifest."""
        from lingraft.corpus.statistics import describe

        if not self.tally["articles"]:
            pages, others = self.tally["pages"], self.tally["other_namespace"]
            raise LingraftError(
                f"no articles in {', '.join(dump.name for dump in self.config.dump)}",
                f"{pages} pages of the main namespace and {others} of others were read.",
                "Check that the file is a pages-articles dump of a wiki.",
            )
        counters = dict(sorted(self.tally.items()))
        rows = [{"name": name, "value": value} for name, value in counters.items()]
        dropped = [row for row in rows if _DROPS.match(row["name"]) and row["value"]]
        self.run.write_table("drops", dropped, kind="counts", title="Left out or unresolved, by reason")
        self.run.write_table("counters", [row for row in rows if row not in dropped], title="Counters")
        statistics = describe(self.run.path, counters, self.site.lang, self.config.names)
        self.run.write_table("statistics", statistics.rows(), title=f"The corpus ({self.config.lang})")
        for lang, frequent in statistics.frequent_names.items():
            self.run.write_table(f"frequent_names_{lang}", frequent, title=f"Most frequent names ({lang})")
        return self.run.finish(counters, problems=self.problems, statistics=statistics.as_json())


def _extract_shard(given: tuple[Any, int, Any]) -> dict[str, Any]:
    extraction, index, shard = given
    return extraction((index, shard)) | {"bytes": shard.end - shard.start}
