"""How true the text and the links are: against published text, golds, and counts made in the simplest way.

    python benchmarks/quality.py [--only extracted golds kept templates headings markup links alignment] [--snippets 3]

extracted   words of each document against what WikiExtractor made of the same dumps in 2015 (it leaves lists out, and
            did not know every wiki's File: and Category:; so precision says what we keep beyond it, not what is wrong)
golds       words of the lead against DBpedia's hand-made abstracts
kept        words of the wikitext, cleaned in the simplest way there is (without templates, tables, references), against
            ours; so precision says what templates gave us
templates   what became of the templates, and the words and links that the data of templates saves
headings    the headings that corpus/headings.py takes for apparatus, and the nearest ones that it does not
markup      articles that still hold what looks like markup; most of it is shown like that on the page itself
links       every `[[` of the wikitext, by the place where it stands, against the links that we keep
alignment   built corpora: links, links with an entity, with an English name, and every reason why not, against a count
            of raw `[[title` that knows nothing but the dump's redirects and Wikidata's titles

Recall is the share of the reference's words that we have, precision the share of ours that the reference has: words as
multisets by document, summed over documents. --snippets prints the worst documents, or the offending text, as well.
"""

import argparse
import gzip
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

from lingraft.corpus import Article, BuildConfig, build
from lingraft.corpus.headings import headings
from lingraft.corpus.read import Link, Section
from lingraft.wikimedia.export_xml import Page, pages, read_header
from lingraft.wikimedia.preprocess import HOLE
from lingraft.wikimedia.siteinfo import Site, site
from lingraft.wikimedia.templates import Seen, Templates
from lingraft.wikimedia.wikidata import sitelinks
from lingraft.wikimedia.wikitext import Parser, parse

REPOSITORY = Path(__file__).parents[1]
DUMPS = {
    "ha": "complete/hawiki-latest-pages-articles.xml.bz2",
    "ig": "complete/igwiki-latest-pages-articles.xml.bz2",
    "ff": "complete/ffwiki-latest-pages-articles.xml.bz2",
    "el": "excerpts/elwiki-truncated-100k.xml.xz",
    "uk": "excerpts/ukwiki-truncated-100k.xml.xz",
    "mr": "excerpts/mrwiki-truncated-100k.xml.xz",
    "en": "excerpts/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
}
WIKIDATA = ("wikidata-20151109-1000-entities.json.bz2", "wikidata-49-entities.json.bz2")
MARKUP = {
    "[[ ]]": r"\[\[|\]\]",
    "{{ }}": r"\{\{|\}\}",
    "{| |}": r"\{\||\|\}",
    "''": r"''",
    "<tag>": r"</?(?:ref|br|div|span|small|big|su[bp]|center|table|t[rd]|nowiki|gallery|math|font|p|li|ul)\b[^<>]*>?",
    "<!--": r"<!--|-->",
    "&name;": r"&(?:[a-z]{2,8}|#\d+|#x[0-9a-f]+);",
    "thumb|": r"(?i:\b(?:thumb|thumbnail|frameless|left|right|center|upright|\d+px)\s*\|)",
    "row": r"(?m:^(?:\|-|\|\}|\|\+|! ))",
    "== ==": r"(?m:^==.*|.*==$)",
    "[http": r"\[(?:https?:)?//",
    "( )": r"\(\s*[,;:]?\s*\)|（[、，；：\s]*）",
}
Rows = list[list[Any]]


def articles(dump: Path, lang: str) -> Iterator[tuple[Site, Page]]:
    """Yield the articles of a dump that are no redirects."""
    wiki = site(lang, read_header(dump))
    for page in pages(dump, namespaces=(0,), redirect_words=wiki.redirect_words):
        if page.redirect is None:
            yield wiki, page


def words(text: str) -> Counter[str]:
    """Count the words of a text."""
    return Counter(re.findall(r"\w+", text))


