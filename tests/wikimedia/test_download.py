"""Fetching dumps from servers that break off, lie and fail: what arrives is whole and right, or there is an error."""

import hashlib
import io
import json
import random
import re
import shlex
import threading
import time

import pytest
from dump_server import a_run, job, listing, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.config import load
from lingraft.errors import LingraftError
from lingraft.wikimedia import download as module
from lingraft.wikimedia import mirrors
from lingraft.wikimedia.download import DownloadConfig, build_command, download, plan
from lingraft.wikimedia.dump_files import find_files
from lingraft.wikimedia.wikis import address, database_name, licence

DATE = "20261101"
ARTICLES = f"elwiki-{DATE}-pages-articles-multistream.xml.bz2"
INDEX = f"elwiki-{DATE}-pages-articles-multistream-index.txt.bz2"
PROPS = f"elwiki-{DATE}-page_props.sql.gz"
AT = f"elwiki/{DATE}/"
DATA = {name: random.Random(name).randbytes(size) for name, size in ((ARTICLES, 50_000), (INDEX, 200), (PROPS, 3_000))}


def jobs(**changes):
    known = {
        "articlesmultistreamdump": job({name: DATA[name] for name in (ARTICLES, INDEX)}),
        "pagepropstable": job({PROPS: DATA[PROPS]}),
        "langlinkstable": job({}, "waiting"),
    }
    return known | changes


@pytest.fixture
def server():
    with serving({"elwiki/": listing(f"{DATE}/", "latest/")} | a_run("elwiki", DATE, jobs(), DATA)) as running:
        yield running


@pytest.fixture
def waits():
    return []


@pytest.fixture
def fetch(server, tmp_path, waits):
    def fetch(**changes):
        given = {"wiki": "el", "what": ["articles"], "mirrors": [server.url]} | changes
        return download(DownloadConfig(**given), tmp_path, quiet=True, sleep=waits.append)

    return fetch


def is_whole(folder, *names):
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    return all((folder / name).read_bytes() == DATA[name] for name in names)


def test_what_is_asked_for_is_fetched_and_nothing_else(fetch, server, tmp_path):
    done = fetch(what="articles,page_props")
    assert is_whole(tmp_path, ARTICLES, PROPS)
    assert done["files"] == [("articles", tmp_path / ARTICLES), ("page_props", tmp_path / PROPS)]
    assert (done["bytes"], done["fetched"], done["kept"]) == (53_000, 2, 0)
    assert server.most_open <= 2


def test_a_whole_file_is_kept_and_a_changed_one_is_fetched_again(fetch, server, tmp_path):
    fetch(what="articles,page_props")
    (tmp_path / PROPS).write_bytes(b"x" * len(DATA[PROPS]))
    server.requests.clear()
    done = fetch(what="articles,page_props")
    assert (done["fetched"], done["kept"]) == (1, 1)
    assert is_whole(tmp_path, ARTICLES, PROPS)
    assert server.asked(ARTICLES) == []


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        (["break"], [None, "bytes=25000-"]),
        (["break", "break"], [None, "bytes=25000-", "bytes=37500-"]),
        (["break", "no range"], [None, "bytes=25000-"]),
        (["break", "no range", ""], [None, "bytes=25000-"]),
        (["long"], [None]),
        (["short"], [None, "bytes=25000-"]),
        (["break at 0", "break at 0"], [None, None, None]),
        ([500, 502, "break", 504], [None, None, None, "bytes=25000-", "bytes=25000-"]),
    ],
    ids=str,
)
def test_a_transfer_goes_on_where_it_broke(fetch, server, tmp_path, faults, ranges):
    server.faults[AT + ARTICLES] = faults
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert server.asked(ARTICLES) == ranges


def test_what_a_killed_download_left_is_used(fetch, server, tmp_path):
    (tmp_path / f"{ARTICLES}.part").write_bytes(DATA[ARTICLES][:12_345])
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert server.asked(ARTICLES) == ["bytes=12345-"]


