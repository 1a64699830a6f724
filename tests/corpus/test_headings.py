"""Headings of the apparatus: found by where they stand and what they hold, in no language at all."""

from dataclasses import dataclass

import pytest

from lingraft.corpus.headings import Heading, apparatus, headings, normal_heading
from lingraft.corpus.read import Link, Section
from lingraft.wikimedia.wikitext import parse

PROSE = "Xod ma vu, fel tiro nam ke lodu xan pire [[Fel]] ta nimo wexa. " * 10


@dataclass
class Article:
    text: str
    sections: list[Section]
    links: list[Link]


def article(wikitext: str) -> Article:
    parsed = parse(wikitext, "en")
    links = [Link(start, end, target, None, None) for start, end, target in parsed.links]
    return Article(parsed.text, [Section(*section) for section in parsed.sections], links)


def page(*endings: str) -> Article:
    return article(f"{PROSE}\n== Toro ==\n{PROSE}\n" + "\n".join(endings))


def found(articles: list[Article]) -> dict[str, Heading]:
    return {heading.heading: heading for heading in headings(articles)}


SEE_ALSO = "== Vide ==\n* [[Anu]]\n* [[Belo]]\n* [[Ceru]]"
ADDRESSES = "== Ligilo: ==\n* [http://x.org The first page of all pages on this]\n* [http://y.org Another page]"
REFERENCES = "== Refo ==\n<references/>"


@pytest.mark.parametrize("ending", [SEE_ALSO, ADDRESSES, REFERENCES], ids=["links", "addresses", "nothing"])
def test_what_holds_no_text_at_the_end_is_apparatus(ending):
    name = normal_heading(ending.split("==")[1])
    articles = [page(ending)] * 3 + [page()] * 20
    assert apparatus(articles) == {name}
    assert found(articles)[name] == Heading(name, 3, 1.0, 0.0, True)


def test_what_holds_text_is_none_wherever_it_stands():
    assert apparatus([page(f"== Fino ==\n{PROSE}")] * 5) == frozenset()
    items = "\n".join([f"* {year} - fel tiro [[Nam {year}]] ta nimo wexa xan pire lodu" for year in range(9)])
    assert apparatus([page(f"== Jaroj ==\n{items}")] * 5) == frozenset()


def test_what_stands_in_the_middle_is_none():
    articles = [page(SEE_ALSO, f"== Fino ==\n{PROSE}")] * 5
    assert apparatus(articles) == frozenset()
    assert found(articles)["vide"].at_end == 0


def test_text_in_another_apparatus_does_not_count():
    talkative = f"== Refo ==\n{PROSE}"
    articles = [page(SEE_ALSO, talkative)] * 2 + [page(SEE_ALSO, REFERENCES)] * 8
    assert apparatus(articles) == {"vide", "refo"}
    assert found(articles)["vide"].at_end == 1


def test_rare_headings_are_not_judged():
    assert apparatus([page(SEE_ALSO)] * 2 + [page()] * 20) == frozenset()
    assert not found([page(SEE_ALSO)] * 3 + [page()] * 2000)["vide"].is_frequent


def test_spellings_of_a_heading_are_one():
    articles = [page(f"== {heading} ==") for heading in ("Πηγές", "ΠΗΓΈΣ", " Πηγές: ", "Πηγές.")]
    assert found(articles)["πηγές"].num_articles == 4
    assert normal_heading("ΠΗΓΈΣ") == "πηγές"


def test_a_section_of_subsections_is_judged_by_them():
    articles = [page(f"== Mondo ==\n=== Unu ===\n{PROSE}\n=== Du ===\n{PROSE}")] * 4
    assert apparatus(articles) == frozenset()
    assert found(articles)["mondo"].running > 0.9
    inside = [page("== Fontoj ==\n=== Libroj ===\n* A\n* B\n=== Ligiloj ===\n* C\n* D")] * 4
    assert apparatus(inside) == {"fontoj", "libroj", "ligiloj"}


def test_pages_without_text_say_nothing():
    assert headings([article("== A ==\n== B ==\n* c")] * 10) == []
    assert headings([]) == []
