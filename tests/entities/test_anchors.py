"""Anchor statistics: what is counted, and that neither workers nor partitions change it."""

import numpy as np
import pytest
from anchor_helpers import Written, article, write_corpus

from lingraft.entities import anchors as module
from lingraft.entities.anchors import AnchorConfig, Anchors, build_anchors, is_held_out
from lingraft.errors import LingraftError

ENTITIES = {"New York City": 60, "York": 42462, "Java": 252, "Java (programming language)": 251}
PARTS = [
    [
        article(1, "A", "[[New York City|New York]] is not York, and York is no [[York]].", ENTITIES),
        article(2, "B", "The language [[Java (programming language)|Java]], not [[Java]]. Java, Java!", ENTITIES),
    ],
    [
        article(
            3, "C", "[[Java]] and [[Java (programming language)| Java ]] and [[Red link]].\n\nConcatenated", ENTITIES
        )
    ],
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("anchors") / "corpus", PARTS, {60: "New York", 252: "Java (île)"})


def counted(path) -> dict[str, tuple[int, int, list[tuple[str, int | None, int]]]]:
    held = Anchors(path)
    candidates = [
        [(row["target"], row["entity"], row["count"]) for row in rows] for rows in held.candidates.to_pylist()
    ]
    rows = zip(held.anchors.to_pylist(), held.linked.tolist(), held.occurrences.tolist(), candidates, strict=True)
    return {anchor: (linked, occurrences, targets) for anchor, linked, occurrences, targets in rows}


def test_counts_links_and_occurrences(corpus, tmp_path):
    build_anchors(AnchorConfig(corpus=corpus), tmp_path / "a", workers=1)
    assert counted(tmp_path / "a") == {
        "New York": (1, 1, [("New York City", 60, 1)]),
        "York": (1, 3, [("York", 42462, 1)]),  # the one inside the link to New York is not counted
        "Java": (4, 6, [("Java", 252, 2), ("Java (programming language)", 251, 2)]),
        "Red link": (1, 1, [("Red link", None, 1)]),
    }
    held = Anchors(tmp_path / "a")
    java = held.anchors.to_pylist().index("Java")
    assert held.probability[java] == pytest.approx(4 / 6)
    assert held.share[java] == pytest.approx(2 / 4)
    assert held.best(np.array([java])) == (["Java"], [252])


def test_neither_workers_nor_partitions_change_the_counts(corpus, tmp_path, monkeypatch):
    build_anchors(AnchorConfig(corpus=corpus), tmp_path / "one", workers=1)
    build_anchors(AnchorConfig(corpus=corpus), tmp_path / "two", workers=2)
    for name in ("anchors.arrow", "index.arrow"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    monkeypatch.setattr(module, "LINKS_A_PARTITION", 1)
    build_anchors(AnchorConfig(corpus=corpus), tmp_path / "parted", workers=1)
    assert counted(tmp_path / "parted") == counted(tmp_path / "one")


def test_another_corpus_at_the_same_place_is_counted_anew(corpus, tmp_path):
    other = write_corpus(
        tmp_path / "corpus", [[article(1, "A", "[[Rome]], Rome, Rome", {})]], config=Written(names=["de"])
    )
    build_anchors(AnchorConfig(corpus=corpus), tmp_path / "a", workers=1)
    build_anchors(AnchorConfig(corpus=other), tmp_path / "a", workers=1, overwrite=True)
    assert counted(tmp_path / "a") == {"Rome": (1, 3, [("Rome", None, 1)])}


def test_rare_anchors_and_held_out_articles_are_left_out(corpus, tmp_path):
    manifest = build_anchors(AnchorConfig(corpus=corpus, min_links=2), tmp_path / "frequent", workers=1)
    assert list(counted(tmp_path / "frequent")) == ["Java"]
    assert manifest["counters"]["rare_anchors"] == 3
    share = 0.5
    kept = [row for rows in PARTS for row in rows if not is_held_out(np.array([row["id"]]), share)[0]]
    manifest = build_anchors(AnchorConfig(corpus=corpus, held_out=share), tmp_path / "held", workers=1)
    assert 0 < len(kept) < 3
    assert manifest["counters"]["articles"] == len(kept)
    assert manifest["counters"]["links"] == sum(len(row["links"]) for row in kept)


def test_the_share_that_is_held_out_is_the_one_asked_for():
    held = is_held_out(np.arange(100_000), 0.1)
    assert held.mean() == pytest.approx(0.1, abs=0.005)
    assert not is_held_out(np.arange(1000), 0.0).any()
    assert is_held_out(np.arange(1000), 1.0).all()


def test_a_corpus_without_links_says_so(tmp_path):
    empty = write_corpus(tmp_path / "corpus", [[article(1, "A", "No links.", {})]])
    with pytest.raises(LingraftError, match=r"no anchors to learn from\n0 links"):
        build_anchors(AnchorConfig(corpus=empty), tmp_path / "anchors", workers=1)
