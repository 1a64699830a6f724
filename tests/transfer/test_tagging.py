"""Tagging: what is read of a treebank, that no word is lost, that a model learns it, how it is scored, and resuming."""

import hashlib
import shutil
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from lingraft import runs
from lingraft.config import load
from lingraft.errors import LingraftError
from lingraft.transfer import tagger, tagging
from lingraft.transfer.tag_scores import Baselines, accuracy, counts, macro_f1, scores
from lingraft.transfer.tagger import Tagger, TaggerTraining, load_tagger, predict, token_batches, windows
from lingraft.transfer.tagging import TagConfig, tag
from lingraft.transfer.treebanks import NO_TAG, UPOS, Tagged, read_treebank, treebanks_of

NOUNS, VERBS = "river mountain sea bridge stone".split(), "runs sleeps asks sees falls".split()
HOW = TaggerTraining(epochs=8, batch_tokens=256, learning_rate=5e-3, head_learning_rate=2e-2, dropout=0, length=32)
NUMBER = {name: number for number, name in enumerate(UPOS)}


def sentence(words, tags, name=""):
    return Tagged(name, list(words), [NUMBER.get(tag, NO_TAG) for tag in tags])


def conllu(sentences):
    """A treebank of sentences, each a list of (form, tag)."""
    blocks = []
    for number, words in enumerate(sentences):
        rows = [f"{place}\t{form}\t_\t{tag}" + "\t_" * 6 for place, (form, tag) in enumerate(words, start=1)]
        blocks.append("\n".join([f"# sent_id = s{number}", *rows]) + "\n\n")
    return "".join(blocks)


def made_up(number, seed):
    """Sentences in which the form decides the tag."""
    generator = np.random.default_rng(seed)
    return [
        [("the", "DET"), (str(generator.choice(NOUNS)), "NOUN"), (str(generator.choice(VERBS)), "VERB"), (".", "PUNCT")]
        for _ in range(number)
    ]


# reading


def test_ranges_and_empty_nodes_are_no_words(tmp_path):
    rows = ["# sent_id = a", "1-2\tdu\t_\t_", "1\tde\t_\tADP", "2\tle\t_\tDET", "2.1\tx\t_\tVERB", "3\toh\t_\t_", ""]
    (tmp_path / "x.conllu").write_text("\n".join(rows) + "\n")
    drops = Counter()
    assert read_treebank([tmp_path / "x.conllu"], drops) == [sentence(["de", "le", "oh"], ["ADP", "DET", "_"], "a")]
    assert drops == {"ranges": 1, "empty_nodes": 1, "words_without_tag": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# x\n\n# y\n1\ta\t_\n\n",
            r"x.conllu, line 3: word 1 \('a'\) of this sentence has 3 columns, and no UPOS tag",
        ),
        ("1\ta\t_\tNUON\n\n", r"line 1: word 1 \('a'\) of this sentence: 'NUON' is no UPOS tag: did you mean 'NOUN'\?"),
        ("1\ta\t_\tnoun\n\n", r"'noun' is no UPOS tag: did you mean 'NOUN'\?\nUPOS has ADJ, ADP"),
        ("1\ta\t_\t_\n\n", r"x.conllu holds no UPOS tags"),
        ("# nothing\n\n", r"x.conllu holds no sentences"),
        ("no tabs\n", r"line 1: no row of CoNLL-U"),
    ],
)
def test_a_bad_treebank_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "x.conllu").write_text(text)
    with pytest.raises(LingraftError, match=message):
        read_treebank([tmp_path / "x.conllu"], Counter())


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "x.conllu").write_text("")
    with pytest.raises(LingraftError, match=r"x.conllu"):
        read_treebank([tmp_path / "x.conllu"], Counter())


@pytest.fixture
def ud(tmp_path):
    """A folder of treebanks: English with all three files, German without train, K'iche' with test alone."""
    for name, parts in (
        ("UD_English-A/en_a", "train dev test"),
        ("UD_German-B/de_b", "dev test"),
        ("UD_Kiche-C/quc_c", "test"),
    ):
        for part in parts.split():
            file = tmp_path / "ud" / f"{name}-ud-{part}.conllu"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(conllu(made_up(30 if part == "train" else 12, seed=len(name) + len(part))))
    return tmp_path / "ud"


