"""A lab of made-up text: five languages in two families that share words, a tiny base, and a small matrix."""

import random
from pathlib import Path

import pyarrow.parquet as pq

from lingraft.adapt import Tiny, Training
from lingraft.transfer.base import BaseConfig, make_base
from lingraft.transfer.corpora import CorporaConfig, corpora
from lingraft.transfer.matrix import MatrixConfig

TINY = Tiny(architecture="t5", vocabulary=400, hidden=16, layers=1, heads=2, max_characters=20_000)
QUICK = Training(
    length=32, steps=6, batch_size=4, accumulation=1, learning_rate=1e-2, save_every=2, dtype="fp32", snapshot_every=2
)
FAMILIES = {"deu": 0, "swh": 0, "zul": 0, "wol": 1, "bam": 1}
WORDS_A_LINE = 16


def words(family: int) -> list[str]:
    """The words of a family: letters of their own, so that what one learns helps the other."""
    chance, letters = random.Random(family), ("abdeghik", "lmnoprstu")[family]
    return ["".join(chance.choice(letters) for _ in range(chance.randint(2, 6))) for _ in range(40)]


def write_texts(folder: Path, number: int = 150, languages=FAMILIES) -> list[dict]:
    """Text files of some languages; return the section `languages` of their corpora."""
    found = []
    for language in languages:
        chance, known = random.Random(language), words(FAMILIES[language])
        lines = [" ".join(chance.choice(known) for _ in range(WORDS_A_LINE)) for _ in range(number)]
        path = folder / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        found.append({"language": language, "sources": [{"kind": "text", "path": str(path)}]})
    return found


def write_corpora(folder: Path, **how) -> Path:
    """A finished corpora folder of these texts."""
    values = {"languages": write_texts(folder / "texts", **how), "splits": {"validation": 0.15, "test": 0.2}}
    corpora(CorporaConfig(**values, min_lines=3), folder / "corpora", workers=1, quiet=True)
    return folder / "corpora"


def write_base(texts: Path, folder: Path, **how) -> Path:
    """A tiny base that has seen one language."""
    values = {"languages": ["deu"], "tiny": TINY, "training": QUICK.replace(snapshot_every=None)} | how
    return make_base(BaseConfig(**values), texts, folder)


def small(texts: Path, model: Path, **how) -> MatrixConfig:
    """Two donors, two recipients of which one is a donor, two seeds: six pairs."""
    values = {
        "corpora": texts,
        "model": str(model),
        "donors": ["swh", "wol"],
        "recipients": ["zul", "wol"],
        "seeds": [0, 1],
        "training": QUICK,
        "lines": 24,
        "min_lines": 10,
        "length": 64,
    }
    return MatrixConfig(**values | how)


def rows(folder: Path, name: str = "matrix") -> list[dict]:
    """The rows of a table of a matrix."""
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def outputs(folder: Path) -> dict[str, bytes]:
    """What a matrix has to give again to the bit."""
    files = [
        *folder.glob("*.parquet"),
        *(folder / "tables").glob("*.json"),
        *folder.glob("donors/*/model/*.safetensors"),
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