@pytest.mark.parametrize("left", [b"z" * 1000, DATA[ARTICLES] + b"more", b"z" * len(DATA[ARTICLES])], ids=len)
def test_a_part_file_of_something_else_is_found_out_and_fetched_from_the_start(fetch, server, tmp_path, left):
    (tmp_path / f"{ARTICLES}.part").write_bytes(left)
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert server.asked(ARTICLES)[-1] is None


def test_waits_grow_and_a_server_that_asks_for_a_pause_gets_it(fetch, server, tmp_path, waits):
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 90))
    server.faults[AT + ARTICLES] = [500, 500, 500, (503, "7"), (429, soon)]
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert waits[:4] == [1, 2, 4, 7.0]
    assert 80 < waits[4] <= 90


def test_a_server_that_asks_for_too_long_a_pause_is_left_at_once(fetch, server, waits):
    server.faults[AT + ARTICLES] = [(503, "100000")]
    with pytest.raises(LingraftError, match=r"HTTP 503 .*asks to come back in 100,000 seconds"):
        fetch()
    assert waits == []


def test_retries_come_to_an_end_and_what_was_fetched_is_kept(fetch, server, tmp_path, waits):
    server.faults[AT + ARTICLES] = ["break at 1000"] * 100
    with pytest.raises(LingraftError) as failed:
        fetch(what="articles,page_props", retries=3)
    message = str(failed.value)
    assert f"cannot fetch {ARTICLES} (50,000 bytes)" in message
    assert f"{server.url}: broken off at byte 4,000 of 50,000" in message
    assert "1 of 2 files are whole" in message
    assert "Repeat the command later: it goes on where it stopped" in message
    assert waits == [1, 2, 4]
    assert (tmp_path / PROPS).read_bytes() == DATA[PROPS]
    assert (tmp_path / f"{ARTICLES}.part").read_bytes() == DATA[ARTICLES][:4000]


