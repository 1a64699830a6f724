"""How fast a dump becomes a corpus, against other extractors and against unpacking the dump alone.

    python benchmarks/extraction.py [--megabytes 300] [--share 20] [--repeat 3] [--pages DUMP ...] [--wikidata JSON]

The dump is made here, multistream, by repeating real pages under new ids and titles (default: the English and the
Greek excerpt), 100 pages a stream as Wikimedia writes them. Then all run in turn, --repeat times. What counts is CPU
seconds of the whole process tree, which a busy machine blurs less than seconds; ratios are taken within a round, and
medians over the rounds are shown. WikiExtractor runs with --no-templates, which is its fastest way; it always starts a
second process to write. gensim's segment_wiki and mwparserfromhell are slow: they read a dump of --share MB, and their
CPU seconds are scaled to the whole. Our build does more: links, titles, redirects, entities, Parquet. The second table
reads Wikidata's JSON (made by repeating the real one) and unpacks it alone. Linux only (orphans are waited for).
"""

import argparse
import bz2
import ctypes
import gzip
import json
import lzma
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import BinaryIO

import peers

REPOSITORY = Path(__file__).parents[1]
EXCERPTS = REPOSITORY.parent / "shared" / "data" / "dumps" / "excerpts"
PAGES = [
    EXCERPTS / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    EXCERPTS / "elwiki-truncated-100k.xml.xz",
]
WIKIDATA = EXCERPTS.parents[1] / "wikidata" / "wikidata-20151109-1000-entities.json.bz2"
WIKIDATA_MEGABYTES = 200
PAGES_A_STREAM = 100
PAGE = re.compile(rb"[ \t]*<page>.*?</page>\n?", re.DOTALL)
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Usage:
    """What a command and everything that it started took; `peak_mb` is of its largest process."""

    cpu: float
    seconds: float
    peak_mb: float
    output: str