def test_files_are_found_by_language_and_part(ud):
    def names(languages, part):
        return {one.language: [path.name for path in one.files] for one in treebanks_of(ud, languages, part)}

    assert names(["en", "deu"], "train") == {"eng": ["en_a-ud-train.conllu"], "deu": ["de_b-ud-dev.conllu"]}
    assert list(names([], "test")) == ["deu", "eng", "quc"]
    with pytest.raises(LingraftError, match=r"has no train file of quc\n.*it has: eng"):
        treebanks_of(ud, ["eng", "quc"], "train")


# windows


class Syllables:
    """A tokenizer of two letters a token, framed as <0> ... <1>; digits give nothing."""

    pad_token_id = 0

    def __call__(self, text, add_special_tokens=True, return_special_tokens_mask=False, verbose=True):
        if isinstance(text, list):
            return {"input_ids": [self._ids(one) for one in text]}
        ids = self._ids(text)
        return {"input_ids": [0, *ids, 1], "special_tokens_mask": [1, *[0] * len(ids), 1]}

    def _ids(self, text):
        letters = [letter for letter in text.strip() if not letter.isdigit()]
        return [2 + ord(letter) % 97 for letter in letters[::2]]


words = st.lists(st.text("abc1", min_size=1, max_size=9), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(words, max_size=4), st.integers(4, 12))
def test_windows_lose_no_word_and_label_its_first_subword(texts, length):
    held = [sentence(text, ["X"] * len(text)) for text in texts]
    counters = Counter()
    found = windows(Tagger(None, None, Syllables(), length), held, counters)
    assert all(len(one.ids) <= length and (one.ids[0], one.ids[-1]) == (0, 1) for one in found)
    tagged = [(one.sentence, place) for one in found for place in one.words]
    expected = [(n, p) for n, text in enumerate(texts) for p, word in enumerate(text) if set(word) - {"1"}]
    assert tagged == expected
    for one in found:
        for place, first in zip(one.words, one.firsts, strict=True):
            assert one.ids[first] == Syllables()._ids(texts[one.sentence][place])[0]
    assert counters["words_without_subword"] == sum(map(len, texts)) - len(expected)


def test_what_a_window_cuts_is_counted():
    counters = Counter()
    held = [sentence(["aabb", "cc", "abcabcabcabc"], ["X"] * 3), sentence(["aa"], ["X"])]
    found = windows(Tagger(None, None, Syllables(), 6), held, counters)
    assert [one.words for one in found] == [[0, 1], [2], [0]]
    assert counters == {"words_without_subword": 0, "words_cut": 1, "sentences_cut": 1}


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(10, 200), st.sampled_from([None, 0, 7]))
def test_batches_hold_every_row_once_within_their_budget(lengths, budget, seed):
    found = token_batches(lengths, budget, seed, epoch=1)
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget for batch in found)
    assert found == token_batches(lengths, budget, seed, epoch=1)


# scores


def test_measures_worked_out_by_hand():
    held = [sentence("a b c d".split(), ["NOUN", "NOUN", "VERB", "_"])]
    predicted = [np.array([NUMBER["NOUN"], NUMBER["VERB"], NUMBER["VERB"], NUMBER["ADJ"]])]
    sums = counts(held, predicted).sum(axis=0)
    assert accuracy(sums) == pytest.approx(2 / 3)  # the word without a tag does not count
    assert macro_f1(sums) == pytest.approx((2 / 3 + 2 / 3) / 2)
    untagged = counts(held, [np.array([NUMBER["NOUN"], NO_TAG, NO_TAG, NO_TAG])]).sum(axis=0)
    assert accuracy(untagged) == pytest.approx(1 / 3)
    assert macro_f1(untagged) == pytest.approx((2 / 3 + 0) / 2)


tags = st.integers(0, len(UPOS) - 1)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(tags, tags), min_size=1, max_size=8), min_size=1, max_size=6))
def test_measures_agree_with_scikit_learn(pairs):
    held = [Tagged("", ["w"] * len(one), [gold for gold, _ in one]) for one in pairs]
    sums = counts(held, [np.array([guess for _, guess in one]) for one in pairs]).sum(axis=0)
    gold, guess = zip(*(pair for one in pairs for pair in one), strict=True)
    occurring = sorted(set(gold))
    assert accuracy(sums) == pytest.approx(accuracy_score(gold, guess))
    assert macro_f1(sums) == pytest.approx(f1_score(gold, guess, labels=occurring, average="macro", zero_division=0))


