import pytest
from evaluation_helpers import write_lines

from lingraft import statistics
from lingraft.errors import LingraftError
from lingraft.evaluate import EvaluateConfig, compare, evaluate


def questions(n):
    return [{"id": str(i), "context": "", "choices": ["red cat", "mat"], "label": i % 2} for i in range(n)]


@pytest.fixture(scope="module")
def runs(model, tmp_path_factory):
    """The same questions asked twice; the second time with the choices of ten swapped."""
    folder = tmp_path_factory.mktemp("compare")
    found = []
    for name, swap in (("plain", False), ("other", True)):
        rows = questions(40)
        for row in rows[: 10 if swap else 0]:
            row["choices"].reverse()
        path = write_lines(folder / name / "q.jsonl", rows)
        evaluate(EvaluateConfig(model=str(model), tasks=[f"choice:{path}"], name=name), folder / f"run-{name}")
        found.append(folder / f"run-{name}")
    return found


def test_pairs_are_compared(runs):
    import pyarrow.parquet as pq

    (row,) = compare(*runs)
    a, b = (pq.read_table(run / "predictions/q.parquet")["correct"].to_numpy() for run in runs)
    assert (a != b).sum() == 10  # each swapped question changes sides
    assert (row.task, row.n, row.a, row.b) == ("q", 40, a.mean(), b.mean())
    assert row.difference == pytest.approx(a.mean() - b.mean())
    assert row.low <= row.difference <= row.high
    assert row.p_mcnemar == row.p_holm == statistics.mcnemar(a, b)
    assert set(row.differs) == {"prompt"}  # not the same was asked, and it says so


def test_a_run_against_itself_does_not_differ(runs):
    (row,) = compare(runs[0], runs[0])
    assert (row.difference, row.p_bootstrap, row.p_mcnemar, row.p_holm, row.differs) == (0, 1, 1, 1, {})


def test_other_items_are_refused(runs, model, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions(41))
    evaluate(EvaluateConfig(model=str(model), tasks=[f"choice:{path}"]), tmp_path / "run")
    with pytest.raises(LingraftError, match="were asked other items of task q"):
        compare(runs[0], tmp_path / "run")


def test_no_task_in_common(runs, model, tmp_path):
    path = write_lines(tmp_path / "r.jsonl", questions(4))
    evaluate(EvaluateConfig(model=str(model), tasks=[f"choice:{path}"]), tmp_path / "run")
    with pytest.raises(LingraftError, match="share no task"):
        compare(runs[0], tmp_path / "run")
