"""Mentions in plain text: precision and recall on held-out articles, and the speed of the search beside Aho-Corasick.

    python benchmarks/mentions.py [--only quality curve speed] [--wikis el uk elwikivoyage en world] [--anchors 1000000]

quality     A fifth of each wiki's articles is held out; the anchors of the others link them; the truth is what the
            editors linked. "strict": same characters, same target. "first mention": each target once an article, right
            when the article links to it anywhere. Unlinked mentions count as wrong in both, so precision is a lower
            bound. 95% intervals: bootstrap over articles. "reachable": the links that recall could find at best. The
            excerpts are some hundred articles, a thousandth of their wikis: a whole wiki knows far more anchors.
curve       The same by the smallest link probability, over all targets, with or without an entity.
speed       All matches of made-up Greek anchors (one to four words, Zipf) in made-up text. The automata, each in a
            process of its own, also report matches inside of words. "words" only cuts the text into words by a regular
            expression: what any search by words in Python has to do. Memory is what the process grows by; ours is a
            mapped file, which all processes share.
"""

import argparse
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers

from lingraft.corpus import BuildConfig, build
from lingraft.corpus.held_out import MeasureConfig, Measured, measure
from lingraft.entities.mentions import Mentions
from lingraft.entities.phrases import PhraseIndex, write_index
from lingraft.smallworld import WorldConfig, write_dumps

REPOSITORY = Path(__file__).parents[1]
SHARE = 0.2
DUMPS = {
    "el": ("el", "dumps/excerpts/elwiki-truncated-100k.xml.xz"),
    "uk": ("uk", "dumps/excerpts/ukwiki-truncated-100k.xml.xz"),
    "elwikivoyage": ("el", "dumps/complete/elwikivoyage-pages-articles.xml.bz2"),
    "en": ("en", "dumps/excerpts/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"),
}
WIKIDATA = ("wikidata-20151109-1000-entities.json.bz2", "wikidata-49-entities.json.bz2")
PEERS = ("pyahocorasick==2.3.1", "ahocorasick_rs==1.0.3")
PEER = """
import json, sys, time
name, file = sys.argv[1:]
anchors, texts = json.load(open(file))
memory = lambda: int(open("/proc/self/statm").read().split()[1])
before, begun = memory(), time.process_time()
if name == "pyahocorasick":
    import ahocorasick
    automaton = ahocorasick.Automaton()
    for number, anchor in enumerate(anchors):
        automaton.add_word(anchor, number)
    automaton.make_automaton()
    search = lambda text: sum(1 for _ in automaton.iter(text))
else:
    from ahocorasick_rs import AhoCorasick
    automaton = AhoCorasick(anchors, store_patterns=False)
    search = lambda text: len(automaton.find_matches_as_indexes(text, overlapping=True))
built, grown = time.process_time(), memory() - before
matches = sum(map(search, texts))
print(json.dumps([built - begun, grown * 4096 / 1e6, time.process_time() - built, matches]))
"""
Rows = list[list[Any]]


def corpus_of(name: str, data: Path, work: Path) -> Path:
    """Build the corpus of one wiki anew."""
    out = work / name
    shutil.rmtree(out, ignore_errors=True)  # the code may have changed since
    if name == "world":
        dumps = write_dumps(work / "world-dumps", WorldConfig())
        config = BuildConfig(dump=[dumps["el"]], lang="el", wikidata=[dumps["wikidata"]])
    else:
        lang, dump = DUMPS[name]
        pairs = [data / "interlanguage" / "el-en-titles.tsv"] if name == "el" else []
        wikidata = [data / "wikidata" / file for file in WIKIDATA]
        names = ["el"] if lang == "en" else ["en"]
        config = BuildConfig(dump=[data / dump], lang=lang, names=names, wikidata=wikidata, titles=pairs)
    build(config, out, quiet=True)
    return out


def measured(corpus: Path, only_entities: bool) -> Measured:
    """Measure linking on one corpus."""
    with tempfile.TemporaryDirectory() as folder:
        mentions = Mentions(only_entities=only_entities)
        return measure(MeasureConfig(corpus=corpus, share=SHARE, mentions=mentions), Path(folder) / "held-out")


def quality(corpora: dict[str, Path]) -> Rows:
    """Score the default thresholds."""
    rows: Rows = [["wiki", "targets", "articles", "links", "reachable", "score", "precision", "recall", "F1"]]
    for name, corpus in corpora.items():
        for only_entities in (False, True):
            found = measured(corpus, only_entities)
            for score_name, score in found.scores.items():
                shown = [
                    f"{value:.3f} [{low:.3f}, {high:.3f}]"
                    for value, (low, high) in (
                        (score.precision, score.interval(score.found)),
                        (score.recall, score.interval(score.truth)),
                    )
                ]
                targets = "with entity" if only_entities else "all"
                links = int(score.truth.sum())
                known = f"{found.reachable:.3f}"
                rows.append([name, targets, found.articles, links, known, score_name, *shown, f"{score.f1:.3f}"])
    return rows


