"""Feeds damaged wikitext to the compiled parser and holds it to the one in Python, which must give the same.

    python benchmarks/fuzz.py [--seconds 60] [--seed 0] [--start 0] [--pages DUMP ...]

Inputs are pieces of real pages, cut, doubled, swapped and mixed with fragments of markup; with --pages none they are
fragments alone. Input number i of a seed is always the same, so that a failure can be had again with --start i
--seconds 1. All runs in a process of its own: where that dies, the input that killed it is printed. Ends with status 1
at the first difference, shortened as far as it goes. For memory errors that do not crash, build the kernel with
CFLAGS="-O1 -g -fsanitize=address" and run this with LD_PRELOAD=$(gcc -print-file-name=libasan.so)
ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc.
"""

import argparse
import mmap
import random
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

EXCERPTS = Path(__file__).parents[2] / "shared" / "data" / "dumps" / "excerpts"
PAGES = [
    EXCERPTS / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    EXCERPTS / "elwiki-truncated-100k.xml.xz",
]
LANGS = ["en", "el", "zh", "ar", "ca", "uk"]  # with prefixes, odd trails and language variants among them
FRAGMENTS = [
    " ",
    "  ",
    *"[[ ]] [ ] {{ }} {{{ }}} { } {| |} |- |+ | ! || = == === ====== * # : ; ;: -{ }- ---- __ / \\".split(),
    *"' '' ''' '''' ''''' <ref> </ref> <ref/> <REF <ref name=a /> <nowiki> </nowiki> <nowiki/> <pre> </pre>".split(),
    *"<poem> </poem> <math> </math> <table> </table> <TABLE <br> <br/> <div </div> <small> <foo> </ < >".split(),
    *"<!-- --> <noinclude> <onlyinclude> &amp; &lt; &#91; &#x5D; &nbsp; &ndash; &#0; &#xD800; &bogus; & ;".split(),
    *"http:// [http://x.org [//x [mailto:a [https://[::1]/ File: Image: Category: :en: en: de: :: # #a".split(),
    *"HTTP:// [HTTPS://y Category:: File:: User:".split(),
    *"__TOC__ __NOTOC__ __init__ |thumb| |left| |20px| {{! }} {{lang|el| {{convert|5|km}} {{ill|a|en|b}}".split(),
    *"{{nihongo|a|b|c}} {{PAGENAME}} {{formatnum:1234}} a z é Αθήνα 東京 （ ） 、 ， 。 ： ( ) , .".split(),
    *"ſ İ K ǅ ʼ « » ӿ \u05e8 \u200f \U0001f600 \u0303 \ufdd0 \ufde0 \ufffc \ud800".split(),
    *"\n|\n\n|\t|\xa0|\u2028|\u3000|\x00|\x01|\x02|\x03|\x04|\x05|\x06|\x07|\x1f|\r|\r\n|\x85".split("|"),
]


def piece(chance: random.Random, pages: list[str]) -> str:
    """Return a piece of a page, or some fragments."""
    if not pages or chance.random() < 0.3:
        return "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 40)))
    page = chance.choice(pages)
    start = chance.randrange(len(page))
    return page[start : start + int(10 ** chance.uniform(1, 3.5))]


def made(seed: int, index: int, pages: list[str]) -> str:
    """Return input number `index`."""
    chance = random.Random(f"{seed} {index}")
    text = piece(chance, pages)
    for _ in range(chance.randint(0, 8)):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice([0, 1, 2, 5, 50, 500]))
        new = ["", text[at:end] * 2, chance.choice(FRAGMENTS), chance.choice(FRAGMENTS), piece(chance, pages)]
        text = text[:at] + chance.choice(new) + text[end:]
    return text[:20_000]


