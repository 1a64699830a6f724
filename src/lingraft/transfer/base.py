"""A base from nothing: a tokenizer and a small model, trained on some languages, that every donor then starts from.

No recipient may be among its languages, or a gain would be no transfer. languages.json in the model's folder says which
they are, and `transfer matrix` looks there.

    make_base(BaseConfig(languages=["eng", "swh"], training=Training(steps=2000)), "out/corpora", "out/base")
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from lingraft import adapt, runs
from lingraft.adapt import Tiny, Training, make_tiny
from lingraft.config import Config, InputPaths, Names
from lingraft.errors import LingraftError
from lingraft.transfer.corpora import Corpora
from lingraft.transfer.scoring_sets import Objective
from lingraft.transfer.training import encode_plain, training_config

STAGE = "transfer base"
LANGUAGES = "languages.json"
ARCHITECTURES = {"spans": "t5", "masked": "roberta", "causal": "llama"}

TRAINING = Training(
    length=256,
    batch_size=16,
    accumulation=1,
    learning_rate=1e-3,
    warmup_steps=0.05,
    weight_decay=0.01,
    beta2=0.98,
    epsilon=1e-8,
    save_every=100,
    log_every=10,
)


class BaseConfig(Config):
    """Which languages the base is trained on, and what it is."""

    languages: Annotated[Names, Field(min_length=1)]
    """Languages in ISO 639-3; none of them can be a recipient."""

    tiny: Tiny = Tiny(architecture="t5")
    """Size of the tokenizer and of the model, and its architecture."""

    objective: Objective = Objective()
    """What it predicts: the same as in the matrix."""

    training: Training = TRAINING
    """How long (steps or tokens) and how fast it is trained; with validate_every its validation text is watched."""

    temperature: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A language's share goes with its number of tokens to this power: 0.5 gives small ones more than their text."""

    @model_validator(mode="after")
    def _its_length_is_said(self) -> Self:
        if self.training.steps is None and self.training.tokens is None:
            raise ValueError("training.steps or training.tokens says how long the base is trained: give one")
        return self

    @model_validator(mode="after")
    def _architecture_fits_the_objective(self) -> Self:
        wanted = ARCHITECTURES[self.objective.kind]
        if self.tiny.architecture != wanted:
            raise ValueError(f"objective {self.objective.kind} needs tiny.architecture {wanted}")
        return self


class _Request(Config):
    """The config, and the text of each language by its content."""

    base: BaseConfig
    texts: InputPaths
    validation: InputPaths = []


def make_base(
    config: BaseConfig,
    corpora: str | Path,
    out: str | Path,
    *,
    recipients: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Make the base in the run folder `out` and return the folder of the model in it, out/model.

    Raises LingraftError for a language that is one of the `recipients`, is unknown, or has no text.
    """
    both = [language for language in config.languages if language in recipients]
    if both:
        raise LingraftError(
            f"{', '.join(both)} is both a language of the base and a recipient",
            "A recipient is a language that the base has never seen.",
            "Take it out of base.languages, or out of the recipients.",
        )
    held, how = Corpora(Path(corpora)), config.training
    watched = how.validate_every is not None or how.keep_best
    texts = [held.path(language, "train") for language in config.languages]
    validation = [held.path(language, "validation") for language in config.languages] if watched else []
    request = _Request(base=config, texts=texts, validation=validation)
    with runs.open(out, STAGE, request, overwrite=overwrite, versions=["torch", "transformers"]) as run:
        model = run.path / "model"
        if run.complete:
            return model
        with run.timed("tiny"):
            tiny = str(make_tiny(texts, run.path / "tiny", config.tiny))
        with run.timed("encode"):
            encoded = [run.path / "encoded" / language for language in config.languages]
            counters = [encode_plain(text, tiny, folder) for text, folder in zip(texts, encoded, strict=True)]
            held_out = [run.path / "held-out" / language for language in config.languages]
            for text, folder in zip(validation, held_out, strict=False):
                encode_plain(text, tiny, folder)
        with run.timed("train"):
            asked = training_config(
                tiny, encoded, config.objective, how, config.temperature, held_out if watched else []
            )
            trained = adapt.train(asked, run.path / "train")
        if not model.exists():
            half = run.path / ".model.tmp"
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(run.path / "train" / "model", half)
            runs.write_json(half / LANGUAGES, {"languages": config.languages})
            half.replace(model)
        rows = [
            {"language": language, "share": source["share"], "tokens": source["tokens"], "epochs": source["epochs"]}
            | {name: read[name] for name in ("articles", "bytes")}
            for language, source, read in zip(config.languages, trained["sources"], counters, strict=True)
        ]
        run.write_table("languages", rows, title="Languages of the base")
        steps = {name: trained["counters"][name] for name in ("steps", "tokens_seen", "final_loss")}
        run.finish(steps | {"languages": len(config.languages)}, languages=config.languages)
        return model


def languages_of(model: str) -> list[str] | None:
    """Return the languages that a base was trained on; None where nothing says so, as for a model of the hub."""
    held = runs.read_json(Path(model) / LANGUAGES)
    return None if held is None else list(held["languages"])
