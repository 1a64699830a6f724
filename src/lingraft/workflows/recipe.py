"""A recipe: one YAML file with everything that a run needs, one section a stage."""

from pathlib import Path

from pydantic import Field

from lingraft.adapt import Training
from lingraft.adapt.tiny import Tiny
from lingraft.augment import Insertion
from lingraft.config import Config, InputPath, InputPaths, ModelName, Names, load
from lingraft.corpus import BuildConfig
from lingraft.evaluate import EvaluateConfig

TINY = "tiny"
"""In place of a model: train a tokenizer on the corpus and make a small random Llama."""


class Augmentation(Config):
    """How names are written into the text."""

    insertion: Insertion = Insertion()
    """Side, probability, tags, and whether the names are scored."""


class Evaluation(Config):
    """What the models are asked; without tasks nothing is."""

    tasks: Names = []
    """Tasks or groups of `lingraft evaluate`."""

    data: InputPath | None = None
    """Folder with the tasks' files; without it the hub is asked."""

    include: InputPaths = []
    """Folders with further lm-eval task files."""

    limit: int | None = Field(None, gt=0)
    """Score only the first items of each task."""

    batch_size: int = Field(16, gt=0)
    """Requests computed at once."""

    def of(self, model: Path | str, label: str) -> EvaluateConfig:
        """Return the config that asks `model`, called `label`."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return EvaluateConfig(model=str(model), name=label, **values)


class Recipe(Config):
    """Everything that `lingraft run` needs."""

    model: ModelName = TINY
    """Model to adapt: a folder, a name on the Hugging Face hub, or "tiny"."""

    tiny: Tiny = Tiny()
    """Sizes of the model that "tiny" makes."""

    corpus: BuildConfig
    """The wiki and its sources of names."""

    augment: Augmentation = Augmentation()
    """How names are written into the text."""

    train: Training = Training()
    """How both models, with names and on plain text, are trained."""

    evaluate: Evaluation = Evaluation()
    """What the models are asked."""


def load_recipe(path: Path, overrides: list[str]) -> Recipe:
    """Load a recipe from a YAML file with `section.key=value` overrides."""
    return load(Recipe, path, overrides)
