"""Exports: the same articles in every form, read back by the tools that they are meant for."""

import gzip
import json
import re
import shutil
from html import unescape

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from corpus_helpers import NOT_COMPARED, articles, build_quietly, write_dump

from lingraft.corpus import export as module
from lingraft.corpus import open
from lingraft.corpus.export import ExportConfig, export
from lingraft.errors import LingraftError

FORMS = ["hf", "jsonl", "wikiextractor", "datatrove"]


@pytest.fixture(scope="module")
def small(tmp_path_factory, small_wiki):
    """The small wiki, with names in French and German."""
    out = tmp_path_factory.mktemp("exported") / "corpus"
    sources = {"wikidata": [small_wiki["wikidata"]], "titles": [small_wiki["titles"]]}
    build_quietly(out, small_wiki["dump"], names=["fr", "de"], **sources)
    return out


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A corpus of several shards, with text that needs escaping."""
    folder = tmp_path_factory.mktemp("large")
    pages = [
        (f'Page "{number}" & more', f"1 < 2 </doc> [[Page {number - 1}|b]] «ж» 😀\n\nend") for number in range(3000)
    ]
    dump = write_dump(folder / "enwiki-20261101-pages-articles-multistream.xml.bz2", pages, a_stream=400)
    build_quietly(folder / "corpus", dump, shard_size=3000)
    return folder / "corpus"


def make(corpus, out, to, **changes):
    workers = changes.pop("workers", 1)
    return export(ExportConfig(corpus=corpus, to=to, **changes), out, workers=workers, quiet=True)


def contents(folder):
    """File -> bytes, of all that must be the same in two exports."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_COMPARED)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def lines(folder):
    for path in sorted(folder.rglob("*.jsonl.gz")):
        yield from map(json.loads, gzip.decompress(path.read_bytes()).decode().split("\n")[:-1])


def with_url(row):
    return row | {"url": f"https://en.wikipedia.org/w/index.php?oldid={row['revision']}"}


def test_json_lines_are_the_rows_with_their_address(large, tmp_path):
    manifest = make(large, tmp_path / "out", "jsonl")
    rows = articles(large)
    assert list(lines(tmp_path / "out" / "articles")) == [with_url(row) for row in rows]
    assert manifest["counters"] == {
        "articles": 3000,
        "characters": sum(len(row["text"]) for row in rows),
        "links": sum(len(row["links"]) for row in rows),
    }
    assert manifest["licence"] == "CC BY-SA 4.0"


def test_parquet_is_opened_by_datasets_and_nothing_else_in_the_folder_is(large, tmp_path):
    datasets = pytest.importorskip("datasets")
    make(large, tmp_path / "out", "hf")
    data = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(data) == ["train"]
    rows = articles(large)
    assert len(data["train"]) == 3000
    assert data["train"][2999] == with_url(rows[2999])
    stream = datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)
    assert next(iter(stream)) == with_url(rows[0])


def test_datatrove_reads_documents(large, tmp_path):
    readers = pytest.importorskip("datatrove.pipeline.readers")
    make(large, tmp_path / "out", "datatrove")
    found = list(readers.JsonlReader(str(tmp_path / "out" / "documents")).run())
    rows = [with_url(row) for row in articles(large)]
    assert [(document.id, document.text) for document in found] == [
        (f"enwiki/{row['id']}", row["text"]) for row in rows
    ]
    kept = found[7].metadata
    assert {name: kept[name] for name in ("title", "links", "url")} == {
        name: rows[7][name] for name in ("title", "links", "url")
    }


def test_wikiextractors_lines_have_its_keys(large, tmp_path):
    make(large, tmp_path / "out", "wikiextractor")
    files = sorted((tmp_path / "out" / "text").rglob("wiki_*"))
    assert [str(path.relative_to(tmp_path / "out" / "text")) for path in files[:2]] == ["AA/wiki_00", "AA/wiki_01"]
    found = [json.loads(line) for path in files for line in path.read_text().split("\n")[:-1]]
    row = with_url(articles(large)[5])
    assert len(found) == 3000
    assert found[5] == {
        "id": str(row["id"]),
        "revid": str(row["revision"]),
        "url": row["url"],
        "title": row["title"],
        "text": row["text"],
    }


