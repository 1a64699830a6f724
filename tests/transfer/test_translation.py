"""Translation: what is read, that a model learns it, how it is scored, and that nothing finished is lost."""

import json
import lzma
import os
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import tiny_models

from lingraft import runs
from lingraft.errors import LingraftError
from lingraft.transfer import fine_tuning, parallel
from lingraft.transfer.checkpoints import Checkpoint, units
from lingraft.transfer.fine_tuning import Decoding, FineTuning
from lingraft.transfer.parallel import ParallelText, Sentence
from lingraft.transfer.translation import COPY, TranslateConfig, translate
from lingraft.transfer.translation_scores import System, difference, interval, measures

NUMBERS = dict(
    zip("one two three four five six seven".split(), "uno dos tres cuatro cinco seis siete".split(), strict=True)
)
PAIRS = [
    Sentence(" ".join(words), " ".join(NUMBERS[word] for word in words))
    for words in np.random.default_rng(0).choice(list(NUMBERS), (90, 3)).tolist()
]
TRAINING, TEST = PAIRS[:70], PAIRS[70:]
HOW = FineTuning(steps=3, batch_size=8, learning_rate=3e-3)
DECODING = Decoding(beams=2, max_tokens=12)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base, a donor, and a model of another kind, with pairs in two files each."""
    root = tmp_path_factory.mktemp("translation")
    tokenizer = tiny_models.unigram_tokenizer([text for pair in PAIRS for text in pair], 150)
    for name, seed in (("base", 0), ("donor", 1)):
        tiny_models.t5(tokenizer, seed).save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    masked = tiny_models.byte_tokenizer()
    tiny_models.roberta(masked).save_pretrained(root / "masked")
    masked.save_pretrained(root / "masked")
    for name, pairs in (("train", TRAINING), ("test", TEST)):
        for side in ("source", "target"):
            (root / f"{name}.{side}").write_text("".join(f"{getattr(pair, side)}\n" for pair in pairs), "utf-8")
    return root


def config(folders, **more):
    texts = {
        part: ParallelText(source=folders / f"{file}.source", target=folders / f"{file}.target")
        for part, file in (("training", "train"), ("test", "test"))
    }
    models = [Checkpoint(name="donor", model=str(folders / "donor"))]
    values = {"base": str(folders / "base"), "models": models, "fine_tuning": HOW, "decoding": DECODING}
    return TranslateConfig(**({"source": "eng", "target": "spa", "resamples": 200} | texts | values | more))


def test_a_model_learns_to_translate_and_writes_it(folders):
    from lingraft.transfer import seq2seq

    model, tokenizer = seq2seq.load(str(folders / "base"), "cpu", needed_by="Translation")
    counters = Counter()
    pairs = fine_tuning.encode(tokenizer, TRAINING, "", 32, counters)
    how = FineTuning(steps=120, batch_size=16, learning_rate=1e-2, label_smoothing=0.0)

    loss = fine_tuning.fine_tune(model, pairs, how, seed=0, name="base")
    sources = [pair.source for pair in TRAINING[:20]]
    outputs = fine_tuning.translate_texts(
        model, tokenizer, sources, DECODING.replace(max_tokens=20), counters, max_source=32
    )

    assert loss < 0.5
    right = [output == pair.target for output, pair in zip(outputs, TRAINING, strict=False)]
    assert sum(right) >= 12
    assert counters["empty_outputs"] == counters["cut_sources"] == counters["cut_outputs"] == 0
    fine_tuning.translate_texts(model, tokenizer, sources[:3], DECODING.replace(max_tokens=4), counters, max_source=3)
    assert counters["cut_sources"] == counters["cut_outputs"] == 3


def test_the_loss_is_that_of_the_model_and_padding_has_no_part_in_it(folders):
    import torch

    from lingraft.transfer import seq2seq

    seen = []
    model, tokenizer = seq2seq.load(str(folders / "base"), "cpu", needed_by="Translation")
    pairs = fine_tuning.encode(
        tokenizer, [Sentence("one", "uno dos tres"), Sentence("one two", "uno")], "", 32, Counter()
    )
    with torch.no_grad():
        losses = []
        for source, target in zip(pairs.sources, pairs.targets, strict=True):
            found = model(input_ids=torch.tensor([source]), labels=torch.tensor([target]))
            losses.append((float(found.loss) * len(target), len(target)))
    how = FineTuning(steps=1, batch_size=2, learning_rate=1e-9, label_smoothing=0.0)
    fine_tuning.fine_tune(model, pairs, how, seed=0, name="base", on_step=lambda step, loss: seen.append(loss))
    assert seen == [pytest.approx(sum(loss for loss, _ in losses) / sum(number for _, number in losses), rel=1e-5)]


def test_each_epoch_reads_every_pair_once_also_the_last_short_batch():
    lengths = list(range(1, 24))
    stream = fine_tuning.batches(lengths, 5, seed=1)
    first = [next(stream) for _ in range(5)]
    second = [next(stream) for _ in range(5)]
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(23))
        assert sorted(map(len, epoch)) == [3, 5, 5, 5, 5]
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
    again = fine_tuning.batches(lengths, 5, seed=1)
    assert all((next(again) == batch).all() for batch in [*first, *second])


def test_a_run_scores_all_and_is_left_alone_when_repeated(folders, tmp_path):
    asked = config(folders, seeds=[0, 1], prefix="to spa: ")
    manifest = translate(asked, tmp_path / "run", quiet=True)

    rows = {(row["group"], row["label"]): row for row in manifest["scores"]}
    assert list(dict.fromkeys(group for group, _ in rows)) == ["chrF++", "BLEU"]
    assert {label for _, label in rows} == {"base", "donor", COPY}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows.values())
    import sacrebleu

    written = [json.loads(line) for line in (tmp_path / "run" / "translations.jsonl").read_text("utf-8").splitlines()]
    assert [(row["source"], row["reference"]) for row in written] == TEST
    by_seed = [
        sacrebleu.corpus_chrf(
            [row["outputs"][f"donor-{seed}"] for row in written], [[row["reference"] for row in written]], word_order=2
        ).score
        for seed in (0, 1)
    ]
    assert rows["chrF++", "donor"]["value"] == pytest.approx(np.mean(by_seed))
    copied = sacrebleu.corpus_chrf([pair.source for pair in TEST], [[pair.target for pair in TEST]], word_order=2)
    assert rows["chrF++", COPY]["value"] == pytest.approx(copied.score)
    assert "nw:2" in manifest["signatures"]["chrF++"]
    assert any(note.startswith("no better than copying the source") for note in manifest["notes"])
    assert {row["model"] for row in manifest["differences"]} == {"donor", COPY}
    before = (tmp_path / "run" / "manifest.json").stat().st_mtime_ns
    translate(asked, tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns == before


KILLED = """
import os, signal, sys
from lingraft.transfer import fine_tuning
from lingraft.transfer.translation import TranslateConfig, translate

