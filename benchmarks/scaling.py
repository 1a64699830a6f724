"""On paper: what the English Wikipedia, and all Wikipedias, take on a cluster. Rates are measured, sizes are given.

    python benchmarks/scaling.py [--cores 64] [--parse 10.2 ...]     the tables, from the rates below
    python benchmarks/scaling.py --measure 150                       measures the rates here first, on a dump of 150 MB

Extraction and resolving are shared out, one process a core; one process a wiki indexes the titles, and one counts at
the end. Wikis come one after another, and nothing is added for the queue or for a slow disk. Memory is that of all
processes together, without the index, which they share. Sizes of wikis are rounded; what a day's dumps have stands at
dumps.wikimedia.org. Measure on 150 MB or more: below, what a process costs to start shows in the rates.
"""

import argparse
import ctypes
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from extraction import PAGES, PR_SET_CHILD_SUBREAPER, Usage, make, measure


@dataclass(frozen=True)
class Rates:
    """What one process does, and what it leaves. The defaults are of the last --measure (docs/scaling.md)."""

    parse: float = 16.5
    """MB of XML a second: unpacking, parsing, writing."""

    resolve: float = 56.3
    """MB of XML a second, of what was parsed."""

    end: float = 665.0
    """MB of XML a second, of what was resolved: counting names for the tables."""

    index: float = 385_000.0
    """Titles a second into the index: benchmarks/titles.py."""

    sql: float = 83.0
    """MB of unpacked SQL a second, for page_props and langlinks: benchmarks/sources.py."""

    work: float = 0.82
    """Bytes on disk until the build ends, besides the corpus, for each byte of XML."""

    corpus: float = 0.27
    """Bytes of the corpus for each byte of XML."""

    index_bytes: float = 50.0
    """Bytes of the index for each title: benchmarks/titles.py."""

    memory: float = 195.0
    """MB of one process at its peak."""


@dataclass(frozen=True)
class Wikis:
    """One wiki or many: how much there is of them. GB are 10^9 bytes."""

    name: str
    packed: float
    """GB of pages-articles-multistream.xml.bz2."""

    xml: float
    """GB of XML in it."""

    titles: float
    """Millions of pages and redirects of the main namespace."""

    sql: float
    """GB of page_props and langlinks, unpacked."""


WIKIS = [Wikis("enwiki", 24, 105, 18.5, 6), Wikis("all editions", 96, 420, 130, 40)]
"""enwiki: 24.05 GB in October 2024, 7.0 million articles in July 2025 (Wikipedia:Size of Wikipedia); the rest, and all
that is said of the others, are rounded estimates."""


@dataclass(frozen=True)
class Stage:
    """One stage: hours on the clock, hours of all processes."""

    name: str
    hours: float
    cpu_hours: float


def stages(wikis: Wikis, rates: Rates, cores: int) -> list[Stage]:
    """Return what each stage of the builds of `wikis` takes."""

    def shared(name: str, seconds: float) -> Stage:
        return Stage(name, seconds / 3600 / cores, seconds / 3600)

    def alone(name: str, seconds: float) -> Stage:
        return Stage(name, seconds / 3600, seconds / 3600)

    return [
        shared("extract", wikis.xml * 1e3 / rates.parse),
        alone("titles", wikis.sql * 1e3 / rates.sql + wikis.titles * 1e6 / rates.index),
        shared("resolve", wikis.xml * 1e3 / rates.resolve),
        alone("end", wikis.xml * 1e3 / rates.end),
    ]


def rows(wikis: Wikis, rates: Rates, cores: int) -> Iterator[tuple[str, str]]:
    """Yield what is printed of one line of `WIKIS`."""
    found = stages(wikis, rates, cores)
    for stage in found:
        yield stage.name, f"{clock(stage.hours)} ({stage.cpu_hours:,.1f} CPU hours)"
    yield (
        "whole",
        f"{clock(sum(stage.hours for stage in found))} ({sum(stage.cpu_hours for stage in found):,.1f} CPU hours)",
    )
    yield "memory", f"{cores * rates.memory / 1e3:,.0f} GB on {cores} cores"
    yield "disk: dump", f"{wikis.packed:,.0f} GB"
    yield "disk: while it works", f"{wikis.xml * rates.work:,.0f} GB"
    yield "disk: corpus", f"{wikis.xml * rates.corpus:,.0f} GB"
    yield "disk: index of titles", f"{wikis.titles * rates.index_bytes / 1e3:,.1f} GB"


def clock(hours: float) -> str:
    """Write hours as people do."""
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


STAGE = """
import sys
from pathlib import Path
from lingraft.corpus import BuildConfig, build
from lingraft.corpus.cluster import BuildStage
dump, out, stage = sys.argv[1:]
config = BuildConfig(dump=[dump], lang="en")
if stage == "begin":
    build(config, out, until="begin")
else:
    BuildStage(config, Path(out), stage)(0, 1, 1)
"""


def measured(megabytes: float, rates: Rates) -> Rates:
    """Return `rates` with those that a build of a made dump shows here: CPU seconds of one worker, sizes, memory."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # workers of workers are waited for here
    with tempfile.TemporaryDirectory(prefix="lingraft-scaling-") as folder:
        dump, out = Path(folder, "enwiki.xml.bz2"), Path(folder, "en")
        make(dump, PAGES, megabytes)

        def run(stage: str) -> Usage:
            return measure([sys.executable, "-c", STAGE, str(dump), str(out), stage])

        begin, extract, titles, resolve = map(run, ("begin", "extract", "titles", "resolve"))
        work = sum(file.stat().st_size for file in (out / "work").rglob("*") if file.is_file())
        end = run("end")
        corpus = sum(file.stat().st_size for file in (out / "articles").iterdir())
    return replace(
        rates,
        parse=megabytes / (extract.cpu - begin.cpu),
        resolve=megabytes / (resolve.cpu - begin.cpu),
        end=megabytes / (end.cpu - begin.cpu),
        work=work / (megabytes * 1e6),
        corpus=corpus / (megabytes * 1e6),
        memory=max(stage.peak_mb for stage in (extract, titles, resolve, end)),
    )


def main() -> None:
    """Print the rates, and a table for each line of `WIKIS`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--measure", type=float, metavar="MB", help="measure on a dump of so many MB of XML")
    for field in fields(Rates):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=float, default=None, help=f"default {field.default}"
        )
    given = vars(parser.parse_args())
    cores, megabytes = given.pop("cores"), given.pop("measure")
    rates = measured(megabytes, Rates()) if megabytes else Rates()
    rates = replace(rates, **{name: value for name, value in given.items() if value is not None})
    print("rates: " + ", ".join(f"{field.name} {getattr(rates, field.name):,.4g}" for field in fields(Rates)))
    for wikis in WIKIS:
        print(f"\n{wikis.name}: {wikis.packed:,.0f} GB of bzip2, {wikis.xml:,.0f} GB of XML, {wikis.titles:g} M titles")
        for name, value in rows(wikis, rates, cores):
            print(f"  {name:<22}{value}")


if __name__ == "__main__":
    main()
