"""A made-up corpus, its tiny model and its encoding, built once a session."""

import random
from pathlib import Path

import pytest
from adapt_helpers import TINY, helpers

from lingraft.adapt import make_tiny
from lingraft.augment import EncodeConfig, encode

CITIES = ["Αθήνα", "Ρώμη", "Παρίσι", "Τόκιο"]
NAMES = [(1, "en", "Athens"), (2, "en", "Rome"), (3, "en", "Paris"), (4, "en", "Tokyo")]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    chance = random.Random(0)
    rows = []
    for _ in range(40):
        cities = [chance.randrange(4) for _ in range(6)]
        text = " ".join(f"Η πόλη {CITIES[city]} έχει {chance.randrange(100)} δρόμους." for city in cities)
        rows.append(helpers.article(text, *((CITIES[city], city + 1) for city in cities)))
    return helpers.write_corpus(tmp_path_factory.mktemp("made") / "corpus", [rows[:25], rows[25:]], NAMES)


@pytest.fixture(scope="session")
def tiny(corpus, tmp_path_factory) -> Path:
    return make_tiny(corpus, tmp_path_factory.mktemp("tiny") / "run", TINY)


@pytest.fixture(scope="session")
def encoded(corpus, tiny, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("encoded") / "run"
    encode(EncodeConfig(corpus=corpus, model=str(tiny)), out, workers=1)
    return out
