"""lingraft schema: the JSON schema of a verb's config."""

import json
from typing import Annotated

import typer

_CONFIGS = {
    "run": "lingraft.workflows.recipe:Recipe",
    "experiment": "lingraft.workflows.experiment:ExperimentConfig",
    "download": "lingraft.wikimedia.download:DownloadConfig",
    "corpus": "lingraft.corpus:BuildConfig",
    "export": "lingraft.corpus.export:ExportConfig",
    "link": "lingraft.corpus:LinkConfig",
    "pairs": "lingraft.corpus:PairsConfig",
    "quality": "lingraft.entities.quality:QualityConfig",
    "augment": "lingraft.augment:EncodeConfig",
    "train": "lingraft.adapt:TrainConfig",
    "evaluate": "lingraft.evaluate:EvaluateConfig",
    "bits": "lingraft.evaluate.bits:BitsConfig",
    "base": "lingraft.transfer.base:BaseConfig",
    "matrix": "lingraft.transfer.matrix:MatrixConfig",
    "analyse": "lingraft.transfer.analysis:AnalyseConfig",
    "rank": "lingraft.transfer.ranking:RankConfig",
    "translate": "lingraft.transfer.translation:TranslateConfig",
    "tag": "lingraft.transfer.tagging:TagConfig",
    "reproduce": "lingraft.workflows.reproduce:LeiaConfig",
    "demo": "lingraft.workflows.demo:DemoConfig",
    "corpora": "lingraft.transfer.corpora:CorporaConfig",
}


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(schema)


def schema(verb: Annotated[str, typer.Argument(help=f"One of {', '.join(_CONFIGS)}.")]) -> None:
    """Print the JSON schema of a verb's config, for editors and for people."""
    from importlib import import_module

    from lingraft.errors import LingraftError, did_you_mean

    if verb not in _CONFIGS:
        hint = did_you_mean(verb, _CONFIGS)
        raise LingraftError(f"no config of a verb '{verb}'", hint, f"Verbs with one: {', '.join(_CONFIGS)}.")
    module, _, name = _CONFIGS[verb].partition(":")
    print(json.dumps(getattr(import_module(module), name).model_json_schema(), ensure_ascii=False, indent=1))