@dataclass(frozen=True)
class Contestant:
    """A command; `share` is the part of the dump that it reads."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    share: float = 1.0


def measure(command: list[str], environment: dict[str, str] | None = None) -> Usage:
    """Run a command, wait for its whole process tree, and return what it took."""
    started = time.perf_counter()
    environment = os.environ | (environment or {})
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    with process.stdout:
        output = process.stdout.read()
    cpu = peak = status = 0
    while True:
        try:
            pid, exit_status, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss)
        status = exit_status if pid == process.pid else status
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{output[-2000:]}")
    return Usage(cpu, time.perf_counter() - started, peak / 1024, output)


def opened(path: Path) -> BinaryIO:
    """Open a dump as bytes of XML."""
    return {".bz2": bz2.open, ".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)(path, "rb")


def unpacked(path: Path) -> bytes:
    """Return the XML of a dump as far as it can be unpacked (excerpts break off)."""
    parts = []
    with opened(path) as file:
        try:
            while part := file.read(1 << 20):
                parts.append(part)
        except EOFError:
            print(f"{path.name} breaks off; the pages before are used", file=sys.stderr)
    return b"".join(parts)


def repeated(sources: list[Path], size: int) -> Iterator[bytes]:
    """Yield pages, from all sources in turn, under new ids and titles, until they have `size` bytes."""
    kept = [PAGE.findall(unpacked(source)) for source in sources]
    number = written = turn = 0
    while written < size:
        for pages in kept:
            for page in pages:
                number += 1
                page = re.sub(rb"<id>\d+</id>", b"<id>%d</id>" % number, page, count=1)
                if turn:
                    page = page.replace(b"</title>", b" (%d)</title>" % turn, 1)
                written += len(page)
                yield page
                if written >= size:
                    return
        turn += 1


def make(dump: Path, sources: list[Path], megabytes: float) -> None:
    """Write the multistream dump, with the header of the first source."""
    header = unpacked(sources[0]).partition(b"<page>")[0].rstrip(b" ")
    size = len(header)
    partial = dump.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(bz2.compress(header))
        stream: list[bytes] = []
        for page in repeated(sources, int(megabytes * 1e6)):
            stream.append(page)
            size += len(page)
            if len(stream) == PAGES_A_STREAM:
                file.write(bz2.compress(b"".join(stream)))
                stream.clear()
        file.write(bz2.compress(b"".join([*stream, b"</mediawiki>\n"])))
    dump.with_suffix(".json").write_text(json.dumps({"bytes": size}))
    partial.rename(dump)


def make_wikidata(path: Path, source: Path) -> None:
    """Write the entities of `source` again and again, as .json.gz or as .json.bz2 of many streams."""
    lines = [line.rstrip(b",\n") for line in unpacked(source).splitlines() if len(line) > 2]
    repeats = max(1, int(WIKIDATA_MEGABYTES * 1e6) // sum(map(len, lines)))
    pack = gzip.compress if path.suffix == ".gz" else bz2.compress
    size = 0
    with path.with_suffix(".partial").open("wb") as file:
        for number in range(repeats):
            part = (b"[\n" if number == 0 else b"") + b"".join(line + b",\n" for line in lines)
            part += b"]\n" if number == repeats - 1 else b""
            size += len(part)
            file.write(pack(part))
    path.with_suffix(".size").write_text(json.dumps({"bytes": size}))
    path.with_suffix(".partial").rename(path)


def read_wikidata(path: Path) -> None:
    """Read the sitelinks of two wikis."""
    from collections import Counter

    from lingraft.wikimedia.wikidata import sitelinks

    print(sum(len(titles) for _, titles in sitelinks(path, {"elwiki", "enwiki"}, Counter())))


def read_gzip(path: Path) -> None:
    """Unpack a .gz and forget it."""
    decompressor = zlib.decompressobj(wbits=31)
    with path.open("rb") as file:
        while part := file.read(1 << 18):
            while part:
                decompressor.decompress(part)
                part = decompressor.unused_data
                if decompressor.eof:
                    decompressor = zlib.decompressobj(wbits=31)


def read_ours(dump: Path) -> None:
    """Unpack the dump as lingraft does, and forget it."""
    from lingraft.wikimedia.compressed import Chunks

    for _ in Chunks(dump):
        pass


def read(dump: Path) -> None:
    """Unpack the dump and forget it: what no reader can go below."""
    decompressor = bz2.BZ2Decompressor()
    with dump.open("rb") as file:
        while part := file.read(1 << 18):
            while part:
                decompressor.decompress(part)
                part = decompressor.unused_data
                if decompressor.eof:
                    decompressor = bz2.BZ2Decompressor()


def kernel(sources: list[Path]) -> None:
    """Print the MB of wikitext that are read a CPU second, from memory: as objects, and as a build reads them."""
    from lingraft.wikimedia.columns import columns
    from lingraft.wikimedia.export_xml import pages, read_header
    from lingraft.wikimedia.siteinfo import site
    from lingraft.wikimedia.wikitext import parser

    speeds = {}
    for source in sources:
        header = read_header(source)
        reader = parser(site(header.lang or "en", header))
        held = columns(reader)
        texts = [page.text for page in pages(source, namespaces=(0,)) if page.redirect is None]
        raws = [escape(text, quote=False).replace('"', "&quot;").encode() for text in texts]  # as MediaWiki does
        size = sum(len(text.encode()) for text in texts) / 1e6

        def as_objects(texts=texts, reader=reader) -> None:
            for text in texts:
                reader.parse(text)

        def as_columns(raws=raws, held=held) -> None:
            for raw in raws:
                held.add(raw, escaped=True)
            held.take()

        for name, read_all in (("objects", as_objects), ("columns from XML", as_columns)):
            times = []
            for _ in range(5):
                started = time.process_time()
                read_all()
                times.append(time.process_time() - started)
            key = f"{header.dbname or source.name}, {len(texts)} articles, {name}"
            speeds[key] = (size, size / statistics.median(times))
    print(json.dumps(speeds))


def contestants(dump: Path, share: Path, sizes: dict[Path, float], asked: argparse.Namespace) -> dict[str, Contestant]:
    """Return who takes part: the floors first."""
    work = asked.work
    this = [sys.executable, str(Path(__file__).resolve())]
    build = [sys.executable, "-c", "from lingraft.cli import main; main()", "corpus", "build", "--quiet"]
    build += ["--dump", str(dump), "--lang", "en", "--out", str(work / "ours")]
    found = {"libbz2 alone": Contestant([*this, "--step", "read", "--dump", str(dump)])}
    found["our bunzip2 alone"] = Contestant([*this, "--step", "read-ours", "--dump", str(dump)])
    found["lingraft corpus build"] = Contestant([*build, "--workers", "1"])
    found["lingraft corpus build, 2 workers"] = Contestant([*build, "--workers", "2"])
    found["lingraft corpus build, Python kernel"] = Contestant(
        [*build, "--workers", "1"], {"LINGRAFT_KERNEL": "python"}
    )
    if script := peers.wikiextractor(work, asked.wikiextractor_python):
        command = [str(script), str(dump), "--output", str(work / "theirs"), "--processes", "1", "--quiet"]
        found[f"WikiExtractor 3.1.0 ({peers.version(script.with_name('python'))})"] = Contestant(
            [*command, "--no-templates"]
        )
        if asked.templates:
            found["WikiExtractor 3.1.0, expanding templates"] = Contestant(command)
    part = sizes[share] / sizes[dump]
    if python := peers.gensim(work):
        command = ["-m", "gensim.scripts.segment_wiki", "-f", str(share), "-o", str(work / "theirs"), "-w", "1"]
        found["gensim 4.4.0 segment_wiki (scaled)"] = Contestant([str(python), *command], share=part)
    if python := peers.mwparserfromhell(work):
        command = ["-c", peers.MWPARSERFROMHELL, str(share), str(work / "theirs")]
        found["mwparserfromhell 0.7.2 strip_code (scaled)"] = Contestant([str(python), *command], share=part)
    return found


def remove(path: Path) -> None:
    """Remove what a run wrote: a finished build would be left as it is."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def rounds_of(found: dict[str, Contestant], work: Path, repeat: int) -> list[dict[str, Usage]]:
    """Run all in turn, `repeat` times."""
    rounds: list[dict[str, Usage]] = []
    for _ in range(repeat):
        rounds.append({})
        for name, contestant in found.items():
            for folder in ("ours", "theirs"):
                remove(work / folder)
            rounds[-1][name] = measure(contestant.command, contestant.environment)
    return rounds


