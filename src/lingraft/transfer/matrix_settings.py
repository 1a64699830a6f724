"""What a matrix is made of: languages and seeds, which may be added to later, and settings, which may not change."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lingraft.adapt import Training
from lingraft.config import Config, InputPath, ModelName, Names, Size
from lingraft.transfer.scoring_sets import Objective

GROWING = ("donors", "recipients", "seeds")
"""What may be added to a finished matrix."""

TRAINING = Training(
    length=256,
    batch_size=16,
    accumulation=1,
    learning_rate=2e-4,
    warmup_steps=0.05,
    weight_decay=0.01,
    beta2=0.999,
    epsilon=1e-8,
    save_every=100,
    log_every=10,
    snapshot_every=0.1,
)
"""How a donor is trained unless told otherwise: a rate that does not damage the base (METHODS.md 2: 1e-4 to 3e-4)."""


class MatrixConfig(Config):
    """Which donors are tried on which recipients, with which model, and how."""

    corpora: InputPath
    """Folder of a finished `transfer corpora`."""

    model: ModelName
    """The base that every donor starts from: a folder, or a name on the Hugging Face hub."""

    donors: Annotated[Names, Field(min_length=1)]
    """Languages that are trained on, in ISO 639-3."""

    recipients: Annotated[Names, Field(min_length=1)]
    """Languages whose test lines are scored; no donor sees them, nor may the base have."""

    seeds: Annotated[list[int], Field(min_length=1)] = [0, 1, 2]
    """One training of each donor for each: of the order of the text, and of what is hidden in it."""

    objective: Objective = Objective()
    """What the model predicts, in training and in scoring."""

    training: Training = TRAINING
    """How each donor is trained: steps or tokens are the same for all; snapshot_every says when it is scored."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    """Train each donor for so many passes over its own text in place of training.steps or training.tokens."""

    donor_bytes: Size | None = None
    """Cut the text of all donors to this size, by a hash of the lines' keys: of parallel text the same lines stay."""

    choose: Literal["last", "donor_validation", "half"] = "donor_validation"
    """The checkpoint that is reported: the last; the best one on the donor's own validation text; or the best one on
    half of the recipient's lines, and reported on the other half."""

    lines: Annotated[int, Field(gt=0)] = 500
    """Most lines of a language that are scored, chosen by a hash of their keys."""

    min_lines: Annotated[int, Field(gt=0)] = 20
    """A language with fewer test lines is refused."""

    length: Annotated[int, Field(gt=2)] = 256
    """Tokens of a line that are scored at once; a longer line is cut into windows."""

    mask_seed: int = 0
    """Seed of what is hidden in the lines that are scored: the same for every checkpoint."""

    batch_tokens: Annotated[int, Field(gt=0)] = 4096
    """Tokens that are scored at once; it changes a score only by rounding."""

    device: str = "auto"
    """Where scoring is done: auto (a GPU if there is one), cpu, cuda, cuda:1."""

    keep_snapshots: bool = False
    """Keep all checkpoints after they are scored, so that recipients that are added later get whole learning curves."""

    allow_seen: bool = False
    """Score recipients although the base was trained on them."""

    def identity(self) -> dict[str, Any]:
        """Return what decides a cell: not the languages and seeds, which may be added to a finished matrix."""
        left_out = (*GROWING, "allow_seen")
        return {name: value for name, value in super().identity().items() if name not in left_out}

    def input_paths(self) -> list[Path]:
        """Return the input files but the corpora: these are known language by language, so that they may grow, too."""
        return [path for path in super().input_paths() if path != self.corpora]

    @property
    def keeps_snapshots(self) -> bool:
        """Whether all checkpoints are kept; with `half` each recipient may choose another one."""
        return self.keep_snapshots or self.choose == "half"

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for name in GROWING:
            twice = [str(value) for value, number in Counter(getattr(self, name)).items() if number > 1]
            if twice:
                raise ValueError(f"{name}: {', '.join(twice)} given twice")
        if self.donors == self.recipients and len(self.donors) == 1:
            raise ValueError(f"{self.donors[0]} is the only donor and the only recipient: no pair is left to measure")
        return self

    @model_validator(mode="after")
    def _settings_of_one_donor(self) -> Self:
        for name in ("validate_every", "keep_best", "patience", "start_from", "push_to_hub"):
            if getattr(self.training, name):
                raise ValueError(
                    f"training.{name} is for one training alone: checkpoints are scored as snapshot_every says, and "
                    "chosen as `choose` says; leave it out"
                )
        budgets = {
            "training.steps": self.training.steps,
            "training.tokens": self.training.tokens,
            "epochs": self.epochs,
        }
        given = [name for name, value in budgets.items() if value is not None]
        if len(given) != 1:
            said = " and ".join(given) or "none of them"
            raise ValueError(f"how long a donor is trained is one of {', '.join(budgets)}: {said} is given")
        return self
