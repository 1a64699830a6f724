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
from dataclasses import asdict, dataclass
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
    """Return what is read for each language, in the order of their codes; one that is listed twice has all sources.

    Raises LingraftError that names all languages that cannot be told, and the folders' files that clash.
    """
    listed = resolve_all([item.language for item in config.languages], config.cldf)
    only = [language.id for language in resolve_all(config.only, config.cldf)]
    given = {"bible": config.bible, "seed": config.seed, "ud": config.ud}
    sources = folders.gather(given, config.skip, only, config.cldf)
    for language, item in zip(listed, config.languages, strict=True):
        sources.setdefault(language.id, []).extend(item.sources)
    if missing := [code for code in only if code not in sources]:
        raise LingraftError(
            f"no source has text in {', '.join(str(resolve(code)) for code in missing)}",
            f"The folders have: {', '.join(sorted(folders.gather(given, config.skip, [], config.cldf)))}.",
            "Leave them out of only:, or list their sources under languages:.",
        )
    known = {language.id: language for language in listed}
    found = {code: known.get(code) or resolve(code, config.cldf) for code in sorted(sources)}
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
    request = _Request(languages=resolved(config), max_identical=config.max_identical)
    there = _Standing.of(Path(out), request)
    rows = [
        {
            "language": item.lang,
            "name": item.name,
            "sources": "; ".join(source.title for source in item.sources),
            "MB": round(sum(_size(path) for source in item.sources for path in source.path) / 1e6, 2),
            "there": "made otherwise" if item.lang in there.changed else "yes" if item.lang in there.same else "no",
        }
        for item in request.languages
    ]
    if there.is_same:
        return {"languages": rows, "state": runs.state(out, STAGE, request)}
    replaced = f"; --overwrite would replace {', '.join(there.changed)}" if there.changed else ""
    removed = f"; --overwrite would remove {', '.join(there.gone)}" if there.gone else ""
    return {"languages": rows, "state": f"output: holds {len(there.same)} of these languages{replaced}{removed}"}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class _Standing:
    """How a folder stands to a request: languages that it holds as they are asked for, otherwise, or beyond."""

    is_same: bool
    """Whether it holds this very request, or none."""
    same: list[str]
    changed: dict[str, str]
    """Language -> in what it differs."""
    gone: list[str]

    @classmethod
    def of(cls, out: Path, request: _Request) -> Self:
        held = runs.read_json(out / "request.json") or {}
        if held.get("stage") != STAGE:
            return cls(True, [], {}, [])
        new = runs.Run(out, STAGE, request, overwrite=False, versions=VERSIONS).request
        states = {
            item.lang: runs.state(out / "languages" / item.lang, LANGUAGE_STAGE, item) for item in request.languages
        }
        return cls(
            is_same=all(held[key] == new[key] for key in ("config_hash", "inputs")),
            same=[code for code, state in states.items() if "complete" in state],
            changed={code: state.partition("\n")[2].strip() for code, state in states.items() if ANOTHER_RUN in state},
            gone=sorted({item["lang"] for item in held["config"]["languages"]} - states.keys()),
        )


def _make_room(out: Path, request: _Request, overwrite: bool) -> None:
    """Let a folder that holds other languages take these: the summary goes, each language keeps its own run.

    Raises LingraftError, without `overwrite`, where a language that is there is not asked for, or asked for otherwise.
    """
    there = _Standing.of(out, request)
    if there.is_same:
        return
    if not overwrite and (there.gone or there.changed):
        lines = [f"{code}: {difference}" for code, difference in there.changed.items()]
        raise LingraftError(
            "\n".join([f"{out} holds other text than is asked for", *lines]),
            f"Not asked for: {', '.join(there.gone)}." if there.gone else "",
            "Choose another --out, or replace these languages with --overwrite; the others stay as they are.",
        )
    (out / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(out / "work", ignore_errors=True)
    for code in there.gone:
        shutil.rmtree(out / "languages" / code, ignore_errors=True)
    runs.write_json(out / "request.json", runs.Run(out, STAGE, request, overwrite=False, versions=VERSIONS).request)


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
    reasons = sorted({reason for result in done.values() for reason in result["drops"]})
    run.write_table(
        "left_out_lines",
        [
            {"language": code} | {reason.replace("_", " "): result["drops"].get(reason, 0) for reason in reasons}
            for code, result in done.items()
        ],
        title="Lines left out or repaired, by reason",
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
