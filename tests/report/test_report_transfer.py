"""The report of a transfer run reads from findings to means, stays small, and gives its drawings away as files."""

import random
import re
from xml.etree import ElementTree

import pytest

from lingraft.report import write

SVG = "{http://www.w3.org/2000/svg}"


def tables(num_donors: int, num_recipients: int) -> dict[str, dict]:
    """Make the tables of an analysis of a made-up matrix."""
    noise = random.Random(1)
    donors = [f"d{index:02d}" for index in range(num_donors)]
    recipients = [f"r{index:02d}" for index in range(num_recipients)]
    help_of = {name: noise.gauss(0, 0.3) for name in donors}
    pairs = [(donor, recipient, help_of[donor] + noise.gauss(0, 0.1)) for donor in donors for recipient in recipients]
    cells = [{"row": d, "column": r, "value": v, "low": v - 0.1, "high": v + 0.1} for d, r, v in pairs]
    chain = [
        [index if index else 0, num_donors + index - 1 if index else 1, index + 1.0, index + 2]
        for index in range(num_donors - 1)
    ]
    for place, merge in enumerate(chain[1:], start=2):
        merge[0] = place
    points = [{"x": noise.random(), "y": v, "label": f"{d} → {r}"} for d, r, v in pairs]
    places = [
        {"label": d, "name": d, "latitude": noise.uniform(-50, 70), "longitude": noise.uniform(-180, 180), "value": v}
        for d, v in help_of.items()
    ]
    effects = [{"label": d, "value": v, "low": v - 0.2, "high": v + 0.2} for d, v in help_of.items()]
    return {
        "findings": {
            "rows": [{"kind": "says", "about": "gains", "finding": "Donors differ."}],
            "title": "what it says",
        },
        "gain": {"kind": "heatmap", "rows": cells, "title": "gain", "unit": "bits per byte", "row_tree": chain},
        "plain": {"kind": "heatmap", "rows": cells, "title": "gain as measured"},
        "effects": {"kind": "effects", "rows": effects, "title": "donors"},
        "overlap": {
            "kind": "scatter",
            "rows": points,
            "title": "gain by overlap",
            "line": {"slope": 0.1, "intercept": 0},
        },
        "map": {"kind": "map", "rows": places, "title": "where"},
        "pairs": {"rows": [{"donor": d, "recipient": r, "gain": v} for d, r, v in pairs], "title": "pairs"},
    }


@pytest.fixture
def transfer_run(make_run):
    run = make_run("run", name="lab")
    make_run("transfer analyse", tables(6, 10), name="lab/analysis", when=1_760_000_001)
    scores = [{"group": "NDCG@3", "label": "overlap", "value": 0.1, "low": 0.0, "high": 0.2, "chance": 0.02}]
    make_run("transfer rank", {"methods": {"rows": scores, "kind": "scores", "title": "choices"}}, name="lab/ranking")
    make_run("transfer corpora", name="lab/corpora")
    for language in ("quc", "swh"):
        make_run("corpus build", {"lines": {"rows": [{"lines": 5}]}}, name=f"lab/corpora/languages/{language}")
    make_run("corpus build", name="lab/corpora/languages/quc/train", finish=False)
    return run


def test_findings_stand_first_and_nothing_is_drawn_twice(transfer_run):
    html = write(transfer_run).read_text(encoding="utf-8")
    titles = re.findall(r'<h3 dir="auto">([^<]*)<', html)
    assert titles == [
        "What it says", "Gain", "Gain as measured", "Donors", "Gain by overlap", "Choices", "Where", "Lines", "Lines",
        "Pairs",
    ]  # fmt: skip
    assert "Donors differ." in html and html.count("Donors differ.") == 1
    assert 'Under <a href="#results">Results</a>: Donors;' in html


def test_runs_inside_an_inner_run_are_folded(transfer_run):
    html = write(transfer_run).read_text(encoding="utf-8")
    overview = re.findall(r'<a href="#run-\d+">([^<]*)<', html)
    assert sorted(overview) == ["analysis", "corpora", "ranking"]
    assert ", 3 runs inside, 1 of them not finished" in html
    assert "<summary>3 runs inside</summary>" in html and "corpora/languages/quc/train" in html