def test_a_transfer_that_gets_on_is_granted_its_retries_anew(fetch, server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PROGRESS", 1000)
    server.faults[AT + ARTICLES] = ["break at 1000"] * 20
    fetch(retries=1)
    assert is_whole(tmp_path, ARTICLES)


def test_a_changed_byte_is_found_and_the_file_fetched_once_more(fetch, server, tmp_path):
    server.faults[AT + ARTICLES] = ["corrupt"]
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert server.asked(ARTICLES) == [None, None]


def test_a_file_that_stays_corrupt_is_an_error_and_leaves_no_file(fetch, server, tmp_path):
    server.faults[AT + ARTICLES] = ["corrupt"] * 10
    with pytest.raises(LingraftError, match=r"corrupt, its sha1 is [0-9a-f]{40} and not [0-9a-f]{40}"):
        fetch()
    assert not (tmp_path / ARTICLES).exists()
    assert len(server.asked(ARTICLES)) == 2


def test_the_next_mirror_mends_what_the_first_one_spoils(fetch, server, tmp_path):
    with serving(server.files) as second:
        server.faults[AT + ARTICLES] = ["corrupt", "corrupt"]
        fetch(mirrors=[server.url, second.url])
        assert second.asked(ARTICLES) == [None]
    assert is_whole(tmp_path, ARTICLES)


def test_a_dead_mirror_is_passed_over_and_costs_its_retries_once(fetch, server, tmp_path, waits):
    with serving() as gone:
        dead = gone.url
    fetch(mirrors=[dead, server.url], what="articles,page_props")
    assert is_whole(tmp_path, ARTICLES, PROPS)
    assert waits == [1, 2, 4, 8, 16]


def test_a_mirror_without_the_newest_run_does_not_hide_it(fetch, server, tmp_path):
    old = {"elwiki/": listing(f"{DATE}/")}
    with serving(old) as behind:
        fetch(mirrors=[behind.url, server.url])
    assert is_whole(tmp_path, ARTICLES)


def test_a_wrong_range_is_refused(fetch, server, tmp_path):
    server.faults[AT + ARTICLES] = ["break", "wrong range"]
    with pytest.raises(LingraftError, match=r"gives 'bytes 24999-49999/50000' of a file that has 50,000 bytes"):
        fetch()


def test_a_file_that_is_not_the_one_listed_is_refused(fetch, server, tmp_path):
    server.files[AT + ARTICLES] = DATA[ARTICLES] * 2
    server.faults[AT + ARTICLES] = ["break at 100"]
    with pytest.raises(LingraftError, match=r"/100000' of a file that has 50,000 bytes"):
        fetch()


def test_redirects_are_followed(fetch, server, tmp_path):
    server.files["elsewhere/file"] = DATA[ARTICLES]
    server.faults[AT + ARTICLES] = ["break", f"{server.url}/elsewhere/file"]
    fetch()
    assert is_whole(tmp_path, ARTICLES)
    assert server.asked("file") == ["bytes=25000-"]


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(fetch, server, tmp_path):
    server.faults[AT + ARTICLES] = ["file:///etc/hostname"]
    with pytest.raises(LingraftError, match="cannot fetch"):
        fetch()


def test_the_agent_names_the_tool_and_the_contact(fetch, server):
    fetch(contact="someone@example.org")
    (agent,) = server.agents
    assert re.fullmatch(r"lingraft/[\d.]+\S* \(corpus download; someone@example.org\)", agent)


def status_with(server, **changes):
    server.files[AT + "dumpstatus.json"] = json.dumps({"jobs": jobs(**changes)}).encode()


def test_the_newest_run_that_holds_everything_is_taken(fetch, server, tmp_path):
    server.files["elwiki/"] = listing("20261001/", f"{DATE}/", "20261120/", "20261125/", "latest/")
    begun = {"articlesmultistreamdump": job({}, "in-progress")}
    server.files |= a_run("elwiki", "20261120", begun, {})
    fetch()
    assert is_whole(tmp_path, ARTICLES)


def test_nothing_whole_is_an_error_that_tells_what_each_run_lacks(fetch, server):
    server.files["elwiki/"] = listing(f"{DATE}/", "20261125/")
    with pytest.raises(LingraftError) as failed:
        fetch(what="langlinks,page")
    assert str(failed.value).splitlines()[1:3] == [
        "elwiki 20261125 has no dumpstatus.json",
        "the run 20261101 of elwiki does not hold langlinks (waiting), page (no such job)",
    ]


def test_a_date_without_the_job_is_an_error(fetch):
    with pytest.raises(LingraftError, match=r"the run 20261101 of elwiki does not hold langlinks \(waiting\)"):
        fetch(date=DATE, what="langlinks")
    with pytest.raises(LingraftError, match=r"cannot find the files of elwiki, run 20200101"):
        fetch(date="20200101")


def test_a_wiki_without_dumps_is_an_error(fetch):
    with pytest.raises(LingraftError, match="there are no dumps of 'frwiki'"):
        fetch(wiki="fr")


@pytest.mark.parametrize(
    "status", [b'{"jobs": {"articles', b"", b"[1, 2]", b'{"jobs": 7}', b"\xff\xfe", b"[" * 100_000], ids=repr
)
def test_a_damaged_dumpstatus_is_asked_for_again_then_an_error(fetch, server, waits, status):
    server.files[AT + "dumpstatus.json"] = status
    with pytest.raises(LingraftError, match=r"(?s)files of elwiki, run 20261101.*dumpstatus\.json"):
        fetch()
    assert waits == [1, 2, 4, 8, 16]


class Canned(mirrors.Mirrors):
    """A mirror that answers everything with the same bytes."""

    def __init__(self, answer):
        super().__init__(["http://nowhere"], retries=0)
        self.answer = answer

    def open(self, url, **_):
        response = io.BytesIO(self.answer)
        response.headers = {"Content-Length": str(len(self.answer))}
        return response


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))
FACTS = st.fixed_dictionaries({}, optional={"size": JSON, "sha1": JSON | st.just("0" * 40)}) | JSON
JOB = JSON | st.fixed_dictionaries(
    {"status": st.sampled_from(["done", "waiting", 7]), "files": st.dictionaries(st.just(ARTICLES) | st.text(), FACTS)}
)
STATUS = JSON | st.fixed_dictionaries({"jobs": JSON | st.dictionaries(st.sampled_from(list(jobs())), JOB)})