def overlap(pairs: list[tuple[str, str, str]], snippets: int) -> list[str]:
    """Return documents, words, recall and precision over (title, ours, reference); print the worst documents."""
    counts = [(title, words(ours), words(reference)) for title, ours, reference in pairs]
    common = sum((ours & reference).total() for _, ours, reference in counts)
    num_ours = sum(ours.total() for _, ours, _ in counts)
    num_reference = sum(reference.total() for _, _, reference in counts)
    for title, ours, reference in sorted(counts, key=lambda row: -(row[2] - row[1]).total())[:snippets]:
        print(f"  missing {title!r}: {dict((reference - ours).most_common(12))}")
    for title, ours, reference in sorted(counts, key=lambda row: -(row[1] - row[2]).total())[:snippets]:
        print(f"  beyond  {title!r}: {dict((ours - reference).most_common(12))}")
    return [f"{len(counts):,}", f"{num_reference:,}", f"{common / num_reference:.4f}", f"{common / num_ours:.4f}"]


def extracted(data: Path, work: Path, snippets: int) -> Rows:
    """Compare with WikiExtractor's output of 2015, document by document."""
    rows: Rows = [["wiki", "documents", "reference words", "recall", "precision", "not in ours"]]
    for lang in ("ha", "ig", "ff"):
        with gzip.open(data / "dumps" / "wikiextractor_output" / f"{lang}wiki.txt.gz", "rt", encoding="utf-8") as file:
            found = re.findall(r'<doc id="(\d+)"[^>]*>\n[^\n]*\n(.*?)</doc>', file.read(), re.DOTALL)
        reference = {int(number): text for number, text in found}
        ours = {
            page.id: (page.title, parse(page.text, wiki, page.title).text)
            for wiki, page in articles(dump_of(data, lang), lang)
        }
        pairs = [(*ours[number], text) for number, text in reference.items() if number in ours]
        rows.append([lang, *overlap(pairs, snippets), len(reference.keys() - ours.keys())])
    return rows


def golds(data: Path, work: Path, snippets: int) -> Rows:
    """Compare the lead with DBpedia's abstracts."""
    pairs = []
    for gold in sorted((data / "wikitext_suites" / "dbpedia").glob("*-gold.txt")):
        page = gold.with_name(gold.name.replace("-gold.txt", ".wiki")).read_text(encoding="utf-8")
        parsed = parse(page, "en")
        pairs.append((gold.stem, parsed.text[: parsed.sections[0][1]], gold.read_text(encoding="utf-8")))
    return [["", "documents", "reference words", "recall", "precision"], ["DBpedia", *overlap(pairs, snippets)]]


def simple_text(wikitext: str) -> str:
    """Clean wikitext by a few substitutions that know nothing of languages and little of MediaWiki."""
    for pattern in FLAT.values():
        wikitext = pattern.sub("", wikitext)
    for pattern in NESTED.values():
        previous = ""
        while previous != wikitext:
            previous, wikitext = wikitext, pattern.sub("", wikitext)
    previous = ""
    while previous != wikitext:
        previous, wikitext = wikitext, INNER_LINK.sub(_label, wikitext)
    wikitext = re.sub(r"\[(?:https?:)?//\S+ ?([^\]]*)\]|</?[a-zA-Z][^<>]*>|'{2,}|__[A-Z]+__", r" \1 ", wikitext)
    return unescape(wikitext)


def _label(link: re.Match[str]) -> str:
    target, bar, label = link[1].partition("|")
    return "" if ":" in target else label if bar else target


def kept(data: Path, work: Path, snippets: int) -> Rows:
    """Compare with wikitext cleaned in the simplest way."""
    rows: Rows = [["wiki", "articles", "reference words", "recall", "precision"]]
    for lang in DUMPS:
        pairs = [
            (page.title, parse(page.text, wiki, page.title).text, simple_text(page.text))
            for wiki, page in articles(dump_of(data, lang), lang)
        ]
        rows.append([lang, *overlap(pairs, snippets)])
    return rows


