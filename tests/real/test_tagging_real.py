"""Treebanks of Universal Dependencies as they are published: what is read, and what one gets without a model."""

from collections import Counter

import pytest

from lingraft.transfer.tag_scores import Baselines, accuracy, counts
from lingraft.transfer.treebanks import read_treebank, treebanks_of


@pytest.fixture(scope="module")
def ud(shared_data):
    return shared_data / "transfer" / "ud"


def test_ranges_and_empty_nodes_of_real_treebanks_are_left_out(ud):
    drops = Counter()
    (coptic,) = treebanks_of(ud, ["cop"], "test")
    held = read_treebank(coptic.files, drops)
    assert drops["ranges"] > 100
    assert sum(len(one.words) for one in held) == sum(len(one.tags) for one in held) > 5000


def test_several_treebanks_of_a_language_are_read_as_one(ud):
    (english,) = treebanks_of(ud, ["eng"], "test")
    assert [path.name for path in english.files] == ["en_ewt-ud-test.conllu.xz", "en_pud-ud-test.conllu.xz"]
    (learnt,) = treebanks_of(ud, ["eng"], "train")  # EWT has no train file here
    assert [path.name for path in learnt.files] == ["en_ewt-ud-dev.conllu.xz"]


def test_the_form_of_a_word_tells_much_at_home_and_little_elsewhere(ud):
    (afrikaans,) = treebanks_of(ud, ["afr"], "train")
    baselines = Baselines.of(read_treebank(afrikaans.files, Counter()))
    found = {}
    for treebank in treebanks_of(ud, ["afr", "deu", "quc"], "test"):
        held = read_treebank(treebank.files, Counter())
        tags = baselines.predict(held)
        found[treebank.language] = [accuracy(counts(held, one).sum(axis=0)) for one in tags.values()]
    assert found["afr"][1] > 0.85 > 0.25 > found["afr"][0]
    assert found["deu"][1] < 0.5
    assert found["quc"][1] < 0.5
