"""What a donor is worth in tagging: train a tagger on one treebank, and tag languages that it has never seen tagged.

    tag(TagConfig(base="out/base/model", matrix="out/matrix", donors=["spa"], ud="ud",
                  train_on=["eng"], test_on=["quc", "wol"]), "out/tag")

Base and donors learn from the same sentences in the same order. Each model with each seed and training language is one
unit of work: finished ones stay finished, an interrupted one begins again. Beside them stands what one gets without a
model, from the training treebank alone.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field, model_validator

from lingraft import progress, runs
from lingraft.config import InputPath, Names
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models
from lingraft.transfer import tagger, treebanks
from lingraft.transfer.checkpoints import BASE, ComparedModels, Unit, units
from lingraft.transfer.results import STAGE as MATRIX
from lingraft.transfer.tag_scores import BASELINES, Baselines, Score, counts, scores
from lingraft.transfer.tagger import TaggerTraining
from lingraft.transfer.treebanks import NO_TAG, UPOS, Tagged, Treebank, as_treebanks

STAGE = "transfer tag"
Treebanks = Annotated[list[Treebank], BeforeValidator(as_treebanks)]


class TagConfig(ComparedModels):
    """Which models learn to tag what, how, and on what they are tested."""

    train: Treebanks = []
    """Treebanks to learn from, as {language: files}; one tagger for each."""

    test: Treebanks = []
    """Treebanks to tag, as {language: files}."""

    ud: InputPath | None = None
    """In place of files: a folder of Universal Dependencies (UD_Language-Treebank) with all of them."""

    train_on: Names = []
    """Languages of `ud` to learn from: their train files, else their dev files."""

    test_on: Names = []
    """Languages of `ud` to tag: their test files; default: all that have one."""

    tagger: TaggerTraining = TaggerTraining()
    """Epochs, batch, rates; frozen: a probe."""

    train_sentences: int | None = Field(None, gt=0)
    """Learn from so many sentences only, drawn at random, so that treebanks are of one size."""

    resamples: Annotated[int, Field(gt=0)] = 1000
    """Draws of the bootstrap."""

    @model_validator(mode="after")
    def _treebanks_are_known(self) -> Self:
        if (self.train_on or self.test_on) and self.ud is None:
            raise ValueError("train_on and test_on are languages of ud: give its folder, or train and test with files")
        if not self.train and not self.train_on:
            raise ValueError("nothing to learn from: give train, {language: files}, or ud and train_on")
        if not self.test and self.ud is None:
            raise ValueError("nothing to tag: give test, {language: files}, or ud")
        return self


class Task(NamedTuple):
    """One model with one seed, trained on one treebank."""

    unit: Unit
    train: str

    @property
    def key(self) -> str:
        """Its name in folders."""
        return f"{self.unit.key}-{self.train}"

    @property
    def system(self) -> tuple[str, str]:
        """What is averaged over seeds: model and training language."""
        return self.unit.name, self.train


class Texts(NamedTuple):
    """What is learnt from and what is tagged, by language."""

    train: dict[str, list[Tagged]]
    test: dict[str, list[Tagged]]


def tag(config: TagConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Train all taggers, tag all test treebanks, and score them, into the run folder `out`; return the manifest.

    Written: predictions/{model}-{seed}-{train}.parquet (test, sentence, word, form, gold, predicted: one row a word),
    tables accuracy, macro_f1, gain, scores, units. Raises LingraftError, before anything is trained, for a model that
    is not there, a donor or seed that the matrix has not, and treebanks that cannot be read.
    """
    versions = ["torch", "transformers", "tokenizers"]
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=versions) as run:
        if run.complete:
            return run.manifest
        todo, texts, counters = _prepare(config)
        facts = {}
        with progress.bar("tag", len(todo), "taggers", quiet=quiet) as bar:
            for task in todo:
                facts[task] = _carry_out(run, config, task, texts, bar)
        with run.timed("score"):
            return _finish(run, config, texts, facts, counters)


