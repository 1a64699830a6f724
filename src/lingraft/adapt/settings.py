"""What a model is trained on: corpora with their shares, the names written into each, and what it has to predict.

    TrainConfig(model="out/tiny/model", sources=[Source(encoded="out/el-encoded")])

One source with names is LEIA; a second one with `insertion.operation: none` is replay of plain text; names in both
is both directions at once. See docs/mixing.md.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from lingraft.adapt.training import Training
from lingraft.augment.masking import FRAME, Masking
from lingraft.augment.operators import Insertion
from lingraft.augment.span_corruption import SpanCorruption
from lingraft.config import Config, InputPath, ModelName

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


class Source(Config):
    """One encoded corpus: its share of the training, and how names are written into it."""

    encoded: InputPath
    """Folder of a finished `augment`, made with this model's tokenizer."""

    weight: Weight = None
    """Share of the sequences, relative to the other sources' weights; all sources have one, or none has."""

    insertion: Insertion = Insertion()
    """Where and how often names are written; `operation: none` gives plain text."""


class TrainConfig(Config):
    """Which model is trained on which encoded corpora, and how."""

    model: ModelName
    """Model to train: a folder, or a name on the Hugging Face hub."""

    sources: Annotated[list[Source], Field(min_length=1)]
    """The corpora."""

    temperature: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Without weights a source's share goes with its number of tokens to this power; 0 gives all the same share."""

    masking: Masking | None = None
    """What a masked model predicts; without it and without spans the model is a causal one: the next token."""

    spans: SpanCorruption | None = None
    """What is hidden from an encoder-decoder model (T5, mT5, ByT5) in spans, which it predicts."""

    validation: list[Source] = []
    """Held-out corpora on which the loss is measured during training; their weights mean nothing."""

    training: Training = Training()
    """Length, steps, rate, precision."""

    @model_validator(mode="after")
    def _validation_is_held_out(self) -> Self:
        how = self.training
        if not self.validation and (how.validate_every or how.keep_best):
            raise ValueError(
                "validate_every and keep_best need validation text: set augment.held_out in the recipe, or give "
                "--validation (in Python: validation)"
            )
        trained = {source.encoded.resolve() for source in self.sources}
        for source in self.validation:
            if source.encoded.resolve() in trained:
                raise ValueError(f"{source.encoded} is trained on and cannot be held out: give another validation")
        return self

    @model_validator(mode="after")
    def _all_weights_or_none(self) -> Self:
        weights = [source.weight for source in self.sources]
        if None in weights and any(weight is not None for weight in weights):
            raise ValueError("some sources have a weight and some have none: give all of them one, or none")
        if None not in weights and self.temperature != 1.0:
            raise ValueError("temperature sets the shares where no weights are given: leave out one of the two")
        return self

    @model_validator(mode="after")
    def _a_frame_leaves_room(self) -> Self:
        if self.masking is not None and self.training.length <= FRAME:
            raise ValueError(f"training.length {self.training.length} holds no text: its frame takes {FRAME} tokens")
        return self

    @model_validator(mode="after")
    def _spans_fit_the_rest(self) -> Self:
        if self.spans is None:
            return self
        how = self.training
        if self.masking is not None:
            raise ValueError("masking is for masked models and spans for encoder-decoder models: give one of the two")
        if how.separate_documents:
            raise ValueError(
                "separate_documents is not proven with spans: encoder, decoder and the attention between them would "
                "each need a mask of their own: leave it out"
            )
        if how.packing != "wrapped":
            raise ValueError("spans hide a share of whole sequences, without padding: set training.packing to wrapped")
        if how.train_layers is not None:
            raise ValueError("train_layers counts the layers of one stack, and spans train two: leave it out")
        if how.length < 3:
            raise ValueError(f"training.length {how.length} holds no text: a sentinel and the end take 2 tokens")
        return self

    @property
    def has_tags(self) -> bool:
        """Whether names stand between the two tags in any source."""
        return any(
            source.insertion.operation != "none" and source.insertion.tags
            for source in [*self.sources, *self.validation]
        )
