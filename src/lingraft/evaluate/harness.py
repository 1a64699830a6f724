"""Score a language model on multiple-choice tasks, through lm-eval, as LEIA does.

lm-eval builds the prompts and computes the log-probabilities. What it leaves to whoever calls it (the token that
stands for an empty context, BOS or none, the draw of the shots) is set here for each task and stands in the score's
signature, so two scores can be told comparable or not by reading them.

    lingraft evaluate --model out/model --tasks xcodah_ja,xcsqa_ja --data DIR --out out/eval
"""

from pathlib import Path
from typing import Any, Literal, Self

import pyarrow.parquet as pq
from pydantic import Field, model_validator

from lingraft import engine, progress, runs
from lingraft.config import Config, InputPath, InputPaths, ModelName, Names
from lingraft.errors import LingraftError
from lingraft.evaluate import answers, catalog, scores
from lingraft.evaluate import model as models
from lingraft.evaluate.questions import Questions, choice_file, read_choices, task_label

STAGE = "evaluate"


class EvaluateConfig(Config):
    """A model, and what it is asked."""

    model: ModelName
    """Folder with a Hugging Face causal language model and its tokenizer, or its name on the hub."""

    tasks: Names = Field(min_length=1)
    """Tasks or groups: xcodah_ja, xcsqa, leia, any multiple-choice task of lm-eval, or choice:FILE.jsonl."""

    data: InputPath | None = None
    """Folder that holds X-CODAH/ and X-CSQA/ in the official format; without it the hub is asked."""

    include: InputPaths = Field(default_factory=list)
    """Folders with further lm-eval task files."""

    limit: int | None = Field(None, gt=0)
    """Score only so many items of each task, the first ones; shots are still drawn from all."""

    num_shots: int | None = Field(None, ge=0)
    """Number of shots in place of the task's own; tasks that are zero-shot by definition stay so."""

    shots: Literal["leave_one_out", "leia"] = "leave_one_out"
    """X-CSQA's shots: drawn for each item from the other items, or `leia`: one draw from the split for all items."""

    seed: int = 0
    """Seed of the shots."""

    batch_size: int = Field(16, gt=0)
    """Requests computed at once; it changes scores only by rounding."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; `auto` takes them as stored."""

    device: str = "auto"
    """Where the model runs: auto (a GPU if there is one), cpu, cuda, cuda:1."""

    name: str | None = None
    """The model's label in tables; its folder's name unless given."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        labels = [task_label(task) for task in self.tasks]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"two tasks are called {', '.join(twice)}: rename a file")
        return self

    @property
    def label(self) -> str:
        """The model's label in tables."""
        return self.name or Path(self.model).name

    def identity(self) -> dict[str, Any]:
        """Return what decides the outputs; a file of questions counts by its name and content, not its place."""
        return super().identity() | {"tasks": [task_label(task) for task in self.tasks]}

    def input_paths(self) -> list[Path]:
        """Return the input files, those of `choice:` tasks among them."""
        files = [choice_file(task) for task in self.tasks]
        return super().input_paths() + [file for file in files if file is not None]


def evaluate(config: EvaluateConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Score `config.model` on `config.tasks` into the run folder `out`; return the manifest, with `scores` in it.

    Written: predictions/{task}.parquet (answers.SCHEMA), table `scores`. A finished task is not scored again.
    Raises LingraftError for an unknown task, a model, data or language that is not there, and malformed files.
    """
    models.require_harness()
    models.check(config.model)
    if config.data is not None and not config.data.is_dir():
        raise LingraftError(
            f"no data folder {config.data}", cure="Let --data name the folder that holds X-CODAH/ and X-CSQA/."
        )
    packages = ("lm-eval", "torch", "transformers", "tokenizers", "numpy", "pyarrow")
    run = runs.open(out, STAGE, config, overwrite=overwrite, versions=packages)
    # read before the folder is claimed: after a mistyped task the right one may go to the same place
    asked = [] if run.complete else _questions(config)
    with run:
        if run.complete:
            return run.manifest
        asked = asked or _questions(config)
        with run.timed("load model"):
            model = models.load(config.model, config.dtype, config.device)
        with run.timed("score"):
            results = _score_all(run, config, asked, model)
        table = [row for result in results.values() for row in result["scores"]]
        run.write_table(
            "scores", table, kind="scores", title="Accuracy", note="95% Wilson intervals; signatures in the table file."
        )
        counters: dict[str, int] = {"tasks": len(results)}
        for result in results.values():
            for name, value in result["counters"].items():
                counters[name] = counters.get(name, 0) + value
        signatures = {task: result["signature"] for task, result in results.items()}
        return run.finish(counters, scores=table, signatures=signatures)


def _questions(config: EvaluateConfig) -> list[Questions]:
    from_files = [name for name in config.tasks if choice_file(name) is None]
    loaded = catalog.load_tasks(from_files, config.data, config.include) if from_files else {}
    asked = [read_choices(name, config.limit) for name in config.tasks if choice_file(name) is not None]
    asked += [
        catalog.ask(task, seed=config.seed, limit=config.limit, num_shots=config.num_shots, shots=config.shots)
        for task in loaded.values()
    ]
    names = [questions.task for questions in asked]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LingraftError(f"two tasks are called {', '.join(twice)}", cure="Rename the file of choices.")
    return asked


def _score_all(
    run: runs.Run, config: EvaluateConfig, asked: list[Questions], model: models.LoadedModel
) -> dict[str, dict[str, Any]]:
    total = sum(len(questions.items) for questions in asked)
    with progress.bar(f"evaluate {config.label}", total, "items") as bar:

        def score(questions: Questions) -> dict[str, Any]:
            scorer = model.scorer(questions.conventions, config.batch_size)
            predictions, counters = answers.answer(questions, scorer, bar)
            with run.write(f"predictions/{questions.task}.parquet") as path:
                pq.write_table(predictions, path, compression="zstd")
            signature = _signature(config, questions, model, len(predictions))
            table = scores.rows(config.label, predictions, signature)
            run.log("scored", task=questions.task, accuracy=table[0]["value"], n=table[0]["n"])
            return {"scores": table, "counters": counters | questions.counters, "signature": signature}

        tasks = (engine.Task(questions.task, questions) for questions in asked)
        return engine.run(score, tasks, run.path / "scored")


def _signature(config: EvaluateConfig, questions: Questions, model: models.LoadedModel, n: int) -> dict[str, Any]:
    return {
        "task": questions.task,
        "n": n,
        "score": "sum_logprob_float32",
        "shots": questions.shots,
        "seed": config.seed,
        "empty_context": questions.conventions.empty_context,
        "bos": questions.conventions.bos,
        "prompt": questions.prompt_hash(),
        "tokenizer": model.tokenizer_hash,
        "dtype": model.dtype,
        "batch_size": config.batch_size,
        "device": model.model.device.type,
    } | models.versions()
