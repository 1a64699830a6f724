"""Progress is a bar on a terminal, a line now and then elsewhere, and nothing when it shall be quiet."""

import io
import sys

import pytest

from lingraft import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_the_end_is_one_plain_line(capsys):
    with progress.bar("extract el", 3_000_000, "B") as bar:
        bar.advance(1_000_000)
        bar.advance(500_000, "7 articles")
    out, err = capsys.readouterr()
    assert out == ""
    line = err.splitlines()
    assert len(line) == 1
    assert line[0].startswith("extract el: 1.5 MB of 3.0 MB, ")
    assert line[0].endswith(" s, 7 articles")


def test_lines_come_at_intervals_and_not_with_every_step(capsys, monkeypatch):
    clock = iter([0.0, *[float(second) for second in range(1, 100)]])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 10.0)
    with progress.bar("encode", None, "articles") as bar:
        for _ in range(40):
            bar.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 6
    assert lines[-1].startswith("encode: 40 articles, ")
    assert " of " not in lines[-1]


def test_an_error_prints_no_closing_line(capsys):
    with pytest.raises(RuntimeError), progress.bar("extract", 10):
        raise RuntimeError
    assert capsys.readouterr().err == ""


def test_quiet_prints_nothing(capsys):
    with progress.bar("extract", 10, "B", quiet=True) as bar:
        bar.advance(10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("total", "shown"), [(2_000_000, "2.0 MB/2.0 MB"), (None, "2.0 MB")])
def test_on_a_terminal_there_is_a_bar(monkeypatch, total, shown):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.bar("extract el", total, "B") as bar:
        bar.advance(1_000_000)
        bar.advance(1_000_000, "7 articles")
    assert "extract el" in screen.getvalue()
    assert shown in screen.getvalue()
    assert "7 articles" in screen.getvalue()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1_234_567, "B", "1.2 MB"), (12_345, "steps", "12,345 steps"), (3, "", "3"), (0.25, "steps", "0.25 steps")],
)
def test_amounts_read_well(value, unit, text):
    assert progress._amount(value, unit) == text