def killing(*given, **more):
    if more["name"] == "donor-0":
        more["on_step"] = lambda step, loss: step < 2 or os.kill(os.getpid(), signal.SIGKILL)
    return fine_tune(*given, **more)

fine_tune, fine_tuning.fine_tune = fine_tuning.fine_tune, killing
translate(TranslateConfig.model_validate_json(open(sys.argv[1]).read()), sys.argv[2], quiet=True)
"""


def test_stopped_twice_it_goes_on_and_gives_the_same_outputs(folders, tmp_path, monkeypatch):
    asked = config(folders, seeds=[0, 1])
    (tmp_path / "asked.json").write_text(asked.model_dump_json(), "utf-8")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "asked.json"), str(tmp_path / "stopped")]
    killed = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    units_of = tmp_path / "stopped" / "units"
    assert sorted(path.name for path in units_of.iterdir()) == ["base-0.json", "base-0.jsonl"]
    done = (units_of / "base-0.jsonl").stat().st_mtime_ns
    with monkeypatch.context() as patched:
        patched.setattr(fine_tuning, "translate_texts", _interrupted_the_second_time(fine_tuning.translate_texts))
        with pytest.raises(KeyboardInterrupt):
            translate(asked, tmp_path / "stopped", quiet=True)
    assert not (tmp_path / "stopped" / "manifest.json").exists()

    translate(asked, tmp_path / "stopped", quiet=True)

    translate(asked, tmp_path / "whole", quiet=True)
    assert (units_of / "base-0.jsonl").stat().st_mtime_ns == done
    for name in ("translations.jsonl", "tables/scores.json", "tables/differences.json", "tables/examples.json"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _interrupted_the_second_time(work):
    asked = []

    def stopping(*given, **more):
        asked.append(given)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return work(*given, **more)

    return stopping


@pytest.mark.parametrize("name", ["chrF++", "BLEU"])
def test_scores_under_resampling_are_those_of_the_drawn_sentences(name):
    import sacrebleu

    measure = next(one for one in measures() if one.name == name)
    references = [pair.target for pair in TEST]
    rng = np.random.default_rng(0)
    outputs = [[text if rng.random() < share else "uno tres" for text in references] for share in (0.3, 0.8)]
    system = System(measure, np.stack([measure.counts(one, references) for one in outputs]))

    drawn = system.drawn(50, seed=0, number=0)

    plain = {"chrF++": lambda *texts: sacrebleu.corpus_chrf(*texts, word_order=2), "BLEU": sacrebleu.corpus_bleu}[name]
    times = np.random.default_rng([0, 0]).multinomial(len(TEST), np.full(len(TEST), 1 / len(TEST)), 50)
    seeds = np.random.default_rng([0, 1, 0]).multinomial(2, [0.5, 0.5], 50)
    for resample in (0, 17, 49):
        places = np.repeat(np.arange(len(TEST)), times[resample])
        expected = sum(
            plain([one[place] for place in places], [[references[place] for place in places]]).score * weight / 2
            for one, weight in zip(outputs, seeds[resample], strict=True)
        )
        assert drawn[resample] == pytest.approx(expected)
    assert system.value == pytest.approx(np.mean([plain(one, [references]).score for one in outputs]))


def test_a_difference_is_tested_on_paired_draws():
    measure = measures()[0]
    references = [pair.target for pair in PAIRS]
    good = [text if place % 3 else "dos" for place, text in enumerate(references)]
    worse = [text if place % 3 and place % 5 else "dos" for place, text in enumerate(references)]
    systems = [System(measure, measure.counts(one, references)[None]) for one in (good, worse, good)]
    drawn = [one.drawn(500, 0, place) for place, one in enumerate(systems)]

    found = difference(systems[0], systems[1], drawn[0], drawn[1])
    same = difference(systems[0], systems[2], drawn[0], drawn[2])

    assert found.low > 0
    assert found.p < 0.01
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    wide = interval(drawn[0])
    assert found.high - found.low < wide.high - wide.low


def test_training_pairs_that_stand_in_the_test_are_left_out(folders, tmp_path):
    leaks = [Sentence(TEST[0].source.upper(), "otra cosa"), Sentence("something else", f" {TEST[1].target}\u00a0")]
    for side in ("source", "target"):
        texts = [getattr(pair, side) for pair in [*TRAINING, *leaks]]
        (tmp_path / side).write_text("\n".join(texts) + "\n", "utf-8")
    training = ParallelText(source=tmp_path / "source", target=tmp_path / "target")

    manifest = translate(config(folders, training=training), tmp_path / "run", quiet=True)

    own = sum(pair.source in {other.source for other in TEST} for pair in TRAINING)
    assert manifest["counters"]["training_in_test"] == own + 2
    assert manifest["counters"]["training_pairs"] == len(TRAINING) - own
    assert any("stand in the test" in note for note in manifest["notes"])
    with pytest.raises(LingraftError, match="every pair stands in the test"):
        translate(config(folders, training=config(folders).test), tmp_path / "all", quiet=True)


def test_pairs_are_read_from_packed_files_tables_and_corpora(tmp_path):
    for side in ("source", "target"):
        text = "".join(f"{getattr(pair, side)}\n" for pair in [*TEST[:3], Sentence("", "x"), Sentence("y", " ")])
        (tmp_path / f"{side}.xz").write_bytes(lzma.compress(text.encode()))
    drops = Counter()
    packed = ParallelText(source=tmp_path / "source.xz", target=tmp_path / "target.xz")
    assert parallel.read(packed, ("eng", "spa"), drops) == TEST[:3]
    assert drops == {"empty_source": 1, "empty_target": 1}
    (tmp_path / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in TEST[:3]), "utf-8")
    assert parallel.read(ParallelText(tsv=tmp_path / "pairs.tsv", limit=2), ("eng", "spa"), Counter()) == TEST[:2]


def test_pairs_of_corpora_are_lines_with_the_same_key(monkeypatch, tmp_path):
    from lingraft.transfer import corpora
    from lingraft.transfer.corpora import Line

    held = {"eng": [Line("1", "a"), Line("2", "b"), Line("3", "c")], "spa": [Line("3", "C"), Line("1", "A")]}

    class Corpora:
        def __init__(self, folder):
            assert folder == tmp_path

        def lines(self, language, split):
            assert split == "test"
            return iter(held[language])

    monkeypatch.setattr(corpora, "Corpora", Corpora)
    asked = ParallelText(corpora=tmp_path, split="test")
    assert parallel.read(asked, ("eng", "spa"), Counter()) == [Sentence("a", "A"), Sentence("c", "C")]


def test_bad_pairs_are_named(folders, tmp_path):
    (tmp_path / "short").write_text("one\n", "utf-8")
    (tmp_path / "empty").write_text("\n" * len(TEST), "utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\n" * len(TEST))
    for target, words in (
        ("short", r"short ends after line 1, .*test.source goes on"),
        ("empty", r"no pair of eng and spa\nLeft out: 20 empty_target"),
        ("bytes", r"bytes, line 1, byte 1 of it: not UTF-8"),
        ("none", r"none"),
    ):
        test = ParallelText(source=folders / "test.source", target=tmp_path / target)
        with pytest.raises(LingraftError, match=words):
            translate(config(folders, test=test), tmp_path / "run", quiet=True)
    with pytest.raises(ValueError, match="give source and target"):
        ParallelText(source=tmp_path / "short")


def test_models_that_cannot_translate_are_refused_before_any_training(folders, tmp_path):
    models = [Checkpoint(name="masked", model=str(folders / "masked"))]
    with pytest.raises(
        LingraftError, match=r"masked has no encoder and decoder: it is a xlm-roberta(.|\n)*Translation"
    ):
        translate(config(folders, models=models), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "units").exists()
    for wrong, words in (
        ({"models": []}, "nothing is compared"),
        ({"donors": ["swh"]}, "donors are those of a matrix"),
        ({"base": None}, "give the base"),
        ({"models": [Checkpoint(name="base", model="x")]}, "two models are called 'base'"),
        ({"target": "eng"}, "both eng"),
    ):
        with pytest.raises(ValueError, match=words):
            config(folders, **wrong)


def test_a_script_that_the_tokenizer_lacks_is_told(folders, tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).write_text("".join(f"ሰላም {n}\n" for n in range(70 if part == "train" else 20)), "utf-8")
    texts = {
        part: ParallelText(source=folders / f"{file}.source", target=tmp_path / file)
        for part, file in (("training", "train"), ("test", "test"))
    }
    manifest = translate(config(folders, **texts, target="amh"), tmp_path / "run", quiet=True)
    assert any("of the tokens of amh are unknown" in note for note in manifest["notes"])


def test_units_come_from_a_matrix_seed_by_seed(folders, tmp_path):
    known = {"model": str(folders / "base"), "donors": ["swh", "fra"], "seeds": [0, 1]}
    runs.write_json(tmp_path / "manifest.json", {"stage": "transfer matrix", "config": known})
    for donor in ("swh", "fra"):
        (tmp_path / "donors" / f"{donor}-0" / "model").mkdir(parents=True)
    asked = config(folders, base=None, models=[], matrix=tmp_path, donors=["fra", "swh"])
    assert [(unit.key, unit.model.removeprefix(str(tmp_path))) for unit in units(asked)] == [
        ("base-0", str(folders / "base")),
        ("fra-0", "/donors/fra-0/model"),
        ("swh-0", "/donors/swh-0/model"),
    ]
    with pytest.raises(LingraftError, match=r"no donor 'fre'\ndid you mean 'fra'"):
        units(asked.replace(donors=["fre"]))
    with pytest.raises(LingraftError, match=r"no model of fra with seed 1"):
        units(asked.replace(seeds=[1]))


def test_a_loss_that_is_no_number_names_the_unit(folders, tmp_path):
    with pytest.raises(LingraftError, match=r"base-0: the loss is (nan|inf) at step \d+ of fine-tuning"):
        translate(config(folders, fine_tuning=FineTuning(steps=30, learning_rate=1e30, clip=0)), tmp_path, quiet=True)


def test_the_command_line_translates(folders, tmp_path, lingraft):
    done = lingraft(
        "transfer", "translate", "--source", "eng", "--target", "spa", "--base", folders / "base",
        "--models", f"donor={folders / 'donor'}", "--train", folders / "train.source", folders / "train.target",
        "--test", folders / "test.source", folders / "test.target", "--out", tmp_path / "run", "--quiet",
        "--set", "fine_tuning.steps=2", "--set", "decoding.beams=1", "--set", "decoding.max_tokens=8",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "chrF++" in done.out
    assert "copy of the source" in done.out
    assert lingraft("transfer", "translate", "--models", "x", "--out", tmp_path / "x").code == 1


def test_a_direction_of_a_recipe_is_carried_out(folders, tmp_path, lingraft):
    held = config(folders).model_dump(mode="json", exclude_none=True)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"translate": {"eng-spa": held, "spa-eng": held}}), "utf-8")
    plan = ("transfer", "translate", "--recipe", recipe, "--out", tmp_path / "run", "--dry-run")

    assert "output: new" in lingraft(*plan, "--direction", "eng-spa").out
    assert "which direction is not said" in lingraft(*plan).err
    assert "did you mean 'eng-spa'?" in lingraft(*plan, "--direction", "eng-sp").err
