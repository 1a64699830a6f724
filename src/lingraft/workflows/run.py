"""Every stage that a recipe needs: corpus, model, encoding, plain and named training, evaluation, comparison.

Each stage is a run folder inside `out`, so a second call finds what is done and a broken one goes on where it stopped.

    lingraft run recipes/quickstart.yaml --set corpus.dump=[elwiki.xml.bz2] --out out/run
"""

from pathlib import Path
from typing import Any

from lingraft import adapt, augment, corpus, evaluate, runs
from lingraft.adapt import TrainConfig
from lingraft.adapt.tiny import make_tiny
from lingraft.augment import EncodeConfig, Insertion
from lingraft.workflows.recipe import TINY, Recipe

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
            built = line.corpus()
        with folder.timed("encode"):
            encoded = line.encode()
        models = {BASE: line.model}
        notes = [] if line.named else [line.why_no_names()]
        for arm in [PLAIN, NAMES] if line.named else [PLAIN]:
            with folder.timed(f"train {arm}"):
                models[arm] = line.train(arm)
        if line.named:
            examples = augment.preview(line.encoded, 3, recipe.augment.insertion)
            folder.write_table("examples", examples, kind="examples", title="What the model reads, with names")
        if recipe.evaluate.tasks:
            with folder.timed("evaluate"):
                scores = [row for arm, model in models.items() for row in line.evaluate(arm, model)]
            folder.write_table("scores", scores, kind="scores", title="Scores")
            if line.named:
                folder.write_table("comparison", line.compare(), title="With names against plain text, item by item")
        counters = {
            "articles": built["counters"]["articles"],
            "tokens": encoded["counters"]["tokens"],
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
    workers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train the recipe's model and return the manifest of the training.

    With `encoded` (a finished `augment`) that corpus is used and `out` is the training's folder; otherwise the stages
    before the training are carried out first, in `out`, as `run` would.
    """
    if encoded is not None:
        return adapt.train(training_on(recipe, encoded, arm), out, overwrite=overwrite)
    Path(out).mkdir(parents=True, exist_ok=True)
    line = _Line(recipe, Path(out), workers, quiet=False)
    line.corpus()
    line.encode()
    line.train(arm)
    return runs.read_manifest(Path(out) / f"train-{arm}")


def training_on(recipe: Recipe, encoded: Path, arm: str) -> TrainConfig:
    """Return the training of one arm on an encoded corpus; for "tiny", of the model that it was encoded for."""
    model = recipe.model
    if model == TINY:
        model = runs.read_manifest(encoded, "augment")["config"]["model"]
    return TrainConfig(encoded=encoded, model=str(model), insertion=_insertion(recipe, arm), training=recipe.train)


def _insertion(recipe: Recipe, arm: str) -> Insertion:
    return Insertion(operation="none") if arm == PLAIN else recipe.augment.insertion


class _Line:
    """The stages of one recipe, each in its folder."""

    def __init__(self, recipe: Recipe, out: Path, workers: int | None, quiet: bool):
        self.recipe, self.out, self.workers, self.quiet = recipe, out, workers, quiet
        self.encoded = out / "encoded"
        self.model: str | Path = recipe.model
        self.named: list[str] = []

    def corpus(self) -> dict[str, Any]:
        """Build the corpus, and find out in which languages its links have names."""
        built = corpus.build(self.recipe.corpus, self.out / "corpus", workers=self.workers, quiet=self.quiet)
        self.named = [lang for lang in self.recipe.corpus.names if built["counters"][f"links_named_{lang}"]]
        return built

    def encode(self) -> dict[str, Any]:
        """Encode the corpus with the model's tokenizer; make the model first when it is "tiny"."""
        if self.recipe.model == TINY:
            self.model = make_tiny(self.out / "corpus", self.out / "tiny", self.recipe.tiny)
        config = EncodeConfig(corpus=self.out / "corpus", model=str(self.model), names=self.named)
        return augment.encode(config, self.encoded, workers=self.workers)

    def why_no_names(self) -> str:
        """Say why there is no training with names, and the cure."""
        return (
            f"no link has a name in {', '.join(self.recipe.corpus.names) or 'any language'}, "
            "so only plain text was trained: give corpus.wikidata (entity dumps) "
            "or corpus.titles (title pairs) of this wiki"
        )

    def train(self, arm: str) -> Path:
        """Train one arm; return its model."""
        adapt.train(training_on(self.recipe, self.encoded, arm), self.out / f"train-{arm}")
        return self.out / f"train-{arm}" / "model"

    def evaluate(self, arm: str, model: str | Path) -> list[dict[str, Any]]:
        """Ask one model the recipe's tasks; return its scores."""
        folder = self.out / f"eval-{arm}"
        evaluate.evaluate(self.recipe.evaluate.of(model, arm), folder)
        return runs.read_json(folder / "tables" / "scores.json")["rows"]

    def compare(self) -> list[dict[str, Any]]:
        """Compare the model with names with the one on plain text, task by task."""
        return [row.as_row() for row in evaluate.compare(self.out / "eval-names", self.out / "eval-plain")]
