"""All of the transfer data: 24 Bibles, 11 languages of NLLB-Seed with English, 35 treebanks; split without a leak."""

import json
from collections import Counter

import pytest

from lingraft.transfer.corpora import Corpora, CorporaConfig, corpora, leaks, resolved
from lingraft.transfer.sources import read

VERSES = {
    "hye": 6524, "eus": 7952, "cak": 7852, "cop": 7957, "dik": 7942, "ekk": 9490, "ewe": 7943, "gla": 678, "jac": 7849,
    "quc": 7510, "kab": 7935, "lvs": 7949, "mam": 7791, "glv": 3994, "nhg": 7822, "que": 7937, "rmn": 7931, "swh": 7853,
    "shi": 7932, "ukr": 7955, "usp": 7890, "wal": 7770, "wol": 7920, "zul": 7975,
}  # fmt: skip
SEED = {
    "eng": 6193, "bam": 6191, "bho": 6193, "crh": 6189, "fuv": 6193, "gug": 6192, "hne": 6193, "lij": 6179, "mag": 6193,
    "mri": 6191, "srd": 6177, "vec": 6180,
}  # fmt: skip
SOME = ["arb", "bam", "cop", "eng", "mri", "pcm", "quc", "swh", "tur", "yor"]


@pytest.fixture(scope="module")
def folders(shared_data):
    folder = shared_data / "transfer"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/transfer")
    return {"bible": folder / "bible", "seed": folder / "nllb_seed", "ud": folder / "ud"}


@pytest.fixture(scope="module")
def made(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "corpora"
    corpora(CorporaConfig(**folders, only=SOME), out, workers=1, quiet=True)
    return Corpora(out)


def test_all_sources_are_read(folders):
    num_lines: dict[str, Counter[str]] = {"bible": Counter(), "parallel": Counter(), "ud": Counter()}
    drops: Counter[str] = Counter()
    pivot_keys: set[str] = set()
    foreign_keys = 0
    languages = resolved(CorporaConfig(**folders))
    for language in sorted(languages, key=lambda item: item.lang != "eng"):  # English first: its keys are the pivot's
        for source in language.sources:
            lines = list(read(source, drops))
            num_lines[source.kind][language.lang] += len(lines)
            if source.kind == "parallel":
                pivot_keys = pivot_keys or {line.key for line in lines}
                foreign_keys += len({line.key for line in lines} - pivot_keys)
    assert len(languages) == 60
    assert num_lines["bible"] == VERSES
    assert num_lines["parallel"] == SEED
    assert (len(num_lines["ud"]), num_lines["ud"].total()) == (31, 52353 - 622)
    assert num_lines["ud"]["vie"] == 3323, "two of its files write `# text =` without a space"
    assert foreign_keys == 0, "editions of the English differ in order, and one reads dabame for damage"
    assert drops == {"bible_text_without_verses": 622, "identical_sides": 53, "repaired_csv_quotes": 1316}


def test_no_key_leaks_and_texts_hardly(made):
    found = leaks(made.folder)
    assert found.keys == []
    assert [(leak.what, leak.train, leak.other) for leak in found.texts] in ([], [("Thank you.", "eng", "pcm")])
    shared = json.loads((made.folder / "tables" / "identical_lines.json").read_text())["rows"]
    assert max(row["share"] for row in shared) < 0.005


def test_lines_read_as_the_pages_do(made):
    lines = {
        code: {line.key: line.text for split in ("train", "validation", "test") for line in made.lines(code, split)}
        for code in SOME
    }
    assert lines["quc"]["bible/b.MAT.1.4"].startswith("ri Aram xralkʼuwaʼlaj ri Aminadabʼ, ri Aminadabʼ")
    assert lines["swh"]["bible/b.MAT.1.4"].startswith("Rami alimzaa Aminadabu, Aminadabu alimzaa Nashoni")
    naija = "Ehm di time wey I dey with my moder, my fader for village, after I con grow (I con dey like eight years)"
    assert lines["pcm"]["ud/pcm_nsc/ABJ_GWA_08_David-Lifestory_MG__1"].startswith(naija), "no marks of pauses"
    assert sum('""' in text for text in lines["mri"].values()) == 4, "104 of a table's doubled quotes, but for slips"
    assert "bible/b.MAT.5.7" in lines["yor"], "its ids are verses"
    assert len(lines["arb"].keys() & lines["tur"].keys()) == 1000, "PUD is parallel"
    assert {code: made.languages[code].script for code in ("arb", "cop", "quc")} == {
        "arb": "Arab",
        "cop": "Copt",
        "quc": "Latn",
    }
