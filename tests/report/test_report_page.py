"""The page as a whole: well-formed, complete, closed to the network, and nobody's script runs in it."""

import ast
import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lingraft.report
from lingraft.errors import LingraftError
from lingraft.report import write

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Parses a page strictly: every element is closed, in order; keeps what the tests ask about."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def seen(self) -> str:
        """All text that a reader sees."""
        return " ".join(data for tag, data in self.texts if tag not in ("style", "script"))

    def values(self, name: str) -> list[str]:
        return [value or "" for _, attribute, value in self.attributes if attribute == name]


def report(run: Path) -> Page:
    return Page(write(run).read_text(encoding="utf-8"))


def test_a_workflow_is_told_from_results_to_versions(demo_run):
    page = report(demo_run)
    order = [data.strip() for tag, data in page.texts if tag == "h2" and data.strip()]
    assert order == [
        "Results", "Counters", "The runs", "corpus-el", "encoded-el", "base", "plain", "leia", "eval-leia",
        "To repeat it",
    ]  # fmt: skip
    seen = page.seen()
    for told in (
        "4 min 12 s",
        "48,213",
        "other namespace",
        "6,210",
        "Byzantine Empire",
        "1.6 MB",
        "0.1.0",
        "20240217",
    ):
        assert told in seen
    assert "It holds 6 runs, 1 of them not finished." in seen
    assert "dtype:float32" in seen  # a score carries its signature


def test_a_signature_is_written_as_it_was_typed(make_run):
    row = {"group": "g", "label": "a", "value": 0.5, "signature": {"n": 1000, "versions": {"torch": "2.13.0"}}}
    assert "n:1000 | versions.torch:2.13.0" in report(make_run(tables={"s": {"rows": [row], "kind": "scores"}})).seen()


def test_every_table_of_every_run_is_there(demo_run):
    titles = [data for tag, data in report(demo_run).texts if tag == "h3"]
    expected = ["Questions in the target language", "The three trainings", "Text with names", "Most frequent names"]
    assert [title for title in expected if title in titles] == expected
    assert titles.count("Loss by step") == 4  # the three runs together, and each


def test_nothing_is_loaded_and_only_our_script_may_run(demo_run):
    html = write(demo_run).read_text(encoding="utf-8")
    page = Page(html)
    assert not re.search(r"https?://|//[a-z]+\.", html)
    assert not {"src", "srcset", "data", "action"} & {name for _, name, _ in page.attributes}
    assert page.values("href") and all(value.startswith("#run-") for value in page.values("href"))
    assert "@import" not in html and "url(" not in html
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.values("content")[0]


EVIL = """<script>alert(1)</script><img src=x onerror="alert(2)">'"&\x00\x1b[31m"""


def test_what_strangers_wrote_is_text_wherever_it_stands(make_run):
    run = make_run(
        EVIL,
        {
            "table": {"rows": [{EVIL: EVIL, "nested": {EVIL: [EVIL]}}], "title": EVIL, "note": EVIL},
            "scores": {
                "rows": [{"group": EVIL, "label": EVIL, "value": 0.5, "signature": {EVIL: EVIL}, EVIL: 1}],
                "kind": "scores",
            },
            "curve": {"rows": [{"series": EVIL, "x": 1, "y": 2}], "kind": "curve", "title": f"{EVIL} by {EVIL}"},
            "counts": {"rows": [{"name": EVIL, "value": 3}], "kind": "counts"},
            "findings": {"rows": [{"kind": EVIL, "about": EVIL, "finding": EVIL}]},
            "heat": {
                "rows": [{"row": EVIL, "column": EVIL + str(n), "value": n, "note": EVIL} for n in range(9)],
                "kind": "heatmap",
                "unit": EVIL,
                "row_name": EVIL,
                "column_name": EVIL,
                "row_tree": EVIL,
            },
            "scatter": {
                "rows": [{"x": n, "y": n * n, "label": EVIL, "group": f"{EVIL}{n % 2}"} for n in range(9)],
                "kind": "scatter",
                "title": f"{EVIL} by {EVIL}",
                "line": {"slope": 1, "intercept": 0, "note": EVIL},
            },
            "effects": {"rows": [{"label": EVIL, "value": 1, "group": EVIL}], "kind": "effects", "unit": EVIL},
            "map": {
                "rows": [{"label": EVIL, "name": EVIL, "latitude": 1, "longitude": 1, "value": 1, "role": EVIL}],
                "kind": "map",
                "unit": EVIL,
            },
            "examples": {
                "rows": [{"title": EVIL, "segments": [{"text": EVIL, "kind": EVIL}, {"text": EVIL, "kind": "name"}]}],
                "kind": "examples",
            },
        },
        counters={EVIL: EVIL, "dropped": {EVIL: 3}},
        prompt=EVIL,
    )
    page = report(run)
    assert page.counts["script"] == 1 and "img" not in page.counts
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.seen().count("<script>alert(1)</script>") > 15
    assert "\x00" not in page.seen() and "\ufffd" in page.seen()


