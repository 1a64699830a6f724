"""How fast a dump becomes a corpus, against WikiExtractor 3.1.0 and against unpacking the dump alone.

    python benchmarks/extraction.py [--megabytes 300] [--repeat 3] [--pages DUMP ...] [--wikiextractor-python PYTHON]

The dump is made here, multistream, by repeating real pages under new ids and titles (default: the English and the
Greek excerpt), 100 pages a stream as Wikimedia writes them. Then all run in turn, one worker each, --repeat times.
What counts is CPU seconds of the whole process tree, which a busy machine blurs less than seconds; ratios are taken
within a round, and medians over the rounds are shown. WikiExtractor runs with --no-templates, which is its fastest way
and what we do, in a venv of its own; its regular expressions need a Python before 3.11. It always starts a second
process to write. Our build does more: links, titles, redirects, entities, Parquet. Linux only (orphans are waited for).
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
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

REPOSITORY = Path(__file__).parents[1]
EXCERPTS = REPOSITORY.parent / "shared" / "data" / "dumps" / "excerpts"
PAGES = [
    EXCERPTS / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    EXCERPTS / "elwiki-truncated-100k.xml.xz",
]
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


def measure(command: list[str]) -> Usage:
    """Run a command, wait for its whole process tree, and return what it took."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
    """Print the MB of wikitext that `parse` reads a CPU second, from memory, for each source."""
    from lingraft.wikimedia.export_xml import pages, read_header
    from lingraft.wikimedia.siteinfo import site
    from lingraft.wikimedia.wikitext import parser

    speeds = {}
    for source in sources:
        header = read_header(source)
        reader = parser(site(header.lang or "en", header))
        texts = [page.text for page in pages(source, namespaces=(0,)) if page.redirect is None]
        size = sum(len(text.encode()) for text in texts) / 1e6
        times = []
        for _ in range(3):
            started = time.process_time()
            for text in texts:
                reader.parse(text)
            times.append(time.process_time() - started)
        speeds[f"{header.dbname or source.name}, {len(texts)} articles"] = (size, size / statistics.median(times))
    print(json.dumps(speeds))


def wikiextractor(work: Path, python: str | None) -> Path | None:
    """Return the WikiExtractor 3.1.0 of a venv made for it; None, and say why, where that cannot be."""
    venv = work / "wikiextractor"
    script = venv / "bin" / "wikiextractor"
    if not script.exists():
        python = python or older_python()
        if python is None:
            print("WikiExtractor left out: it needs a Python before 3.11; name one with --wikiextractor-python")
            return None
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "wikiextractor==3.1.0"]
        installed = subprocess.run(pip, capture_output=True, text=True)
        if installed.returncode:
            print(f"WikiExtractor left out: pip could not install it:\n{installed.stderr[-500:]}")
            shutil.rmtree(venv)
            return None
    tried = subprocess.run([str(script), "--help"], capture_output=True, text=True)
    if tried.returncode:
        print(f"WikiExtractor left out: it does not start in {venv}: {tried.stderr.strip().splitlines()[-1]}")
        return None
    return script


def older_python() -> str | None:
    """Return a Python from 3.7 to 3.10, from the path or from pyenv."""
    minors = range(10, 6, -1)
    found = [shutil.which(f"python3.{minor}") for minor in minors]
    for minor in minors:
        found += sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
    starts = (str(python) for python in found if python)
    return next(
        (python for python in starts if not subprocess.run([python, "-c", ""], capture_output=True).returncode), None
    )


def commands(dump: Path, work: Path, script: Path | None, templates: bool) -> dict[str, list[str]]:
    """Return the contestants."""
    this = [sys.executable, str(Path(__file__).resolve())]
    build = [sys.executable, "-c", "from lingraft.cli import main; main()", "corpus", "build", "--quiet"]
    found = {
        "unpacking bz2 alone": [*this, "--step", "read", "--dump", str(dump)],
        "lingraft corpus build": [
            *build,
            "--dump",
            str(dump),
            "--lang",
            "en",
            "--workers",
            "1",
            "--out",
            str(work / "ours"),
        ],
    }
    if script is not None:
        python = subprocess.run(
            [script.with_name("python"), "--version"], capture_output=True, text=True
        ).stdout.strip()
        theirs = [str(script), str(dump), "--output", str(work / "theirs"), "--processes", "1", "--quiet"]
        found[f"WikiExtractor 3.1.0 ({python})"] = [*theirs, "--no-templates"]
        if templates:
            found["WikiExtractor 3.1.0, expanding templates"] = theirs
    return found


