"""How large an index of titles is, how long it takes to write, how fast it answers, and what processes share of it.

    python benchmarks/titles.py [--titles 20000000] [--work out/bench]

The titles are made here: half of them pages, half redirects to them, with lengths as on Wikipedia, each page with an
entity. The index is written as in a build, by a process of its own. Then 1, 2 and 4 processes look up titles at the
same time, each other ones and one in three unknown, in batches as a build does. "own" memory is what a process
shares with nobody (anonymous pages), PSS is that and its part of what is shared. Linux only.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.entities.title_writer import write_index
from lingraft.entities.titles import TitleIndex

REPOSITORY = Path(__file__).parents[1]
AT_ONCE = 1 << 18
LOOKED_UP_AT_ONCE = 1 << 15
SECONDS = 5.0


def made(start: int, end: int) -> pa.LargeStringArray:
    """Return the titles of these numbers: "Zalo Berunata 1234567 (kimu)"."""
    syllables = pa.array([consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"])
    numbers = np.arange(start, end)
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)

    def syllable(place: int) -> pa.StringArray:
        return syllables.take(pa.array((mixed >> np.uint64(8 * place)) % np.uint64(len(syllables))))

    words = [
        pc.binary_join_element_wise(pc.utf8_capitalize(syllable(1)), syllable(2), ""),
        pc.binary_join_element_wise(pc.utf8_capitalize(syllable(3)), syllable(4), syllable(5), ""),
        pa.array(numbers).cast(pa.string()),
    ]
    suffix = pc.if_else(pa.array(mixed >> np.uint64(62) == 0), " (kimu)", "")
    titles = pc.binary_join_element_wise(pc.binary_join_element_wise(*words, " "), suffix, "")
    return titles.cast(pa.large_string())


def seen(titles: int) -> Iterator[pa.RecordBatch]:
    """Yield pages, then redirects to them."""
    pages = titles // 2
    for start in range(0, titles, AT_ONCE):
        numbers = np.arange(start, min(start + AT_ONCE, titles))
        column, targets = made(numbers[0], numbers[-1] + 1), made(numbers[0] - pages, numbers[-1] + 1 - pages)
        leads = pc.if_else(pa.array(numbers >= pages), targets, pa.scalar(None, pa.large_string()))
        yield pa.record_batch([column, leads], names=["title", "redirect"])


def aligned(titles: int) -> Iterator[pa.RecordBatch]:
    """Yield the entity of each page."""
    for start in range(0, titles // 2, AT_ONCE):
        numbers = np.arange(start, min(start + AT_ONCE, titles // 2))
        yield pa.record_batch([made(start, numbers[-1] + 1), pa.array(numbers + 1)], names=["title", "entity"])


def stored(path: Path, batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Write batches, and return them memory-mapped, as the build finds them."""
    first = next(batches)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


def memory() -> dict[str, float]:
    """Return the MB of this process by kind: Rss, Pss, Anonymous."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return {found[1]: int(found[2]) / 1024 for line in lines if (found := re.match(r"(\w+):\s+(\d+) kB", line))}


@contextmanager
def peak_of_own_memory() -> Iterator[list[float]]:
    """Give a list that holds the largest anonymous memory of this process once the block has ended, in MB."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            status = Path("/proc/self/status").read_text()
            peak[0] = max(peak[0], int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def write(folder: Path, titles: int) -> None:
    """Write the index, and print what that took."""
    pages, entities = stored(folder / "seen.arrow", seen(titles)), stored(folder / "aligned.arrow", aligned(titles))
    tally: Counter[str] = Counter()
    started, cpu = time.perf_counter(), time.process_time()
    with peak_of_own_memory() as peak:
        write_index(folder / "titles.arrow", pages, pa.Table.from_batches(entities), tally)
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "own": peak[0]}
    for name in ("seen.arrow", "aligned.arrow"):
        (folder / name).unlink()
    print(json.dumps(took | {"redirects": tally["redirects"]}))


def look_up(folder: Path, titles: int, seed: int) -> None:
    """Look up titles for some seconds; print how many a second, and the memory while all others are at it too."""
    index = TitleIndex.open(folder / "titles.arrow")
    rng = np.random.default_rng(seed)
    num_found = num_asked = 0
    cpu = 0.0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = int(rng.integers(0, titles * 3 // 2 - LOOKED_UP_AT_ONCE))
        asked = made(start, start + LOOKED_UP_AT_ONCE)
        asked = asked.take(pa.array(rng.permutation(len(asked))))
        before = time.process_time()
        rows = index.find(asked)
        cpu += time.process_time() - before
        num_asked += len(rows)
        num_found += int((rows >= 0).sum())
    print(json.dumps({"a_second": num_asked / cpu, "found": num_found / num_asked} | memory()))


def main() -> None:
    """Write and look up; or, called by itself, do one of these."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--titles", type=int, default=20_000_000)
    options.add_argument(
        "--work", type=Path, default=REPOSITORY / "out" / "bench" / "titles", help="emptied at the end"
    )
    options.add_argument("--step", choices=["write", "look-up"], help=argparse.SUPPRESS)
    options.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.step == "write":
        return write(asked.work, asked.titles)
    if asked.step == "look-up":
        return look_up(asked.work, asked.titles, asked.seed)

    def start(*more: str) -> subprocess.Popen:
        this = [sys.executable, __file__, "--titles", str(asked.titles), "--work", str(asked.work), *more]
        return subprocess.Popen(this, stdout=subprocess.PIPE, text=True)

    def result(process: subprocess.Popen) -> dict[str, float]:
        output, _ = process.communicate()
        return json.loads(output) if process.returncode == 0 else sys.exit("a step failed")

    asked.work.mkdir(parents=True, exist_ok=True)
    path = asked.work / "titles.arrow"
    wrote = result(start("--step", "write"))
    print(f"{asked.titles:,} titles, {wrote['redirects']:,} of them redirects")
    print(f"written in {wrote['seconds']:.0f} s ({wrote['cpu']:.0f} CPU s), own memory {wrote['own']:.0f} MB at most")
    print(f"file: {path.stat().st_size / 1e6:,.0f} MB, {path.stat().st_size / asked.titles:.0f} bytes a title\n")
    print(f"{'processes':>9}{'look-ups a CPU s, each':>24}{'found':>8}{'RSS MB':>9}{'PSS MB':>9}{'own MB':>9}")
    for processes in (1, 2, 4):
        running = [start("--step", "look-up", "--seed", str(seed)) for seed in range(processes)]
        rows = [result(process) for process in running]
        mean = {name: sum(row[name] for row in rows) / processes for name in rows[0]}
        speed, memories = f"{mean['a_second']:,.0f}", [mean[name] for name in ("Rss", "Pss", "Anonymous")]
        print(f"{processes:9}{speed:>24}{mean['found']:8.0%}" + "".join(f"{value:9.0f}" for value in memories))
    path.unlink()
    return None


if __name__ == "__main__":
    main()