def test_wikiextractors_elements_stay_whole_whatever_the_text_says(large, tmp_path):
    make(large, tmp_path / "out", "wikiextractor", doc=True)
    text = "".join(path.read_text() for path in sorted((tmp_path / "out" / "text").rglob("wiki_*")))
    found = re.findall(
        r'<doc id="(\d+)" revid="(\d+)" url="([^"]*)" title="([^"]*)">\n(.*?)\n</doc>\n', text, re.DOTALL
    )
    rows = [with_url(row) for row in articles(large)]
    assert len(found) == 3000
    assert [unescape(value) for value in found[5]] == [
        str(rows[5]["id"]), str(rows[5]["revision"]), rows[5]["url"], rows[5]["title"],
        f"{rows[5]['title']}\n\n{rows[5]['text']}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("index", "name"), [(0, "AA/wiki_00"), (99, "AA/wiki_99"), (100, "AB/wiki_00"), (2600, "BA/wiki_00")]
)
def test_wikiextractors_files_are_numbered_as_it_does(index, name):
    assert module._wiki_file(index) == f"text/{name}"


@pytest.mark.parametrize("to", ["hf", "jsonl"])
def test_names_stand_with_articles_and_links(small, tmp_path, to):
    make(small, tmp_path / "out", to, with_names=["fr", "de"])
    if to == "hf":
        rows = pq.read_table(tmp_path / "out" / "articles").to_pylist()
    else:
        rows = list(lines(tmp_path / "out" / "articles"))
    athens = next(row for row in rows if row["title"] == "Athens")
    assert (athens["name_fr"], athens["name_de"]) == ("Athènes", "Athen")
    named = {
        athens["text"][link["start"] : link["end"]]: (link["name_fr"], link["name_de"]) for link in athens["links"]
    }
    assert named["Greece"][1] == "Griechenland"
    assert named["rome"] == ("Rome", None)
    assert named["Sparta"] == ("Sparte", None)
    plain = [
        {key: value for key, value in row.items() if not key.startswith(("name_", "url", "links"))} for row in rows
    ]
    assert plain == [{key: value for key, value in row.items() if key != "links"} for row in articles(small)]


@pytest.mark.parametrize("to", FORMS)
def test_a_limit_takes_the_first_articles(large, tmp_path, to):
    first_shard = open(large).sizes[0]
    limit = first_shard + 3
    assert make(large, tmp_path / "out", to, limit=limit)["counters"]["articles"] == limit
    files = [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(("part-", "wiki_"))]
    assert len(files) == 2
    if to == "jsonl":
        assert [row["id"] for row in lines(tmp_path / "out")] == [row["id"] for row in articles(large)[:limit]]


@pytest.mark.parametrize("to", FORMS)
def test_the_bytes_do_not_depend_on_the_number_of_workers(large, tmp_path, to):
    make(large, tmp_path / "one", to)
    make(large, tmp_path / "three", to, workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")
    assert len(contents(tmp_path / "one")) > 3


@pytest.mark.parametrize("to", FORMS)
def test_an_interrupted_export_goes_on(large, tmp_path, to, monkeypatch):
    make(large, tmp_path / "whole", to)
    real, done = module.Export.__call__, []

    def some(step, shard):
        if len(done) % 2:
            done.append(None)
            raise KeyboardInterrupt
        done.append(shard[0])
        return real(step, shard)

    monkeypatch.setattr(module.Export, "__call__", some)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            make(large, tmp_path / "twice", to)
    monkeypatch.setattr(module.Export, "__call__", lambda step, shard: done.append(shard[0]) or real(step, shard))
    make(large, tmp_path / "twice", to)
    assert [index for index in done if index is not None] == np.flatnonzero(open(large).sizes).tolist()
    assert contents(tmp_path / "whole") == contents(tmp_path / "twice")


def test_a_complete_export_is_left_and_another_is_refused(small, tmp_path):
    first = make(small, tmp_path / "out", "jsonl")
    assert make(small, tmp_path / "out", "jsonl") == first
    with pytest.raises(LingraftError, match=r"holds another run:\n  to: jsonl there, hf asked"):
        make(small, tmp_path / "out", "hf")
    export(ExportConfig(corpus=small, to="hf"), tmp_path / "out", workers=1, overwrite=True, quiet=True)
    assert not list((tmp_path / "out").rglob("*.gz"))


@pytest.mark.parametrize("to", FORMS)
def test_each_form_says_where_the_text_is_from(large, tmp_path, to):
    make(large, tmp_path / "out", to)
    readme = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "https://en.wikipedia.org",
        "`enwiki-20261101-pages-articles-multistream.xml.bz2`",
        "20261101",
        "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)",
        '"Page "0" & more", its authors at https://en.wikipedia.org/w/index.php?oldid=1001',
    ):
        assert words in readme
    assert str(tmp_path) not in readme


