"""What a matrix takes before it is begun: cells, tokens, operations, time, disk.

Numbers of tokens come from a sample of each language's lines. The speed is that of trainings that this folder already
holds; or measured here, on some batches; or an assumed share of the device's peak; else no time is told. Scoring is
reckoned at three times the speed of training: it goes forward only.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from lingraft import runs
from lingraft.adapt.snapshots import snapshot_steps
from lingraft.adapt.throughput import flops_per_token
from lingraft.augment.tokenizer import cannot_load, load_tokenizer
from lingraft.transfer import cells
from lingraft.transfer.cells import Asked
from lingraft.transfer.cleaning import first_by_hash
from lingraft.transfer.corpora import Corpora
from lingraft.transfer.donor_run import DonorRun, Places, models_of
from lingraft.transfer.matrix import donor_runs, share_of_cores
from lingraft.transfer.matrix_settings import MatrixConfig
from lingraft.transfer.preparation import check_languages
from lingraft.transfer.scoring import load_scorer
from lingraft.transfer.training import worker

SAMPLE = 200
"""Lines of a language from which its tokens are reckoned."""

UTILISATION = 0.4
"""Share of the device's peak that training reaches: an assumption, until a speed is measured."""

FORWARD = 3
"""How many times as fast a model reads as it is trained."""


@dataclass(frozen=True)
class Speed:
    """Tokens that one worker trains on in a second, and where the number is from."""

    tokens: float | None
    source: str


def plan(
    config: MatrixConfig, out: str | Path, *, workers: int | None = None, measure: bool = False
) -> list[dict[str, Any]]:
    """Return rows (what, in all, done, left, note) of a matrix in the folder `out`; nothing is written there.

    `measure` takes the speed of training on this machine. Raises LingraftError for what `matrix` refuses at once.
    """
    check_languages(config)
    place, sizes = Places(Path(out)), _Sizes(config)
    works = [_work(config, place, sizes, run) for run in donor_runs(config)]
    numbers, threads = share_of_cores(config, workers)
    at_once = min(numbers, len(works))
    parameters, per_token = _size(config)
    speed = _speed(config, place, per_token, threads, measure)

    def both(name: str) -> tuple[int, int]:
        return sum(getattr(work.done, name) + getattr(work.left, name) for work in works), sum(
            getattr(work.done, name) for work in works
        )

    reckoned = [trained + scored / FORWARD for trained, scored in zip(both("trained"), both("scored"), strict=True)]
    hours = [tokens / speed.tokens / at_once / 3600 if speed.tokens else None for tokens in reckoned]
    rows = [
        _row("donors x seeds", len(works), sum(not any(work.left) for work in works), f"{at_once} at once"),
        _row("cells", *both("cells"), "of all checkpoints"),
        _row("tokens trained on", *both("trained")),
        _row("tokens scored", *both("scored"), "about: from a sample of the lines"),
    ]
    if per_token is not None:
        note = f"{parameters:,} parameters" + (", at most" if config.objective.kind == "spans" else "")
        rows.append(_row("PFLOP", *(per_token * tokens / 1e15 for tokens in reckoned), note))
    rows.append(_row("hours", *hours, speed.source))
    weights, checkpoints = 4 * parameters / 1e9, max(work.checkpoints for work in works)
    kept = len(works) * (1 + (checkpoints if config.keeps_snapshots else 0))
    rows.append(_row("GB kept", weights * kept, None, "a model for each donor and seed, in float32"))
    rows.append(_row("GB besides, at work", weights * at_once * (checkpoints + 4), None, "checkpoints"))
    return rows


class _Amount(NamedTuple):
    """Cells, and tokens that are trained on and scored."""

    cells: int
    trained: int
    scored: int


class _Work(NamedTuple):
    """What is done of one donor and seed, and what is left."""

    done: _Amount
    left: _Amount
    checkpoints: int


def _work(config: MatrixConfig, place: Places, sizes: "_Sizes", run: DonorRun) -> _Work:
    steps, asked = _steps(config, sizes, run.donor), run.asked(config.recipients)
    trained = steps[-1] * config.training.tokens_per_step
    is_trained = (place.training(run.key) / "manifest.json").exists()
    there = sorted(models_of(place, run)) if is_trained else steps
    held = cells.read(place.cells(run.key))
    wanted = set(asked)
    done = [one for _, one in held if one in wanted]
    left = [one for step in there for one in asked if (step, one) not in held]

    def amount(scored: list[Asked], trained: int) -> _Amount:
        tokens = round(sum(sizes.scored(one) for one in scored))
        return _Amount(sum(one.split == "test" for one in scored), trained, tokens)

    return _Work(amount(done, trained * is_trained), amount(left, trained * (not is_trained)), len(steps))


