"""Text by language for the transfer lab: read, cleaned, split so that no donor has seen a recipient's content.

    lingraft transfer corpora --bible bible --seed nllb_seed --ud ud --out out/corpora

A key (the verse, the sentence id, the pivot sentence) falls into the same split in every language, so what stands in
one language's test stands in no language's train; `leaks` proves it of a folder. Each language is a run folder of its
own under `languages/`, and each of its splits a corpus that `augment`, `train` and `evaluate --texts` read, one line an
article. So languages can be added later, and the others are not read again.

    for line in Corpora("out/corpora").lines("swh", "test"): print(line.key, line.text)
"""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self, get_args

import pyarrow.parquet as pq
from pydantic import Field, model_validator

from lingraft import engine, progress, runs
from lingraft.config import Config, InputPath, InputPaths, ModelName, Names, Probability
from lingraft.errors import LingraftError, did_you_mean
from lingraft.transfer import folders
from lingraft.transfer.cleaning import Cleaning
from lingraft.transfer.corpora_language import LANGUAGE_STAGE, Card, LanguageConfig, Split, Splits, write_language
from lingraft.transfer.corpora_overlap import identical_lines, leaks
from lingraft.transfer.languages import family, resolve, resolve_all
from lingraft.transfer.sources import Line, Source

STAGE = "transfer corpora"
VERSIONS = ("pyarrow", "langcodes")
ANOTHER_RUN = "holds another run"

__all__ = ["Card", "Cleaning", "Corpora", "CorporaConfig", "Line", "Source", "Splits", "corpora", "leaks", "plan"]


class LanguageSources(Config):
    """A language and where its text is."""

    language: str
    """Code or name: ISO 639-3, BCP-47, an English name, wals:xyz, glottolog:abcd1234."""

    sources: list[Source]
    """What is read, in this order."""


class CorporaConfig(Config):
    """Which text the transfer lab uses."""

    bible: InputPath | None = None
    """Folder of the parallel Bible corpus (CES XML; metadata.csv beside it knows the languages)."""

    seed: InputPath | None = None
    """Folder of NLLB-Seed: folders such as bam_Latn-eng_Latn with two line files. English is read too."""

    ud: InputPath | None = None
    """Folder of Universal Dependencies: folders UD_Language-Treebank."""

    only: Names = []
    """Languages that are taken from these folders; default: all."""

    skip: Names = []
    """Files and treebanks in these folders that are not read, by name."""

    languages: list[LanguageSources] = []
    """Further sources, language by language; they add to what the folders have."""

    cldf: InputPaths = []
    """Folders of CLDF (WALS, Grambank, Glottolog): their codes are understood, and families shown."""

    cleaning: Cleaning = Field(default_factory=Cleaning)
    """Which lines are kept."""

    splits: Splits = Field(default_factory=Splits)
    """Shares of train, validation and test."""

    min_lines: int = Field(100, ge=1)
    """A language with fewer lines is left out, and named: its splits would mean nothing."""

    max_identical: Probability = 0.5
    """Two languages that share more of their lines than this stop the run: they are one text under two names."""

    tokenizer: ModelName | None = None
    """A model whose tokens are counted in the cards too."""

    @model_validator(mode="after")
    def _some_source(self) -> Self:
        if not (self.bible or self.seed or self.ud or self.languages):
            raise ValueError("no source: give bible, seed or ud (folders), or languages with sources")
        return self


def resolved(config: CorporaConfig) -> list[LanguageConfig]:
    """Return what is read for each language, in the order of their codes.

    Raises LingraftError that names all languages that cannot be told or are given twice.
    """
    said = resolve_all([item.language for item in config.languages], config.cldf)
    only = [*resolve_all(config.only, config.cldf)]
    given = {"bible": config.bible, "seed": config.seed, "ud": config.ud}
    sources = folders.gather(given, config.skip, only, config.cldf)
    if missing := [code for code in only if code not in sources and code not in said]:
        raise LingraftError(
            f"no source has text in {', '.join(str(resolve(code)) for code in missing)}",
            f"The folders have: {', '.join(sorted(folders.gather(given, config.skip, [], config.cldf)))}.",
            "Leave them out of only:, or list their sources under languages:.",
        )
    for code, item in zip(said, config.languages, strict=True):
        sources.setdefault(code, []).extend(item.sources)
    found = {code: said.get(code) or resolve(code, config.cldf) for code in sorted(sources)}
    return [
        LanguageConfig(
            lang=code,
            name=language.name,
            bcp47=language.bcp47,
            family=family(code, config.cldf),
            sources=sources[code],
            cleaning=config.cleaning,
            splits=config.splits,
            min_lines=config.min_lines,
            tokenizer=config.tokenizer,
        )
        for code, language in found.items()
    ]