class Counting(Templates):
    """Templates that count what became of each, and show nothing if asked to."""

    def __init__(self, wiki: Site, with_data: bool):
        super().__init__(wiki)
        self.with_data = with_data
        self.num_shown = self.num_dropped = 0
        self.shown: Counter[str] = Counter()

    def show(self, inside: str, seen: Seen) -> str:
        shown = super().show(inside, seen) if self.with_data else HOLE
        self.num_shown += shown != HOLE
        self.num_dropped += shown == HOLE
        if shown != HOLE:
            self.shown[inside.partition("|")[0].partition(":")[0].strip()] += 1
        return shown


def templates(data: Path, work: Path, snippets: int) -> Rows:
    """Read each wiki with the data of templates and without."""
    names = ["templates", "shown", "known to show nothing", "unknown"]
    rows: Rows = [["wiki", *names, "words more", "%", "links more", "%", "names"]]
    for lang in DUMPS:
        num_words, num_links, num_names = Counter(), Counter(), 0
        unknown: Counter[str] = Counter()
        for with_data in (False, True):
            parser, counting = None, None
            for wiki, page in articles(dump_of(data, lang), lang):
                if parser is None:
                    counting = Counting(wiki, with_data)
                    parser = Parser(wiki, templates=counting)
                parsed = parser.parse(page.text, page.title)
                num_words[with_data] += len(parsed.text.split())
                num_links[with_data] += len(parsed.links)
                num_names += len(parsed.names)
                unknown += parsed.templates
        total = counting.num_shown + counting.num_dropped
        known = counting.num_dropped - unknown.total()
        more = [count[True] - count[False] for count in (num_words, num_links)]
        shares = [f"{100 * gain / count[False]:.2f}" for gain, count in zip(more, (num_words, num_links), strict=True)]
        rows.append(
            [lang, total, counting.num_shown, known, unknown.total(), more[0], shares[0], more[1], shares[1], num_names]
        )
        if snippets:
            print(f"  {lang} shown:   {dict(counting.shown.most_common(5 * snippets))}")
            print(f"  {lang} unknown: {dict(unknown.most_common(5 * snippets))}")
    return rows


def apparatus_headings(data: Path, work: Path, snippets: int) -> Rows:
    """Judge the headings of each wiki."""
    rows: Rows = [
        ["wiki", "judged", "apparatus", "the most frequent, with their scores; then the nearest that are not"]
    ]
    for lang in DUMPS:
        found = headings(_corpus_articles(dump_of(data, lang), lang))
        frequent = [heading for heading in found if heading.is_frequent]
        yes = [heading for heading in frequent if heading.is_apparatus]
        no = sorted((heading for heading in frequent if not heading.is_apparatus), key=lambda heading: -heading.score)
        told = ["; ".join(f"{heading.heading} {heading.score:.2f}" for heading in part[:6]) for part in (yes, no)]
        rows.append([lang, len(frequent), len(yes), f"{told[0]} | {told[1]}"])
    return rows


def _corpus_articles(dump: Path, lang: str) -> Iterator[Article]:
    for wiki, page in articles(dump, lang):
        parsed = parse(page.text, wiki, page.title)
        yield Article(
            text=parsed.text,
            sections=[Section(*section) for section in parsed.sections],
            links=[Link(start, end, target, None, None) for start, end, target in parsed.links],
        )


def markup(data: Path, work: Path, snippets: int) -> Rows:
    """Count the articles with leftovers, a thousand articles."""
    patterns = {name: re.compile(pattern) for name, pattern in MARKUP.items()}
    rows: Rows = [["wiki", "articles", "any, a thousand", *MARKUP]]
    for lang in DUMPS:
        num_articles, with_any, found = 0, 0, Counter()
        for wiki, page in articles(dump_of(data, lang), lang):
            text = parse(page.text, wiki, page.title).text
            num_articles += 1
            here = {name: match for name, pattern in patterns.items() if (match := pattern.search(text))}
            with_any += bool(here)
            for name, match in here.items():
                found[name] += 1
                if found[name] <= snippets:
                    start, end = match.span()
                    print(f"  {lang} {name:7} {page.title!r}: {text[max(0, start - 40) : end + 40]!r}")
        rows.append([lang, num_articles, f"{1000 * with_any / num_articles:.1f}", *(found[name] for name in MARKUP)])
    return rows


