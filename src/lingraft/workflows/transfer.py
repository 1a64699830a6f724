"""The transfer lab from one recipe: text of all languages, a base, the matrix, what explains it, and what it is worth.

Each stage is a run folder inside `out`, as its verb of `lingraft transfer` would write it; the paths between them are
filled in here. A second call finds what is done, and a longer list of donors, recipients or seeds adds to it.

    lingraft run recipes/transfer-small.yaml --out out/transfer
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from lingraft import corpus, runs
from lingraft.config import Config, load
from lingraft.corpus import BuildConfig
from lingraft.errors import LingraftError
from lingraft.transfer.analysis import AnalyseConfig, analyse
from lingraft.transfer.base import BaseConfig, make_base
from lingraft.transfer.corpora import CorporaConfig, LanguageSources, Source, corpora
from lingraft.transfer.matrix import MatrixConfig, matrix
from lingraft.transfer.ranking import RankConfig, rank
from lingraft.transfer.tagging import TagConfig, tag
from lingraft.transfer.translation import TranslateConfig, translate

STAGE = "transfer"
Section = dict[str, Any]


class TransferRecipe(Config):
    """Everything that the lab needs; a section is what its verb of `lingraft transfer` takes, without paths between."""

    wikis: list[BuildConfig] = []
    """Wikis that are built first, each into wikis/{lang}; their text belongs to the language of that code."""

    corpora: CorporaConfig
    """Text by language."""

    base: Section | None = None
    """The base that is made from nothing; without it matrix.model names one."""

    matrix: Section
    """Donors, recipients, seeds, objective, training."""

    analyse: Section | None = None
    """What explains the matrix; left out when there is no such section, as all that follow."""

    rank: Section | None = None
    """Which donor to choose."""

    tag: Section | None = None
    """What the donors' models are worth in tagging parts of speech."""

    translate: dict[str, Section] = {}
    """The same in translation: a name for each direction, and its settings."""

    def identity(self) -> dict[str, Any]:
        """Return nothing: each stage knows its own settings and inputs, and refuses others."""
        return {}

    def input_paths(self) -> list[Path]:
        """Return nothing, as `identity`."""
        return []

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        if (self.base is None) == ("model" not in self.matrix):
            raise ValueError("the matrix starts either from the section `base` or from matrix.model: give one of them")
        return self


@dataclass(frozen=True)
class Stage:
    """One stage: its folder, its settings with the paths filled in, and what carries it out."""

    name: str
    folder: Path
    config: Config
    work: Callable[[], Any]

    def state(self) -> str:
        """Say in a few words what the folder holds."""
        if (self.folder / "manifest.json").exists():
            return "done"
        return "begun" if (self.folder / "request.json").exists() else "to do"


def load_transfer(path: Path, overrides: list[str]) -> TransferRecipe:
    """Load a recipe of the lab from a YAML file with `section.key=value` overrides."""
    return load(TransferRecipe, path, overrides)


def stages(
    recipe: TransferRecipe, out: Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> list[Stage]:
    """Return the stages in their order, with every setting checked."""
    texts, model = out / "corpora", str(out / "base" / "model")
    held = recipe.corpora.replace(
        languages=[*recipe.corpora.languages, *(_text_of(one.lang, out / "wikis" / one.lang) for one in recipe.wikis)]
    )
    found = [
        Stage(
            f"wikis/{one.lang}",
            out / "wikis" / one.lang,
            one,
            lambda one=one: corpus.build(one, out / "wikis" / one.lang, workers=workers, quiet=quiet),
        )
        for one in recipe.wikis
    ]
    found.append(Stage("corpora", texts, held, lambda: corpora(held, texts, workers=workers)))
    measured = _section(MatrixConfig, "matrix", {"model": model} | recipe.matrix, corpora=texts)
    if recipe.base is not None:
        base = _section(BaseConfig, "base", recipe.base)
        found.append(
            Stage(
                "base", out / "base", base, lambda: make_base(base, texts, out / "base", recipients=measured.recipients)
            )
        )
    cells = out / "matrix"
    found.append(Stage("matrix", cells, measured, lambda: matrix(measured, cells, workers=workers, quiet=quiet)))

    def reading(name: str, kind: type[Config], verb: Callable[..., Any], values: Section | None, **paths: Any) -> None:
        if values is not None:
            config = _section(kind, name, values, **paths)
            found.append(Stage(name, out / name, config, lambda: verb(config, out / name, overwrite=overwrite)))

    reading("analyse", AnalyseConfig, analyse, recipe.analyse, matrix=cells, corpora=texts, tokenizer=measured.model)
    reading("rank", RankConfig, rank, recipe.rank, matrix=cells, corpora=texts, tokenizer=measured.model)
    reading("tag", TagConfig, tag, recipe.tag, matrix=cells, base=measured.model)
    for name, values in recipe.translate.items():
        reading(f"translate/{name}", TranslateConfig, translate, values, matrix=cells, base=measured.model)
    return found


def run(
    recipe: TransferRecipe,
    out: str | Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Carry out a recipe in the folder `out` and return its manifest. What is finished is left as it is.

    `overwrite` replaces what reads the matrix, as is needed when that has grown; text, base and matrix it never does.
    Raises LingraftError, before any work, for a section that contradicts itself.
    """
    out = Path(out)
    found = stages(recipe, out, workers=workers, overwrite=overwrite, quiet=quiet)
    with runs.open(out, STAGE, recipe) as folder:
        (out / "manifest.json").unlink(missing_ok=True)
        for stage in found:
            folder.log("stage", name=stage.name)
            stage.work()
        rows = [_row(stage) for stage in found]
        folder.write_table("stages", rows, title="Stages", note="Seconds are those of the call that finished a stage.")
        return folder.finish({"stages": len(rows)}, stages=rows)


def _text_of(lang: str, wiki: Path) -> LanguageSources:
    return LanguageSources(language=lang, sources=[Source(kind="corpus", path=[wiki], name=f"{lang}wiki")])


def _row(stage: Stage) -> dict[str, Any]:
    manifest = runs.read_manifest(stage.folder)
    return {"stage": stage.name, "seconds": manifest["timings"]["total_seconds"]}


def _section(kind: type[Config], name: str, values: Section, **paths: Any) -> Any:
    """Build the config of a section; `paths` are filled in where it does not say otherwise."""
    known = {key: value for key, value in paths.items() if key in kind.model_fields}
    try:
        return load(kind, known | values)
    except LingraftError as error:
        raise LingraftError(f"section {name} of the recipe: {error.what}", error.why, error.cure) from None