def damaged(seed: int, index: int, text: str) -> bytes:
    """Return the text as it would stand in an export, sometimes with broken bytes."""
    chance = random.Random(f"{seed} {index} bytes")
    raw = bytearray(escape(text, quote=chance.random() < 0.5).encode("utf-8", "surrogatepass"))
    for _ in range(chance.choice([0, 0, 1, 3])):
        at = chance.randint(0, len(raw))
        raw[at:at] = bytes([chance.randrange(256)])
    return bytes(raw)


def work(asked: argparse.Namespace) -> None:
    """Compare until the time is over; exit with 1 at a difference."""
    from lingraft.wikimedia import _kernel
    from lingraft.wikimedia.columns import Columns
    from lingraft.wikimedia.export_xml import pages
    from lingraft.wikimedia.siteinfo import site
    from lingraft.wikimedia.wikitext import Parser

    texts = [page.text for dump in asked.pages for page in pages(dump, namespaces=(0,)) if len(page.text) > 500]
    parsers = [Parser(site(lang)) for lang in LANGS]
    readers = [_kernel.Reader(parser) for parser in parsers]
    compiled = [_kernel.Columns(parser) for parser in parsers]
    for parser in parsers:
        parser.kernel = parser._reader = None  # what is compared with is plain Python

    def differs(text: str, which: int) -> bool:
        return readers[which].parse(text, "T") != parsers[which].parse(text, "T")

    ends = time.monotonic() + asked.seconds
    with asked.state.open("r+b") as file:
        state = mmap.mmap(file.fileno(), 8)
    index = asked.start
    while time.monotonic() < ends:
        state[:] = index.to_bytes(8, "little")
        which = index % len(LANGS)
        text = made(asked.seed, index, texts)
        if differs(text, which):
            text = shortest(text, lambda shorter, which=which: differs(shorter, which))
            print(f"input {index}, {LANGS[which]}, shortened: {text!r}")
            print(f"Python:   {parsers[which].parse(text, 'T')}\ncompiled: {readers[which].parse(text, 'T')}")
            sys.exit(1)
        raw = damaged(asked.seed, index, text)
        reference = Columns(parsers[which])
        lengths = [columns.add(raw, escaped=True, title="T") for columns in (reference, compiled[which])]
        batches = [columns.take() for columns in (reference, compiled[which])]
        if lengths[0] != lengths[1] or batches[0] != batches[1]:
            print(f"input {index}, {LANGS[which]}, as columns: {raw!r}\nPython:   {batches[0]}\ncompiled: {batches[1]}")
            sys.exit(1)
        index += 1
    state[:] = index.to_bytes(8, "little")


def shortest(text: str, fails) -> str:
    """Return the text without all that can go while it still fails."""
    size = len(text) // 2
    while size:
        at = 0
        while at < len(text):
            shorter = text[:at] + text[at + size :]
            if fails(shorter):
                text = shorter
            else:
                at += size
        size //= 2
    return text


def main() -> None:
    """Run the comparison in a child and say how it ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--start", type=int, default=0, help="number of the first input")
    options.add_argument("--pages", nargs="+", default=[str(path) for path in PAGES], help="dumps to take pieces from")
    options.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    asked.pages = [] if asked.pages == ["none"] else [Path(path) for path in asked.pages]
    missing = [str(path) for path in asked.pages if not path.exists()]
    if missing:
        sys.exit(f"no pages at {', '.join(missing)}: name dumps with --pages, or --pages none for fragments alone")
    if asked.state:
        work(asked)
        return
    with tempfile.NamedTemporaryFile() as state:
        state.write(bytes(8))
        state.flush()
        started = time.monotonic()
        child = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--state", state.name])
        number = int.from_bytes(Path(state.name).read_bytes(), "little")
    print(f"{number - asked.start:,} inputs in {time.monotonic() - started:.0f} s")
    if child.returncode < 0:
        print(
            f"killed by signal {-child.returncode} at input {number}: --seed {asked.seed} --start {number} --seconds 1"
        )
    sys.exit(child.returncode != 0)


if __name__ == "__main__":
    main()