def _prepare(config: TagConfig) -> tuple[list[Task], Texts, Counter[str]]:
    """Check the models and read the treebanks; return the taggers to train, all sentences, and what was counted."""
    todo = units(_with_donors(config))
    for name in dict.fromkeys(unit.model for unit in todo):
        models.check(name)
    counters: Counter[str] = Counter()
    train = [*config.train, *(treebanks.treebanks_of(config.ud, config.train_on, "train") if config.train_on else [])]
    test = list(config.test)
    if config.ud is not None and (config.test_on or not test):
        test += treebanks.treebanks_of(config.ud, config.test_on, "test")
    texts = Texts(*(_read(held, part, counters) for held, part in ((train, "train"), (test, "test"))))
    if config.train_sentences is not None:
        for language, held in texts.train.items():
            chosen = np.sort(np.random.default_rng(0).permutation(len(held))[: config.train_sentences])
            texts.train[language] = [held[place] for place in chosen]
    for part, by_language in texts._asdict().items():
        counters[f"{part}_sentences"] = sum(map(len, by_language.values()))
        counters[f"{part}_words"] = sum(len(one.words) for held in by_language.values() for one in held)
    return [Task(unit, language) for unit in todo for language in texts.train], texts, counters


def _with_donors(config: TagConfig) -> TagConfig:
    if config.matrix is None or config.donors:
        return config
    return config.replace(donors=runs.read_manifest(config.matrix, MATRIX)["config"]["donors"])


def _read(held: Sequence[Treebank], part: str, counters: Counter[str]) -> dict[str, list[Tagged]]:
    """Return language -> sentences of its treebanks."""
    drops: Counter[str] = Counter()
    found: dict[str, list[Tagged]] = {}
    for one in held:
        found.setdefault(one.language, []).extend(treebanks.read_treebank(one.files, drops))
    counters.update({f"{part}_{reason}": number for reason, number in drops.items()})
    return found


def _carry_out(run: runs.Run, config: TagConfig, task: Task, texts: Texts, bar: progress.Bar) -> dict[str, Any]:
    """Train one tagger and tag all test treebanks; return what happened. One that is done is read."""
    done = run.path / "units" / f"{task.key}.json"
    held = runs.read_json(done)
    if held is not None:
        bar.advance(1, task.key)
        return held
    how, seed = config.tagger, task.unit.seed
    with run.timed("train"):
        trained = tagger.load_tagger(task.unit.model, how, seed=seed, device=config.device)
        loss, learnt = tagger.fit(
            trained,
            texts.train[task.train],
            how,
            seed=seed,
            name=task.key,
            on_step=lambda step, steps, loss: bar.advance(1 / steps, f"{task.key}, loss {loss:.2f}"),
        )
    tagged: Counter[str] = Counter()
    with run.timed("tag"):
        predicted = {
            language: tagger.predict(trained, sentences, tagged, batch_tokens=4 * how.batch_tokens)
            for language, sentences in texts.test.items()
        }
    with run.write(f"predictions/{task.key}.parquet") as path:
        pq.write_table(_table(texts.test, predicted), path, compression="zstd")
    facts = {"final_loss": round(loss, 4)}
    facts |= {f"train_{name}": number for name, number in learnt.items()}
    facts |= {f"test_{name}": number for name, number in tagged.items()}
    runs.write_json(done, facts)
    run.log("unit", name=task.key, **facts)
    return facts


def _table(test: Mapping[str, list[Tagged]], predicted: Mapping[str, list[np.ndarray]]) -> pa.Table:
    names = np.array([*UPOS, None], object)  # NO_TAG is the last one
    rows = [
        (language, number, place, word, names[gold], names[guess])
        for language, sentences in test.items()
        for number, (one, tags) in enumerate(zip(sentences, predicted[language], strict=True))
        for place, (word, gold, guess) in enumerate(zip(one.words, one.tags, tags.tolist(), strict=True))
    ]
    kinds = (pa.string(), pa.int32(), pa.int32(), pa.string(), pa.string(), pa.string())
    columns = zip(
        ("test", "sentence", "word", "form", "gold", "predicted"), kinds, zip(*rows, strict=True), strict=True
    )
    return pa.table({name: pa.array(values, kind) for name, kind, values in columns})


def _predicted(path: Path, test: Mapping[str, list[Tagged]]) -> dict[str, list[np.ndarray]]:
    """Read the tags that a finished tagger gave, by language and sentence."""
    tags = pq.read_table(path, columns=["predicted"])["predicted"].to_pylist()
    numbers = {name: number for number, name in enumerate(UPOS)}
    flat = np.array([numbers.get(tag, NO_TAG) for tag in tags])
    ends = np.cumsum([len(one.words) for sentences in test.values() for one in sentences])
    if len(flat) != ends[-1]:
        raise LingraftError(f"{path} does not fit the test treebanks", cure="Repeat the command with --overwrite.")
    parts = iter(np.split(flat, ends[:-1]))
    return {language: [next(parts) for _ in sentences] for language, sentences in test.items()}


