"""What tests of several rooms share."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and its two outputs."""

    code: int
    out: str
    err: str


@pytest.fixture
def lingraft(monkeypatch, capsys) -> Callable[..., Finished]:
    """Run `lingraft ...` in this process, as the installed script does."""
    from lingraft.cli import main

    def run(*args: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["lingraft", *map(str, args)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run