def test_intervals_are_over_sentences_and_differences_are_paired():
    generator = np.random.default_rng(0)
    held = [Tagged("", ["w"] * 10, [0] * 10) for _ in range(200)]
    first = counts(held, [np.where(generator.random(10) < 0.7, 0, 1) for _ in held])
    worse = first.copy()
    worse[:, 0, 0] = np.maximum(first[:, 0, 0] - 1, 0)  # one word a sentence less
    a, b = (scores([one], resamples=500)["accuracy"] for one in (first, worse))
    assert a.value == pytest.approx(0.7, abs=0.03)
    assert a.interval.high - a.interval.low == pytest.approx(2 * 1.96 * (0.21 / 2000) ** 0.5, rel=0.2)
    gain = a.minus(b)
    assert gain.interval.low == pytest.approx(0.1, abs=1e-9) == gain.interval.high
    two = scores([first, worse], resamples=500)["accuracy"]
    assert two.value == pytest.approx((a.value + b.value) / 2)
    assert two.interval.high - two.interval.low > 0.09  # which seed one has counts too


def test_baselines_know_the_training_treebank_alone():
    learnt = Baselines.of(
        [sentence("a a b c c c".split(), "NOUN VERB VERB ADP ADP _".split()), sentence(["a"], ["NOUN"])]
    )
    found = learnt.predict([sentence("a b c d".split(), ["X"] * 4)])
    assert [UPOS[tag] for tag in found["tag of the form"][0]] == ["NOUN", "VERB", "ADP", "ADP"]
    assert [UPOS[tag] for tag in found["majority tag"][0]] == ["ADP"] * 4  # as frequent as NOUN and VERB