def _row(what: str, number: float | None, done: float | None, note: str = "") -> dict[str, Any]:
    left = None if number is None or done is None else number - done
    return {"what": what, "in all": number, "done": done, "left": left, "note": note}


class _Sizes:
    """Tokens of each language, reckoned from some of its lines."""

    def __init__(self, config: MatrixConfig):
        self.config, self.corpora = config, Corpora(config.corpora)
        self.tokenizer = load_tokenizer(config.model)
        self._a_line: dict[Asked, float] = {}

    def scored(self, asked: Asked) -> float:
        """Return the tokens of the lines that are scored."""
        lines = self.corpora.languages[asked.language].lines[asked.split]
        return min(lines, self.config.lines) * self._of_a_line(asked)

    def trained(self, donor: str) -> float:
        """Return the tokens of a donor's text."""
        card, a_line = self.corpora.languages[donor], self._of_a_line(Asked(donor, "validation"))
        share = 1.0 if self.config.donor_bytes is None else self.config.donor_bytes / card.bytes["train"]
        return card.lines["train"] * a_line * min(1.0, share)

    def _of_a_line(self, asked: Asked) -> float:
        if asked not in self._a_line:
            lines = first_by_hash(list(self.corpora.lines(*asked)), SAMPLE, 0, Counter(), "beyond")
            ids = self.tokenizer([line.text for line in lines], add_special_tokens=False)["input_ids"]
            self._a_line[asked] = sum(map(len, ids)) / len(lines)
        return self._a_line[asked]


def _steps(config: MatrixConfig, sizes: _Sizes, donor: str) -> list[int]:
    """Return the steps after which a donor's checkpoints are scored."""
    how = config.training
    if config.epochs is not None:
        how = how.replace(steps=None, tokens=max(1, round(config.epochs * sizes.trained(donor))))
    return snapshot_steps(how) or [how.num_steps]


def _size(config: MatrixConfig) -> tuple[int, float | None]:
    """Return (number of parameters, operations for a trained token), from the model's config alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

    kinds = {"spans": AutoModelForSeq2SeqLM, "masked": AutoModelForMaskedLM, "causal": AutoModelForCausalLM}
    try:
        with torch.device("meta"):
            model = kinds[config.objective.kind].from_config(AutoConfig.from_pretrained(config.model))
    except (OSError, ValueError) as error:
        raise cannot_load(config.model, "configuration", error) from error
    return model.num_parameters(), flops_per_token(model, config.training.length)


def _speed(config: MatrixConfig, place: Places, per_token: float | None, threads: int, measure: bool) -> Speed:
    manifests = [runs.read_json(path) for path in place.training("").glob("*/manifest.json")]
    measured = [found for held in manifests if (found := held["speed"]["tokens_per_second"])]
    if measured:
        mean = sum(measured) / len(measured)
        return Speed(mean, f"{mean:,.0f} tokens/s a worker, as in {len(measured)} finished trainings")
    if measure:
        with worker(threads, quiet=False):
            rate = measure_rate(config)
        return Speed(rate, f"{rate:,.0f} tokens/s, measured here on one worker alone")
    if config.training.peak_tflops and per_token:
        rate = config.training.peak_tflops * 1e12 * UTILISATION / per_token
        return Speed(rate, f"{rate:,.0f} tokens/s, if training reaches {UTILISATION:.0%} of training.peak_tflops")
    return Speed(None, "not known: --measure takes a few batches here")


def measure_rate(config: MatrixConfig, batches: int = 3) -> float:
    """Return the tokens a second of forward and backward on one device here, after one batch to warm up."""
    how = config.training
    model = load_scorer(config.model, config.objective, config.device).model.train()
    seconds = list(islice(_batch_seconds(model, config), batches + 1))[1:]
    return batches * how.batch_size * how.length / sum(seconds)


def _batch_seconds(model: Any, config: MatrixConfig) -> Iterator[float]:
    import torch

    how, spans = config.training, config.objective.spans
    length, targets = how.length, how.length
    if config.objective.kind == "spans":
        length, targets = spans.lengths(spans.raw_length(how.length))
    rows = model.get_input_embeddings().num_embeddings
    ids = torch.randint(rows, (how.batch_size, length), device=model.device)
    labels = torch.randint(rows, (how.batch_size, targets), device=model.device)
    while True:
        started = time.perf_counter()
        model(input_ids=ids, labels=labels).loss.backward()
        model.zero_grad()
        if ids.is_cuda:
            torch.cuda.synchronize()
        yield time.perf_counter() - started
