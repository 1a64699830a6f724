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
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from lingraft import engine, progress, runs
from lingraft.corpus.settings import BuildConfig
from lingraft.entities.sources import Sources
from lingraft.errors import LingraftError

STAGE = "corpus build"
PRELOAD = ("lingraft.corpus.worker",)
"""What the workers of a build are forked from."""

RankedStage = Literal["extract", "resolve"]
"""The stages that are done shard by shard, in any order."""

_DROPS = re.compile(
    r"wikitext_(?!tag_(nowiki|pre|poem)$)|links_(no_|red_link)|names_dropped_|redirects?_(unusable|broken|cycles|shadowed)"
    r"|other_namespace|empty_text|invalid_|malformed_|oversized_|deleted_|truncated|corrupt|title_conflicts|name_conflicts"
    r"|wikidata_(?!items$)|title_pairs_(?!pairs$|with)"
    r"|(page|redirect|page_props|langlinks|wb_items_per_site|interlanguage)_"
    r"(no_|bad_|other_|refused|invalid_|malformed_|truncated|corrupt)"
)
"""How the counters begin that count what did not make it."""


def build(
    config: BuildConfig,
    out: str | Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    until: Literal["begin", "titles", "end"] = "end",
    ahead: Callable[[RankedStage], None] = lambda stage: None,
) -> dict[str, Any]:
    """Build the corpus folder `out`; return its manifest. A finished folder is left as it is.

    With `until` "begin" it stops once its inputs are opened, with "titles" once the titles are indexed; the manifest of
    what is unfinished is empty. `ahead(stage)` is called before a stage that ranks may do elsewhere (`build_rank`);
    what they leave undone is done here.
    Raises LingraftError for input that cannot be read at all, for a folder of another request, and, when
    `config.strict`, for a damaged dump.
    """
    import lingraft.corpus.worker  # noqa: F401

    with runs.open(out, STAGE, config, overwrite=overwrite, versions=["pyarrow"]) as run:
        work = run.path / "work"
        if run.complete:
            shutil.rmtree(work, ignore_errors=True)
            return run.manifest
        builder = _Build(config, run, work, workers or engine.default_workers(), quiet)
        if until == "begin":
            return {}
        with run.timed("extract"):
            ahead("extract")
            builder.extract()
        with run.timed("titles"):
            builder.index_titles()
        if until == "titles":
            return {}
        with run.timed("resolve"):
            ahead("resolve")
            builder.resolve()
        manifest = builder.finish()
        shutil.rmtree(work, ignore_errors=True)
        return manifest


def build_rank(
    config: BuildConfig, out: Path, stage: RankedStage, rank: int, world_size: int, *, workers: int = 1
) -> None:
    """Do the shards rank, rank + world_size, ... of a stage, in a folder where `build` has begun and waits.

    It takes no lock, so that many ranks may work in the folder, and leaves markers and outputs as `build` does.
    Raises LingraftError when the folder holds another request.
    """
    run = runs.Run(out, STAGE, config, overwrite=False, versions=["pyarrow"])
    held = runs.read_json(out / "request.json") or {}
    if held.get("config_hash") != run.request["config_hash"]:
        raise LingraftError(f"{out} holds another run by now", cure="Give the command again that began this one.")
    builder = _Build(config, run, out / "work", workers, quiet=True)
    if stage == "extract":
        step, tasks = _extract_shard, builder.extract_tasks()
    else:
        builder.shards = sorted(int(marker.stem) for marker in (builder.work / "markers" / "extract").glob("*.json"))
        step, tasks = builder.resolution(), builder.resolve_tasks()
    markers = builder.work / "markers" / stage
    mine = islice(tasks, rank, None, world_size)
    engine.run(step, mine, markers, workers=workers, apart=True, preload=PRELOAD)


