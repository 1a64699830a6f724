"""Continued training of a language model on encoded corpora, by the Hugging Face Trainer.

Sequence k of the run is a function of the config alone, so a resumed run needs only the step it stopped at. A
checkpoint counts when its marker exists, and half-written ones are removed: on CPU in float32 a run killed at any
moment gives the same losses and the same weights, to the bit, as one that was not (tests/adapt/test_adapt_resume.py).
The defaults are LEIA's, made on one device; its 256 batches on each of 8 GPUs are accumulation 2048 (distributed.py).

    lingraft train recipes/quickstart.yaml
"""

from pathlib import Path
from typing import Any

from lingraft import runs
from lingraft.adapt import distributed
from lingraft.adapt.arguments import check_packages, on_gpu, training_arguments, uses_bf16
from lingraft.adapt.checkpoints import checked, latest
from lingraft.adapt.data import Data, check_fit, training_data
from lingraft.adapt.freeze import freeze
from lingraft.adapt.history import History, read_history
from lingraft.adapt.hub import push
from lingraft.adapt.models import load_model, save_model, with_adapters
from lingraft.adapt.settings import TrainConfig
from lingraft.adapt.sharding import refuse_adapters, whole_weights
from lingraft.adapt.snapshots import Snapshots
from lingraft.adapt.throughput import Meter, flops_per_token, peak_flops
from lingraft.adapt.tokens import add_tags, pad_vocabulary
from lingraft.adapt.training import Training
from lingraft.adapt.validation import Validation, only
from lingraft.adapt.warm import WarmRows
from lingraft.augment.operators import TagIds
from lingraft.augment.tokenizer import load_tokenizer, tag_ids
from lingraft.errors import LingraftError
from lingraft.progress import bar


