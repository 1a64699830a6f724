"""Errors say what, why and the cure, and survive the way back from a worker process."""

import pickle

import pytest

from lingraft.errors import LingraftError, did_you_mean, missing_package


def test_an_error_reads_as_three_lines_and_keeps_its_parts():
    error = LingraftError("no file at a.xml", "It was moved.", "Check the path.")
    assert str(error) == "no file at a.xml\nIt was moved.\nCheck the path."
    assert str(LingraftError("no file at a.xml", cure="Check the path.")) == "no file at a.xml\nCheck the path."


def test_an_error_comes_back_whole_from_another_process():
    error = pickle.loads(pickle.dumps(LingraftError("what", "why", "cure")))
    assert (error.what, error.why, error.cure) == ("what", "why", "cure")
    assert str(error) == "what\nwhy\ncure"


@pytest.mark.parametrize(
    ("name", "said"),
    [("operaton", "did you mean 'operation'?"), ("name", "did you mean 'names'?"), ("xyzzy", ""), ("", "")],
)
def test_the_nearest_choice_is_named_when_one_is_near(name, said):
    assert did_you_mean(name, {"operation", "names", "probability"}) == said


def test_a_missing_package_says_which_line_installs_it():
    error = missing_package("lm-eval", "eval", "evaluate")
    assert str(error) == "lm-eval is not installed\nevaluate needs it.\npip install 'lingraft[eval]'"