def test_an_unfinished_run_shows_what_it_has(make_run):
    run = make_run("corpus build", {"so_far": {"rows": [{"articles": 12}]}}, finish=False)
    seen = report(run).seen()
    assert "Not finished." in seen and "“begun”" in seen and "12" in seen


def test_a_log_that_ends_in_half_a_line_is_read_up_to_it(make_run):
    run = make_run(finish=False)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"event": "killed in the mid')
    assert "“begun”" in report(run).seen()
    with (run / "log.jsonl").open("a") as log:
        log.write('{"event": "next"}\n')
    assert "“not readable”" in report(run).seen()


def test_an_unknown_stage_and_no_tables_make_a_page(make_run):
    run = make_run("moon landing")
    (run / "tables").mkdir()
    seen = report(run).seen()
    assert "A run of the stage “moon landing”." in seen and "Results" not in seen


def test_scores_of_inner_runs_stand_together_and_stay_apart(make_run):
    run = make_run("run")
    for name, value in (("eval-plain", 0.25), ("eval-names", 0.5)):
        row = {"group": "xcsqa_ja", "label": "model", "value": value, "low": value - 0.1, "high": value + 0.1}
        make_run("evaluate", {"scores": {"rows": [row], "kind": "scores"}}, name=f"run/{name}")
    labels = report(run).values("aria-label")
    assert "model (eval-plain): 25.0%, interval 15.0% to 35.0%" in labels
    assert "model (eval-names): 50.0%, interval 40.0% to 60.0%" in labels


def test_inner_runs_stand_in_the_order_in_which_they_ended(make_run):
    run = make_run("run")
    for when, name in ((3, "c"), (1, "b"), (2, "a")):
        make_run(name=f"run/{name}", when=1_760_000_000 + when)
    assert [data for tag, data in report(run).texts if tag == "a"] == ["b", "a", "c"]


def test_what_a_table_tells_is_not_told_again(make_run):
    counts = [{"name": "links", "value": 900}, {"name": "red_link", "value": 300}]
    run = make_run(tables={"c": {"rows": counts, "kind": "counts"}}, counters={"links": 900, "steps": 41})
    seen = report(run).seen()
    assert seen.count("900") == 1 and "41" in seen


def test_counts_of_unlike_sizes_are_numbers_not_bars(make_run):
    rows = [{"name": name, "value": value} for name, value in (("bytes", 9_000_000), ("no_name", 12), ("no_item", 7))]
    page = report(make_run(tables={"counts": {"rows": rows, "kind": "counts"}}))
    bars = [text for tag, text in page.texts if tag == "span" and text.startswith("no")]
    assert not bars and "9,000,000" in page.seen() and "no item" in page.seen()


def test_a_huge_table_is_cut_and_says_so(make_run):
    rows = [{"title": f"article {index}", "words": index} for index in range(10_000)]
    html = write(make_run(tables={"big": {"rows": rows}})).read_text(encoding="utf-8")
    assert "article 749<" in html and "article 750<" not in html
    assert "The first 750 of 10,000 rows; 9,250 are left out here" in html
    assert len(html) < 100_000


def test_the_report_goes_where_it_is_asked_to(demo_run, tmp_path):
    assert write(demo_run) == demo_run / "report.html"
    assert write(str(demo_run), tmp_path / "deep" / "page.html") == tmp_path / "deep" / "page.html"
    assert write(demo_run, tmp_path) == tmp_path / "report.html"
    first = (tmp_path / "report.html").read_bytes()
    assert write(demo_run, tmp_path).read_bytes() == first


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(
        LingraftError, match=r"holds no finished run\nThere is no manifest.json in it.\nCheck the path."
    ):
        write(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")  # another program's
    with pytest.raises(LingraftError, match="was not written by lingraft"):
        write(tmp_path)


@pytest.mark.parametrize("content", ["[1, 2]", '{"rows": {"a": 1}}', '{"rows": [1]}'])
def test_a_file_that_is_no_table_is_named(make_run, content):
    run = make_run(tables={"good": {"rows": []}})
    (run / "tables" / "bad.json").write_text(content)
    with pytest.raises(LingraftError, match=r"bad\.json is not a table\n.*Run\.write_table"):
        write(run)


def test_the_report_stands_to_one_side():
    folder = Path(lingraft.report.__file__).parent
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")]
    imported = {node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name.startswith("lingraft") and not name.startswith("lingraft.report")}
    assert ours == {"lingraft", "lingraft.errors"}  # `from lingraft import runs` and `__version__`