@settings(max_examples=100, deadline=None)
@given(STATUS, st.integers(0, 50))
def test_no_dumpstatus_does_more_than_fail(status, cut):
    answer = json.dumps(status).encode()
    try:
        files = find_files("elwiki", DATE, ["articles", "page_props"], Canned(answer[: len(answer) - cut]))
    except LingraftError:
        return
    assert all(re.fullmatch(r"\w[\w.-]*", file.name) and file.size >= 0 for file in files)


@settings(max_examples=50, deadline=None)
@given(
    st.binary() | st.text().map(str.encode) | st.lists(st.dates().map("{:%Y%m%d}/".format)).map(lambda d: listing(*d))
)
def test_no_listing_does_more_than_fail(answer):
    with pytest.raises(LingraftError):
        find_files("elwiki", "latest", ["articles", "wikidata"], Canned(answer))


def test_a_dumpstatus_that_broke_off_is_asked_for_again(fetch, server, tmp_path):
    server.faults[AT + "dumpstatus.json"] = ["break", "long"]
    fetch()
    assert is_whole(tmp_path, ARTICLES)


def test_an_index_that_never_ends_is_not_read_to_its_end(fetch, monkeypatch):
    monkeypatch.setattr(mirrors, "LARGEST_INDEX", 30)
    with pytest.raises(LingraftError, match="more than 30 bytes, which is no list of dumps"):
        fetch()


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", ".x", "a\\b", "a\nb", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(fetch, server, tmp_path, name):
    files = job({ARTICLES: DATA[ARTICLES], name: b"evil"})
    status_with(server, articlesmultistreamdump=files)
    with pytest.raises(LingraftError, match="could lead out of the folder"):
        fetch()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value"), [("size", -1), ("size", "50"), ("size", True), ("sha1", "abc"), ("sha1", None), ("size", None)]
)
def test_impossible_facts_are_refused(fetch, server, key, value):
    files = job({ARTICLES: DATA[ARTICLES]})
    files["files"][ARTICLES][key] = value
    status_with(server, articlesmultistreamdump=files)
    with pytest.raises(LingraftError, match=f"is not to be trusted\n{ARTICLES} has the {key}"):
        fetch()


def test_a_large_wiki_comes_in_parts_in_the_order_of_its_pages_until_they_are_joined(server, tmp_path):
    stem = f"elwiki-{DATE}-pages-articles-multistream"
    parts = {
        f"{stem}{part}.xml-p{first}p{first + 9}.bz2": b"part" for part, first in ((10, 900), (2, 100), (2, 50), (1, 1))
    }
    index = {f"{stem}-index{part}.txt-p1p9.bz2": b"index" for part in (1, 2)}
    status_with(server, articlesmultistreamdump=job(parts | index))
    config = DownloadConfig(wiki="el", what="articles", mirrors=[server.url])
    found = [file.name for file in plan(config, tmp_path).files]
    assert found == [f"{stem}{end}.bz2" for end in ("1.xml-p1p10", "2.xml-p50p59", "2.xml-p100p109", "10.xml-p900p909")]
    status_with(
        server, articlesmultistreamdump=job(parts | index), articlesmultistreamdumprecombine=job({ARTICLES: b"all"})
    )
    assert [file.name for file in plan(config, tmp_path).files] == [ARTICLES]


