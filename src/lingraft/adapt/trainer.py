"""Continued training of a causal language model on an encoded corpus, by the Hugging Face Trainer.

Sequence k of the run is a function of the config alone, so a resumed run needs only the step it stopped at. A
checkpoint counts when its marker exists, and half-written ones are removed: on CPU in float32 a run killed at any
moment gives the same losses and the same weights, to the bit, as one that was not (tests/adapt/test_adapt_resume.py).
The defaults are LEIA's. Its 2,048 sequences a step are batch 1 x accumulation 256 on 8 GPUs; on one, accumulate 2048.

    lingraft train recipes/quickstart.yaml
"""

import importlib.util
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lingraft import runs
from lingraft.adapt.card import model_card
from lingraft.adapt.causal import check_fit, sequences
from lingraft.adapt.checkpoints import keep_newest, latest, seal
from lingraft.adapt.tokens import add_tags
from lingraft.augment.operators import Insertion
from lingraft.augment.tokenizer import cannot_load, load_tokenizer
from lingraft.config import Config, InputPath, ModelName, Probability
from lingraft.errors import LingraftError, missing_package
from lingraft.progress import bar

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Lora(Config):
    """Low-rank adapters in place of full training; only they and the rows of the tags are trained."""

    rank: Positive = 16
    """Rank of the adapters."""

    alpha: Positive = 32
    """Scale of the adapters."""

    targets: list[str] | str = "all-linear"
    """Names of the layers that get one, or all-linear."""


class Training(Config):
    """How long, how fast and on how much at once a model is trained."""

    length: Positive = 2048
    """Tokens in a sequence."""

    steps: Positive = 50
    """Optimiser steps."""

    batch_size: Positive = 1
    """Sequences on the device at once."""

    accumulation: Positive = 256
    """Batches that make one step."""

    learning_rate: Annotated[float, Field(gt=0)] = 5e-6
    """Highest learning rate."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after the warm-up."""

    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate rises from zero."""

    weight_decay: NotNegative = 0.1
    """AdamW's weight decay."""

    beta1: Probability = 0.9
    """AdamW's first moment."""

    beta2: Probability = 0.95
    """AdamW's second moment."""

    epsilon: Annotated[float, Field(gt=0)] = 1e-6
    """AdamW's epsilon."""

    clip: NotNegative = 1.0
    """Largest norm of the gradient; 0 does not clip."""

    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """Precision of the arithmetic; auto takes bf16 on a GPU that has it. Weights and optimiser stay in float32."""

    gradient_checkpointing: bool = False
    """Compute activations twice to save memory."""

    save_every: Positive = 10
    """Steps between two checkpoints; a multiple of log_every."""

    keep_checkpoints: Positive = 1
    """Checkpoints that are kept."""

    log_every: Positive = 1
    """Steps between two logged losses; each is the mean over these steps."""

    seed: int = 0
    """Seed of the order of articles, of the draws, and of torch."""

    lora: Lora | None = None
    """Train low-rank adapters instead of all weights; out/model holds the merged model."""

    loader_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that prepare sequences; 0 prepares them in the training process."""

    track: list[Literal["tensorboard", "trackio"]] = Field(default=[])
    """Where losses are shown, besides log.jsonl."""

    @model_validator(mode="after")
    def _a_resumed_run_logs_the_same_means(self) -> Self:
        if self.save_every % self.log_every:
            raise ValueError(
                f"save_every {self.save_every} must be a multiple of log_every {self.log_every}: "
                "a mean over steps before and after a checkpoint could not be resumed"
            )
        return self

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step reads."""
        return self.length * self.batch_size * self.accumulation


class TrainConfig(Config):
    """Which model is trained on which encoded corpus, and how."""

    encoded: InputPath
    """Folder of a finished `augment`, made with this model's tokenizer."""

    model: ModelName
    """Model to train: a folder, or a name on the Hugging Face hub."""

    insertion: Insertion = Insertion()
    """Where and how often names are written."""

    replay: InputPath | None = None
    """Encoded corpus of plain text mixed in, against forgetting; names are never written into it."""

    replay_share: Probability = 0.0
    """Share of the sequences that come from `replay`."""

    training: Training = Training()
    """Length, steps, rate, precision."""

    @model_validator(mode="after")
    def _replay_needs_a_share(self) -> Self:
        if (self.replay is not None) != (self.replay_share > 0):
            raise ValueError("replay and replay_share belong together: give both, or neither")
        return self


