"""Mentions in plain text: thresholds, the longest first, once a block."""

import pytest
from anchor_helpers import article, write_corpus

from lingraft.entities.anchors import AnchorConfig, Anchors, build_anchors
from lingraft.entities.mentions import MentionFinder, Mentions

ENTITIES = {"Athens": 1524, "Greece": 41, "University of Athens": 547867, "Javan": 252}
PAGES = [
    article(
        1, "A", "[[Athens]] in [[Greece]]: [[University of Athens]] and [[Red town]] of [[Red town|Red]].", ENTITIES
    ),
    article(2, "B", "[[Athens]], Greece, Greece, Greece. [[Javan|Java]] [[Other|Java]] [[Other thing|Java]]", ENTITIES),
]


@pytest.fixture(scope="module")
def anchors(tmp_path_factory) -> Anchors:
    folder = tmp_path_factory.mktemp("mentions")
    write_corpus(folder / "corpus", [PAGES])
    build_anchors(AnchorConfig(corpus=folder / "corpus"), folder / "anchors", workers=1)
    return Anchors(folder / "anchors")


def found(anchors: Anchors, text: str, **config) -> list[tuple[str, str]]:
    [mentions] = MentionFinder(anchors, Mentions(**config)).find([text])
    assert mentions == sorted(mentions, key=lambda mention: mention.start)
    return [(text[mention.start : mention.end], mention.target) for mention in mentions]


def test_the_longest_anchor_wins(anchors):
    assert found(anchors, "The University of Athens in Athens") == [
        ("University of Athens", "University of Athens"),
        ("Athens", "Athens"),
    ]


@pytest.mark.parametrize(("threshold", "expected"), [(0.25, [("Greece", "Greece")]), (0.26, [])])
def test_link_probability_decides(anchors, threshold, expected):
    assert found(anchors, "in Greece", min_probability=threshold) == expected  # 1 link, 3 times plain


@pytest.mark.parametrize(("share", "expected"), [(0.3, [("Java", "Javan")]), (0.5, [])])
def test_an_ambiguous_anchor_needs_a_common_target(anchors, share, expected):
    assert found(anchors, "on Java", min_share=share) == expected


def test_targets_without_an_entity_are_asked_for(anchors):
    assert found(anchors, "Red town, Athens") == [("Athens", "Athens")]
    assert found(anchors, "Red town, Athens", only_entities=False) == [("Red town", "Red town"), ("Athens", "Athens")]


def test_short_and_rare_anchors_are_left_out(anchors):
    assert found(anchors, "Greece and Athens", min_characters=7) == []
    assert found(anchors, "Greece and Athens", min_links=2) == [("Athens", "Athens")]


def test_once_a_block(anchors):
    text = "Athens and Athens\n\nAthens"
    assert len(found(anchors, text)) == 3
    assert found(anchors, text, first_in_block=True) == [("Athens", "Athens")] * 2


def test_each_text_has_its_own_mentions(anchors):
    finder = MentionFinder(anchors, Mentions())
    assert [len(mentions) for mentions in finder.find(["", "Athens", "none", "Athens Athens", ""])] == [0, 1, 0, 2, 0]
    assert finder.find([]) == []