SHA1_LINES = f"{'0' * 40}  wikidata-%s-truthy.nt.gz\n{hashlib.sha1(b'{}').hexdigest()}  wikidata-%s-all.json.gz\n"


def test_wikidata_has_runs_of_its_own(server, tmp_path):
    server.files["other/wikibase/wikidatawiki/"] = listing("20261025/", "20261103/", "20261105/", "20261110/")
    for run, has_sum in (("20261025", True), ("20261103", True), ("20261110", False)):
        at, name = f"other/wikibase/wikidatawiki/{run}/", f"wikidata-{run}-all.json.gz"
        server.files |= {at: listing(name), at + name: b"{}"}
        if has_sum:
            server.files[at + f"wikidata-{run}-sha1sums.txt"] = (SHA1_LINES % (run, run)).encode()
    server.files["other/wikibase/wikidatawiki/20261105/"] = listing("wikidata-20261105-lexemes.json.gz")

    def found(date):
        config = DownloadConfig(wiki="el", what="articles,wikidata", date=date, mirrors=[server.url])
        return [(file.name, file.size) for file in plan(config, tmp_path).files if file.what == "wikidata"]

    assert found("latest") == [("wikidata-20261103-all.json.gz", 2)]
    assert found(DATE) == [("wikidata-20261025-all.json.gz", 2)]
    done = download(
        DownloadConfig(wiki="el", what="wikidata", mirrors=[server.url]), tmp_path, quiet=True, sleep=pytest.fail
    )
    assert done["files"][0][1].read_bytes() == b"{}"


def test_sitelinks_of_all_wikis_come_from_wikidata(server, tmp_path):
    name = "wikidatawiki-20261101-wb_items_per_site.sql.gz"
    server.files["wikidatawiki/"] = listing(f"{DATE}/")
    server.files |= a_run("wikidatawiki", DATE, {"wbitemspersitetable": job({name: b"sql"})}, {name: b"sql"})
    config = DownloadConfig(wiki="el", what="wb_items_per_site", mirrors=[server.url])
    done = download(config, tmp_path, quiet=True, sleep=pytest.fail)
    assert done["files"] == [("wb_items_per_site", tmp_path / name)]


def test_a_plan_tells_sizes_and_writes_nothing(server, tmp_path):
    (tmp_path / PROPS).write_bytes(DATA[PROPS])
    (tmp_path / f"{ARTICLES}.part").write_bytes(DATA[ARTICLES][:20_000])
    before = sorted(tmp_path.iterdir())
    found = plan(DownloadConfig(wiki="el", what="articles,page_props", mirrors=[server.url]), tmp_path)
    assert [row["in the folder"] for row in found.rows()] == ["begun", "whole"]
    assert (found.size, found.to_fetch) == (53_000, 30_000)
    assert found.free > 0
    assert sorted(tmp_path.iterdir()) == before


def test_want_of_space_is_known_before_anything_is_written(fetch, server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.Plan, "free", 49_999)
    with pytest.raises(LingraftError, match="50,000 bytes are to be fetched, 49,999 are free"):
        fetch()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_is_an_error_about_the_disk_and_loses_nothing(fetch, server, tmp_path, monkeypatch):
    def full(transfer, part, response):
        part.write(response.read(10_000))
        part.flush()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._Transfer, "_write", full)
    with pytest.raises(LingraftError, match=rf"cannot write .*{ARTICLES}\.part\nNo space left on device"):
        fetch()
    assert (tmp_path / f"{ARTICLES}.part").stat().st_size == 10_000