def compare(asked: argparse.Namespace) -> None:
    """Make what is needed, run the rounds, print the tables."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    asked.work.mkdir(parents=True, exist_ok=True)
    this = [sys.executable, str(Path(__file__).resolve()), "--pages", *map(str, asked.pages)]
    sources = zlib.crc32(" ".join(str(path.resolve()) for path in asked.pages).encode())
    sizes: dict[Path, float] = {}
    for megabytes in (asked.megabytes, asked.share):
        dump = asked.work / f"extraction-{megabytes:g}mb-{sources:08x}.xml.bz2"
        if not dump.exists():
            print(f"making {dump} ...", flush=True)
            measure([*this, "--step", "make", "--dump", str(dump), "--megabytes", str(megabytes)])
        sizes[dump] = json.loads(dump.with_suffix(".json").read_text())["bytes"] / 1e6
    dump, share = sizes if len(sizes) == 2 else (dump, dump)
    found = contestants(dump, share, sizes, asked)
    rounds = rounds_of(found, asked.work, asked.repeat)

    def median(value: Callable[[dict[str, Usage]], float]) -> float:
        return statistics.median(map(value, rounds))

    def cpu(run: dict[str, Usage], name: str) -> float:
        return run[name].cpu / found[name].share

    floors = [name for name in found if name.endswith(" alone")]
    theirs = next((name for name in found if name.startswith("WikiExtractor")), None)
    print(f"{sizes[dump]:.0f} MB of XML in {dump.stat().st_size / 1e6:.0f} MB of bz2; medians of {asked.repeat}\n")
    titles = [f"x {floor.removesuffix(' alone')}" for floor in floors]
    print(
        f"{'':44}{'CPU s':>8}{'seconds':>9}{'MB/CPU s':>10}"
        + "".join(f"{title:>15}" for title in titles)
        + f"{'x WikiExtr.':>13}{'peak MB':>9}"
    )
    for name, contestant in found.items():
        total = median(lambda run, name=name: cpu(run, name))
        times = [median(lambda run, name=name, floor=floor: cpu(run, name) / cpu(run, floor)) for floor in floors]
        speed_up = f"{median(lambda run, name=name: cpu(run, theirs) / cpu(run, name)):.2f}" if theirs else "-"
        seconds = median(lambda run, name=name: run[name].seconds) / contestant.share
        peak = median(lambda run, name=name: run[name].peak_mb)
        print(
            f"{name:44}{total:8.1f}{seconds:9.1f}{sizes[dump] / total:10.2f}"
            + "".join(f"{value:15.2f}" for value in times)
            + f"{speed_up:>13}{peak:9.0f}"
        )
    print(f"\n{'parser alone, from memory':60}{'MB':>8}{'MB/CPU s':>19}")
    for kernel in ("compiled", "python"):
        measured = measure([*this, "--step", "kernel"], {"LINGRAFT_KERNEL": kernel})
        for name, (megabytes, speed) in json.loads(measured.output.splitlines()[-1]).items():
            print(f"{name + ', ' + kernel:60}{megabytes:8.1f}{speed:19.2f}")
    if asked.wikidata.exists():
        compare_wikidata(asked)


def compare_wikidata(asked: argparse.Namespace) -> None:
    """Read Wikidata's JSON in both formats, and unpack it alone."""
    this = [sys.executable, str(Path(__file__).resolve()), "--wikidata", str(asked.wikidata)]
    found: dict[str, Contestant] = {}
    sizes = {}
    for suffix, step in (("bz2", "read"), ("gz", "read-gzip")):
        path = asked.work / f"wikidata-{WIKIDATA_MEGABYTES}mb.json.{suffix}"
        if not path.exists():
            print(f"\nmaking {path} ...", flush=True)
            measure([*this, "--step", "make-wikidata", "--dump", str(path)])
        size = json.loads(path.with_suffix(".size").read_text())["bytes"] / 1e6
        for name, do in ((f".json.{suffix}, unpacked alone", step), (f".json.{suffix}, sitelinks", "read-wikidata")):
            found[name] = Contestant([*this, "--step", do, "--dump", str(path)])
            sizes[name] = size
    rounds = rounds_of(found, asked.work, asked.repeat)
    print(f"\n{'Wikidata JSON':44}{'MB':>8}{'CPU s':>9}{'MB/CPU s':>10}{'x unpacking':>12}{'peak MB':>9}")
    alone = ""
    for name in found:
        alone = name if name.endswith("alone") else alone
        cpu = statistics.median(run[name].cpu for run in rounds)
        times = statistics.median(run[name].cpu / run[alone].cpu for run in rounds)
        peak = statistics.median(run[name].peak_mb for run in rounds)
        print(f"{name:44}{sizes[name]:8.0f}{cpu:9.1f}{sizes[name] / cpu:10.1f}{times:12.2f}{peak:9.0f}")


