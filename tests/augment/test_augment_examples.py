import pytest
from augment_helpers import TEXTS, article, save_model, write_corpus

from lingraft.augment import EncodeConfig, Insertion, encode, preview

NAMES = [(1, "en", "Athens"), (2, "en", "Greece")]


@pytest.mark.parametrize("kind", ["bytes", "prepend-bpe", "metaspace-unigram"])
def test_a_preview_reads_as_the_text_with_its_names(tmp_path, kind):
    plain = article("x Rome is old.")
    greek = article(TEXTS[0], ("Αθήνα", 1), ("Ελλάδας", 2), ("Αθήνα", 1))
    corpus = write_corpus(tmp_path / "corpus", [[plain, greek]], NAMES)
    model = save_model(tmp_path / "model", kind)
    encode(EncodeConfig(corpus=corpus, model=str(model)), tmp_path / "out", workers=1)
    first, second = preview(tmp_path / "out", 2, Insertion(probability=1))
    assert first["title"] == "article 2"  # the one with names comes first
    assert {segment["kind"] for segment in second["segments"]} == {"text"}
    kinds = [(segment["kind"], segment["text"].strip()) for segment in first["segments"]]
    start = kinds.index(("tag", "<translate>"))
    assert kinds[start - 1 : start + 3] == [
        ("mention", "Αθήνα"),
        ("tag", "<translate>"),
        ("name", "Athens"),
        ("tag", "</translate>"),
    ]
    text = "".join(segment["text"] for segment in first["segments"] if segment["kind"] in ("text", "mention"))
    assert text.strip() == TEXTS[0]


def test_a_preview_is_cut_short(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", [[article("Rome is old. " * 100)]], [(1, "en", "A")])
    model = save_model(tmp_path / "model")
    encode(EncodeConfig(corpus=corpus, model=str(model)), tmp_path / "out", workers=1)
    (row,) = preview(tmp_path / "out", 3, Insertion(), max_characters=60)
    assert sum(len(segment["text"]) for segment in row["segments"]) == 62
    assert row["segments"][-1]["text"].endswith(" …")
