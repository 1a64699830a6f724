"""Run folders as the stages write them, by the same `runs.open`, with figures made up here."""

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from lingraft import runs
from lingraft.config import Config, InputPaths


class Settings(Config):
    """A config of the usual kinds: numbers, names, one input, one long list."""

    dump: InputPaths = Field(default_factory=list)
    lang: str = "el"
    seed: int = 20240217
    learning_rate: float = 5e-6
    names: tuple[str, ...] = ("en",)
    prompt: str = ""


Write = Callable[..., Path]


def write_run(
    path: Path,
    stage: str,
    tables: dict[str, dict[str, Any]] | None = None,
    *,
    counters: dict[str, Any] | None = None,
    finish: bool = True,
    when: float = 1_760_000_000,
    **settings: Any,
) -> Path:
    """Write one run folder, finished at `when`; each table is the keywords of `Run.write_table`."""
    with runs.open(path, stage, Settings(**settings), versions=["pyarrow", "pydantic"]) as run:
        for name, table in (tables or {}).items():
            run.write_table(name, **table)
        run.log("begun", step=0)
        if finish:
            with run.timed("read"), run.timed("resolve links"):
                pass
            run.finish(counters or {})
            manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
            manifest["timings"] = {
                "total_seconds": 252.4,
                "parts": {"read": 180.2, "resolve_links": 62.0, "write": 10.2},
                "resumed": False,
            }
            runs.write_json(path / "manifest.json", manifest)
    for name in ("request.json", "manifest.json"):
        if (path / name).exists():
            os.utime(path / name, (when, when))
    return path


def losses(series: str, steps: int, start: float, end: float, seed: int) -> list[dict[str, Any]]:
    """Make a noisy curve that falls from `start` to `end`."""
    noise = random.Random(seed)
    return [
        {
            "series": series,
            "x": step,
            "y": round(end + (start - end) * math.exp(-5 * step / steps) + noise.gauss(0, 0.08), 4),
        }
        for step in range(1, steps + 1)
    ]


def score_rows(group: str, values: dict[str, tuple[float, float, float]], chance: float) -> list[dict[str, Any]]:
    """Make one panel of scores."""
    return [
        {
            "group": group,
            "label": label,
            "value": value,
            "low": low,
            "high": high,
            "chance": chance,
            "n": 320,
            "signature": f"acc | n:320 | seed:{seed} | shots:0 | dtype:float32 | lm-eval:0.4.13",
        }
        for seed, (label, (value, low, high)) in enumerate(values.items())
    ]


EXAMPLES = [
    {
        "title": "Αθήνα",
        "segments": [
            {"text": "Η ", "kind": "text"},
            {"text": "Αθήνα", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Athens", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": " είναι η πρωτεύουσα της ", "kind": "text"},
            {"text": "Ελλάδας", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Greece", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": " και η μεγαλύτερη πόλη της. Η περιοχή κατοικείται από τη Νεολιθική εποχή.", "kind": "text"},
        ],
    },
    {
        "title": "القاهرة",
        "segments": [
            {"text": "القاهرة", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Cairo", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": " هي عاصمة ", "kind": "text"},
            {"text": "مصر", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Egypt", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": " وأكبر مدنها من حيث عدد السكان.", "kind": "text"},
        ],
    },
    {
        "title": "東京",
        "segments": [
            {"text": "東京", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Tokyo", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": "は、日本の首都である。", "kind": "text"},
        ],
    },
    {
        "title": "मुंबई <script>alert(1)</script>",
        "segments": [
            {"text": "मुंबई", "kind": "mention"},
            {"text": "<translate>", "kind": "tag"},
            {"text": "Mumbai", "kind": "name"},
            {"text": "</translate>", "kind": "tag"},
            {"text": " हे महाराष्ट्राचे राजधानीचे शहर आहे.", "kind": "text"},
        ],
    },
]