def main() -> None:
    """Compare; or, called by itself, one step in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=Path, nargs="+", default=PAGES, help="dumps whose pages are repeated")
    options.add_argument("--megabytes", type=float, default=300, help="size of the dump, unpacked")
    options.add_argument("--share", type=float, default=20, help="MB for those that are slow")
    options.add_argument("--wikidata", type=Path, default=WIKIDATA, help="entity JSON that is repeated")
    options.add_argument("--work", type=Path, default=REPOSITORY / "out" / "bench", help="folder kept between runs")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--wikiextractor-python", help="a Python before 3.11")
    options.add_argument("--templates", action="store_true", help="also WikiExtractor as it runs by default")
    options.add_argument("--step", help=argparse.SUPPRESS)
    options.add_argument("--dump", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    missing = [str(path) for path in asked.pages if not path.exists()]
    if missing:
        sys.exit(f"no pages at {', '.join(missing)}: name dumps with --pages")
    steps = {
        "make": lambda: make(asked.dump, asked.pages, asked.megabytes),
        "read": lambda: read(asked.dump),
        "read-ours": lambda: read_ours(asked.dump),
        "read-gzip": lambda: read_gzip(asked.dump),
        "make-wikidata": lambda: make_wikidata(asked.dump, asked.wikidata),
        "read-wikidata": lambda: read_wikidata(asked.dump),
        "kernel": lambda: kernel(asked.pages),
        None: lambda: compare(asked),
    }
    steps[asked.step]()


if __name__ == "__main__":
    main()
