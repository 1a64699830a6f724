"""Names out of titles, by LEIA's rules, each refusal with its reason; ids of entities that no QID is known for."""

from collections import Counter

import pytest

from lingraft.entities.names import entity_of_pivot, name_from_title


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Athens", "Athens"),
        ("Sparta (city)", "Sparta"),
        ("Mercury (planet) (myth)", "Mercury"),
        ("A (b (c) d) e", "A e"),  # the inner parentheses go first
        ("(500) Days of Summer", "Days of Summer"),
        ("東京（曖昧さ回避）", "東京"),
        ("Smile :)", "Smile :)"),
        ("C (open", "C (open"),
        ("Lists of cities", "Lists of cities"),
        ("Mission: Impossible", "Mission: Impossible"),
    ],
)
def test_parentheses_go_and_the_rest_is_the_name(title, name):
    tally = Counter()
    assert name_from_title(title, "en", tally) == name
    assert not tally


NAMESPACES = (
    "Wikipedia Category File Portal Template MediaWiki User Help Book Draft WikiProject Special Talk".split()
)  # fmt: skip


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        *[(f"{namespace}:Athens", "namespace") for namespace in NAMESPACES],
        ("List of cities", "list"),
        ("(untitled)", "empty"),
        (" ", "empty"),
    ],
)
def test_a_title_that_gives_no_name_is_counted_by_its_reason(title, reason):
    tally = Counter()
    assert name_from_title(title, "en", tally) is None
    assert tally == {f"names_dropped_{reason}_en": 1}


def test_an_entity_without_a_qid_has_an_id_that_never_changes():
    # Golden: corpora built on different days and machines meet in these ids.
    assert entity_of_pivot("Atlantide (île)") == -318905523703443983
    assert entity_of_pivot("Athens") == entity_of_pivot("Athens") != entity_of_pivot("athens")


def test_such_ids_are_negative_and_fit_in_63_bits():
    ids = {entity_of_pivot(f"title {number}") for number in range(2000)}
    assert len(ids) == 2000
    assert all(-(2**62) <= entity < 0 for entity in ids)