def write_demo(path: Path) -> Path:
    """Write a workflow's folder as the demo leaves it: scores on top, six runs inside."""
    scores = [
        *score_rows(
            "held-out facts",
            {
                "base": (0.209, 0.168, 0.257),
                "plain": (0.253, 0.208, 0.303),
                "leia": (0.391, 0.339, 0.445),
                "leia, name in prompt": (0.706, 0.654, 0.753),
            },
            0.2,
        ),
        *score_rows(
            "bridge facts",
            {
                "base": (0.872, 0.831, 0.904),
                "plain": (0.894, 0.855, 0.923),
                "leia": (0.903, 0.866, 0.931),
                "leia, name in prompt": (0.916, 0.880, 0.942),
            },
            0.2,
        ),
    ]
    settings = {
        "stage": "base",
        "steps": 1500,
        "batch_size": 64,
        "length": 128,
        "learning_rate": 0.003,
        "replay_share": 0.0,
    }
    arms = [settings, settings | {"stage": "plain", "steps": 400}, settings | {"stage": "leia", "steps": 400}]
    write_run(
        path,
        "demo",
        {
            "scores": {"rows": scores, "kind": "scores", "title": "Questions in the target language"},
            "arms": {"rows": arms, "title": "the three trainings", "note": "Everything else is the same."},
            "examples": {"rows": EXAMPLES, "kind": "examples", "title": "text with names"},
        },
        counters={"questions": 640, "entities": 300},
        when=1_760_000_900,
        prompt="Ask in the target language about entities whose facts stand in the pivot language only. " * 3,
    )
    source = path / "elwiki-sample.xml.bz2"
    source.write_bytes(b"dump" * 400_000)
    counters = {
        "articles": 933,
        "links": 48_213,
        "links_with_entity": 37_518,
        "dropped_links": {
            "red_link": 6_210,
            "no_item": 2_871,
            "other_namespace": 1_402,
            "redirect_cycle": 3,
            "self_link": 209,
        },
        "dropped_pages": {"redirect": 4_118, "no_text": 12, "disambiguation": 0},
    }
    frequent = [
        {"entity": 41, "name": "Greece", "links": 1_284, "share": 0.0342},
        {"entity": 1524, "name": "Athens", "links": 803, "share": 0.0214},
        {"entity": 30, "name": "United States of America", "links": 377, "share": 0.01},
        {"entity": 12544, "name": "Byzantine Empire", "links": 311, "share": 0.0083},
    ]
    write_run(
        path / "corpus-el",
        "corpus build",
        {"frequent": {"rows": frequent, "title": "most frequent names"}},
        counters=counters,
        when=1_760_000_100,
        dump=[source],
    )
    write_run(path / "encoded-el", "augment", counters={"articles": 933, "tokens": 1_804_221}, when=1_760_000_200)
    for index, (name, steps, start, end) in enumerate(
        [("base", 1500, 6.2, 1.31), ("plain", 400, 3.4, 1.62), ("leia", 400, 3.7, 1.48)]
    ):
        rows = losses(name, steps, start, end, seed=index)
        table = {"rows": rows, "kind": "curve", "title": "loss by step"}
        write_run(
            path / name,
            "train",
            {"loss": table},
            counters={"steps": steps, "tokens_seen": steps * 8192, "final_loss": rows[-1]["y"]},
            when=1_760_000_300 + index,
        )
    write_run(
        path / "eval-leia",
        "evaluate",
        {"scores": {"rows": scores[:2], "kind": "scores"}},
        finish=False,
        when=1_760_000_400,
    )
    return path


@pytest.fixture
def demo_run(tmp_path: Path) -> Path:
    return write_demo(tmp_path / "demo")


@pytest.fixture
def make_run(tmp_path: Path) -> Write:
    def make(
        stage: str = "train", tables: dict[str, dict[str, Any]] | None = None, name: str = "run", **options: Any
    ) -> Path:
        return write_run(tmp_path / name, stage, tables, **options)

    return make