def _finish(
    run: runs.Run, config: TagConfig, texts: Texts, facts: Mapping[Task, dict[str, Any]], counters: Counter[str]
) -> dict[str, Any]:
    """Score all taggers and baselines, write the tables and the manifest."""
    by_seed: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for task in facts:
        predicted = _predicted(run.path / "predictions" / f"{task.key}.parquet", texts.test)
        for language, sentences in texts.test.items():
            by_seed.setdefault((*task.system, language), []).append(counts(sentences, predicted[language]))
    for train, learnt in texts.train.items():
        baselines = Baselines.of(learnt)
        for language, sentences in texts.test.items():
            for name, tags in baselines.predict(sentences).items():
                by_seed[name, train, language] = [counts(sentences, tags)]
    found = {key: scores(held, resamples=config.resamples) for key, held in by_seed.items()}
    rows = list(_rows(found, texts.test))
    _write_tables(run, config, found, rows, {task.unit.name for task in facts} - {BASE})
    run.write_table("units", [{"tagger": task.key} | facts[task] for task in facts], title="Taggers")
    for fact in facts.values():
        counters.update({name: number for name, number in fact.items() if name != "final_loss"})
    return run.finish(counters, scores=rows, notes=_notes(found, {task.system for task in facts}))


def _notes(found: Mapping[tuple[str, str, str], dict[str, Score]], systems: Collection[tuple[str, str]]) -> list[str]:
    """Name the treebanks on which a model is no better than what the training treebank says without one."""
    notes = []
    for model, train in dict.fromkeys((model, train) for model, train, _ in found if (model, train) in systems):
        worse = [
            language
            for name, trained, language in found
            if (name, trained) == (model, train)
            and found[model, train, language]["accuracy"].value
            <= max(found[baseline, train, language]["accuracy"].value for baseline in BASELINES)
        ]
        if worse:
            notes.append(f"{model}, trained on {train}, is no better than without a model on {', '.join(worse)}")
    return notes


def _rows(
    found: Mapping[tuple[str, str, str], dict[str, Score]], test: Mapping[str, list[Tagged]]
) -> Iterator[dict[str, Any]]:
    for (model, train, language), of_measures in found.items():
        row: dict[str, Any] = {"model": model, "train": train, "test": language}
        for name, score in of_measures.items():
            low, high = score.interval
            row |= {name: score.value, f"{name}_low": low, f"{name}_high": high}
        yield row | {
            "words": sum(tag != NO_TAG for one in test[language] for tag in one.tags),
            "sentences": len(test[language]),
        }


def _write_tables(
    run: runs.Run,
    config: TagConfig,
    found: Mapping[tuple[str, str, str], dict[str, Score]],
    rows: Sequence[Mapping[str, Any]],
    compared: Collection[str],
) -> None:
    """Write a heat map of each measure and of the gain of `compared` over the base, and all numbers as one table."""
    several = len({train for _, train, _ in found}) > 1
    seeds = ", ".join(map(str, config.seeds))
    note = (
        f"Seeds: {seeds}. 95% bootstrap intervals over sentences and seeds."
        + " Frozen encoders." * config.tagger.frozen
    )

    def label(model: str, train: str) -> str:
        return f"{model}, {train}" if several else model

    def cell(key: tuple[str, str, str], score: Score) -> dict[str, Any]:
        low, high = score.interval
        return {"row": label(*key[:2]), "column": key[2], "value": score.value, "low": low, "high": high}

    trained = ", ".join(dict.fromkeys(train for _, train, _ in found))
    for name, unit in (("accuracy", "Accuracy"), ("macro_f1", "Macro-F1")):
        cells = [cell(key, of_measures[name]) for key, of_measures in found.items()]
        title = f"{unit} of tags, trained on {trained}"
        run.write_table(name, cells, kind="heatmap", title=title, note=note, unit=unit, diverging=False)
    gains = [
        cell((model, train, language), of_measures["accuracy"].minus(found[BASE, train, language]["accuracy"]))
        for (model, train, language), of_measures in found.items()
        if model in compared
    ]
    if gains:
        title = f"Accuracy less that of the base, trained on {trained}"
        run.write_table("gain", gains, kind="heatmap", title=title, note=note, unit="Accuracy", diverging=True)
    run.write_table("scores", rows, title="Tagging", note=note)