NESTED = {
    "templates": re.compile(r"\{\{[^{}]*\}\}"),
    "tables": re.compile(
        r"^[ :*#]*\{\|(?:(?!^[ :*#]*\{\|).)*?^[ :*#]*\|\}|<table\b(?:(?!<table\b).)*?</table>", re.M | re.S
    ),
}
FLAT = {
    "comments": re.compile(r"<!--.*?-->", re.DOTALL),
    "refs": re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*>.*?</ref>", re.DOTALL),
    "galleries": re.compile(r"<(gallery|timeline|imagemap|nowiki|math|includeonly)\b[^<>/]*>.*?</\1>", re.DOTALL),
}
LINK = re.compile(r"\[\[([^\[\]|{}<>\n]*)")
INNER_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")


def places(wikitext: str, wiki: Site) -> dict[str, list[str]]:
    """Return the targets of all `[[` by the place where they stand: comments, ... pictures, other kinds, prose."""
    found: dict[str, list[str]] = {}

    def cut(name: str, pattern: re.Pattern[str], text: str) -> str:
        def note(match: re.Match[str]) -> str:
            found.setdefault(name, []).extend(LINK.findall(match[0]))
            return ""

        return pattern.sub(note, text)

    for name, pattern in FLAT.items():
        wikitext = cut(name, pattern, wikitext)
    for name, pattern in NESTED.items():
        previous = ""
        while previous != wikitext:
            previous, wikitext = wikitext, cut(name, pattern, wikitext)
    prefixes = "|".join(re.escape(name) for name, number in wiki.namespaces.items() if number == 6)
    nested = r"(?:\[\[(?:[^\[\]]|\[[^\[\]]*\])*\]\]|\[[^\[\]]*\]|[^\[\]])*"
    wikitext = cut("pictures", re.compile(rf"\[\[\s*(?:{prefixes})\s*:{nested}\]\]", re.IGNORECASE), wikitext)
    for target in LINK.findall(wikitext):
        prefix, colon, _ = target.strip().lstrip(":").partition(":")
        title = target.partition("#")[0].strip()
        elsewhere = colon and (wiki.namespace_of(prefix) or prefix.lower() in {*wiki.interwiki, wiki.lang})
        found.setdefault("other kinds" if elsewhere or not title else "prose", []).append(target)
    return found


def links(data: Path, work: Path, snippets: int) -> Rows:
    """Count `[[` by place, and the links that we keep."""
    names = ["comments", "refs", "galleries", "templates", "tables", "pictures", "other kinds", "prose"]
    rows: Rows = [["wiki", "[[", *names, "kept", "kept / prose"]]
    for lang in DUMPS:
        total: Counter[str] = Counter()
        kept = 0
        differing: list[tuple[int, str]] = []
        for wiki, page in articles(dump_of(data, lang), lang):
            counts = Counter({name: len(targets) for name, targets in places(page.text, wiki).items()})
            total.update(counts)
            num_kept = len(parse(page.text, wiki, page.title).links)
            kept += num_kept
            differing.append((num_kept - counts["prose"], page.title))
        for difference, title in sorted(differing, key=lambda row: -abs(row[0]))[:snippets]:
            print(f"  {lang} {title!r}: {difference:+}")
        share = f"{kept / total['prose']:.4f}"
        rows.append([lang, total.total(), *(total[name] for name in names), kept, share])
    return rows


def simple_count(dump: Path, lang: str, wikidata: list[Path]) -> dict[str, Counter[str]]:
    """Count, by place, the raw link occurrences that reach an English title; keys of the counters are final titles."""
    english: dict[str, str] = {}
    for path in wikidata:
        for _, titles in sitelinks(path, {f"{lang}wiki", "enwiki"}, Counter()):
            if len(titles) == 2:
                english[titles[f"{lang}wiki"]] = titles["enwiki"]
    wiki = site(lang, read_header(dump))
    redirects = {
        plain_title(page.title): plain_title(page.redirect.partition("#")[0])
        for page in pages(dump, namespaces=(0,), redirect_words=wiki.redirect_words)
        if page.redirect
    }
    reached: dict[str, Counter[str]] = {}
    for own, page in articles(dump, lang):
        for place, targets in places(page.text, own).items():
            for target in targets:
                title = plain_title(target.partition("#")[0])
                for _ in range(5):
                    title = redirects.get(title, title)
                if title in english:
                    reached.setdefault(place, Counter())[title] += 1
    return reached