class _Request(Config):
    """What identifies a corpora folder: its languages, resolved."""

    languages: list[LanguageConfig]
    max_identical: float


def corpora(
    config: CorporaConfig, out: str | Path, *, workers: int | None = None, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Write the text of all languages into the folder `out`; return its manifest. What is finished is left as it is.

    A folder that holds fewer languages gets the new ones; a language that was made otherwise is refused, or replaced
    with `overwrite`. The bytes do not depend on `workers`. Raises LingraftError for what cannot be read or told, for
    two languages with the same text, and where no language has enough lines.
    """
    request = _Request(languages=resolved(config), max_identical=config.max_identical)
    _make_room(Path(out), request, overwrite)
    with runs.open(out, STAGE, request, overwrite=overwrite, versions=VERSIONS) as run:
        work = run.path / "work"
        if run.complete:
            shutil.rmtree(work, ignore_errors=True)
            return run.manifest
        tasks = [engine.Task(item.lang, item) for item in request.languages]
        with run.timed("languages"), progress.bar("languages", len(tasks), quiet=quiet) as bar:
            done = engine.run(
                partial(write_language, run.path / "languages", overwrite=overwrite),
                tasks,
                work / "markers",
                workers=workers or engine.default_workers(),
                on_done=lambda code, result: bar.advance(1, code),
            )
        manifest = _finish(run, request, done)
        shutil.rmtree(work, ignore_errors=True)
        return manifest


def plan(config: CorporaConfig, out: str | Path) -> dict[str, Any]:
    """Return what `corpora` would read, a row a language, and the state of the folder `out`; nothing is written."""
    languages = resolved(config)
    rows = [
        {
            "language": item.lang,
            "name": item.name,
            "sources": "; ".join(source.title for source in item.sources),
            "MB": round(sum(_size(path) for source in item.sources for path in source.path) / 1e6, 2),
            "there": _state(Path(out) / "languages" / item.lang, item),
        }
        for item in languages
    ]
    request = _Request(languages=languages, max_identical=config.max_identical)
    return {"languages": rows, "state": runs.state(out, STAGE, request)}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _state(folder: Path, language: LanguageConfig) -> str:
    return runs.state(folder, LANGUAGE_STAGE, language).partition("\n")[0].removeprefix("output: ")


def _make_room(out: Path, request: _Request, overwrite: bool) -> None:
    """Let a folder that holds other languages take these: the summary goes, each language keeps its own run.

    Raises LingraftError, without `overwrite`, where a language that is there is not asked for, or asked for otherwise.
    """
    held = runs.read_json(out / "request.json") or {}
    new = runs.Run(out, STAGE, request, overwrite=False, versions=VERSIONS).request
    if held.get("stage") != STAGE or all(held[key] == new[key] for key in ("config_hash", "inputs")):
        return
    asked = {item.lang: item for item in request.languages}
    gone = sorted({item["lang"] for item in held["config"]["languages"]} - asked.keys())
    states = {code: runs.state(out / "languages" / code, LANGUAGE_STAGE, item) for code, item in asked.items()}
    changed = {code: state for code, state in states.items() if ANOTHER_RUN in state}
    if not overwrite and (gone or changed):
        lines = [f"{code}: {state.partition(':')[2].partition(':')[2].strip()}" for code, state in changed.items()]
        raise LingraftError(
            "\n".join([f"{out} holds other text than is asked for", *lines]),
            f"Not asked for: {', '.join(gone)}." if gone else "",
            "Choose another --out, or replace these languages with --overwrite; the others stay as they are.",
        )
    (out / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(out / "work", ignore_errors=True)
    for code in gone:
        shutil.rmtree(out / "languages" / code, ignore_errors=True)
    runs.write_json(out / "request.json", new)


def _finish(run: runs.Run, request: _Request, done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Compare the languages with each other, write the tables and the manifest."""
    cards = {code: result["card"] for code, result in done.items() if result["card"]}
    left_out = {code: result["left_out"] for code, result in done.items() if result["left_out"]}
    for code, why in left_out.items():
        print(f"warning: {resolve(code)} is left out: {why}", file=sys.stderr)
        run.log("left_out", language=code, why=why)
    if not cards:
        raise LingraftError(
            f"none of the {len(done)} languages has enough text",
            "; ".join(f"{code}: {why}" for code, why in left_out.items()),
            "Add sources, or lower min_lines.",
        )
    counters: Counter[str] = Counter(languages=len(cards), languages_left_out=len(left_out))
    for result in done.values():
        counters.update(result["counters"])
    with run.timed("compare"):
        shared = identical_lines(run.path / "languages", list(cards))
        _check_identical(shared, request.max_identical)
        found = leaks(run.path)
    counters.update(
        language_pairs_with_identical_lines=len(shared), leaked_keys=len(found.keys), leaked_texts=len(found.texts)
    )
    run.write_table("languages", [Card(**card).row() for card in cards.values()], title="Text by language")
    run.write_table(
        "left_out_lines",
        [{"language": code, **result["drops"]} for code, result in done.items()],
        title="Lines left out, by reason",
        note="Every line that was read stands in a split or here.",
    )
    if shared:
        run.write_table(
            "identical_lines",
            [pair.row() for pair in shared],
            title="Lines that two languages have in common",
            note="Share: of the lines of the smaller of the two.",
        )
    if found:
        run.write_table(
            "leaks",
            [asdict(leak) for leak in (*found.keys, *found.texts)],
            title="Lines that one language is trained on and another is tested on",
            note="Keys are never among them. Texts are where two languages have one line under two keys.",
        )
    return run.finish(dict(sorted(counters.items())), cards=cards, left_out=left_out)


def _check_identical(shared: Sequence[Any], most: float) -> None:
    over = [pair for pair in shared if pair.share > most]
    if over:
        raise LingraftError(
            "\n".join(
                f"{resolve(pair.one)} and {resolve(pair.other)} have {pair.lines:,} lines in common,"
                f" {pair.share:.0%} of the smaller one's"
                for pair in over
            ),
            "That is one text under two names: a transfer between them says nothing.",
            "Leave one of them out, or allow it with max_identical.",
        )


class Corpora:
    """A finished corpora folder. Raises LingraftError where there is none."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.manifest = runs.read_manifest(folder, STAGE)
        self.languages: dict[str, Card] = {code: Card(**card) for code, card in self.manifest["cards"].items()}
        """ISO 639-3 code -> card."""

    def __repr__(self) -> str:
        return f"Corpora({str(self.folder)!r}, {len(self.languages)} languages)"

    def path(self, language: str, split: Split) -> Path:
        """Return the corpus folder of a split of a language (its ISO 639-3 code)."""
        if language not in self.languages:
            why = self.manifest["left_out"].get(language)
            raise LingraftError(
                f"{self.folder} has no text in '{language}'",
                f"It was left out: {why}." if why else did_you_mean(language, self.languages),
                f"Languages: {', '.join(self.languages)}.",
            )
        held = self.languages[language].lines
        if split not in held:
            valid = split in get_args(Split)
            raise LingraftError(
                f"{self.folder} has no split '{split}' of {language}",
                "Its share was set to 0." if valid else did_you_mean(split, held),
                f"Splits: {', '.join(held)}.",
            )
        return self.folder / "languages" / language / split

    def lines(self, language: str, split: Split) -> Iterator[Line]:
        """Yield the lines of a split, in the order in which they stand in the sources."""
        for part in sorted((self.path(language, split) / "articles").glob("part-*.parquet")):
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(1024, columns=["title", "text"]):
                    yield from map(Line, batch["title"].to_pylist(), batch["text"].to_pylist())