def curve(corpora: dict[str, Path]) -> Rows:
    """Score every threshold: precision and recall, strict / first mention."""
    points = {name: measured(corpus, only_entities=False).curve for name, corpus in corpora.items()}
    rows: Rows = [["smallest link probability", *(f"{name} {label}" for name in points for label in ("P", "R", "F1"))]]
    for threshold in next(iter(points.values())):
        row: list[Any] = [threshold]
        for of_wiki in points.values():
            strict, first = of_wiki[threshold].values()
            row += [
                f"{getattr(strict, label):.3f}/{getattr(first, label):.3f}" for label in ("precision", "recall", "f1")
            ]
        rows.append(row)
    return rows


def made_up(num_anchors: int, megabytes: float) -> tuple[list[str], list[str]]:
    """Return anchors and texts of made-up words, the same for the same sizes."""
    chance = random.Random(0)
    syllables = "να το ρι κα λο μη πε σι ου θε αρ ιν ος εις ακ βα δω φι χε ψυ".split()
    drawn = ("".join(chance.choice(syllables) for _ in range(chance.randint(1, 5))) for _ in range(300_000))
    words = list(dict.fromkeys(drawn))

    def some(number: int) -> str:
        return " ".join(words[int(len(words) * chance.random() ** 3)] for _ in range(number))

    anchors: set[str] = set()
    while len(anchors) < num_anchors:
        anchors.add(some(chance.choice([1, 1, 2, 2, 2, 3, 3, 4])))
    return sorted(anchors), [some(500) for _ in range(int(megabytes * 1e6 / 9_000))]


def speed(num_anchors: int, work: Path) -> Rows:
    """Time building and searching of ours, of two automata, and of cutting into words."""
    anchors, texts = made_up(num_anchors, megabytes=8)
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows: Rows = [["", "build, CPU s", "memory, MB", "search, MB/s", "matches"]]

    def add(name: str, building: float, memory: float, searching: float, matches: int) -> None:
        rows.append([name, f"{building:.1f}", f"{memory:,.0f}", f"{size / searching:.1f}", matches])

    begun = time.process_time()
    num_words = sum(len(re.findall(r"\w+", text)) for text in texts)
    add("words", 0, 0, time.process_time() - begun, num_words)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.arrow"
        begun = time.process_time()
        write_index(path, anchors)
        building = time.process_time() - begun
        write_index(path.with_name("small"), anchors[:1])
        next(PhraseIndex.open(path.with_name("small")).find(texts))  # what every search holds, whatever its index
        before = resident()
        index = PhraseIndex.open(path)
        begun = time.process_time()
        matches = sum(len(found.start) for found in index.find(texts))
        searching = time.process_time() - begun
        add("lingraft", building, resident() - before, searching, matches)
        given = Path(folder) / "given.json"
        given.write_text(json.dumps([anchors, texts]))
        for requirement in PEERS:
            if python := peers.library(work, requirement):
                name = requirement.partition("=")[0]
                done = subprocess.run([python, "-c", PEER, name, given], capture_output=True, text=True, check=True)
                add(name, *json.loads(done.stdout))
    return rows


def resident() -> float:
    """Return the memory that this process holds, mapped files included, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def print_rows(rows: Rows) -> None:
    """Print rows as aligned columns; the first row is the head."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *rest in cells:
        print(
            first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)), sep="  "
        )


def main() -> None:
    """Print the tables asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    options.add_argument("--work", type=Path, default=REPOSITORY / "out" / "bench" / "mentions")
    options.add_argument("--only", nargs="+", choices=["quality", "curve", "speed"], default=["quality", "speed"])
    options.add_argument("--wikis", nargs="+", choices=[*DUMPS, "world"], default=[*DUMPS, "world"])
    options.add_argument("--anchors", type=int, default=1_000_000)
    asked = options.parse_args()
    needs_data = [name for name in asked.wikis if name != "world"]
    if needs_data and set(asked.only) != {"speed"} and not asked.data.is_dir():
        sys.exit(f"no data at {asked.data}: name the folder with --data, or say --wikis world")
    asked.work.mkdir(parents=True, exist_ok=True)
    corpora = {}
    if set(asked.only) != {"speed"}:
        corpora = {name: corpus_of(name, asked.data, asked.work) for name in asked.wikis}
    tables: dict[str, Callable[[], Rows]] = {
        "quality": lambda: quality(corpora),
        "curve": lambda: curve(corpora),
        "speed": lambda: speed(asked.anchors, asked.work),
    }
    for name in asked.only:
        rows = tables[name]()
        print(f"\n{name}")
        print_rows(rows)


if __name__ == "__main__":
    main()