def train(config: TrainConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train a model in the run folder `out` and return its manifest; go on where an earlier call was stopped.

    Writes model/ (weights, tokenizer, README.md), checkpoints/, snapshots/, log.jsonl and the tables `loss` and
    `validation`.
    Raises LingraftError when model, tokenizer, corpus and length do not fit together, and before a step whose loss or
    gradient is not a number.
    """
    packages = ["torch", "transformers", "peft"]
    with distributed.one_error():
        check_packages(config.training)
        with distributed.open_run(out, "train", config, overwrite=overwrite, versions=packages) as run:
            return run.manifest if run.complete else _train(config, run)


def _train(config: TrainConfig, run: runs.Run) -> dict[str, Any]:
    from transformers import set_seed

    how = config.training
    found = distributed.first(lambda: _start(how, run))
    done = found[1] if found else 0
    history: History = distributed.first(lambda: read_history(run.path / "log.jsonl", before=done))
    last = done if history.is_exhausted(how.patience) else how.num_steps
    set_seed(how.seed)  # adapters begin at random, before the Trainer sets the seed
    with run.timed("load"):
        tokenizer = load_tokenizer(config.model)
        model = load_model(config)
        for one in [config, *(only(config, source) for source in config.validation)]:
            check_fit(one, model, tokenizer)
        rows = "none" if not config.has_tags else "kept" if tag_ids(tokenizer) else how.rows.init
        tags = _vocabulary(config, model, tokenizer)
        data = training_data(config, model, tokenizer, tags, last * how.sequences_per_step)
        validation = Validation(config, model, tokenizer, tags) if config.validation else None
        for line in data.notes:
            run.log("note", text=line)
        if how.train_layers is not None or not how.train_embeddings:
            run.log("freeze", **freeze(model, how.train_layers, how.train_embeddings))
        if how.lora is not None:
            refuse_adapters()
            model = with_adapters(model, how.lora, tags)
        warm = _warm(how, model, tags)
    meter = Meter(flops_per_token(model, how.length), _peak(how))
    note = f"{how.tokens_per_step:,} tokens a step"
    with run.timed("train"), bar("train", how.num_steps, "steps", quiet=not distributed.is_first()) as shown:
        from lingraft.adapt.loop import CheckedTrainer

        shown.advance(done, note)
        trainer = CheckedTrainer(
            model,
            training_arguments(how, run, last, begins=found is None or found[0] == how.start_from),
            data,
            how,
            run,
            history=history,
            meter=meter,
            validation=validation,
            warm=warm,
            snapshots=Snapshots(how, run.path, tokenizer),
            on_step=lambda loss: shown.advance(how.log_every, f"{note}, loss {loss:.3f}"),
        )
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
        if validation is not None:
            trainer.evaluate()
        steps, kept = trainer.state.global_step, trainer.snapshots.steps
        if kept and steps not in kept:  # patience ended it
            trainer.snapshots.write(trainer, steps)
    if steps < last:  # patience ended: less was read
        data = training_data(config, model, tokenizer, tags, steps * how.sequences_per_step)
    counters = _counters(how, data, history, steps)
    with run.timed("save"):
        if how.keep_best:
            trainer.take_best()
        weights = whole_weights(trainer)
        distributed.first(lambda: save_model(trainer, weights, tokenizer, config, counters, run.path))
        if how.push_to_hub is not None:
            distributed.first(lambda: push(run.path / "model", how.push_to_hub))
    _write_tables(run, history, note)
    pieces = trainer.num_pieces
    used = {"batch_size": -(-how.batch_size // pieces), "accumulation": how.accumulation * pieces}
    return run.finish(
        counters,
        sources=data.sources,
        notes=data.notes,
        tags={"rows": rows} | (tags._asdict() if tags else {}),
        used=used | {"bf16": uses_bf16(how), "attention": model.config._attn_implementation},
        validation=history.validations.get(max(history.validations, default=0), {}),
        speed={"tokens_per_second": None} | meter.total(),
    )


def _vocabulary(config: TrainConfig, model: Any, tokenizer: Any) -> TagIds | None:
    """Add the tags where a corpus needs them, and pad the vocabulary."""
    how = config.training
    tags = None
    if config.has_tags:
        tags = add_tags(tokenizer, model, description=how.rows.description if how.rows.init == "description" else None)
    if how.pad_vocabulary is not None:
        pad_vocabulary(tokenizer, model, how.pad_vocabulary)
    return tags


def _warm(how: Training, model: Any, tags: TagIds | None) -> WarmRows | None:
    if not how.rows.warm_steps:
        return None
    if tags is None:
        raise LingraftError(
            f"train.rows.warm_steps is {how.rows.warm_steps}, but no corpus has the tags",
            "The warm steps train the rows of the two tags alone.",
            "Set it to 0, or write names between tags (insertion.tags).",
        )
    return WarmRows(model, tags, how.rows, how.num_steps)


def _start(how: Training, run: runs.Run) -> tuple[Path, int] | None:
    """Return the checkpoint to go on from, and its step: the run's own newest, else that of `start_from`."""
    found = latest(run.path / "checkpoints")
    if found is not None or how.start_from is None:
        return found
    step = checked(how.start_from, "Give a checkpoint of a training, as out/run/checkpoints/checkpoint-40.")
    if step >= how.num_steps:
        raise LingraftError(
            f"{how.start_from} was made after {step} steps, and the training has {how.num_steps}",
            "Nothing would be left to do.",
            f"Say --set train.steps={step + how.num_steps}, or start from an earlier checkpoint.",
        )
    return how.start_from, step


def _peak(how: Training) -> float | None:
    """Return the operations a second that all devices together can do; None where it is not known."""
    import torch

    one = how.peak_tflops * 1e12 if how.peak_tflops else None
    if one is None and on_gpu() and uses_bf16(how):
        one = peak_flops(torch.cuda.get_device_name())
    return one * distributed.world_size() if one else None


def _counters(how: Training, data: Data, history: History, steps: int) -> dict[str, Any]:
    counters = {
        "steps": steps,
        "tokens_per_step": how.tokens_per_step,
        "tokens_seen": steps * how.tokens_per_step,
        **data.counters,
        "final_loss": history.losses[max(history.losses)] if history.losses else None,
    }
    if how.tokens is not None:
        counters["tokens_asked"] = how.tokens
    if history.validations:
        counters["final_validation_loss"] = history.mean_loss(max(history.validations))
        counters["best_step"] = history.best_step
    return counters


def _write_tables(run: runs.Run, history: History, note: str) -> None:
    losses = [{"series": run.path.name, "x": step, "y": loss} for step, loss in sorted(history.losses.items())]
    run.write_table("loss", losses, kind="curve", title="loss by step", note=note)
    for name, figure, title in (
        ("validation", "loss", "validation loss by step"),
        ("validation_bits", "bits_per_byte", "validation bits per byte by step"),
    ):
        if rows := history.curve(figure):
            run.write_table(name, rows, kind="curve", title=title)
