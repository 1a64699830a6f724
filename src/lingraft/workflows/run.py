"""Every stage that a recipe needs: corpora, model, encoding, plain and named training, evaluation, comparison.

Each stage is a run folder inside `out`, so a second call finds what is done and a broken one goes on where it stopped.

    lingraft run recipes/quickstart.yaml --set corpus.dump=[elwiki.xml.bz2] --out out/run
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lingraft import adapt, augment, corpus, evaluate, runs
from lingraft.adapt import Source, TrainConfig, distributed
from lingraft.adapt.tiny import make_tiny
from lingraft.augment import EncodeConfig, Insertion
from lingraft.config import load
from lingraft.corpus import BuildConfig
from lingraft.errors import LingraftError
from lingraft.workflows.recipe import PLAIN_TEXT, TINY, Recipe

STAGE = "run"
PLAIN, NAMES, BASE = "plain", "names", "base"


def run(
    recipe: Recipe, out: str | Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Carry out a recipe in the folder `out`; return its manifest. A finished folder is left as it is.

    The model is trained twice, on plain text and with names; both and the untouched model are asked the same questions.
    When no link of the corpus has a name, only plain text is trained, and the manifest says why.
    """
    packages = ["torch", "transformers", "tokenizers", "lm-eval"]
    with runs.open(out, STAGE, recipe, overwrite=overwrite, versions=packages) as folder:
        if folder.complete:
            return folder.manifest
        line = _Line(recipe, folder.path, workers, quiet)
        with folder.timed("corpus"):
            built = line.corpora()
        with folder.timed("encode"):
            encoded = line.encode()
        scores = []
        if recipe.evaluate.tasks:  # first of all: a mistyped task is not to be found when the training is over
            with folder.timed("evaluate"):
                scores += line.evaluate(BASE, line.model)
        models = {BASE: line.model}
        notes = line.notes
        for arm in [PLAIN, NAMES] if line.named else [PLAIN]:
            with folder.timed(f"train {arm}"):
                models[arm] = line.train(arm)
            notes += [f"{arm}: {note}" for note in line.trained[arm]["notes"]]
        if line.named:
            examples = augment.preview(line.sources[0].encoded, 3, line.sources[0].insertion)
            folder.write_table("examples", examples, kind="examples", title="What the model reads, with names")
        if recipe.evaluate.tasks:
            with folder.timed("evaluate"):
                scores += [row for arm in line.trained for row in line.evaluate(arm, models[arm])]
            folder.write_table("scores", scores, kind="scores", title="Scores")
            if line.named:
                title = "With names (a) against plain text (b), item by item"
                folder.write_table("comparison", line.compare(), kind="scores", title=title)
        counters = {
            "articles": sum(manifest["counters"]["articles"] for manifest in built),
            "tokens": sum(manifest["counters"]["tokens"] for manifest in encoded),
            "models_trained": len(models) - 1,
            "tasks": len(recipe.evaluate.tasks),
        }
        return folder.finish(counters, notes=notes)


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    encoded: Path | None = None,
    arm: str = NAMES,
    validation: Sequence[Path] = (),
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train the recipe's model and return the manifest of the training.

    With `encoded` (a finished `augment`) that corpus is used and `out` is the training's folder; otherwise the stages
    before the training are carried out first, in `out`, as `run` would.
    """
    if encoded is not None:
        return adapt.train(training_on(recipe, encoded, arm, validation), out, overwrite=overwrite)

    def made() -> _Line:
        Path(out).mkdir(parents=True, exist_ok=True)
        line = _Line(recipe, Path(out), workers, quiet=False)
        line.corpora()
        line.encode()
        return line

    with distributed.one_error():
        line = distributed.first(made)
        line.train(arm)
        return line.trained[arm]


def training_on(recipe: Recipe, encoded: Path, arm: str, validation: Sequence[Path] = ()) -> TrainConfig:
    """Return the training of one arm on an encoded corpus; for "tiny", of the model that it was encoded for.

    `validation` are encoded corpora on which the loss is measured, as plain text.
    LingraftError when the recipe mixes in corpora that are still to be built.
    """
    model = recipe.model
    if model == TINY:
        model = runs.read_manifest(encoded, "augment")["config"]["model"]
    if any(further.encoded is None for further in recipe.mix):
        raise LingraftError(
            "--encoded gives one encoded corpus, and this recipe mixes in others that are still to be built",
            "They stand under mix, with corpus or pairs.",
            "Leave out --encoded: what --out holds already is found again. Or encode them, and name them as encoded.",
        )
    sources = [Source(encoded=encoded, weight=recipe.augment.weight, insertion=recipe.augment.insertion)]
    sources += [Source(encoded=one.encoded, weight=one.weight, insertion=one.insertion) for one in recipe.mix]
    held_out = [Source(encoded=path, insertion=PLAIN_TEXT) for path in validation]
    return _training(recipe, str(model), sources, arm, held_out)


def _training(
    recipe: Recipe, model: str, sources: list[Source], arm: str, validation: Sequence[Source] = ()
) -> TrainConfig:
    if arm == PLAIN:
        sources = [source.replace(insertion=PLAIN_TEXT) for source in sources]
    values = {
        "model": model,
        "sources": sources,
        "temperature": recipe.temperature,
        "masking": recipe.masking,
        "spans": recipe.spans,
        "validation": list(validation),
        "training": recipe.train,
    }
    return load(TrainConfig, values)  # what contradicts itself only here is told as any other setting


class _Line:
    """The stages of one recipe, each in its folder; those of the n-th corpus of `mix` end in n + 1, from 2 on."""

    def __init__(self, recipe: Recipe, out: Path, workers: int | None, quiet: bool):
        self.recipe, self.out, self.workers, self.quiet = recipe, out, workers, quiet
        self.model: str | Path = recipe.model
        self.named: list[str] = []
        self.names: dict[int, list[str]] = {}
        self.sources: list[Source] = []
        self.validation: list[Source] = []
        self.trained: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

    def corpora(self) -> list[dict[str, Any]]:
        """Build all corpora, and find out in which languages the links of each have names."""
        built = {1: self.build(1, self.recipe.corpus)}
        self.named = self.names[1]
        if not self.named:
            self.notes.append(self.why_no_names())
        for number, further in enumerate(self.recipe.mix, 2):
            if further.corpus is not None:
                built[number] = self.build(number, further.corpus)
                if further.insertion.operation != "none" and not self.names[number]:
                    self.notes.append(f"corpus {number} (of mix): no link has a name, so it is read as plain text")
            elif further.pairs is not None:
                built[number] = corpus.pairs(further.pairs, self.folder("corpus", number))
                self.names[number] = []
        return list(built.values())

    def build(self, number: int, config: BuildConfig) -> dict[str, Any]:
        """Build one corpus from a dump."""
        built = corpus.build(config, self.folder("corpus", number), workers=self.workers, quiet=self.quiet)
        self.names[number] = [lang for lang in config.names if built["counters"][f"links_named_{lang}"]]
        return built

    def encode(self) -> list[dict[str, Any]]:
        """Encode all corpora with the model's tokenizer; make the model first when it is "tiny"."""
        recipe, held_out = self.recipe, self.recipe.augment.held_out
        if recipe.model == TINY:
            corpora = [self.folder("corpus", number) for number in self.names]
            self.model = make_tiny(corpora, self.out / "tiny", recipe.tiny)
        made = [self.encode_one(1, held_out=held_out)]
        self.sources = [self.source(1, recipe.augment.weight, recipe.augment.insertion)]
        if held_out:
            self.encode_one(1, "held-out", held_out=held_out, only_held_out=True)
            self.validation = [Source(encoded=self.out / "held-out", insertion=PLAIN_TEXT)]
        for number, further in enumerate(recipe.mix, 2):
            if further.encoded is None:
                made.append(self.encode_one(number))
                self.sources.append(self.source(number, further.weight, further.insertion))
            else:
                self.sources.append(Source(encoded=further.encoded, weight=further.weight, insertion=further.insertion))
        return made

    def encode_one(self, number: int, stage: str = "encoded", **how: Any) -> dict[str, Any]:
        config = EncodeConfig(
            corpus=self.folder("corpus", number), model=str(self.model), names=self.names[number], **how
        )
        return augment.encode(config, self.folder(stage, number), workers=self.workers)

    def source(self, number: int, weight: float | None, insertion: Insertion) -> Source:
        """Return corpus `number` as a source; without names it is plain text, whatever the insertion."""
        return Source(
            encoded=self.folder("encoded", number),
            weight=weight,
            insertion=insertion if self.names[number] else PLAIN_TEXT,
        )

    def folder(self, stage: str, number: int) -> Path:
        return self.out / (stage if number == 1 else f"{stage}-{number}")

    def why_no_names(self) -> str:
        """Say why there is no training with names, and the cure."""
        return (
            f"no link has a name in {', '.join(self.recipe.corpus.names) or 'any language'}, "
            "so only plain text was trained: give corpus.wikidata (entity dumps) "
            "or corpus.titles (title pairs) of this wiki"
        )

    def train(self, arm: str) -> Path:
        """Train one arm; return its model."""
        config = _training(self.recipe, str(self.model), self.sources, arm, self.validation)
        self.trained[arm] = adapt.train(config, self.out / f"train-{arm}")
        return self.out / f"train-{arm}" / "model"

    def evaluate(self, arm: str, model: str | Path) -> list[dict[str, Any]]:
        """Ask one model the recipe's tasks; return its scores."""
        folder = self.out / f"eval-{arm}"
        evaluate.evaluate(self.recipe.evaluate.of(model, arm), folder)
        return runs.read_json(folder / "tables" / "scores.json")["rows"]

    def compare(self) -> list[dict[str, Any]]:
        """Compare the model with names with the one on plain text, task by task."""
        return [row.as_score() for row in evaluate.compare(self.out / "eval-names", self.out / "eval-plain")]
