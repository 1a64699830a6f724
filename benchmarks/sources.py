"""How fast the sources of alignment are read, beside unpacking them alone, and how much memory they take.

    python benchmarks/sources.py [--megabytes 200] [--titles 5000000] [--repeat 3] [--data ../shared/data]

Speed: the real langlinks dump and the real Wikidata entities are repeated under new ids up to --megabytes, gzipped, and
read --repeat times, in turn with unpacking alone. MB are of unpacked data; a second is one of this process's CPU time.
Memory: a made wiki of --titles pages with page_props and langlinks for each (so a QID and a name each), read and
settled by a process of its own; what counts is how much its peak is above what it takes to start.
"""

import argparse
import gzip
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa

from lingraft.entities.alignment import gather
from lingraft.entities.sources import SEEN, Sources
from lingraft.wikimedia import sql
from lingraft.wikimedia.compressed import Chunks, lines
from lingraft.wikimedia.siteinfo import site
from lingraft.wikimedia.wikidata import items

DATA = Path(__file__).parents[2] / "shared" / "data"
LANGLINKS = {"ll_from": int, "ll_lang": str, "ll_title": str}
TABLES = {
    "langlinks": "`ll_from` int(8) unsigned,\n  `ll_lang` varbinary(35),\n  `ll_title` varbinary(255)",
    "page_props": "`pp_page` int(10) unsigned,\n  `pp_propname` varbinary(60),\n  `pp_value` blob",
}
ROWS_AN_INSERT = 25_000


def head(table: str) -> str:
    return f"-- Host: x    Database: elwiki\n\nCREATE TABLE `{table}` (\n  {TABLES[table]}\n) ENGINE=InnoDB;\n\n"


def repeated_langlinks(data: Path, megabytes: int, path: Path) -> None:
    text = gzip.decompress((data / "sql" / "wikidatawiki-2017-langlinks.sql.gz").read_bytes()).decode()
    rows = re.findall(r"\(\d+(,'[^']*(?:\\'[^']*)*','(?:[^'\\]|\\.)*'\))", text)
    size = number = 0
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write(head("langlinks"))
        while size < megabytes * 1e6:
            chosen = [rows[(number + place) % len(rows)] for place in range(ROWS_AN_INSERT)]
            body = ",".join(f"({number + place}{row}" for place, row in enumerate(chosen))
            file.write(f"INSERT INTO `langlinks` VALUES {body};\n")
            number += ROWS_AN_INSERT
            size += len(body.encode())
        file.write("\n-- Dump completed on 2024-01-01\n")


def repeated_entities(data: Path, megabytes: int, path: Path) -> None:
    entities = list(lines(data / "wikidata" / "wikidata-20151109-1000-entities.json.bz2", Counter()))
    entities = [line.strip().rstrip(b",") for line in entities if line.strip() not in (b"[", b"]")]
    size = number = 0
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(b"[\n")
        while size < megabytes * 1e6:
            line = entities[number % len(entities)]
            file.write(line + b",\n")
            size, number = size + len(line), number + 1
        file.write(entities[0] + b"\n]\n")


def cpu_seconds(read: Callable[[], object]) -> float:
    started = time.process_time()
    read()
    return time.process_time() - started


def compare(title: str, path: Path, repeat: int, readers: dict[str, Callable[[], object]]) -> None:
    """Print MB a second of each reader, and its time over that of unpacking alone."""
    size = sum(len(chunk) for chunk in Chunks(path))
    readers = {"unpacking alone": lambda: sum(len(chunk) for chunk in Chunks(path))} | readers
    rounds = [{name: cpu_seconds(read) for name, read in readers.items()} for _ in range(repeat)]
    print(f"\n{title}: {size / 1e6:,.0f} MB unpacked, {path.stat().st_size / 1e6:,.0f} MB on disk")
    for name in readers:
        seconds = statistics.median(held[name] for held in rounds)
        over = statistics.median(held[name] / held["unpacking alone"] for held in rounds)
        print(f"  {name:34} {size / seconds / 1e6:8,.0f} MB/s   {over:5.2f} times unpacking")


def drain(values: object) -> None:
    for _ in values:
        pass


