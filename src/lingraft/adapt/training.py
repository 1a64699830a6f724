"""How long, how fast and on how much at once a model is trained. The defaults are LEIA's (METHODS.md 1)."""

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lingraft.config import Config, InputPath, Probability

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

_THOUSANDS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


def _parse_tokens(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*([\d_,]*\.?\d+)\s*([KMB]?)\s*", value, re.IGNORECASE)
    if not found:
        raise ValueError(f"{value!r} is no number of tokens: write it with K, M or B if you like, as in 200M")
    return round(float(found[1].replace(",", "").replace("_", "")) * _THOUSANDS[found[2].upper()])


Tokens = Annotated[int, BeforeValidator(_parse_tokens), Field(gt=0)]
"""A number of tokens; text such as "200M" or "1.5B" is understood."""


class Lora(Config):
    """Low-rank adapters in place of full training; only they and the rows of the tags are trained."""

    rank: Positive = 16
    """Rank of the adapters."""

    alpha: Positive = 32
    """Scale of the adapters."""

    targets: list[str] | str = "all-linear"
    """Names of the layers that get one, or all-linear."""

    dora: bool = False
    """Train the magnitude of each layer's columns apart from the low-rank direction: DoRA."""

    keep_adapter: bool = False
    """Write the adapter by itself too, to out/adapter; out/model holds the merged model either way."""


class Rows(Config):
    """The rows of the two tags in the embeddings of a model."""

    init: Literal["mean", "description"] = "mean"
    """What a new row begins as: the mean of all old rows, or of the rows of the tokens of `description`."""

    description: str = Field("translation", min_length=1)
    """What the tags mean, in words that the model knows."""

    warm_steps: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """First steps, or all of them, in which only these rows are trained; every other weight stays as it is."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Constant rate of the warm steps; without it the schedule's."""


class Training(Config):
    """How long, how fast and on how much at once a model is trained."""

    length: Positive = 2048
    """Tokens in a sequence."""

    packing: Literal["wrapped", "split"] = "wrapped"
    """wrapped: the stream of documents cut every `length` tokens, as LEIA; split: whole documents, best-fit, padded."""

    separate_documents: bool = False
    """Whether a document of a sequence is hidden from the others, and its positions begin anew. LEIA: no."""

    train_layers: Annotated[int, Field(ge=0)] | None = None
    """Train only so many of the highest layers, and what stands above them; none given: all. EntityCS: 2."""

    train_embeddings: bool = True
    """Train the embeddings too; a tied output layer goes with them."""

    steps: Positive | None = None
    """Optimiser steps; 50, as LEIA, when neither steps nor tokens are given."""

    tokens: Tokens | None = None
    """Tokens to train on, as in 200M, in place of steps; the last step is a whole one."""

    batch_size: Positive = 1
    """Sequences on the device at once; halved by itself when the memory is too small."""

    accumulation: Positive = 256
    """Batches that make one step."""

    optimizer: Literal["adamw", "adafactor"] = "adamw"
    """adafactor takes the rate as given (no relative steps, no first moment): T5's, there with 1e-3 or so."""

    learning_rate: Annotated[float, Field(gt=0)] = 5e-6
    """Highest learning rate."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after the warm-up."""

    warmup_steps: Annotated[int | float, Field(ge=0)] = 0
    """Steps over which the rate rises from zero; below 1 a share of all steps."""

    weight_decay: NotNegative = 0.1
    """Weight decay of either optimiser."""

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

    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """Implementation of attention; auto takes flash_attention_2 where it is installed, in bf16 on a GPU, else sdpa."""

    liger: bool = False
    """Use the fused kernels of liger-kernel (a GPU only)."""

    compile: bool = False
    """Compile the model with torch.compile."""

    save_every: Positive = 10
    """Steps between two checkpoints; a multiple of log_every."""

    keep_checkpoints: Positive = 1
    """Checkpoints that are kept."""

    snapshot_every: Annotated[int | float, Field(gt=0)] | None = None
    """Steps between two snapshots, below 1 a share of all steps: models that load, in out/snapshots/step-N."""

    start_from: InputPath | None = None
    """Checkpoint of another run to go on from: its weights, optimiser and step, with the settings given here."""

    log_every: Positive = 1
    """Steps between two logged losses; each is the mean over these steps."""

    validate_every: Positive | None = None
    """Steps between two validations; without it, only after the last step (when there is validation text)."""

    validation_sequences: Positive = 64
    """Most sequences of each validation corpus."""

    keep_best: bool = False
    """Make the weights with the lowest validation loss the final model, in place of the last ones."""

    patience: Positive | None = None
    """Validations without a new lowest loss after which training stops."""

    spike_factor: Annotated[float, Field(gt=1)] | None = None
    """Stop before a step whose loss is more than this many times the median of the last 100 steps."""

    seed: int = 0
    """Seed of the order of articles, of the draws, and of torch."""

    lora: Lora | None = None
    """Train low-rank adapters instead of all weights; out/model holds the merged model."""

    rows: Rows = Rows()
    """How the rows of the two tags begin, and whether they are trained first."""

    pad_vocabulary: Positive | None = None
    """Pad the embeddings to a multiple of this many rows; 64 suits GPUs."""

    loader_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that prepare sequences; 0 prepares them in the training process."""

    peak_tflops: Annotated[float, Field(gt=0)] | None = None
    """Peak of the device in 10^12 operations a second, for the utilisation (MFU); known for common GPUs."""

    track: list[Literal["tensorboard", "trackio", "wandb"]] = Field(default=[])
    """Where losses are shown, besides log.jsonl."""

    push_to_hub: str | None = None
    """Name on the Hugging Face hub to which the finished model is pushed (private); nothing is pushed without it."""

    @model_validator(mode="after")
    def _a_resumed_run_logs_the_same_means(self) -> Self:
        if self.save_every % self.log_every:
            raise ValueError(
                f"save_every {self.save_every} must be a multiple of log_every {self.log_every}: "
                "a mean over steps before and after a checkpoint could not be resumed"
            )
        return self

    @model_validator(mode="after")
    def _settings_that_belong_together(self) -> Self:
        if self.steps is not None and self.tokens is not None:
            raise ValueError(f"steps {self.steps} and tokens {self.tokens:,} are two budgets: give one")
        if self.warmup_steps > 1 and self.warmup_steps != int(self.warmup_steps):
            raise ValueError(f"warmup_steps {self.warmup_steps} is neither a number of steps nor a share below 1")
        if (self.snapshot_every or 0) > 1 and self.snapshot_every != int(self.snapshot_every):
            raise ValueError(f"snapshot_every {self.snapshot_every} is neither a number of steps nor a share below 1")
        if self.optimizer == "adafactor" and self.rows.warm_steps:
            raise ValueError("rows.warm_steps keeps all other weights as they are, which is proven for adamw only")
        if self.lora is not None and (self.train_layers is not None or not self.train_embeddings):
            raise ValueError("lora trains adapters only: leave out train_layers and train_embeddings, or lora")
        if self.patience is not None and self.validate_every is None:
            raise ValueError("patience counts validations: give validate_every too")
        if self.rows.warm_steps == "all" and (self.lora is not None or self.train_layers is not None):
            raise ValueError("rows.warm_steps: all trains two rows alone: leave out lora and train_layers, or 'all'")
        if self.rows.warm_steps and not self.train_embeddings:
            raise ValueError("rows.warm_steps trains rows of the embeddings: leave out train_embeddings: false")
        if self.rows.warm_steps != "all" and self.rows.warm_steps >= self.num_steps:
            raise ValueError(
                f"rows.warm_steps {self.rows.warm_steps} leaves nothing of the {self.num_steps} steps: "
                "say all to train the rows of the tags alone"
            )
        return self

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimiser step reads."""
        return self.length * self.batch_size * self.accumulation

    @property
    def num_steps(self) -> int:
        """Optimiser steps: as given, or those that read `tokens`, rounded up."""
        if self.tokens is not None:
            return math.ceil(self.tokens / self.tokens_per_step)
        return 50 if self.steps is None else self.steps

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one optimiser step reads."""
        return self.batch_size * self.accumulation
