"""A recipe: one YAML file with everything that a run needs, one section a stage. Further corpora stand under `mix`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from lingraft.adapt import Training
from lingraft.adapt.settings import Weight
from lingraft.adapt.tiny import Tiny
from lingraft.augment import Insertion
from lingraft.augment.masking import Masking
from lingraft.augment.span_corruption import SpanCorruption
from lingraft.config import Config, InputPath, InputPaths, ModelName, Names, Probability, load
from lingraft.corpus import BuildConfig, PairsConfig
from lingraft.evaluate import EvaluateConfig

TINY = "tiny"
"""In place of a model: train a tokenizer on the corpus and make a small random model."""


PLAIN_TEXT = Insertion(operation="none")


class Augmentation(Config):
    """How names are written into the text of `corpus`."""

    insertion: Insertion = Insertion()
    """Side, probability, tags, languages, and what is scored."""

    weight: Weight = None
    """Share of this text beside the corpora of `mix`."""

    held_out: Probability = 0.0
    """Share of the articles that are left out of the training, and on which the loss is measured, as plain text."""


class Further(Config):
    """One more corpus beside `corpus`: built from a dump or from sentence pairs, or encoded already."""

    corpus: BuildConfig | None = None
    """A wiki to build, in any language."""

    pairs: PairsConfig | None = None
    """Parallel sentences to build."""

    encoded: InputPath | None = None
    """Folder of a finished `augment`, made with this model's tokenizer."""

    insertion: Insertion = PLAIN_TEXT
    """How names are written into it; when it is left out, none are: replay of plain text."""

    weight: Weight = None
    """Share of the sequences, relative to the other weights; all corpora of a recipe have one, or none has."""

    @model_validator(mode="after")
    def _one_corpus_each(self) -> Self:
        if sum(given is not None for given in (self.corpus, self.pairs, self.encoded)) != 1:
            raise ValueError("each corpus of mix is one of corpus, pairs and encoded: say exactly one of them")
        return self


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
    """Architecture and sizes of the model that "tiny" makes."""

    corpus: BuildConfig
    """The wiki and its sources of names."""

    augment: Augmentation = Augmentation()
    """How names are written into the text."""

    mix: list[Further] = []
    """Further corpora that are mixed in: replay, the other direction, parallel sentences."""

    temperature: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Without weights a corpus' share goes with its number of tokens to this power; 0 gives all the same share."""

    masking: Masking | None = None
    """What a masked model predicts; without it and without spans the model is a causal one."""

    spans: SpanCorruption | None = None
    """What is hidden from an encoder-decoder model in spans, which it predicts."""

    train: Training = Training()
    """How both models, with names and on plain text, are trained."""

    evaluate: Evaluation = Evaluation()
    """What the models are asked."""

    @model_validator(mode="after")
    def _the_settings_fit_together(self) -> Self:
        fitting = "roberta" if self.masking is not None else "llama" if self.spans is None else "t5"
        if self.model == TINY and self.tiny.architecture != fitting:
            trained = {"roberta": "masking trains", "t5": "spans train", "llama": "without masking or spans you train"}
            raise ValueError(
                f'model "tiny" is a {self.tiny.architecture}, and {trained[fitting]} a {fitting}: '
                f"say tiny.architecture: {fitting}, or name a model"
            )
        weights = [self.augment.weight, *(further.weight for further in self.mix)]
        if None in weights and any(weight is not None for weight in weights):
            raise ValueError(
                "some corpora have a weight and some none: give augment.weight and all of mix one, or none"
            )
        return self


def load_recipe(path: Path, overrides: list[str]) -> Recipe:
    """Load a recipe from a YAML file with `section.key=value` overrides."""
    return load(Recipe, path, overrides)
