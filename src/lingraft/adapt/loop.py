"""The Hugging Face Trainer with what a long run needs: whole checkpoints, checked steps, room made when memory ends.

Imported only when a training begins: it takes transformers' Trainer with it.
"""

import contextlib
import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from lingraft import runs
from lingraft.adapt import distributed
from lingraft.adapt.checkpoints import keep_newest, latest, seal
from lingraft.adapt.data import Data
from lingraft.adapt.guards import Guard
from lingraft.adapt.history import History
from lingraft.adapt.snapshots import Snapshots
from lingraft.adapt.throughput import Meter
from lingraft.adapt.training import Training
from lingraft.adapt.validation import Validation
from lingraft.adapt.warm import WarmRows
from lingraft.errors import LingraftError

BEST = "best"
"""Folder with the weights of the lowest validation loss."""


class CheckedTrainer(Trainer):
    """One training in a run folder."""

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        data: Data,
        how: Training,
        run: runs.Run,
        *,
        history: History,
        meter: Meter,
        validation: Validation | None,
        warm: WarmRows | None,
        snapshots: Snapshots,
        on_step: Callable[[float], None],
    ):
        """`on_step` is called with each logged loss."""
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=data.sequences,
            eval_dataset=data.sequences if validation else None,  # asked for, never read: see `evaluate`
            data_collator=data.collate,
            callbacks=[_Watcher(self)],
        )
        self.remove_callback(PrinterCallback)
        if not self._loss_shifts_labels:  # other models average a batch, and batches hide unlike numbers of tokens
            self.compute_loss_func = _mean_over_the_step
        self.data, self.how, self.run = data, how, run
        self.history, self.meter, self.validation, self.warm = history, meter, validation, warm
        self.snapshots = snapshots
        self.on_step = on_step
        self.guard = Guard(how, run.path)
        self.num_pieces = 1
        self._batches: list[Any] = []
        self._losses: list[torch.Tensor] = []

    def train(self, *arguments: Any, **more: Any) -> Any:
        """Train; memory that ends outside of a batch is an error with its cure."""
        try:
            return super().train(*arguments, **more)
        except torch.OutOfMemoryError as error:
            raise LingraftError(
                f"the memory ends at step {self.state.global_step + 1}, outside of any batch",
                f"The optimiser keeps two numbers a trained weight. {str(error).partition(chr(10))[0]}",
                "Train adapters (train.lora.rank=16), or shard the model over several devices: docs/distributed.md.",
            ) from error

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """Fetch the batches of a step, and time it."""
        self._batches, self._losses = [], []
        with self.meter.waiting():
            return super().get_batch_samples(epoch_iterator, num_batches, device)

    def training_step(self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Make the gradients of one batch, in pieces when it does not fit in memory; return its loss."""
        self._batches.append(inputs)
        batches = [inputs]
        while True:
            try:
                loss = [self._in_pieces(model, batch, num_items_in_batch) for batch in batches][-1]
                break
            except torch.OutOfMemoryError as error:
                self._make_room(str(error))
            model.zero_grad()  # what broke off may have left a part of its gradients: the whole step is made again
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            batches = self._batches
        self._losses.append(loss)
        if self.warm and self.warm.is_on(self.state.global_step) and self.accelerator.sync_gradients:
            self.warm.drop_gradients()
        return loss

    def _in_pieces(self, model: Any, inputs: Mapping[str, Any], num_items: Any) -> torch.Tensor:
        if self.num_pieces == 1:
            return super().training_step(model, inputs, num_items)
        batch = len(inputs["input_ids"])
        size = -(-batch // self.num_pieces)
        pieces = [_rows(inputs, slice(start, start + size)) for start in range(0, batch, size)]
        steps = self.current_gradient_accumulation_steps
        self.current_gradient_accumulation_steps = steps * len(pieces)
        try:
            return sum(super(CheckedTrainer, self).training_step(model, one, num_items) for one in pieces)
        finally:
            self.current_gradient_accumulation_steps = steps

    def _make_room(self, why: str) -> None:
        """Halve the batch and double the accumulation; LingraftError when that is no way out."""
        size = -(-self.how.batch_size // self.num_pieces)
        if size == 1 or self.accelerator.num_processes > 1:
            cure = (
                "Set train.gradient_checkpointing to true, a shorter train.length, or train.lora.rank=16."
                if size == 1
                else f"Say --set train.batch_size={size // 2} train.accumulation={self.how.accumulation * 2}: "
                "the same step, which several processes cannot choose by themselves."
            )
            raise LingraftError(f"a batch of {size} sequences does not fit in memory", why.partition("\n")[0], cure)
        self.num_pieces *= 2
        self.run.log(
            "out of memory",
            step=self.state.global_step + 1,
            batch_size=-(-self.how.batch_size // self.num_pieces),
            accumulation=self.how.accumulation * self.num_pieces,
            why=why.partition("\n")[0],
        )

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Return the norm of the gradient, the last thing before the optimiser's step: look at the step here."""
        norm = super()._get_grad_norm(model, grad_norm)
        loss = self.accelerator.reduce(torch.stack(self._losses).sum(), "mean").item()
        what = self.guard.why_stop(loss, 0.0 if norm is None else float(norm))
        if what is None:
            return norm
        step = self.state.global_step + 1
        losses = [one.item() for one in self._losses]
        batch = self.guard.save_batch(step, losses, self._indices, self.data.sequences.__getitem__)
        found = distributed.first(lambda: latest(Path(self.args.output_dir)))
        raise self.guard.error(what, step, batch, found[0] if found else None)

    def _indices(self, batch: int) -> range:
        """Return the sequences that make a batch of the step at hand on this process."""
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        number = (self.state.global_step * len(self._losses) + batch) * ranks + rank
        return range(number * self.how.batch_size, (number + 1) * self.how.batch_size)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write a loss down, and show it with the speed to the trackers."""
        if "loss" in logs:
            step, loss = self.state.global_step, logs["loss"]
            if self.warm and self.warm.is_on(step - 1) and self.warm.rate is not None:
                logs["learning_rate"] = self.warm.rate
            logs.update(self.meter.read(self.how.tokens_per_step * self.how.log_every))
            self.history.losses[step] = loss
            self.run.log("step", step=step, **logs)
            self.on_step(loss)
        super().log(logs, start_time)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Write down the loss on the validation corpora, keep the best weights, stop when patience ends."""
        step = self.state.global_step
        if step not in self.history.validations and self.validation is not None:
            with self.meter.paused():
                self.history.validations[step] = corpora = self.validation.losses(self)
                self.run.log("validation", step=step, corpora=corpora)
                if self.how.keep_best and step == self.history.best_step:
                    self._keep_best()
        metrics = {
            f"validation/{corpus}/{name}": value
            for corpus, figures in self.history.validations[step].items()
            for name, value in figures.items()
        }
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        if self.history.is_exhausted(self.how.patience):
            self.control.should_training_stop = True
        return metrics

    def _keep_best(self) -> None:
        temporary, folder = self.run.path / f".{BEST}.tmp", self.run.path / BEST
        if distributed.is_first():
            shutil.rmtree(temporary, ignore_errors=True)
        distributed.wait_for_all()
        self.save_model(str(temporary), _internal_call=True)
        distributed.wait_for_all()
        if distributed.is_first():
            seal(temporary, self.state.global_step)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)

    def take_best(self) -> None:
        """Give the model the weights of the lowest validation loss."""
        if self.history.best_step != self.state.global_step:
            self._load_from_checkpoint(str(self.run.path / BEST), self.model_wrapped if self.is_fsdp_enabled else None)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self.meter.paused():
            self.state.log_history.clear()  # log.jsonl has it, and each checkpoint would hold it all once more
            super()._save_checkpoint(model, trial)
            distributed.wait_for_all()  # each rank has its part in it
            if distributed.is_first():
                folder = Path(self.args.output_dir)
                checkpoint = folder / f"checkpoint-{self.state.global_step}"
                self.guard.save(checkpoint)
                seal(checkpoint, self.state.global_step)
                keep_newest(folder, self.how.keep_checkpoints)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights of a checkpoint; LingraftError when they are of another model."""
        with _fitting(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Stop at weights that are missing or too many; tied ones are in a checkpoint only once."""
        tied = set(getattr(self.model, "all_tied_weights_keys", None) or ())
        if strange := sorted(set(load_result.missing_keys) - tied | set(load_result.unexpected_keys)):
            raise ValueError(f"These weights are in only one of the two: {', '.join(strange[:5])}.")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load both; what the settings say about rate and decay holds, also where the checkpoint's run had others."""
        groups = self.optimizer.param_groups
        asked = [{name: group[name] for name in _SETTINGS if name in group} for group in groups]
        with _fitting(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or self.is_deepspeed_enabled:
            return
        for group, own in zip(self.optimizer.param_groups, asked, strict=True):
            group.update(own)
        schedule = self.lr_scheduler
        schedule.base_lrs = [self.how.learning_rate] * len(schedule.base_lrs)
        rates = [self.how.learning_rate * factor(schedule.last_epoch) for factor in schedule.lr_lambdas]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        schedule._last_lr = rates
        self.guard.load(Path(checkpoint))

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: the meter counts them, and transformers walks over the whole model for each batch."""
        return 0


def _mean_over_the_step(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Return a batch's part of the mean loss over all predicted tokens of the step."""
    logits = outputs.logits.flatten(0, -2).float()
    total = torch.nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum")
    return total / (labels.ne(-100).sum() if num_items_in_batch is None else num_items_in_batch)


def _rows(inputs: Any, rows: slice) -> Any:
    """Return some rows of the tensors of a batch; what is no tensor stays as it is."""
    if isinstance(inputs, Mapping):
        return {name: _rows(value, rows) for name, value in inputs.items()}
    return inputs[rows] if isinstance(inputs, torch.Tensor) else inputs


@contextlib.contextmanager
def _fitting(checkpoint: str | None) -> Iterator[None]:
    """Tell an error of the block as that of a checkpoint which does not fit."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        raise LingraftError(
            f"{checkpoint} does not fit the model that is trained",
            str(error).strip(),
            "Start from a checkpoint of the same model, with the same lora, rows and pad_vocabulary.",
        ) from error


_SETTINGS = ("initial_lr", "betas", "eps", "weight_decay")
"""What an optimiser's group holds that comes from the settings; Adafactor's has no betas."""


class _Watcher(TrainerCallback):
    """Runs the clock, sets the optimiser for warm steps, and keeps snapshots."""

    def __init__(self, trainer: CheckedTrainer):
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        state.compute_steps(args, args.max_steps)  # the intervals of these settings, not of the checkpoint's run
        self.trainer.meter.start()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.trainer.meter.stop()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self.trainer
        if trainer.warm and trainer.warm.is_on(state.global_step):
            trainer.warm.before_step(trainer.optimizer)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self.trainer
        if trainer.warm and trainer.warm.is_on(state.global_step):
            trainer.warm.after_step(trainer.optimizer, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self.trainer.snapshots.steps:
            with self.trainer.meter.paused():
                self.trainer.snapshots.write(self.trainer, state.global_step)