def plain_title(target: str) -> str:
    """Return a title with spaces and a capital, which is all that most titles need."""
    title = " ".join(target.replace("_", " ").split())
    return title[:1].upper() + title[1:]


def alignment(data: Path, work: Path, snippets: int) -> Rows:
    """Build the corpora, and count independently."""
    wikidata = [data / "wikidata" / name for name in WIKIDATA]
    pairs = data / "interlanguage" / "el-en-titles.tsv"
    counters = ["articles", "empty_text", "links", "links_with_entity", "links_named_en", "links_no_name_en"]
    counters += ["links_no_item", "links_red_link", "redirects", "redirect_cycles", "truncated"]
    counters += ["wikitext_templates", "wikitext_tables", "wikitext_tag_ref", "wikitext_links_file"]
    counters += ["wikitext_links_category", "wikitext_links_interlanguage", "wikitext_links_other_namespace"]
    counters += ["wikitext_links_same_page", "wikitext_links_interwiki", "wikitext_links_empty_anchor"]
    columns = [*(lang for lang in DUMPS if lang != "en"), "el+titles"]
    found: dict[str, dict[str, int]] = {}
    reached: dict[str, dict[str, Counter[str]]] = {}
    for column in columns:
        lang = column.partition("+")[0]
        config = BuildConfig(
            dump=[dump_of(data, lang)], lang=lang, wikidata=wikidata, titles=[pairs] if "+" in column else []
        )
        shutil.rmtree(work / "corpora" / column, ignore_errors=True)  # the code may have changed since
        found[column] = build(config, work / "corpora" / column, quiet=True)["counters"]
        reached[column] = {} if "+" in column else simple_count(dump_of(data, lang), lang, wikidata)
    rows: Rows = [["", *columns]]
    rows += [[name, *(found[column].get(name, 0) for column in columns)] for name in counters]
    rows.append(["simple count: named", *(named(reached[column]) for column in columns)])
    for place in ("prose", "templates", "tables", "pictures", "refs", "galleries", "comments"):
        here = [named({place: reached[column].get(place, Counter())}) for column in columns]
        rows.append([f"  in {place}", *here])
    distinct = [len(set().union(*reached[column].values())) if reached[column] else "" for column in columns]
    rows.append(["simple count: targets", *distinct])
    return rows


def named(reached: dict[str, Counter[str]]) -> int:
    """Return the occurrences of all places."""
    return sum(titles.total() for titles in reached.values())


def dump_of(data: Path, lang: str) -> Path:
    """Return the dump of a wiki."""
    return data / "dumps" / DUMPS[lang]


def print_rows(rows: Rows) -> None:
    """Print rows as aligned columns; the first row is the head."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *rest in cells:
        print(
            first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)), sep="  "
        )


TABLES: dict[str, Callable[[Path, Path, int], Rows]] = {
    "extracted": extracted, "golds": golds, "kept": kept, "templates": templates, "headings": apparatus_headings,
    "markup": markup, "links": links, "alignment": alignment,
}  # fmt: skip


def main() -> None:
    """Print the tables asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    options.add_argument("--work", type=Path, default=REPOSITORY / "out" / "bench", help="folder of the built corpora")
    options.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    options.add_argument("--snippets", type=int, default=0, help="how many examples of what differs")
    asked = options.parse_args()
    if not asked.data.is_dir():
        sys.exit(f"no data at {asked.data}: name the folder with --data")
    for name in asked.only:
        rows = TABLES[name](asked.data, asked.work, asked.snippets)
        print(f"\n{name}")
        print_rows(rows)


if __name__ == "__main__":
    main()