def test_two_downloads_do_not_write_the_same_file(fetch, server, tmp_path):
    import fcntl

    with (tmp_path / f"{ARTICLES}.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LingraftError, match="is being written by another process"):
            fetch()


def test_an_interruption_stops_the_threads_and_keeps_what_there_is(fetch, server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1000)
    before = threading.active_count()
    real = module._Transfer._count

    def count(transfer, chunk):
        real(transfer, chunk)
        if transfer.held >= 10_000:
            raise KeyboardInterrupt

    monkeypatch.setattr(module._Transfer, "_count", count)
    with pytest.raises(KeyboardInterrupt):
        fetch()
    monkeypatch.setattr(module._Transfer, "_count", real)
    assert threading.active_count() <= before + 1  # the server may still be answering
    held = (tmp_path / f"{ARTICLES}.part").read_bytes()
    assert 10_000 <= len(held) < 12_000
    assert DATA[ARTICLES].startswith(held)
    fetch()
    assert server.asked(ARTICLES) == [None, f"bytes={len(held)}-"]


def test_what_was_fetched_is_what_a_corpus_is_built_from(fetch, tmp_path):
    done = fetch(what="articles,page_props")
    words = shlex.split(build_command(DownloadConfig(wiki="elwiki"), done["files"]))
    assert words[:5] == ["lingraft", "corpus", "build", "--dump", str(tmp_path / ARTICLES)]
    assert words[words.index("--lang") + 1] == "el"
    assert words[words.index("--sql") + 1] == str(tmp_path / PROPS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"what": "artciles"}, "nothing is called 'artciles': did you mean 'articles'?"),
        ({"date": "yesterday"}, "'yesterday' is no date of a run"),
        ({"mirrors": ["dumps.wikimedia.org"]}, "mirror 'dumps.wikimedia.org' is no address"),
        ({"mirrors": ["file:///dumps"]}, "is no address"),
        ({"contact": "x\r\nHost: evil"}, "contact is a mail or web address"),
        ({"connections": 3}, "less than or equal to 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, words):
    with pytest.raises(LingraftError, match=re.escape(words)):
        load(DownloadConfig, {"wiki": "el"} | given)


@pytest.mark.parametrize(
    ("wiki", "dbname", "place"),
    [
        ("el", "elwiki", "https://el.wikipedia.org"),
        ("elwiki", "elwiki", "https://el.wikipedia.org"),
        ("el.wikipedia", "elwiki", "https://el.wikipedia.org"),
        ("https://el.wikivoyage.org/", "elwikivoyage", "https://el.wikivoyage.org"),
        ("elwikivoyage", "elwikivoyage", "https://el.wikivoyage.org"),
        ("zh-min-nan", "zh_min_nanwiki", "https://zh-min-nan.wikipedia.org"),
        ("nb", "nowiki", "https://no.wikipedia.org"),
        ("wikidatawiki", "wikidatawiki", None),
    ],
)
def test_the_names_of_a_wiki(wiki, dbname, place):
    assert database_name(wiki) == dbname
    assert address(dbname) == place


@pytest.mark.parametrize("wiki", ["", "xx", "../elwiki", "el.wikipdia", "elwiki/20200101", "el wiki"])
def test_what_is_no_wiki(wiki):
    with pytest.raises(LingraftError, match=r"is no wiki|unknown wiki language"):
        database_name(wiki)


def test_licences():
    assert licence("https://el.wikipedia.org").name == "CC BY-SA 4.0"
    assert licence("https://el.wikipedia.org", "20230501").id == "cc-by-sa-3.0"
    assert licence("https://el.wikinews.org") is None
    assert licence("https://wiki.example.org") is None


def test_the_command_shows_the_plan_then_fetches_and_says_how_to_go_on(lingraft, server, tmp_path):
    args = ["--wiki", "el", "--what", "articles,page_props", "--mirror", server.url, "--out", tmp_path / "dumps"]
    shown = lingraft("corpus", "download", *args, "--dry-run")
    assert shown.code == 0, shown.err
    assert "53,000 bytes in all, 53,000 to be fetched" in shown.out
    assert not (tmp_path / "dumps").exists()
    done = lingraft("corpus", "download", *args, "--quiet")
    assert done.code == 0, done.err
    assert "2 files fetched, 0 were there" in done.out
    assert "lingraft corpus build --dump" in done.out
    assert is_whole(tmp_path / "dumps", ARTICLES, PROPS)
