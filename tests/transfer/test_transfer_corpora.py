"""Text by language: splits that no language crosses, cards, languages added later, resume with the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from corpora_helpers import bible, digest, small_folders, verses, write

from lingraft import corpus, engine
from lingraft.corpus.texts import TextSource, texts
from lingraft.errors import LingraftError
from lingraft.transfer.cleaning import Cleaning
from lingraft.transfer.corpora import Corpora, CorporaConfig, LanguageSources, Source, Splits, corpora, leaks, plan


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return small_folders(tmp_path_factory.mktemp("sources"))


def make(out, folders, **settings):
    return corpora(CorporaConfig(**folders, **settings), out, workers=settings.pop("workers", 1), quiet=True)


@pytest.fixture(scope="module")
def made(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "corpora"
    make(out, folders, splits=Splits(validation=0.1, test=0.2))
    return Corpora(out)


def test_each_line_of_each_language_is_there_once(made):
    assert list(made.languages) == ["bam", "eng", "glv", "gug", "mam", "quc", "swh", "tha", "tur"]
    swahili = [line for split in ("train", "validation", "test") for line in made.lines("swh", split)]
    expected = {(f"bible/{key}", text) for key, text in verses("swh", 120).items()}
    assert len(swahili) == 120 and set(swahili) == expected


def test_a_key_falls_into_the_same_split_in_every_language(made):
    places: dict[str, set[str]] = {}
    sharers = Counter()
    for language in made.languages:
        for split in ("train", "validation", "test"):
            for line in made.lines(language, split):
                places.setdefault(line.key, set()).add(split)
                sharers[line.key] += 1
    assert all(len(splits) == 1 for splits in places.values())
    assert set(sharers.values()) == {1, 2, 3}, "Bibles of three languages, Seed of three, PUD of two, others alone"
    assert not leaks(made.folder)
    assert made.manifest["counters"]["leaked_keys"] == made.manifest["counters"]["leaked_texts"] == 0


def test_the_shares_are_those_that_were_asked_for(tmp_path):
    splits = Splits(validation=0.1, test=0.2)
    drawn = Counter(splits.of(f"key {number}") for number in range(5000))
    assert drawn["test"] / 5000 == pytest.approx(0.2, abs=0.02)
    assert drawn["validation"] / 5000 == pytest.approx(0.1, abs=0.02)
    assert Splits(seed=1).of("key 1"), "another seed is another split"
    assert [Splits(seed=seed).of("a") for seed in range(40)].count("train") < 40
    with pytest.raises(ValueError, match="leave nothing for train"):
        Splits(validation=0.5, test=0.5)


def test_a_split_is_a_corpus_that_other_verbs_read(made):
    path = made.path("quc", "test")
    held = corpus.open(path)
    article = next(held.articles())
    assert (held.lang, article.lang, article.links, article.entity) == ("quc", "quc", [], None)
    assert article.sections[0].end == len(article.text)
    assert [article.text for article in held.articles()] == list(texts(TextSource(path=[path])))
    assert [line.key for line in made.lines("quc", "test")] == [article.title for article in held.articles()]


def test_cards_count_what_was_written(made):
    card = made.languages["quc"]
    lines = {split: list(made.lines("quc", split)) for split in card.lines}
    assert card.lines == {split: len(held) for split, held in lines.items()}
    assert card.bytes == {split: sum(len(line.text.encode()) for line in held) for split, held in lines.items()}
    assert card.words == {split: sum(len(line.text.split()) for line in held) for split, held in lines.items()}
    assert (card.name, card.script, card.bcp47, card.licences, card.tokens) == (
        "Kʼicheʼ",
        "Latn",
        "quc",
        ["CC0 1.0"],
        None,
    )
    assert [(source["title"], source["lines"]) for source in card.sources] == [
        ("bible K'iche'-NT.xml", 120),
        ("ud quc_iu", 120),
    ]
    table = json.loads((made.folder / "tables" / "languages.json").read_text())
    assert [row["script"] for row in table["rows"]] == ["Latn"] * 7 + ["Thai", "Latn"]


def test_what_is_not_there_is_said(made, tmp_path):
    with pytest.raises(LingraftError, match=r"no text in 'swa'\ndid you mean 'swh'\?\nLanguages: bam, eng"):
        made.path("swa", "test")
    with pytest.raises(LingraftError, match=r"no split 'dev' of swh\n.*Splits: train, validation, test"):
        made.path("swh", "dev")
    with pytest.raises(LingraftError, match="holds no finished run"):
        Corpora(tmp_path)


def test_the_number_of_workers_changes_no_byte(made, folders, tmp_path):
    config = CorporaConfig(**folders, splits=Splits(validation=0.1, test=0.2))
    corpora(config, tmp_path / "two", workers=2, quiet=True)
    assert digest(tmp_path / "two") == digest(made.folder)


def test_without_validation_there_is_no_such_split(folders, tmp_path):
    make(tmp_path / "out", folders, only=["swh"], splits=Splits(validation=0, test=0.1))
    parity = Corpora(tmp_path / "out")
    assert list(parity.languages["swh"].lines) == ["train", "test"]
    with pytest.raises(LingraftError, match="Its share was set to 0"):
        parity.path("swh", "validation")


def test_a_capped_test_is_never_moved_into_train(folders, made, tmp_path):
    make(tmp_path / "out", folders, only=["swh"], splits=Splits(validation=0.1, test=0.2, max_test_lines=5))
    capped = Corpora(tmp_path / "out")
    assert capped.languages["swh"].lines | {"train": 0} == {"train": 0, "validation": 5, "test": 5}
    assert list(capped.lines("swh", "train")) == list(made.lines("swh", "train"))
    beyond = sum(made.languages["swh"].lines[split] - 5 for split in ("validation", "test"))
    counters = capped.manifest["counters"]
    assert sum(number for name, number in counters.items() if "beyond_max_test_lines" in name) == beyond


def test_languages_are_added_and_the_others_stay(folders, tmp_path):
    out = tmp_path / "out"
    make(out, folders, only=["swh", "quc"])
    before = digest(out / "languages")
    times = {path: path.stat().st_mtime_ns for path in (out / "languages").rglob("*.parquet")}
    manifest = make(out, folders, only=["swh", "quc", "mam"])
    assert manifest["counters"]["languages"] == 3
    assert before.items() <= digest(out / "languages").items()
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert digest(out) == digest_of_new(folders, tmp_path / "new", ["swh", "quc", "mam"])


def digest_of_new(folders, out, only):
    make(out, folders, only=only)
    return digest(out)


def test_a_language_made_otherwise_is_refused_and_nothing_is_lost(folders, tmp_path):
    out = tmp_path / "out"
    make(out, folders, only=["swh", "quc"])
    with pytest.raises(LingraftError) as error:
        make(out, folders, only=["swh"], cleaning=Cleaning(min_characters=5))
    assert "cleaning.min_characters: 3 there, 5 asked" in str(error.value)
    assert "Not asked for: quc." in error.value.why and "--overwrite" in error.value.cure
    assert Corpora(out).languages.keys() == {"swh", "quc"}
    config = CorporaConfig(**folders, only=["swh"], cleaning=Cleaning(min_characters=5))
    corpora(config, out, workers=1, overwrite=True, quiet=True)
    assert list(Corpora(out).languages) == ["swh"] and not (out / "languages" / "quc").exists()


def test_a_language_with_too_few_lines_is_left_out_by_name(folders, tmp_path, capsys):
    few = write(tmp_path / "few.txt", "one line\nanother line\nthe third\n")
    none = write(tmp_path / "none.txt", "a\n\n\n")
    more = [
        LanguageSources(language="Zulu", sources=[Source(kind="text", path=[few])]),
        LanguageSources(language="ewe", sources=[Source(kind="text", path=[none])]),
    ]
    manifest = make(tmp_path / "out", folders, only=["swh"], languages=more)
    assert manifest["left_out"] == {
        "ewe": "0 lines, fewer than min_lines (100)",
        "zul": "3 lines, fewer than min_lines (100)",
    }
    assert manifest["counters"]["languages_left_out"] == 2
    assert "warning: Zulu (zul) is left out: 3 lines" in capsys.readouterr().err
    with pytest.raises(LingraftError, match=r"no text in 'zul'\nIt was left out: 3 lines"):
        Corpora(tmp_path / "out").path("zul", "test")
    with pytest.raises(LingraftError, match=r"none of the 2 languages has enough text\newe: 0 lines.*zul: 3 lines"):
        corpora(CorporaConfig(languages=more), tmp_path / "nothing", workers=1, quiet=True)


def test_a_language_may_be_listed_twice(folders, tmp_path):
    more = [
        LanguageSources(language=name, sources=[Source(kind="text", path=[write(tmp_path / f"{name}.txt", text)])])
        for name, text in {"sw": "habari ya asubuhi\n", "Swahili": "habari ya jioni\n"}.items()
    ]
    manifest = make(tmp_path / "out", folders, only=["swh"], languages=more)
    assert [source["lines"] for source in manifest["cards"]["swh"]["sources"]] == [120, 1, 1]


def test_two_languages_with_the_same_text_are_named(folders, tmp_path):
    same = write(tmp_path / "same" / "Copy.xml", bible("Zulu", "zul", verses("swh", 110)))
    twice = [LanguageSources(language="zul", sources=[Source(kind="bible", path=[same])])]
    with pytest.raises(LingraftError) as error:
        make(tmp_path / "out", folders, only=["swh"], languages=twice)
    assert error.value.what == "Swahili (swh) and Zulu (zul) have 110 lines in common, 100% of the smaller one's"
    manifest = make(tmp_path / "allowed", folders, only=["swh"], languages=twice, max_identical=1)
    assert manifest["counters"]["language_pairs_with_identical_lines"] == 1


def test_leaks_finds_what_it_is_for(made, tmp_path):
    """A line of Swahili's test is put into Mam's train, by hand."""
    import shutil

    import pyarrow as pa
    import pyarrow.parquet as pq

    shutil.copytree(made.folder, tmp_path / "copy")
    tested = next(made.lines("swh", "test"))
    part = tmp_path / "copy" / "languages" / "mam" / "train" / "articles" / "part-00000.parquet"
    table = pq.read_table(part)
    row = table.slice(0, 1).to_pylist()[0] | {"title": tested.key, "text": tested.text}
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)]), part)
    found = leaks(tmp_path / "copy")
    assert {(leak.what, leak.train, leak.other, leak.split) for leak in found.keys} >= {
        (tested.key, "mam", "swh", "test")
    }
    assert [(leak.what, leak.train, leak.other) for leak in found.texts] == [(tested.text, "mam", "swh")]


def test_a_corpus_gives_its_lines_without_headings(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lingraft.corpus.schema import ARTICLE

    make(tmp_path / "first", small_folders(tmp_path / "sources"), only=["swh"])
    path = Corpora(tmp_path / "first").path("swh", "train")
    part = path / "articles" / "part-00000.parquet"
    text = "Sentensi ya kwanza.\n\nHistoria\n\nSentensi ya pili.\nMlinganyo \ufffc ni huu."
    sections = [
        {"start": 0, "end": 19, "level": 0, "heading": ""},
        {"start": 31, "end": len(text), "level": 2, "heading": "Historia"},
    ]
    row = pq.read_table(part).slice(0, 1).to_pylist()[0] | {"text": text, "sections": sections}
    pq.write_table(pa.Table.from_pylist([row], schema=ARTICLE), part)
    more = [LanguageSources(language="sw", sources=[Source(kind="corpus", path=[path], licence="CC BY-SA 3.0")])]
    manifest = corpora(
        CorporaConfig(languages=more, min_lines=1, splits=Splits(validation=0, test=0)), tmp_path / "out", quiet=True
    )
    assert [line.text for line in Corpora(tmp_path / "out").lines("swh", "train")] == [
        "Sentensi ya kwanza.",
        "Sentensi ya pili.",
    ]
    assert manifest["counters"]["left_out_heading"] == manifest["counters"]["left_out_placeholder"] == 1
    assert manifest["cards"]["swh"]["licences"] == ["CC BY-SA 3.0"]


def test_tokens_of_a_tokenizer_are_counted(folders, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]").save_pretrained(tmp_path / "model")
    make(tmp_path / "out", folders, only=["swh"], tokenizer=str(tmp_path / "model"))
    card = Corpora(tmp_path / "out").languages["swh"]
    assert card.tokens == card.words


def test_the_plan_says_what_would_be_read(folders, tmp_path, lingraft):
    found = plan(CorporaConfig(**folders, only=["sw", "Thai"]), tmp_path / "out")
    assert [(row["language"], row["name"], row["there"]) for row in found["languages"]] == [
        ("swh", "Swahili", "no"),
        ("tha", "Thai", "no"),
    ]
    options = [item for kind, path in folders.items() for item in (f"--{kind}", path)]
    shown = lingraft("transfer", "corpora", *options, "--only", "sw,tha", "--out", tmp_path / "out", "--dry-run")
    assert shown.code == 0 and "Swahili" in shown.out and "output: new" in shown.out
    assert not (tmp_path / "out").exists()


def test_the_plan_says_what_is_there(folders, tmp_path):
    make(tmp_path / "out", folders, only=["swh", "quc"])
    asked = CorporaConfig(**folders, only=["swh", "mam"])
    found = plan(asked, tmp_path / "out")
    assert [row["there"] for row in found["languages"]] == ["no", "yes"]
    assert found["state"] == "output: holds 1 of these languages; --overwrite would remove quc"
    other = plan(asked.replace(cleaning=Cleaning(min_characters=9)), tmp_path / "out")
    assert [row["there"] for row in other["languages"]] == ["no", "made otherwise"]
    assert "--overwrite would replace swh" in other["state"]
    assert "complete" in plan(asked.replace(only=["swh", "quc"]), tmp_path / "out")["state"]


def test_the_command_line(folders, tmp_path, lingraft):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"corpora:\n  bible: {folders['bible']}\n  only: [swh]\n  splits: {{test: 0.3}}\n"
        f"  languages:\n    - language: Thai\n      sources: [{{kind: ud, path: {folders['ud'] / 'UD_Thai-PUD'}}}]\n"
    )
    done = lingraft("transfer", "corpora", "--recipe", recipe, "--out", tmp_path / "out", "--quiet", "--workers", 1)
    assert done.code == 0, done.err
    assert "2 languages; lines:" in done.out
    again = lingraft("transfer", "corpora", "--recipe", recipe, "--out", tmp_path / "out", "--quiet")
    assert "is complete already: nothing to do" in again.out
    wrong = lingraft(
        "transfer", "corpora", "--bible", folders["bible"], "--only", "sw,zul,eng", "--out", tmp_path / "x"
    )
    assert wrong.code == 1
    assert "no source has text in Zulu (zul), English (eng)" in wrong.err
    assert "The folders have: mam, quc, swh." in wrong.err


CHILD = """
import sys
from lingraft.transfer.corpora import CorporaConfig, Splits, corpora
out, bible, seed, ud = sys.argv[1:]
config = CorporaConfig(bible=bible, seed=seed, ud=ud, splits=Splits(validation=0.1, test=0.2))
corpora(config, out, workers=1, quiet=True)
"""


def kill_when(there, out, folders):
    """Run in another process and kill it once `there()`."""
    command = [sys.executable, "-c", CHILD, str(out), *map(str, folders.values())]
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as child:
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline:
            if there():
                child.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        assert child.wait(timeout=60) == -signal.SIGKILL, "the run was over before it was killed"
    assert not (out / "manifest.json").exists()


def test_killed_twice_the_bytes_are_those_of_an_unbroken_run(made, folders, tmp_path):
    out = tmp_path / "twice"
    markers = out / "work" / "markers"
    kill_when(lambda: len(list(markers.glob("*.json"))) >= 2, out, folders)
    kill_when(lambda: (out / "languages" / "mam" / "train" / "articles").exists(), out, folders)
    done = {path.stem for path in markers.glob("*.json")}
    calls = []
    run_one = engine._run_one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_run_one", lambda step, task, at: calls.append(task.key) or run_one(step, task, at))
        make(out, folders, splits=Splits(validation=0.1, test=0.2))
    assert sorted(calls) == sorted(made.languages.keys() - done)
    assert digest(out) == digest(made.folder)
    assert not (out / "work").exists() and not list(out.rglob("*.tmp"))


def test_killed_before_anything_was_made_nothing_stays_behind(folders, tmp_path):
    """The kill came while the first file of all was written."""
    write(tmp_path / "out" / ".request.json.1.tmp", "{")
    make(tmp_path / "out", folders, only=["swh"])
    assert not list((tmp_path / "out").rglob(".*.tmp"))


def test_a_broken_source_stops_with_its_name_and_the_others_are_kept(folders, tmp_path):
    broken = write(tmp_path / "Broken-NT.xml", "<cesDoc><seg id='b.MAT.1.1'>text")
    more = [LanguageSources(language="zul", sources=[Source(kind="bible", path=[broken])])]
    with pytest.raises(LingraftError, match=r"Broken-NT.xml, line 1"):
        make(tmp_path / "out", folders, only=["swh"], languages=more)
    assert (tmp_path / "out" / "languages" / "swh" / "manifest.json").exists()
    write(tmp_path / "Broken-NT.xml", bible("Zulu", "zul", verses("zul", 100)))
    manifest = make(tmp_path / "out", folders, only=["swh"], languages=more)
    assert manifest["counters"]["languages"] == 2
