"""What a donor is worth in translation: fine-tune each of its models on sentence pairs, translate, and compare.

    translate(TranslateConfig(base="out/base/model", matrix="out/matrix", donors=["swh"], seeds=[0, 1, 2],
                              source="eng", target="bam", training=..., test=...), "out/translate")

Base and donors get the same pairs in the same order. Each model with each seed is one unit of work: finished ones stay
finished, an interrupted one begins again. Scores are those of real translations, written by beam search; beside them
stands what one gets for copying the source.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from lingraft import progress, runs
from lingraft.errors import LingraftError
from lingraft.evaluate import lines
from lingraft.transfer import fine_tuning, parallel, seq2seq
from lingraft.transfer.checkpoints import BASE, ComparedModels, Unit, units
from lingraft.transfer.fine_tuning import Decoding, FineTuning
from lingraft.transfer.parallel import ParallelText, Sentence
from lingraft.transfer.translation_scores import RESAMPLES, Measure, compare, measures

STAGE = "transfer translate"
COPY = "copy of the source"
MUCH_UNKNOWN = 0.01
COUNTED = ("long_pairs", "cut_sources", "cut_outputs", "empty_outputs")


class TranslateConfig(ComparedModels):
    """Which models learn to translate what, how, and on what they are tested."""

    source: str
    """Language that is translated, in ISO 639-3."""

    target: str
    """Language that it is translated into."""

    training: ParallelText
    """Pairs to learn from."""

    test: ParallelText
    """Pairs to be translated and scored; training pairs of which a side stands here are left out."""

    prefix: str = ""
    """Put before each source, as "translate English to Bambara: "."""

    fine_tuning: FineTuning = FineTuning()
    """Steps, batch, rate."""

    decoding: Decoding = Decoding()
    """Beams and limits."""

    bleu_tokenizer: str = "13a"
    """sacrebleu's tokenizer for BLEU; char or zh where words are not set apart. chrF++ needs none."""

    resamples: Annotated[int, Field(gt=0)] = RESAMPLES
    """Draws of the bootstrap."""

    examples: Annotated[int, Field(ge=0)] = 10
    """Test sentences that are shown with all translations."""

    @model_validator(mode="after")
    def _something_is_compared(self) -> Self:
        if not self.donors and not self.models:
            raise ValueError("nothing is compared with the base: give donors of the matrix, or models")
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: name two languages")
        return self