# models


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A T5, another one, its token classifier, an XLM-R and a Llama, with the tokenizers of their kind."""
    from transformers import T5ForTokenClassification

    root = tmp_path_factory.mktemp("tagging")
    lines = [" ".join(form for form, _ in one) for one in made_up(50, seed=3)]
    unigram, by_bytes = tiny_models.unigram_tokenizer(lines, 150), tiny_models.byte_tokenizer(lines, 300)
    for name, model, tokenizer in (
        ("base", tiny_models.t5(unigram), unigram),
        ("donor", tiny_models.t5(unigram, 1), unigram),
        ("xlmr", tiny_models.roberta(by_bytes), by_bytes),
        ("llama", tiny_models.llama(by_bytes), by_bytes),
    ):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    T5ForTokenClassification.from_pretrained(root / "base", num_labels=3).save_pretrained(root / "classifier")
    unigram.save_pretrained(root / "classifier")
    for name, seed in (("train", 1), ("test", 2)):
        (root / f"{name}.conllu").write_text(conllu(made_up(40, seed)))
    return root


def sentences(folders, name):
    return read_treebank([folders / f"{name}.conllu"], Counter())


@pytest.mark.parametrize("name", ["base", "classifier", "xlmr", "llama"])
def test_every_kind_of_encoder_learns_to_tag(folders, name):
    how = HOW.replace(epochs=40)
    held = load_tagger(str(folders / name), how, seed=0)
    loss, _ = tagger.fit(held, sentences(folders, "train"), how, seed=0, name=name)
    test = sentences(folders, "test")
    found = counts(test, predict(held, test, Counter(), batch_tokens=512)).sum(axis=0)
    assert loss < 0.5
    assert accuracy(found) > 0.9


def test_the_encoder_is_that_of_the_whole_model(folders):
    import torch
    from transformers import T5ForConditionalGeneration

    whole = T5ForConditionalGeneration.from_pretrained(folders / "base")
    ids = torch.tensor([[110, 115, 1]])
    expected = whole.encoder(ids).last_hidden_state
    for name in ("base", "classifier"):
        held = load_tagger(str(folders / name), HOW, seed=0)
        assert torch.allclose(held.encoder(input_ids=ids).last_hidden_state, expected)


def test_a_probe_leaves_the_encoder_as_it_is(folders):
    how = HOW.replace(frozen=True, epochs=1)
    held = load_tagger(str(folders / "base"), how, seed=0)
    before = {name: weights.clone() for name, weights in held.encoder.state_dict().items()}
    head = held.head.weight.detach().clone()
    tagger.fit(held, sentences(folders, "train"), how, seed=0, name="probe")
    assert all((weights == before[name]).all() for name, weights in held.encoder.state_dict().items())
    assert not (held.head.weight == head).all()


def test_tags_do_not_depend_on_the_batch(folders):
    held = load_tagger(str(folders / "xlmr"), HOW, seed=0)
    test = [*sentences(folders, "test"), sentence(["river"] * 60, ["NOUN"] * 60)]
    one, other = (predict(held, test, Counter(), batch_tokens=size) for size in (1, 4096))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert all((tags != NO_TAG).all() for tags in one)


def test_an_encoder_that_would_get_random_weights_is_refused(folders, tmp_path):
    import safetensors.torch as st

    weights = st.load_file(folders / "base" / "model.safetensors")
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_bytes((folders / "base" / file).read_bytes())
    kept = {name: value for name, value in weights.items() if "encoder.block.1" not in name}
    st.save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(LingraftError, match=r"are not those of a t5\nIt lacks \d+ of them, such as encoder.block.1"):
        load_tagger(str(tmp_path), HOW, seed=0)


def test_a_rate_that_is_too_high_is_named(folders):
    how = HOW.replace(learning_rate=1e30, head_learning_rate=1e30, clip=0)
    held = load_tagger(str(folders / "base"), how, seed=0)
    with pytest.raises(
        LingraftError, match=r"x: the loss is nan at step \d+\n.*\nSet tagger.learning_rate below 1e\+30"
    ):
        tagger.fit(held, sentences(folders, "train"), how, seed=0, name="x")


# the verb


def config(folders, **more):
    values = {
        "base": str(folders / "base"),
        "models": [{"name": "donor", "model": str(folders / "donor")}],
        "train": {"eng": folders / "train.conllu"},
        "test": {"eng": [folders / "test.conllu"], "xyz": [folders / "train.conllu"]},
        "tagger": HOW.replace(epochs=2).model_dump(),
        "resamples": 100,
    }
    return load(TagConfig, values | more)


def digests(folder):
    """Digests of what must come out the same: predictions and tables."""
    files = [*folder.glob("predictions/*"), *folder.glob("tables/*"), *folder.glob("units/*")]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def run(folders, tmp_path_factory):
    """A finished run of two models with two seeds each."""
    out = tmp_path_factory.mktemp("tag") / "out"
    tag(config(folders, seeds=[0, 1]), out, quiet=True)
    return out


def test_a_run_scores_models_and_baselines_on_all_treebanks(run):
    manifest = runs.read_manifest(run)
    systems = {(row["model"], row["test"]) for row in manifest["scores"]}
    assert systems == {(m, t) for m in ("base", "donor", "majority tag", "tag of the form") for t in ("eng", "xyz")}
    assert all(row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"] for row in manifest["scores"])
    best = {row["test"]: row["accuracy"] for row in manifest["scores"] if row["model"] == "tag of the form"}
    assert best == {"eng": 1.0, "xyz": 1.0}
    assert manifest["counters"]["train_sentences"] == 40
    assert manifest["counters"]["test_words"] == 320
    heat = runs.read_json(run / "tables" / "accuracy.json")
    assert (heat["kind"], heat["unit"], len(heat["rows"])) == ("heatmap", "Accuracy", 8)
    gain = runs.read_json(run / "tables" / "gain.json")
    assert (gain["diverging"], {row["row"] for row in gain["rows"]}) == (True, {"donor"})


def test_predictions_are_a_row_a_word_and_give_the_scores(run):
    table = pq.read_table(run / "predictions" / "base-0-eng.parquet").to_pylist()
    assert len(table) == 320
    assert table[0] | {"predicted": "X"} == {
        "test": "eng", "sentence": 0, "word": 0, "form": "the", "gold": "DET", "predicted": "X",
    }  # fmt: skip
    tables = [table, pq.read_table(run / "predictions" / "base-1-eng.parquet").to_pylist()]
    right = [row["gold"] == row["predicted"] for held in tables for row in held if row["test"] == "eng"]
    (shown,) = (
        row["accuracy"]
        for row in runs.read_manifest(run)["scores"]
        if (row["model"], row["train"], row["test"]) == ("base", "eng", "eng")
    )
    assert shown == pytest.approx(np.mean(right))


def test_a_run_that_is_interrupted_twice_ends_as_an_unbroken_one(folders, run, tmp_path, monkeypatch):
    fit, left = tagger.fit, []

    def interrupted(*args, **more):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return fit(*args, **more)

    monkeypatch.setattr(tagging.tagger, "fit", interrupted)
    for allowed in (1, 2):
        left[:] = [None] * allowed
        with pytest.raises(KeyboardInterrupt):
            tag(config(folders, seeds=[0, 1]), tmp_path / "out", quiet=True)
    left[:] = [None]  # one tagger is left to train, and no more
    tag(config(folders, seeds=[0, 1]), tmp_path / "out", quiet=True)
    assert digests(tmp_path / "out") == digests(run)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"base": None, "models": []}, "give the base"),
        ({"train": {}}, "nothing to learn from"),
        ({"test": {}}, "nothing to tag"),
        ({"train_on": "eng"}, "train_on and test_on are languages of ud"),
        ({"donors": "swh"}, "donors are those of a matrix"),
        ({"models": [{"name": "base", "model": "x"}]}, "two models are called 'base'"),
        ({"tagger": {"lenght": 5}}, "unknown key 'lenght'"),
    ],
)
def test_what_contradicts_itself_is_refused(folders, more, message):
    with pytest.raises(LingraftError, match=message):
        config(folders, **more)


def test_models_and_treebanks_are_looked_at_before_any_training(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(tagging.tagger, "load_tagger", lambda *args, **more: pytest.fail("trained"))
    with pytest.raises(LingraftError, match="no model folder /nowhere"):
        tag(config(folders, models=[{"name": "x", "model": "/nowhere"}]), tmp_path / "a", quiet=True)
    (tmp_path / "bad.conllu").write_text("1\ta\t_\tFOO\n\n")
    with pytest.raises(LingraftError, match="'FOO' is no UPOS tag"):
        tag(config(folders, test={"eng": tmp_path / "bad.conllu"}), tmp_path / "b", quiet=True)


def test_donors_of_a_matrix_are_taken_with_their_seed(folders, tmp_path):
    matrix = tmp_path / "matrix"
    shutil.copytree(folders / "donor", matrix / "donors" / "swh-3" / "model")
    held = {"donors": ["swh"], "seeds": [3], "model": str(folders / "base")}
    runs.write_json(matrix / "manifest.json", {"stage": "transfer matrix", "config": held})
    how = {"epochs": 1, "frozen": True}
    asked = config(folders, base=None, models=[], matrix=matrix, seeds=[3], tagger=how)
    manifest = tag(asked, tmp_path / "out", quiet=True)
    assert {row["model"] for row in manifest["scores"]} == {"base", "swh", "majority tag", "tag of the form"}
    assert {path.stem for path in (tmp_path / "out" / "predictions").iterdir()} == {"base-3-eng", "swh-3-eng"}
    with pytest.raises(LingraftError, match="has no model of swh with seed 0"):
        tag(asked.replace(seeds=[0]), tmp_path / "other", quiet=True)


def test_the_command_reads_a_recipe_and_a_folder_of_treebanks(lingraft, folders, ud, tmp_path):
    (tmp_path / "r.yaml").write_text(
        "tag:\n  tagger: {epochs: 1, length: 32}\n  resamples: 50\n  train_sentences: 20\n"
    )
    command = ["transfer", "tag", "--recipe", tmp_path / "r.yaml", "--base", folders / "base", "--ud", ud]
    command += ["--train-on", "eng", "--test-on", "eng,quc", "--frozen", "--out", tmp_path / "out"]
    plan = lingraft(*command, "--dry-run")
    assert plan.code == 0
    assert "frozen: true" in plan.out
    done = lingraft(*command, "--quiet")
    assert done.code == 0, done.err
    assert "majority tag" in done.out
    assert "base, trained on eng, is no better than without a model on eng, quc" in " ".join(done.out.split())
    assert runs.read_manifest(tmp_path / "out")["counters"]["train_sentences"] == 20
    assert "complete already" in lingraft(*command, "--quiet").out