class _Build:
    """The stages of one build, in the order of their methods."""

    def __init__(self, config: BuildConfig, run: runs.Run, work: Path, workers: int, quiet: bool):
        from lingraft.wikimedia.export_xml import read_header
        from lingraft.wikimedia.siteinfo import site
        from lingraft.wikimedia.templates import Templates

        self.config, self.run, self.work, self.workers, self.quiet = config, run, work, workers, quiet
        self.headers = [read_header(dump) for dump in config.dump]
        self.site = site(config.lang, self.headers[0])
        self._open_sources()
        Templates(self.site, config.templates)  # wrong data is known now too
        self.tally: Counter[str] = Counter()
        self.templates: Counter[str] = Counter()
        self.link_names: set[str] = set()
        self.problems: list[str] = []
        self.keep: dict[int, int] = {}
        self.shards: list[int] = []

    def _open_sources(self) -> None:
        """Read the beginning of each source of alignment: a wrong file is known now, not after hours of parsing."""
        from lingraft.entities.sources import check

        check(self._sources(), self._own_wiki())

    def _own_wiki(self) -> str:
        """Return the database name of the wiki, as sitelinks have it."""
        from lingraft.wikimedia.wikis import database_name

        header = self.headers[0]
        return header.dbname if header.dbname and header.lang == self.site.lang else database_name(self.site.lang)

    def _sources(self) -> Sources:
        """Return what is to be read beside the dump."""
        config = self.config
        return Sources(
            wikidata=config.wikidata,
            sql=config.sql,
            titles=config.titles,
            languages=config.names,
            name_sources=config.name_sources,
            priority=config.priority,
            partial=config.limit is not None,
        )

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
                self.extract_tasks(lambda: limit is not None and articles >= limit),
                self.work / "markers" / "extract",
                workers=1 if limit is not None else self.workers,
                preload=PRELOAD,
                on_done=on_done,
            )
        for key, result in results.items():
            self.shards.append(int(key))
            self.tally.update(result["counters"])
            self.templates.update(result["templates"])
            self.link_names.update(result["link_names"])
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

    def extract_tasks(self, enough: Callable[[], bool] = lambda: False) -> Iterator[engine.Task]:
        """Yield the shards of all dumps in order, until there are enough."""
        from lingraft.corpus.extract import Extraction
        from lingraft.wikimedia.export_xml import shards

        markers = self.work / "markers" / "extract"
        first = 0
        for dump, header in zip(self.config.dump, self.headers, strict=True):
            interlanguage = tuple(self.config.names) if self.config.interlanguage else ()
            extraction = Extraction(
                self.work,
                self.config.lang,
                header,
                strict=self.config.strict,
                interlanguage=interlanguage,
                tables=self.config.tables,
                captions=self.config.captions,
                templates=tuple(self.config.templates),
            )
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
        import pyarrow.parquet as pq

        from lingraft.entities.alignment import gather
        from lingraft.entities.title_writer import write_index
        from lingraft.wikimedia.compressed import Problem

        tally: Counter[str] = Counter()
        problems: list[Problem] = []
        files = [*self.config.sql, *self.config.titles, *self.config.wikidata]
        seen = self._first_pass("titles")
        sources = replace(
            self._sources(),
            interlanguage=self._first_pass("interlanguage") if self.config.interlanguage else (),
            link_names=sorted(self.link_names),
        )
        with progress.bar("alignment", sum(path.stat().st_size for path in files), "B", quiet=self.quiet) as bar:
            alignment = gather(
                self.site,
                self._own_wiki(),
                sources,
                seen,
                tally,
                problems,
                strict=self.config.strict,
                on_file=lambda path: bar.advance(path.stat().st_size, path.name),
            )
        with self.run.write("titles.arrow") as path:
            write_index(path, [*seen, *alignment.redirects], alignment.aligned, tally, scratch=self.work)
        with self.run.write("names.parquet") as path:
            pq.write_table(alignment.names, path, compression="zstd")
        disambiguations = pa.table({"id": alignment.disambiguations})
        for name, table in (("link_names", alignment.link_names), ("disambiguations", disambiguations)):
            with runs.atomic(self.work / f"{name}.arrow") as path, pa.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table)
        self._write_conflicts(alignment)
        messages = [problem.message for problem in problems]
        runs.write_json(self.work / "titles.json", {"counters": dict(tally), "problems": messages})
        self.tally.update(tally)
        self._warn(messages)

    def _first_pass(self, name: str) -> list[Any]:
        """Return what the first pass wrote of all shards under `name`, memory-mapped."""
        import pyarrow as pa

        files = (self.work / f"{name}-{index:05d}.arrow" for index in self.shards)
        return [pa.ipc.open_file(pa.memory_map(str(file))).get_batch(0) for file in files]

    def _write_conflicts(self, alignment: Any) -> None:
        if not alignment.conflicts:
            return
        counts = [
            {"name": f"{what}: {kept} over {refused}", "value": count}
            for (what, kept, refused), count in sorted(alignment.conflict_counts.items())
        ]
        self.run.write_table("conflicts_by_source", counts, kind="counts", title="Sources that disagree")
        self.run.write_table("conflicts", alignment.conflicts, title="Claims that disagree, the first by title")

    def resolve(self) -> None:
        """Write the shards of the corpus."""
        with progress.bar(f"resolve {self.config.lang}", len(self.shards), "shards", quiet=self.quiet) as bar:
            results = engine.run(
                self.resolution(),
                self.resolve_tasks(),
                self.work / "markers" / "resolve",
                workers=self.workers,
                preload=PRELOAD,
                on_done=lambda key, counters: bar.advance(1),
            )
        for name in ("articles", "links"):
            self.tally.pop(name, None)  # counted again, over what was kept
        for counters in results.values():
            self.tally.update(counters)

    def resolution(self) -> Callable[[int], dict[str, Any]]:
        """Return the step that resolves a shard."""
        from lingraft.corpus.resolve import Resolution

        return Resolution(self.run.path, self.work, self.site.lang, tuple(self.config.names), self.keep)

    def resolve_tasks(self) -> list[engine.Task]:
        """Return one task for each shard that was extracted."""
        return [engine.Task(f"{index:05d}", index) for index in self.shards]

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
        templates = sorted(self.templates.items(), key=lambda item: (-item[1], item[0]))[:100]
        rows = [{"name": name, "value": value} for name, value in templates]
        self.run.write_table("templates", rows, kind="counts", title="Templates left out as unknown, the most frequent")
        statistics = describe(self.run.path, counters, self.site.lang, self.config.names)
        self.run.write_table("statistics", statistics.rows(), title=f"The corpus ({self.config.lang})")
        for lang, frequent in statistics.frequent_names.items():
            self.run.write_table(f"frequent_names_{lang}", frequent, title=f"Most frequent names ({lang})")
        header = self.headers[0]
        own = header.lang == self.site.lang  # some dumps carry the header of another wiki
        wiki = {"dbname": header.dbname, "base": header.base} if own else {}
        return self.run.finish(counters, problems=self.problems, statistics=statistics.as_json(), wiki=wiki)


def _extract_shard(given: tuple[Any, int, Any]) -> dict[str, Any]:
    extraction, index, shard = given
    return extraction((index, shard)) | {"bytes": shard.end - shard.start}