def made_wiki(titles: int, folder: Path) -> tuple[list[Path], int]:
    """Write titles.arrow and SQL dumps of a wiki; return the dumps and the bytes of its titles and names."""
    draw = random.Random(0)
    size = 0
    tables = [folder / "page_props.sql.gz", folder / "langlinks.sql.gz"]
    with (
        gzip.open(tables[0], "wt", compresslevel=1) as props,
        gzip.open(tables[1], "wt", compresslevel=1) as links,
        pa.OSFile(str(folder / "titles.arrow"), "wb") as file,
        pa.ipc.new_file(file, SEEN) as writer,
    ):
        props.write(head("page_props"))
        links.write(head("langlinks"))
        for start in range(0, titles, ROWS_AN_INSERT):
            ids = range(start + 1, min(start + ROWS_AN_INSERT, titles) + 1)
            names = [f"{draw.randrange(16**9):X} title {number}" for number in ids]
            writer.write_batch(pa.record_batch([list(ids), names, [None] * len(names)], schema=SEEN))
            values = ",".join(f"({number},'wikibase_item','Q{number}')" for number in ids)
            props.write(f"INSERT INTO `page_props` VALUES {values};\n")
            values = ",".join(f"({number},'en','{name} there')" for number, name in zip(ids, names, strict=True))
            links.write(f"INSERT INTO `langlinks` VALUES {values};\n")
            size += sum(2 * len(name) + len(" there") for name in names)
        props.write("\n-- Dump completed on 2024-01-01\n")
        links.write("\n-- Dump completed on 2024-01-01\n")
    return tables, size


def settle(folder: Path) -> None:
    """Read the made wiki's sources and print what that took; run as a process of its own."""
    source = pa.ipc.open_file(pa.memory_map(str(folder / "titles.arrow")))
    seen = [source.get_batch(number) for number in range(source.num_record_batches)]
    sources = Sources(sql=[folder / "page_props.sql.gz", folder / "langlinks.sql.gz"], languages=["en"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    found = gather(site("el"), "elwiki", sources, seen, Counter(), [])
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{len(found.aligned)} {len(found.names)} {peak * 1024} {seconds}")


def memory(titles: int, folder: Path) -> None:
    _, size = made_wiki(titles, folder)
    printed = subprocess.run(
        [sys.executable, __file__, "--settle", str(folder)], check=True, capture_output=True, text=True
    ).stdout
    aligned, names, peak, seconds = map(float, printed.split())
    print(f"\nAlignment of {aligned:,.0f} titles with {names:,.0f} names, {size / 1e6:,.0f} MB of text:")
    print(f"  {peak / 1e6:,.0f} MB at the peak, {peak / size:.1f} times the text; {seconds:,.0f} s of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--titles", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--settle", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.settle:
        settle(options.settle)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.megabytes:
            path = folder / "langlinks.sql.gz"
            repeated_langlinks(options.data, options.megabytes, path)
            readers = {
                "all rows, as Arrow columns": lambda: drain(sql.rows(path, LANGLINKS, Counter())),
                "rows of two languages": lambda: drain(
                    sql.rows(path, LANGLINKS, Counter(), where={"ll_lang": ("en", "fr")})
                ),
            }
            compare("langlinks.sql.gz", path, options.repeat, readers)
            entities = folder / "wikidata.json.gz"
            repeated_entities(options.data, options.megabytes, entities)
            sites, el = {"elwiki", "enwiki"}, "elwiki"
            readers = {
                "lines": lambda: drain(lines(entities, Counter())),
                "sitelinks of two wikis": lambda: drain(items(entities, Counter(), sites=sites)),
                "and labels where one is missing": lambda: drain(
                    items(
                        entities,
                        Counter(),
                        sites=sites,
                        languages=["en"],
                        labels_if=lambda item: el in item.sitelinks and "enwiki" not in item.sitelinks,
                    )
                ),
                "every line as JSON (orjson)": lambda: drain(
                    orjson.loads(line.rstrip(b",")) for line in lines(entities, Counter()) if len(line) > 1
                ),
            }
            compare("wikidata.json.gz", entities, options.repeat, readers)
        if options.titles:
            memory(options.titles, folder)


if __name__ == "__main__":
    main()