def compare(asked: argparse.Namespace) -> None:
    """Make what is needed, run the rounds, print the tables."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    asked.work.mkdir(parents=True, exist_ok=True)
    this = [sys.executable, str(Path(__file__).resolve()), "--pages", *map(str, asked.pages)]
    sources = zlib.crc32(" ".join(str(path.resolve()) for path in asked.pages).encode())
    dump = asked.work / f"extraction-{asked.megabytes:g}mb-{sources:08x}.xml.bz2"
    if not dump.exists():
        print(f"making {dump} ...", flush=True)
        measure([*this, "--step", "make", "--dump", str(dump), "--megabytes", str(asked.megabytes)])
    size = json.loads(dump.with_suffix(".json").read_text())["bytes"] / 1e6
    script = wikiextractor(asked.work, asked.wikiextractor_python)
    contestants = commands(dump, asked.work, script, asked.templates)
    rounds: list[dict[str, Usage]] = []
    for _ in range(asked.repeat):
        rounds.append({})
        for name, command in contestants.items():
            for folder in ("ours", "theirs"):
                shutil.rmtree(asked.work / folder, ignore_errors=True)  # a finished run would be reused
            rounds[-1][name] = measure(command)
    floor, *_ = contestants
    theirs = next((name for name in contestants if name.startswith("WikiExtractor")), None)

    def median(value: Callable[[dict[str, Usage]], float]) -> float:
        return statistics.median(map(value, rounds))

    print(f"{size:.0f} MB of XML in {dump.stat().st_size / 1e6:.0f} MB of bz2; one worker; medians of {asked.repeat}\n")
    print(f"{'':42}{'CPU s':>9}{'seconds':>9}{'MB/CPU s':>10}{'x unpacking':>13}{'speed-up':>10}{'peak MB':>9}")
    for name in contestants:
        cpu = median(lambda run, name=name: run[name].cpu)
        times = median(lambda run, name=name: run[name].cpu / run[floor].cpu)
        speed_up = f"{median(lambda run, name=name: run[theirs].cpu / run[name].cpu):.2f}" if theirs else "-"
        seconds = median(lambda run, name=name: run[name].seconds)
        peak = median(lambda run, name=name: run[name].peak_mb)
        print(f"{name:42}{cpu:9.1f}{seconds:9.1f}{size / cpu:10.2f}{times:13.2f}{speed_up:>10}{peak:9.0f}")
    print(f"\n{'parse alone, from memory':42}{'MB':>9}{'MB/CPU s':>10}")
    for name, (megabytes, speed) in json.loads(measure([*this, "--step", "kernel"]).output.splitlines()[-1]).items():
        print(f"{name:42}{megabytes:9.1f}{speed:10.2f}")


def main() -> None:
    """Compare; or, called by itself, one step in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pages", type=Path, nargs="+", default=PAGES, help="dumps whose pages are repeated")
    options.add_argument("--megabytes", type=float, default=300, help="size of the dump, unpacked")
    options.add_argument("--work", type=Path, default=REPOSITORY / "out" / "bench", help="folder kept between runs")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--wikiextractor-python", help="a Python before 3.11")
    options.add_argument("--templates", action="store_true", help="also WikiExtractor as it runs by default")
    options.add_argument("--step", choices=["make", "read", "kernel"], help=argparse.SUPPRESS)
    options.add_argument("--dump", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    missing = [str(path) for path in asked.pages if not path.exists()]
    if missing:
        sys.exit(f"no pages at {', '.join(missing)}: name dumps with --pages")
    steps = {
        "make": lambda: make(asked.dump, asked.pages, asked.megabytes),
        "read": lambda: read(asked.dump),
        "kernel": lambda: kernel(asked.pages),
        None: lambda: compare(asked),
    }
    steps[asked.step]()


if __name__ == "__main__":
    main()