def test_the_dataset_card_has_its_front_matter(small, tmp_path):
    make(small, tmp_path / "out", "hf", with_names=["fr"])
    readme = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(readme.split("---\n")[1])
    assert (front["license"], front["language"], front["size_categories"]) == ("cc-by-sa-4.0", ["en"], ["n<1K"])
    assert front["configs"] == [{"config_name": "default", "data_files": "articles/*.parquet"}]
    assert "`name_fr`, also in `links`" in readme


def test_a_wiki_outside_wikimedia_has_a_licence_of_its_own(tmp_path):
    dump = write_dump(tmp_path / "a.xml", [("A", "b")])
    dump.write_text(dump.read_text().replace("en.wikipedia.org", "wiki.example.org"))
    build_quietly(tmp_path / "corpus", dump)
    assert make(tmp_path / "corpus", tmp_path / "out", "hf")["licence"] is None
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "license: unknown" in readme
    assert "lingraft does not know its licence: look at https://wiki.example.org" in readme
    assert "CC BY-SA" not in readme


def test_text_of_ones_own_names_no_wiki(large, tmp_path):
    copied = shutil.copytree(large, tmp_path / "linked")
    manifest = json.loads((copied / "manifest.json").read_text())
    for key in ("wiki", "dump"):
        (manifest if key in manifest else manifest["config"]).pop(key)
    (copied / "manifest.json").write_text(json.dumps(manifest | {"stage": "corpus link"}))
    make(copied, tmp_path / "out", "datatrove")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "made of text of one's own" in readme
    assert "The licence is that of the text that was read" in readme
    assert "wikipedia.org" not in readme
    first = next(lines(tmp_path / "out"))
    assert (first["id"], first["metadata"]["url"]) == ("linked/1", None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "wikiextractor", "with_names": "fr"}, "names have no place in them"),
        ({"to": "jsonl", "doc": True}, "<doc> elements are a form of wikiextractor"),
        ({"to": "csv"}, "'hf', 'jsonl', 'wikiextractor' or 'datatrove'"),
        ({"to": "hf", "limit": 0}, "greater than 0"),
    ],
)
def test_what_contradicts_itself_is_refused(small, changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        ExportConfig(corpus=small, **changes)


def test_names_that_are_not_there_are_an_error_before_anything_is_written(small, tmp_path):
    with pytest.raises(LingraftError, match="no names in 'uk'"):
        make(small, tmp_path / "out", "hf", with_names=["uk"])
    assert not (tmp_path / "out").exists()


def test_the_command_exports(lingraft, small, tmp_path):
    args = [small, "--to", "jsonl", "--with-names", "fr,de", "--limit", 2, "--quiet", "--out", tmp_path / "out"]
    planned = lingraft("corpus", "export", *args, "--dry-run")
    assert planned.code == 0, planned.err
    assert not (tmp_path / "out").exists()
    done = lingraft("corpus", "export", *args)
    assert done.code == 0, done.err
    assert "2 articles; source and licence: " in done.out
    assert len(list(lines(tmp_path / "out"))) == 2
    wrong = lingraft("corpus", "export", small, "--out", tmp_path / "x")
    assert (wrong.code, "to is not given" in wrong.err) == (1, True)