def translate(
    config: TranslateConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Fine-tune, translate and score all models into the run folder `out`; return the manifest.

    Written: units/{model}-{seed}.jsonl (source, reference, output: one row a test sentence), translations.jsonl (the
    same with the outputs of all), tables scores, differences, units, examples. Raises LingraftError, before anything is
    trained, for a model that cannot translate, a donor or seed that the matrix has not, and pairs that cannot be read.
    """
    versions = ["torch", "transformers", "tokenizers", "sacrebleu"]
    with runs.open(out, STAGE, config, overwrite=overwrite, versions=versions) as run:
        if run.complete:
            return run.manifest
        found = measures(config.bleu_tokenizer)
        todo = units(config)
        for name in dict.fromkeys(unit.model for unit in todo):
            seq2seq.check(name, needed_by="Translation")
        counters: Counter[str] = Counter()
        languages = (config.source, config.target)
        drops: dict[str, Counter[str]] = {"training": Counter(), "test": Counter()}
        test = parallel.read(config.test, languages, drops["test"])
        training = parallel.read(config.training, languages, drops["training"])
        training = parallel.without_test(training, test, drops["training"])
        if not training:
            raise LingraftError(
                f"{config.training.name}: every pair stands in the test, too", cure="Give other pairs to learn from."
            )
        counters.update({"training_pairs": len(training), "test_pairs": len(test)})
        counters.update({f"{part}_{why}": number for part in drops for why, number in drops[part].items()})
        steps = config.fine_tuning.steps + len(test)
        with progress.bar("translate", steps * len(todo), "steps and sentences", quiet=quiet) as bar:
            facts = {unit: _carry_out(run, config, unit, training, test, bar) for unit in todo}
        outputs = {unit: [row["output"] for _, row in lines.read(_outputs(run, unit))] for unit in todo}
        with run.timed("score"):
            return _finish(run, config, found, test, outputs, facts, counters)


def _outputs(run: runs.Run, unit: Unit) -> Path:
    return run.path / "units" / f"{unit.key}.jsonl"


def _carry_out(
    run: runs.Run,
    config: TranslateConfig,
    unit: Unit,
    training: list[Sentence],
    test: list[Sentence],
    bar: progress.Bar,
) -> dict[str, Any]:
    """Fine-tune one model with one seed and let it translate the test; return what happened. Done ones are read."""
    done = run.path / "units" / f"{unit.key}.json"
    held = runs.read_json(done)
    if held is not None:
        bar.advance(config.fine_tuning.steps + len(test), unit.key)
        return held
    model, tokenizer = seq2seq.load(unit.model, config.device, needed_by="Translation")
    counters: Counter[str] = Counter()
    how = config.fine_tuning
    pairs = fine_tuning.encode(tokenizer, training, config.prefix, how.max_tokens, counters)
    with run.timed("fine-tune"):
        loss = fine_tuning.fine_tune(
            model,
            pairs,
            how,
            seed=unit.seed,
            name=unit.key,
            on_step=lambda step, loss: bar.advance(1, f"{unit.key}, loss {loss:.2f}"),
        )
    with run.timed("translate"):
        outputs = fine_tuning.translate_texts(
            model,
            tokenizer,
            [config.prefix + pair.source for pair in test],
            config.decoding,
            counters,
            max_source=how.max_tokens,
            on_done=lambda number: bar.advance(number, unit.key),
        )
    with run.write(f"units/{unit.key}.jsonl") as path:
        rows = [
            {"source": pair.source, "reference": pair.target, "output": output}
            for pair, output in zip(test, outputs, strict=True)
        ]
        _write_lines(path, rows)
    texts = [pair.target for pair in [*test, *training[:1000]]]
    facts = {
        "final_loss": round(loss, 4),
        "unknown_share": parallel.unknown_share(tokenizer, texts),
        **{name: counters[name] for name in COUNTED},
    }
    runs.write_json(done, facts)
    run.log("unit", name=unit.name, seed=unit.seed, **facts)
    return facts


def _finish(
    run: runs.Run,
    config: TranslateConfig,
    found: list[Measure],
    test: list[Sentence],
    outputs: dict[Unit, list[str]],
    facts: dict[Unit, dict[str, Any]],
    counters: Counter[str],
) -> dict[str, Any]:
    """Score all outputs, write the tables and the manifest."""
    by_name: dict[str, list[list[str]]] = {COPY: [[pair.source for pair in test]]}
    for unit, written in outputs.items():
        by_name.setdefault(unit.name, []).append(written)
    compared = compare(by_name, [pair.target for pair in test], found, base=BASE, resamples=config.resamples)
    signatures = {measure.name: measure.signature for measure in found}
    note = (
        f"{config.source} to {config.target}, {len(test):,} sentences, seeds: {', '.join(map(str, config.seeds))}. "
        "95% bootstrap intervals over sentences and seeds. "
        + " ".join(f"{name}: {text}." for name, text in signatures.items())
    )
    run.write_table("scores", compared.scores, kind="scores", title="Translation", note=note)
    run.write_table(
        "differences",
        compared.differences,
        title="Against the base",
        note="Paired bootstrap; p corrected after Holm in each measure.",
    )
    rows = [
        {"model": unit.name, "seed": unit.seed} | compared.by_seed[unit.name][config.seeds.index(unit.seed)] | held
        for unit, held in facts.items()
    ]
    run.write_table("units", rows, title="Models and seeds")
    _write_examples(run, config, test, outputs)
    notes = _notes(config, compared.scores, facts, counters)
    for held in facts.values():
        counters.update({name: held[name] for name in COUNTED})
    return run.finish(
        counters, scores=compared.scores, differences=compared.differences, signatures=signatures, notes=notes
    )


def _write_examples(
    run: runs.Run, config: TranslateConfig, test: list[Sentence], outputs: dict[Unit, list[str]]
) -> None:
    """Write all translations side by side, and a table of some of them, those of the first seed."""
    with run.write("translations.jsonl") as path:
        rows = [
            {"source": pair.source, "reference": pair.target}
            | {"outputs": {unit.key: written[place] for unit, written in outputs.items()}}
            for place, pair in enumerate(test)
        ]
        _write_lines(path, rows)
    places = np.unique(np.linspace(0, len(test) - 1, min(config.examples, len(test))).astype(int))
    first = [unit for unit in outputs if unit.seed == config.seeds[0]]
    shown = [
        {"source": test[place].source, "reference": test[place].target}
        | {unit.name: outputs[unit][place] for unit in first}
        for place in places.tolist()
    ]
    run.write_table("examples", shown, title="Translations to read", note=f"Seed {config.seeds[0]}.")


def _notes(
    config: TranslateConfig, scores: list[dict[str, Any]], facts: dict[Unit, dict[str, Any]], counters: Counter[str]
) -> list[str]:
    """Say what a reader of the scores has to know."""
    notes = []
    of_first = {row["label"]: row["value"] for row in scores if row["group"] == scores[0]["group"]}
    copied = of_first.pop(COPY)
    worse = [name for name, value in of_first.items() if value <= copied]
    if worse:
        notes.append(
            f"no better than copying the source ({scores[0]['group']} {copied:.1f}): {', '.join(worse)}. These models "
            "have learnt little of the translation, and their differences say little about donors."
        )
    for name, share in {unit.name: facts[unit]["unknown_share"] for unit in facts}.items():
        if share > MUCH_UNKNOWN:
            notes.append(
                f"{name}: {share:.1%} of the tokens of {config.target} are unknown to its tokenizer, which cannot "
                "write them: it may lack the script"
            )
    if counters["training_in_test"]:
        notes.append(f"{counters['training_in_test']:,} training pairs stand in the test, and were left out")
    return notes


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode("utf-8", errors="replace"))
