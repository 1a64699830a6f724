"""Which models a downstream task compares: the base, donors of a matrix, further ones, each with some seeds."""

from collections import Counter
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from lingraft import runs
from lingraft.config import Config, InputPath, ModelName, Names
from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer.results import STAGE as MATRIX

BASE = "base"


class Checkpoint(Config):
    """A model to compare with the base."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """Its name in tables."""

    model: ModelName
    """Folder with a model of the kind that the task needs and its tokenizer, or its name on the hub."""


class ComparedModels(Config):
    """The models that a task compares."""

    base: ModelName | None = None
    """The model that every other one is compared with; that of the matrix unless given."""

    matrix: InputPath | None = None
    """Folder of a matrix, whose models of `donors` are compared, each seed with the model of that seed."""

    donors: Names = []
    """Donors of the matrix."""

    models: list[Checkpoint] = []
    """Further models."""

    seeds: Annotated[list[int], Field(min_length=1)] = [0]
    """Seeds of the task's own training; a matrix must hold its donors' models of them."""

    device: str = "auto"
    """Where it is computed: auto (a GPU if there is one), cpu, cuda, cuda:1."""

    @model_validator(mode="after")
    def _models_are_known(self) -> Self:
        if self.base is None and self.matrix is None:
            raise ValueError("give the base, with which all models are compared, or a matrix, which has one")
        if self.donors and self.matrix is None:
            raise ValueError("donors are those of a matrix: give its folder as matrix, or the models themselves")
        names = Counter([BASE, *self.donors, *(one.name for one in self.models)])
        twice = [name for name, number in names.items() if number > 1]
        if twice:
            raise ValueError(f"two models are called {twice[0]!r}: give each a name of its own")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one is given twice")
        return self


class Unit(NamedTuple):
    """One model with one seed."""

    name: str
    seed: int
    model: str

    @property
    def key(self) -> str:
        """Its name in folders."""
        return f"{self.name}-{self.seed}"


def units(config: ComparedModels) -> list[Unit]:
    """Return each model with each seed, seed by seed, the base first. LingraftError for what the matrix has not."""
    base, matrix = config.base, config.matrix
    if matrix is not None:
        manifest = runs.read_manifest(matrix, MATRIX)
        base = base or manifest["config"]["model"]
        for donor in config.donors:
            if donor not in manifest["config"]["donors"]:
                raise LingraftError(
                    f"{matrix} has no donor '{donor}'",
                    did_you_mean(donor, manifest["config"]["donors"]),
                    f"Its donors: {', '.join(manifest['config']['donors'])}.",
                )
    found = []
    for seed in config.seeds:
        found.append(Unit(BASE, seed, base))
        for donor in config.donors:
            folder = matrix / "donors" / f"{donor}-{seed}" / "model"
            if not folder.is_dir():
                raise LingraftError(
                    f"{matrix} has no model of {donor} with seed {seed}",
                    f"Its seeds: {', '.join(map(str, manifest['config']['seeds']))}.",
                    "Say which: seeds.",
                )
            found.append(Unit(donor, seed, str(folder)))
        found += [Unit(one.name, seed, one.model) for one in config.models]
    return found
