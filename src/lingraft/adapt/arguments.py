"""Settings as the Hugging Face Trainer wants them, and what this machine offers: precision, attention, packages."""

import importlib.util
import os
from typing import Any

from lingraft import runs
from lingraft.adapt import distributed
from lingraft.adapt.training import Training
from lingraft.errors import LingraftError, missing_package

TRACKERS = {"tensorboard": "track", "trackio": "track", "wandb": "wandb"}
"""Extra of each tracker."""


def check_packages(how: Training) -> None:
    """Raise LingraftError for a package that the settings need and that is not installed."""
    for tracker in how.track:
        if importlib.util.find_spec(tracker) is None:
            raise missing_package(tracker, TRACKERS[tracker], f"train.track: {tracker}")
    if how.liger and importlib.util.find_spec("liger_kernel") is None:
        raise missing_package("liger-kernel", "kernels", "train.liger")
    if how.attention == "flash_attention_2":
        if importlib.util.find_spec("flash_attn") is None:
            raise LingraftError(
                "flash-attn is not installed",
                "train.attention: flash_attention_2 needs it.",
                "pip install flash-attn, or set train.attention to auto.",
            )
        if not uses_bf16(how):
            raise LingraftError(
                "flash_attention_2 computes in 16 bits, on a GPU",
                "train.dtype is fp32 here, or there is no such GPU.",
                "Set train.dtype to bf16, or train.attention to auto.",
            )


def on_gpu() -> bool:
    """Whether there is a GPU."""
    import torch

    return torch.cuda.is_available()


def uses_bf16(how: Training) -> bool:
    """Whether the arithmetic is done in bf16."""
    import torch

    return how.dtype == "bf16" or (how.dtype == "auto" and on_gpu() and torch.cuda.is_bf16_supported())


def attention(how: Training) -> str | None:
    """Return the implementation of attention; None lets transformers choose: sdpa where the model has it."""
    if how.attention != "auto":
        return how.attention
    has_flash = on_gpu() and uses_bf16(how) and importlib.util.find_spec("flash_attn") is not None
    return "flash_attention_2" if has_flash else None


def training_arguments(how: Training, run: runs.Run, steps: int, *, begins: bool) -> Any:
    """Return the TrainingArguments of a run of `steps` steps; one that `begins` validates before the first of them."""
    from transformers import TrainingArguments

    if "tensorboard" in how.track:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(run.path / "tensorboard")
    arguments = TrainingArguments(
        output_dir=str(run.path / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=how.batch_size,
        gradient_accumulation_steps=distributed.share_of(how.accumulation, how.batch_size),
        **({"optim": "adafactor"} if how.optimizer == "adafactor" else {}),  # else the library's fastest AdamW
        learning_rate=how.learning_rate,
        lr_scheduler_type=how.schedule if how.schedule != "constant" else "constant_with_warmup",
        warmup_steps=how.warmup_steps,
        weight_decay=how.weight_decay,
        adam_beta1=how.beta1,
        adam_beta2=how.beta2,
        adam_epsilon=how.epsilon,
        max_grad_norm=how.clip,
        bf16=uses_bf16(how),
        use_cpu=not on_gpu(),
        **({"gradient_checkpointing": True} if how.gradient_checkpointing else {}),
        use_liger_kernel=how.liger,
        torch_compile=how.compile,
        save_steps=how.save_every,
        logging_steps=how.log_every,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if how.validate_every else "no",
        eval_steps=how.validate_every,
        eval_on_start=begins and how.validate_every is not None,
        seed=how.seed,
        ddp_find_unused_parameters=False,
        train_sampling_strategy="sequential",
        dataloader_num_workers=how.loader_workers,
        dataloader_pin_memory=on_gpu(),
        remove_unused_columns=False,
        report_to=list(how.track),
        run_name=run.path.name,
        disable_tqdm=True,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs in one process would silently multiply the batch
    return arguments
