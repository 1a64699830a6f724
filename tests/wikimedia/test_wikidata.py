import bz2
import gzip
import json
from collections import Counter

import pytest

from lingraft.errors import LingraftError
from lingraft.wikimedia.wikidata import Item, items, labels, sitelinks

ATHENS = {
    "type": "item",
    "id": "Q1524",
    "labels": {"el": {"language": "el", "value": "Αθήνα"}, "en": {"language": "en", "value": "Athens"}},
    "aliases": {"en": [{"language": "en", "value": "Athina"}, {"language": "en", "value": 'the "City"'}]},
    "claims": {"P31": [{"mainsnak": {"datavalue": {"value": {"id": "Q515", "text": '"sitelinks":{},"claims":'}}}}]},
    "sitelinks": {"elwiki": {"site": "elwiki", "title": "Αθήνα"}, "enwiki": {"site": "enwiki", "title": "Athens"}},
}
ROME = {"type": "item", "id": "Q220", "labels": [], "aliases": [], "claims": [], "sitelinks": []}


def line(entity, **layout):
    return json.dumps(entity, **({"separators": (",", ":")} | layout)).encode()


def dump(*found):
    return b"[\n" + b",\n".join(found) + b"\n]\n"


def saved(tmp_path, data, name="entities.json"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def read(path, **options):
    tally, problems = Counter(), []
    return list(items(path, tally, problems, **options)), tally, problems


@pytest.mark.parametrize(
    "data",
    [
        dump(line(ATHENS), line(ROME)),
        dump(line(ATHENS), line(ROME)).replace(b"\n", b"\r\n"),
        line(ATHENS) + b"\n" + line(ROME),
        bz2.compress(dump(line(ATHENS), line(ROME))),
        bz2.compress(b"[\n" + line(ATHENS)[:100]) + bz2.compress(line(ATHENS)[100:] + b",\n" + line(ROME) + b"\n]"),
        gzip.compress(dump(line(ATHENS), line(ROME))),
    ],
)
def test_sitelinks_in_every_layout_and_format(tmp_path, data):
    tally = Counter()
    found = list(sitelinks(saved(tmp_path, data), {"elwiki", "dewiki"}, tally))
    assert found == [(1524, {"elwiki": "Αθήνα"}), (220, {})]
    assert tally == {"items": 2}


def test_all_sites_and_no_site(tmp_path):
    path = saved(tmp_path, dump(line(ATHENS)))
    assert list(sitelinks(path, None, Counter())) == [(1524, {"elwiki": "Αθήνα", "enwiki": "Athens"})]
    assert list(sitelinks(path, (), Counter())) == [(1524, {})]


def test_labels_and_aliases(tmp_path):
    path = saved(tmp_path, dump(line(ATHENS), line(ROME)))
    found = list(labels(path, ["en", "de"], Counter()))
    assert found == [(1524, {"en": "Athens"}, {"en": ["Athina", 'the "City"']}), (220, {}, {})]
    assert next(labels(path, None, Counter()))[1] == {"el": "Αθήνα", "en": "Athens"}


@pytest.mark.parametrize(
    "variant",
    [
        line(ATHENS, separators=(", ", ": ")),
        line(dict(reversed(ATHENS.items()))),
        line({"pageid": 3, "ns": 0, "title": "Q1524", "modified": "2026-01-01T00:00:00Z"} | ATHENS),
        line(ATHENS | {"lastrevid": 5}),
        line(ATHENS | {"id": "q1524"}),
        line(ATHENS | {"sitelinks": {"elwiki": "Αθήνα", "enwiki": "Athens"}}),
    ],
)
def test_other_orders_and_layouts_give_the_same(tmp_path, variant):
    expected, _, _ = read(saved(tmp_path, dump(line(ATHENS))), languages=None)
    assert expected == [
        Item(
            1524,
            {"elwiki": "Αθήνα", "enwiki": "Athens"},
            {"el": "Αθήνα", "en": "Athens"},
            {"en": ["Athina", 'the "City"']},
        )
    ]
    assert read(saved(tmp_path, dump(variant)), languages=None)[0] == expected


def test_what_is_no_item_is_counted_by_reason(tmp_path):
    bad = [
        b'{"type":"property","id":"P31","labels":{}}',
        b'{"type":"property","datatype":"string","id":"P18","labels":{}}',
        b'{"type":"lexeme","id":"L7","lemmas":{}}',
        line(ATHENS)[:-30],
        b"not json",
        b'{"type":"item","labels":{}}',
        b'{"entity":"Q5","redirect":"Q6"}',
        b'{"type":"item","id":"Q5","sitelinks":{"elwiki":3}}',
        b"[" * 100_000,
    ]
    found, tally, _ = read(saved(tmp_path, dump(*bad, line(ATHENS))))
    assert [item.id for item in found] == [1524]
    assert tally == {"items": 1, "property": 2, "lexeme": 1, "bad_json": 3, "no_id": 2, "bad_entity": 1}


def test_an_oversized_line_is_passed_over(tmp_path):
    huge = line(ATHENS | {"id": "Q1", "claims": "x" * 5_000_000})
    path = saved(tmp_path, gzip.compress(dump(huge, line(ATHENS))))
    found, tally, _ = read(path, max_line=1 << 20)
    assert [item.id for item in found] == [1524]
    assert tally == {"items": 1, "oversized_line": 1}


def test_a_line_of_30_megabytes_is_read_and_one_that_is_no_json_counted(tmp_path):
    long = line(ATHENS | {"id": "Q1", "claims": "x" * 30_000_000})
    found, tally, problems = read(saved(tmp_path, dump(long, b'{"id":"Q2",' + b"[" * 30_000_000, line(ATHENS))))
    assert [(item.id, item.sitelinks["elwiki"]) for item in found] == [(1, "Αθήνα"), (1524, "Αθήνα")]
    assert tally == {"items": 2, "bad_json": 1}
    assert problems == []


def test_names_are_decoded_only_where_they_are_wanted(tmp_path):
    path = saved(tmp_path, dump(line(ATHENS), line(ATHENS | {"id": "Q1", "sitelinks": {}})))
    found, _, _ = read(path, languages=["en"], labels_if=lambda item: "elwiki" in item.sitelinks)
    assert [(item.id, item.labels) for item in found] == [(1524, {"en": "Athens"}), (1, {})]


@pytest.mark.parametrize(
    ("end", "place"), [(b',\n{"type":"item","id":"Q2","sitelinks":{"e', "inside line 3"), (b",\n", "after line 2")]
)
def test_a_list_that_is_never_closed_was_cut_off(tmp_path, end, place):
    path = saved(tmp_path, b"[\n" + line(ATHENS) + end)
    found, tally, problems = read(path)
    assert [item.id for item in found] == [1524]
    assert tally == {"items": 1, "truncated": 1}
    assert problems[0].message == f"dump is cut off: entities.json ends {place}, without the ']' that closes its list."
    with pytest.raises(LingraftError, match="1 complete entities were read"):
        list(items(path, Counter(), strict=True))


def test_a_cut_off_gzip_counts_once(tmp_path):
    entities = [line(ATHENS | {"id": f"Q{number}"}) for number in range(1, 2000)]
    path = saved(tmp_path, gzip.compress(dump(*entities), mtime=0)[:-800], "latest-all.json.gz")
    found, tally, problems = read(path)
    assert [item.id for item in found] == list(range(1, len(found) + 1))
    assert tally == {"items": len(found), "truncated": 1}
    assert problems[0].message.startswith("file is cut off: latest-all.json.gz ends at byte")


@pytest.mark.parametrize("data", [b"[\n]\n", b"<html>", b"plain\ntext\n", gzip.compress(b"\n", mtime=0)])
def test_a_file_without_entities_is_one_clear_error(tmp_path, data):
    with pytest.raises(LingraftError, match=r"entities\.json holds no Wikidata entity") as error:
        read(saved(tmp_path, data))
    assert "latest-all.json.gz" in error.value.cure