def train(config: TrainConfig, out: str | Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Train a model in the run folder `out` and return its manifest; go on where an earlier call was stopped.

    Writes model/ (weights, tokenizer, README.md), checkpoints/, log.jsonl and the table `loss`. Raises LingraftError
    when model, tokenizer, corpus and length do not fit together, and at a loss that is not a number.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LingraftError(
            "this was started as one of several processes",
            "Training on several devices at once is not built yet.",
            "Start it without torchrun; batch_size x accumulation give the same step on one device.",
        )
    _check_trackers(config.training)
    with runs.open(out, "train", config, overwrite=overwrite, versions=["torch", "transformers", "peft"]) as run:
        if run.complete:
            return run.manifest
        return _train(config, run)


def _train(config: TrainConfig, run: runs.Run) -> dict[str, Any]:
    from transformers import set_seed

    how = config.training
    set_seed(how.seed)  # adapters begin at random, before the Trainer sets the seed
    with run.timed("load"):
        tokenizer = load_tokenizer(config.model)
        model = _load_model(config.model)
        positions = getattr(model.config, "max_position_embeddings", None)
        for encoded in filter(None, (config.encoded, config.replay)):
            check_fit(encoded, config.model, tokenizer, positions, how.length)
        tags = None
        if config.insertion.operation != "none" and config.insertion.tags:
            tags = add_tags(tokenizer, model)
        data, epochs = sequences(
            config.encoded,
            config.replay,
            config.replay_share,
            config.insertion,
            length=how.length,
            number=how.steps * how.batch_size * how.accumulation,
            eos_id=tokenizer.eos_token_id,
            tags=tags,
            seed=how.seed,
        )
        if how.lora is not None:
            model = _with_adapters(model, how.lora, tags)
    checkpoints = run.path / "checkpoints"
    found = latest(checkpoints)
    losses = _logged(run.path / "log.jsonl", before=found[1] if found else 0)
    done = found[1] if found else 0
    note = f"{how.tokens_per_step:,} tokens a step"
    with run.timed("train"), bar("train", how.steps, "steps") as shown:
        shown.advance(done, note)
        trainer = _trainer(
            model, data, how, run, losses, lambda loss: shown.advance(how.log_every, f"{note}, loss {loss:.3f}")
        )
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
        seconds = time.perf_counter() - started
    tokens_seen = how.steps * how.tokens_per_step
    counters = {
        "steps": how.steps,
        "tokens_per_step": how.tokens_per_step,
        "tokens_seen": tokens_seen,
        **{name: round(value, 4) for name, value in epochs.items()},
        "final_loss": losses[max(losses)] if losses else None,
    }
    with run.timed("save"):
        _save_model(trainer, tokenizer, config, counters, run.path / "model")
    rows = [{"series": run.path.name, "x": step, "y": loss} for step, loss in sorted(losses.items())]
    run.write_table("loss", rows, kind="curve", title="loss by step", note=note)
    fresh = (how.steps - done) * how.tokens_per_step
    return run.finish(counters, speed={"tokens_per_second": round(fresh / seconds, 1) if fresh else None})


def _load_model(name: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours is the only bar
    try:
        return AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    except Exception as error:  # transformers raises whatever its parsers and the network raise
        raise cannot_load(name, "weights", error) from error


def _with_adapters(model: Any, lora: Lora, tags: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    rows: dict[str, list[int]] = {}
    if tags is not None:
        layers = {id(model.get_input_embeddings().weight): model.get_input_embeddings()}
        output = model.get_output_embeddings()
        if output is not None:
            layers.setdefault(id(output.weight), output)
        names = {id(module): name.rpartition(".")[2] for name, module in model.named_modules()}
        rows = {names[id(layer)]: list(tags) for layer in layers.values()}
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    adapters = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=targets,
        task_type="CAUSAL_LM",
        trainable_token_indices=rows or None,
    )
    return get_peft_model(model, adapters)


def _trainer(model: Any, data: Any, how: Training, run: runs.Run, losses: dict[int, float], on_step: Any) -> Any:
    """Build the Trainer: sequences in their order, whole checkpoints only, each loss written down."""
    import torch
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    on_gpu = torch.cuda.is_available()
    bf16 = how.dtype == "bf16" or (how.dtype == "auto" and on_gpu and torch.cuda.is_bf16_supported())

    class WholeCheckpoints(Trainer):
        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            super()._save_checkpoint(model, trial)
            folder = Path(self.args.output_dir)
            seal(folder / f"checkpoint-{self.state.global_step}")
            keep_newest(folder, how.keep_checkpoints)

    class Losses(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:
                return
            step, loss = state.global_step, logs["loss"]
            if not math.isfinite(loss):
                raise LingraftError(
                    f"the loss is {loss} at step {step}",
                    "The learning rate is too high, or the precision too low for this model.",
                    f"Lower training.learning_rate (now {how.learning_rate}), or set training.dtype to fp32.",
                )
            losses[step] = loss
            run.log("step", step=step, loss=loss, learning_rate=logs["learning_rate"], grad_norm=logs.get("grad_norm"))
            on_step(loss)

    if "tensorboard" in how.track:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(run.path / "tensorboard")
    arguments = TrainingArguments(
        output_dir=str(run.path / "checkpoints"),
        max_steps=how.steps,
        per_device_train_batch_size=how.batch_size,
        gradient_accumulation_steps=how.accumulation,
        learning_rate=how.learning_rate,
        lr_scheduler_type=how.schedule if how.schedule != "constant" else "constant_with_warmup",
        warmup_steps=how.warmup_steps,
        weight_decay=how.weight_decay,
        adam_beta1=how.beta1,
        adam_beta2=how.beta2,
        adam_epsilon=how.epsilon,
        max_grad_norm=how.clip,
        bf16=bf16,
        use_cpu=not on_gpu,
        **({"gradient_checkpointing": True} if how.gradient_checkpointing else {}),
        save_steps=how.save_every,
        logging_steps=how.log_every,
        logging_nan_inf_filter=False,
        seed=how.seed,
        train_sampling_strategy="sequential",
        dataloader_num_workers=how.loader_workers,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        report_to=list(how.track),
        run_name=run.path.name,
        disable_tqdm=True,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs in one process would silently multiply the batch
    trainer = WholeCheckpoints(
        model=model, args=arguments, train_dataset=data, data_collator=_collate, callbacks=[Losses()]
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack sequences to tensors of shape (batch, length)."""
    import numpy as np
    import torch

    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}


def _logged(path: Path, before: int) -> dict[int, float]:
    """Return the losses by step up to the step `before`, and drop the later ones from the log: they come again."""
    if not path.exists():
        return {}
    kept, losses = [], {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed while it wrote
        if event["event"] == "step":
            if event["step"] > before:
                continue
            losses[event["step"]] = event["loss"]
        kept.append(line + "\n")
    with runs.atomic(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
    return losses


def _save_model(trainer: Any, tokenizer: Any, config: TrainConfig, counters: dict[str, Any], folder: Path) -> None:
    """Write the final model all at once: into a folder beside, which then takes the name."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.training.lora is not None:
        model = model.merge_and_unload()
    temporary = folder.with_name(".model.tmp")
    for leftover in (temporary, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    languages = runs.read_manifest(config.encoded, "augment")["languages"]
    card = model_card(config.model_dump(mode="json"), counters, languages)
    (temporary / "README.md").write_text(card, encoding="utf-8")
    temporary.replace(folder)


def _check_trackers(how: Training) -> None:
    for tracker in how.track:
        if importlib.util.find_spec(tracker) is None:
            raise missing_package(tracker, "track", f"training.track: {tracker}")
