"""The table of features: one row a pair, null for what is not known, and what the reader is told."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest

from lingraft.errors import LingraftError
from lingraft.transfer.features import FeatureSettings, features, notes

LANGUAGES = """ID,Name,Macroarea,Latitude,Longitude,Glottocode,ISO639P3code,Family,Genus
eng,English,Eurasia,52,0,stan1293,eng,Indo-European,Germanic
ger,German,Eurasia,52,10,stan1295,deu,Indo-European,Germanic
gbl,German (Berlin),Eurasia,52.5,13.3,stan1295,deu,Indo-European,Germanic
hin,Hindi,Eurasia,25,77,hind1269,hin,Indo-European,Indic
qch,Quiché,North America,15,-91,kich1262,quc,Mayan,Mayan
"""


class Texts:
    """Corpora of made-up words: a language draws from the first `words` of one vocabulary."""

    def __init__(self, **languages):
        self.languages = {name: SimpleNamespace(script=script) for name, (script, _, _) in languages.items()}
        self.sizes = {name: sizes for name, (_, *sizes) in languages.items()}
        self.read = Counter()

    def lines(self, language, split):
        words, number = self.sizes[language]
        self.read[language, split] += 1
        draw = random.Random(f"{language} {split}")
        for line in range(number if split == "train" else number // 10):
            text = " ".join(f"w{draw.randrange(words)}" for _ in range(10))
            yield SimpleNamespace(key=f"{split}/{line}", text=text)


def typology(folder, languages=LANGUAGES, unshared=()):
    """Write a data set of 12 features in two fields of grammar, all of them the same but 1A."""
    folder.mkdir()
    names = [f"{number}A" for number in range(1, 12)] + ["81A"]
    ids = [line.partition(",")[0] for line in languages.splitlines()[1:]]
    (folder / "languages.csv").write_text(languages, encoding="utf-8")
    (folder / "parameters.csv").write_text("ID,Chapter_ID\n" + "".join(f"{name},{name[:-1]}\n" for name in names))
    (folder / "codes.csv").write_text("ID,Parameter_ID\n" + "".join(f"{n}-0,{n}\n{n}-1,{n}\n" for n in names))
    rows = [
        f"{language},{name},{name}-{int(name == '1A' and language == 'eng')}\n"
        for language in ids
        for name in names
        if language != "gbl" and not (language == "qch" and name in unshared)
    ]
    (folder / "values.csv").write_text("Language_ID,Parameter_ID,Code_ID\n" + "".join(rows))
    (folder / "chapters.csv").write_text(
        "ID,Area_ID\n" + "".join(f"{n[:-1]},{1 if i < 8 else 2}\n" for i, n in enumerate(names))
    )
    (folder / "areas.csv").write_text("ID,Name\n1,Phonology\n2,Word Order\n")
    return folder


def rows(table):
    return {(row["donor"], row["recipient"]): row for row in table.to_pylist()}


def test_pairs_without_texts_have_typology_only(tmp_path):
    wals = typology(tmp_path / "wals", unshared=["2A", "3A", "4A", "5A"])
    table = features(None, ["eng", "deu"], ["hin", "quc"], typology=[wals])
    assert table.column_names[:6] == ["donor", "recipient", "same_family", "same_genus", "same_area", "distance_km"]
    assert not any(name.startswith(("overlap", "donor_")) for name in table.column_names)
    found = rows(table)
    assert list(found) == [("eng", "hin"), ("eng", "quc"), ("deu", "hin"), ("deu", "quc")]
    pair = found["eng", "hin"]
    assert (pair["same_family"], pair["same_genus"], pair["same_area"]) == (True, False, True)
    assert (pair["wals_similarity"], pair["wals_shared"]) == (pytest.approx(11 / 12), 12)
    assert pair["wals_phonology_similarity"] == pytest.approx(7 / 8)
    assert pair["distance_km"] == pytest.approx(6973, abs=1)
    few = found["eng", "quc"]  # 8 features are known of both, of which 4 of phonology
    assert (few["wals_similarity"], few["wals_shared"], few["wals_phonology_similarity"]) == (None, 8, None)
    assert "deu stands in wals with 2 entries: taken is ger (German), with 12 values" in notes(table)
    fewer = features(None, ["eng"], ["quc"], typology=[wals], settings=FeatureSettings(min_shared=8))
    assert fewer["wals_similarity"].to_pylist() == [pytest.approx(7 / 8)]


def test_a_language_that_no_data_set_knows_is_null_and_named(tmp_path):
    drops = Counter()
    table = features(None, ["eng", "eno"], ["hin"], typology=[typology(tmp_path / "wals")], drops=drops)
    unknown = rows(table)["eno", "hin"]
    assert {unknown[name] for name in table.column_names[2:]} == {None}
    assert notes(table) == ["wals has no language 'eno': did you mean 'eng'?"]
    assert drops["wals_unknown"] == 1


def test_a_data_set_that_knows_none_of_the_languages_is_a_mistake(tmp_path):
    with pytest.raises(LingraftError, match="wals has no language 'xqz'"):
        features(None, ["xqz"], ["xqy"], typology=[typology(tmp_path / "wals")])


def test_a_second_data_set_fills_gaps_of_the_first(tmp_path):
    first = typology(tmp_path / "wals", "\n".join(LANGUAGES.splitlines()[:3]) + "\n")
    second = typology(tmp_path / "other", LANGUAGES.replace("Mayan,Mayan", "Mayan,"))
    (second / "parameters.csv").write_text((second / "parameters.csv").read_text() + "99A,9\n")
    (second / "parameters.csv").write_text((second / "parameters.csv").read_text().replace("81A", "80A"))
    table = features(None, ["eng"], ["deu", "quc"], typology=[first, second])
    assert table["same_family"].to_pylist() == [True, False]
    assert table["same_genus"].to_pylist() == [True, None]
    assert table["wals_similarity"].to_pylist() == [pytest.approx(11 / 12), None]
    assert table["other_similarity"].to_pylist() == [pytest.approx(10 / 11), pytest.approx(10 / 11)]


@pytest.fixture
def texts():
    return Texts(
        eng=("Latn", 400, 500), deu=("Latn", 200, 200), hin=("Deva", 300, 300), quc=("Latn", 900, 400), few=("", 50, 3)
    )


def test_texts_give_overlap_and_sizes(texts):
    table = features(texts, ["eng", "deu"], ["hin", "quc"], quiet=True)
    pair = rows(table)["deu", "quc"]
    assert pair["overlap_word_recall"] == pytest.approx(200 / 900, abs=0.01)
    assert pair["overlap_word_coverage"] == pytest.approx(200 / 900, abs=0.02)
    assert (pair["donor_lines"], pair["donor_tokens"], pair["recipient_lines"]) == (200, 2000, 480)
    assert pair["donor_bytes"] > 2000
    assert pair["same_script"] is True
    assert rows(table)["deu", "hin"]["same_script"] is False
    assert (pair["ttr_distance"]) == pytest.approx((1 - pair["donor_ttr"] / pair["recipient_ttr"]) ** 2)
    assert notes(table) == ["overlap_word: donors cut to 2,000 units", "overlap_word: recipients cut to 3,600 units"]


def test_recipients_are_all_their_text_unless_told_otherwise(texts):
    whole = features(texts, ["eng"], ["quc"], quiet=True)
    assert set(texts.read) == {("eng", "train"), *(("quc", split) for split in ("train", "validation", "test"))}
    train = features(texts, ["eng"], ["quc"], settings=FeatureSettings(recipient_splits=["train"]), quiet=True)
    assert (whole["recipient_lines"][0].as_py(), train["recipient_lines"][0].as_py()) == (480, 400)


def test_a_text_that_is_missing_or_short_gives_nulls(texts):
    drops = Counter()
    table = features(texts, ["eng", "few", "nob"], ["quc", "few"], drops=drops, quiet=True)
    found = rows(table)
    assert found["few", "quc"]["overlap_word_recall"] is not None
    assert found["few", "quc"]["overlap_word_recall_matched"] is None
    assert found["eng", "quc"]["overlap_word_recall_matched"] is not None
    gone = found["nob", "quc"]
    assert {gone[name] for name in ("overlap_word_recall", "donor_tokens", "donor_lines", "same_script")} == {None}
    assert drops == {"donor_without_text": 1, "donor_too_short": 1, "recipient_too_short": 1}
    assert "overlap_word: donors cut to 5,000 units; too short: few" in notes(table)


def test_a_tokenizer_adds_its_tokens(texts):
    class Letters:
        def __call__(self, batch, add_special_tokens):
            assert not add_special_tokens
            return {"input_ids": [[ord(letter) for letter in text] for text in batch]}

    settings = FeatureSettings(words=False, matched_size=1500)
    table = features(texts, ["eng"], ["quc"], tokenizer=Letters(), settings=settings, quiet=True)
    assert "overlap_recall_matched" in table.column_names
    assert "overlap_word_recall" not in table.column_names
    assert table["overlap_recall"].to_pylist() == [1.0]
    assert table["donor_tokens"].to_pylist() == table["donor_bytes"].to_pylist()
    assert notes(table) == ["overlap: donors cut to 1,500 units", "overlap: recipients cut to 1,500 units"]


def test_the_same_input_gives_the_same_table(texts):
    once, again = (features(texts, ["eng", "deu"], ["quc"], quiet=True) for _ in range(2))
    assert once.equals(again, check_metadata=True)