def test_an_analysis_alone_is_its_own_headline(make_run):
    html = write(make_run("transfer analyse", tables(3, 4))).read_text(encoding="utf-8")
    assert html.index(">Results<") < html.index(">What it says<") < html.index(">Pairs<")
    assert html.count('class="sheet"') == 2


def test_the_published_size_stays_small(make_run):
    run = make_run("transfer analyse", tables(158, 31))
    page = write(run)
    assert page.stat().st_size < 1_500_000


def test_drawings_are_given_as_files(transfer_run, tmp_path):
    write(transfer_run, svg=tmp_path / "figures")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [
        "analysis-effects.svg", "analysis-gain.svg", "analysis-map.svg", "analysis-overlap.svg", "analysis-plain.svg",
        "ranking-methods.svg",
    ]  # fmt: skip
    for path in (tmp_path / "figures").iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == f"{SVG}svg" and root.find(f"{SVG}title").text
        assert "var(" not in path.read_text() and "light-dark" not in path.read_text()
        for path_of in root.iter(f"{SVG}path"):
            assert "NaN" not in path_of.attrib["d"]


def test_the_command_line_writes_them_too(transfer_run, tmp_path, lingraft):
    finished = lingraft("report", str(transfer_run), "--svg", str(tmp_path / "figures"))
    assert (finished.code, finished.out.strip()) == (0, str(transfer_run / "report.html"))
    assert (tmp_path / "figures" / "analysis-gain.svg").exists()


def test_a_label_has_one_colour_in_the_page_and_in_the_files(make_run, tmp_path):
    run = make_run("run", name="lab")
    rows = [{"group": "g", "label": name, "value": 0.5} for name in ("late", "early")]
    make_run("transfer rank", {"z": {"rows": rows, "kind": "scores"}}, name="lab/a")
    curve = [{"series": name, "x": 1, "y": 1} for name in ("early", "late")]
    make_run("train", {"a": {"rows": curve, "kind": "curve", "title": "loss by step"}}, name="lab/b")
    page = write(run, svg=tmp_path).read_text(encoding="utf-8")
    assert '<li class="c0"><span class="who" dir="auto">late' in page
    late = re.search(r'class="label (c\d)" color="(#\w+)"[^>]*>late<', (tmp_path / "b-a.svg").read_text())
    assert late.groups() == ("c0", "#0072b2")


def test_a_file_has_its_colours_written_out(transfer_run, tmp_path):
    write(transfer_run, svg=tmp_path)
    gain = ElementTree.parse(tmp_path / "analysis-gain.svg").getroot()
    cells = next(part for part in gain.iter(f"{SVG}g") if part.get("class") == "cells")
    colours = {path.get("color") for path in cells.findall(f"{SVG}path")}
    assert len(colours) > 10 and all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours)
    texts = {text.get("color") for text in cells.findall(f"{SVG}text")}
    assert texts <= {"#000000", "#ffffff"}


def test_rows_of_strangers_never_break_a_page(make_run):
    odd = [
        {},
        {"value": "x"},
        {"row": 1, "column": [], "value": True},
        {"x": {}, "y": []},
        {"label": None, "value": {}},
    ]
    odd += [{"latitude": [], "longitude": True}, {"series": None, "x": "1", "y": None, "low": "a"}]
    for kind in ("heatmap", "scatter", "effects", "map", "curve", "scores", "counts", "unheard of"):
        for extra in ({}, {"line": [], "unit": {}, "diverging": "yes", "row_tree": 5, "column_tree": [[]]}):
            name = f"{kind}-{len(extra)}"
            run = make_run(
                tables={"odd": {"rows": odd, "kind": kind, **extra}, "none": {"rows": [], "kind": kind}}, name=name
            )
            assert "Odd" in write(run, svg=run / "svg").read_text(encoding="utf-8")
