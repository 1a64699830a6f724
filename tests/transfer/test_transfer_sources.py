"""Each kind of source gives lines with keys; the same content has the same key, and what is broken is named."""

import lzma
from collections import Counter

import pytest
from corpora_helpers import bible, conllu, small_folders, verses, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.transfer import conllu as format_conllu
from lingraft.transfer.cleaning import Cleaning, clean, identifier, normalised, script
from lingraft.transfer.exmaralda import utterances
from lingraft.transfer.folders import gather, licence_of
from lingraft.transfer.sources import Line, Source, read, text_key, treebank_key


def lines_of(drops=None, **source):
    return list(read(Source(**source), Counter() if drops is None else drops))


def test_verses_with_the_text_on_the_line_of_the_tag_or_below_it(tmp_path):
    two = {"b.MAT.1.1": "in the beginning &amp; after", "b.3JO.1.15": ""}
    for indented in (True, False):
        path = write(tmp_path / f"x{indented}.xml.xz", bible("Mam", "mam", two, indented=indented))
        found = lines_of(kind="bible", path=[path])
        assert [line.key for line in found] == ["bible/b.MAT.1.1", "bible/b.3JO.1.15"]
        assert found[0].text.strip() == "in the beginning & after"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "<cesDoc>\n<seg id='b.MAT.1.1'>text</sag></cesDoc>",
            ["line 2, column", "not well-formed XML (mismatched tag)"],
        ),
        ("<cesDoc><seg id='b.MAT.1.1'>text", ["not well-formed XML", "no element found"]),
        ("<cesDoc><p>no verse</p></cesDoc>", ["holds no verses", "kind: text"]),
    ],
)
def test_broken_bible(tmp_path, content, words):
    path = write(tmp_path / "broken.xml", content)
    with pytest.raises(LingraftError) as error:
        lines_of(kind="bible", path=[path])
    assert all(word in str(error.value) for word in ["broken.xml", *words])


def test_a_bible_that_is_cut_off_is_damaged(tmp_path):
    path = tmp_path / "cut.xml.xz"
    path.write_bytes(lzma.compress(bible("Mam", "mam", verses("mam", 500)).encode())[:-200])
    with pytest.raises(LingraftError, match=r"cut.xml.xz is damaged \(truncated\) at byte"):
        lines_of(kind="bible", path=[path])


TREEBANK = """# sent_id = one
# text = Al agua.
1-2\tAl\t_\t_\t_\t_\t_\t_\t_\t_
1\ta\ta\tADP\t_\t_\t_\t_\t_\t_
2\tel\tel\tDET\t_\t_\t_\t_\t_\t_
3\tagua\tagua\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No
4\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

# sent_id = two
1-2\tAl\t_\t_\t_\t_\t_\t_\t_\t_
1\ta\ta\tADP\t_\t_\t_\t_\t_\t_
2\tel\tel\tDET\t_\t_\t_\t_\t_\t_
2.1\thidden\t_\t_\t_\t_\t_\t_\t_\t_
3\tagua\tagua\tNOUN\t_\t_\t_\t_\t_\tSpaceAfter=No|Gloss=water
4\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

1\tsin\t_
2\tmás\t_

# sent_id = spoken
# text = di { di || di } end //
# text_ortho = Di end.
1\tdi\t_\t_\t_\t_\t_\t_\t_\t_
# newpar between rows is a comment too
# a comment without a value

# only a comment
"""


def test_conllu_with_ranges_empty_nodes_missing_columns_and_no_text(tmp_path):
    path = write(tmp_path / "es_x-ud-test.conllu", TREEBANK)
    found = list(format_conllu.sentences(path))
    assert [sentence.written() for sentence in found] == ["Al agua.", "Al agua.", "sin más", "Di end."]
    assert [sentence.line for sentence in found] == [1, 9, 17, 20]
    assert [[row[1] for row in sentence.words] for sentence in found[:3]] == [["a", "el", "agua", "."]] * 2 + [
        ["sin", "más"]
    ]
    keys = [line.key for line in lines_of(kind="ud", path=[path])]
    assert keys[:2] == ["ud/es_x/one", "ud/es_x/two"]
    assert keys[2].startswith("ud/es_x/") and len(keys[2]) == 24, "a hash of the text where there is no id"


WORDS = st.lists(st.tuples(st.text("abcñ字-.", min_size=1), st.booleans()), min_size=1, max_size=8)


@given(WORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_is_rebuilt_from_forms_and_their_spaces(tmp_path, words):
    rows = [
        f"{place}\t{form}" + "\t_" * 7 + ("\t_" if space else "\tSpaceAfter=No")
        for place, (form, space) in enumerate(words, start=1)
    ]
    path = write(tmp_path / "made.conllu", "\n".join([*rows, "", ""]))
    text = "".join(form + " " * space for form, space in words).strip()
    assert [sentence.written() for sentence in format_conllu.sentences(path)] == [text]


@pytest.mark.parametrize("row", ["no tab at all", "x\tform\t_", "\tform"])
def test_a_row_that_is_none_is_named(tmp_path, row):
    path = write(tmp_path / "bad.conllu", f"# sent_id = 1\n1\ta\n{row}\n")
    with pytest.raises(LingraftError, match=r"bad.conllu, line 3: no row of CoNLL-U"):
        lines_of(kind="ud", path=[path])


def test_a_treebank_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin.conllu"
    path.write_bytes("1\tcafé\n".encode("latin-1"))
    with pytest.raises(LingraftError, match=r"latin.conllu, line 1, byte 6 of it: not UTF-8"):
        lines_of(kind="ud", path=[path])


@pytest.mark.parametrize(
    ("treebank", "sentence", "parallel", "key"),
    [
        ("tr_pud", "n01", "", "ud-pud/n01"),
        ("ja_gsd", "test-s1", "jagsd/test1", "ud-jagsd/test1"),
        ("ja_gsd", "test-s1", "pud/n01/part2", "ud-pud/n01"),
        ("de_gsd", "test-s1", "", "ud/de_gsd/test-s1"),  # the same id as in Japanese, and another sentence
        ("yo_ytb", "MATT_5.7", "", "bible/b.MAT.5.7"),
        ("yo_ytb", "wiki0101", "", "ud/yo_ytb/wiki0101"),
        ("cop_scriptorium", "sahidica_mark-Mark_01_s0001", "", None),
        ("cop_scriptorium", "besa_letters-s0001", "", "ud/cop_scriptorium/besa_letters-s0001"),
    ],
)
def test_sentence_ids_are_parallel_only_where_they_are_made_so(treebank, sentence, parallel, key):
    assert treebank_key(treebank, sentence, parallel) == key


def test_bible_text_of_a_treebank_is_left_out_and_counted(tmp_path):
    path = write(tmp_path / "cop_scriptorium-ud-dev.conllu", conllu([("sahidica_mark_1", "a b"), ("life_1", "c d")]))
    drops = Counter()
    assert [line.text for line in lines_of(drops, kind="ud", path=[path])] == ["c d"]
    assert drops == {"bible_text_without_verses": 1}


def parallel(folder, english, other, reference=None):
    pivot = write(folder / "eng", "\n".join(english) + "\n")
    path = write(folder / "swh", "\n".join(other) + "\n")
    return Source(kind="parallel", path=[path], pivot=pivot, reference=reference, name="seed")


def test_the_key_of_a_translation_is_its_pivot_sentence(tmp_path):
    one = parallel(tmp_path / "a", ["Good day!", "Water is wet."], ["Siku njema!", "Maji yana maji."])
    two = parallel(tmp_path / "b", ["Water  is wet", '"Good day!"'], ["Agua", "Buenos"])
    keys = [{line.text: line.key for line in read(source, Counter())} for source in (one, two)]
    assert keys[0]["Siku njema!"] == keys[1]["Buenos"]
    assert keys[0]["Maji yana maji."] == keys[1]["Agua"]
    english = lines_of(kind="parallel", path=[one.pivot], pivot=one.pivot, name="seed")
    assert [line.key for line in english] == list(keys[0].values())


def test_another_edition_of_the_pivot_takes_its_keys(tmp_path):
    """NLLB-Seed's English for Bambara reads "lasting nerve dabame": a search and replace went through it."""
    reference = write(tmp_path / "eng", "It gave her lasting nerve damage.\nThe sea is deep.\nAll else.\n")
    source = parallel(
        tmp_path / "bam",
        ["The sea is deep.", "It gave her lasting nerve dabame.", "New here!"],
        ["a", "b", "c"],
        reference,
    )
    damage, sea, other = (
        line.key for line in lines_of(kind="parallel", path=[reference], pivot=reference, name="seed")
    )
    found = {line.text: line.key for line in read(source, Counter())}
    assert (found["a"], found["b"]) == (sea, damage)
    assert found["c"] not in (damage, sea, other)


def test_files_of_unlike_length_do_not_translate_each_other(tmp_path):
    source = parallel(tmp_path, ["a", "b"], ["x"])
    with pytest.raises(LingraftError, match=r"swh ends after line 1, .*eng goes on"):
        list(read(source, Counter()))


def test_doubled_quotes_of_a_table_are_undone(tmp_path):
    source = parallel(
        tmp_path,
        ["one", "two", "three", "four"],
        ['"He said ""hakari"" here."', 'Ko te kupu ""hakari"" tēnei."', '"Nothing to undo."', '"It is over."""'],
    )
    drops = Counter()
    assert [line.text for line in read(source, drops)] == [
        'He said "hakari" here.',
        'Ko te kupu "hakari" tēnei.',
        '"Nothing to undo."',
        'It is over."',
    ]
    assert drops["repaired_csv_quotes"] == 3


def test_plain_files_and_rows_are_cut_into_lines(tmp_path):
    text = write(tmp_path / "a.txt.gz", "one line\n\n  another\n")
    rows = write(tmp_path / "b.jsonl", '{"body": "one line\\nthird"}\n')
    assert [line.text for line in lines_of(kind="text", path=[text])] == ["one line", "another"]
    found = lines_of(kind="jsonl", path=[rows], field="body")
    assert found == [Line(text_key("one line"), "one line"), Line(text_key("third"), "third")]
    with pytest.raises(LingraftError, match="no field 'text'"):
        lines_of(kind="jsonl", path=[rows])


def test_a_data_set_of_the_hub(monkeypatch):
    from lingraft.corpus import texts

    asked = []
    rows = [texts.Document("row 1", "one line\nanother"), texts.Document("row 2", "third")]
    monkeypatch.setattr(texts, "_of_hub", lambda source: asked.append((source.dataset, source.subset)) or iter(rows))
    found = lines_of(kind="hub", dataset="wikimedia/wikipedia", subset="20231101.sw")
    assert [line.text for line in found] == ["one line", "another", "third"]
    assert asked == [("wikimedia/wikipedia", "20231101.sw")]


@given(st.text(min_size=1))
def test_the_key_of_a_text_heeds_neither_case_nor_punctuation(text):
    assert text_key(f"{text}!a") == text_key(f" {text} “A”")


def test_texts_that_differ_in_their_vowel_signs_have_two_keys():
    assert text_key("कि") != text_key("की")


EXB = """<?xml version="1.0"?><basic-transcription><basic-body><common-timeline>
{points}</common-timeline>
<tier id="T1" category="v" type="t" speaker="A">
<event start="T0" end="T1">Kala </event><event start="T1" end="T2">mala. </event>
<event start="T2" end="T3">Second one</event></tier>
<tier id="T2" category="v" type="t" speaker="B"><event start="T1" end="T2">Between?</event></tier>
<tier id="T3" category="en" type="a" speaker="A"><event start="T0" end="T3">not this</event></tier>
</basic-body></basic-transcription>""".format(points="".join(f'<tli id="T{place}"/>' for place in range(4)))


def test_utterances_of_exmaralda(tmp_path):
    path = write(tmp_path / "a.exb", EXB)
    assert [text.strip() for text in utterances(path)] == ["Kala mala.", "Between?", "Second one"]
    assert [line.text for line in lines_of(kind="exb", path=[tmp_path], tier="en/a")] == ["not this"]
    with pytest.raises(LingraftError, match=r"no tier fr/a\nIts tiers \(category/type\): en/a, v/t"):
        lines_of(kind="exb", path=[path], tier="fr/a")


def test_a_source_says_what_its_kind_needs(tmp_path):
    for wrong in ({"kind": "hub", "path": ["x"]}, {"kind": "text"}, {"kind": "text", "path": ["x"], "pivot": "y"}):
        with pytest.raises(ValueError, match="needs"):
            Source(**wrong)
    with pytest.raises(LingraftError, match="no source of text at"):
        lines_of(kind="ud", path=[tmp_path / "nowhere"])


# --- whole folders


def test_folders_become_sources_by_language(tmp_path):
    found = gather(small_folders(tmp_path, 3), [], [])
    kinds = {code: [source.title for source in sources] for code, sources in found.items()}
    assert kinds == {
        "swh": ["bible Swahili-NT.xml.xz"],  # its header says Swati
        "quc": ["bible K'iche'-NT.xml", "ud quc_iu"],
        "mam": ["bible Mam-NT.xml.gz"],
        "eng": ["seed"],
        "bam": ["seed"],
        "gug": ["seed"],
        "tur": ["ud tr_pud"],
        "tha": ["ud th_pud"],
        "glv": ["ud gv_cadhan"],
    }
    assert found["tha"][0].licence == "CC BY-SA 3.0" and found["mam"][0].licence == "CC0 1.0"


def test_metadata_knows_more_than_headers(tmp_path):
    folders = small_folders(tmp_path, 3)
    write(folders["bible"] / "metadata.csv", "Filename,ISO_639-3\nMam-NT.xml,kek\n")
    assert "kek" in gather(folders, [], []) and "mam" not in gather(folders, [], [])


def test_what_cannot_be_told_is_said_at_once_with_the_cure(tmp_path):
    folders = small_folders(tmp_path, 3)
    write(folders["bible"] / "Mam-2.xml", bible("Mam", "mam", verses("mam", 3)))
    write(folders["bible"] / "Klingon.xml", bible("Klingonese", "xxq", verses("x", 3)))
    write(folders["ud"] / "UD_Hindi_English-HIENCS" / "qhe_hiencs-ud-dev.conllu", conllu([("1", "a b")]))
    with pytest.raises(LingraftError) as error:
        gather(folders, [], [])
    assert error.value.what.startswith("3 of the sources cannot be taken as they are")
    for said in (
        "Mam-NT.xml.gz and Mam-2.xml are both Mam",
        "Klingon.xml: no language 'xxq'",
        "UD_Hindi_English-HIENCS: no",
    ):
        assert said in error.value.what
    assert "skip: [NAME]" in error.value.cure
    skipped = gather(folders, ["Mam-2", "Klingon.xml", "UD_Hindi_English-HIENCS"], [])
    assert "mam" in skipped
    assert set(gather(folders, [], ["swh", "tur"])) == {"swh", "tur"}, "who names the wanted need not name the others"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("under the Creative Commons License Attribution-ShareAlike 4.0 International.", "CC BY-SA 4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/legalcode", "CC BY-NC-SA 3.0"),
        ("#License\nlicensed under a Creative Commons Attribution 4.0 international", "CC BY 4.0"),
        ("CC0 1.0 Universal", "CC0 1.0"),
        ("GNU General Public License\nVersion 3", "GPL"),
        ("\nAsk the authors.\n", "Ask the authors."),
    ],
)
def test_licences_in_short(tmp_path, text, licence):
    write(tmp_path / "LICENSE.txt", text)
    assert licence_of(tmp_path) == licence


# --- cleaning


def cleaned(texts, **settings):
    drops = Counter()
    kept = clean(
        [Line(f"k{place}", text) for place, text in enumerate(texts)], Cleaning(**settings), "eng", drops=drops
    )
    return [line.text for line in kept], drops


def test_lines_are_normalised_and_what_goes_is_counted():
    kept, drops = cleaned(
        [
            "cafe\u0301  au\u00a0lait\ufeff",
            "ab",
            "x" * 60,
            "",
            " \t",
            "twice",
            "twice",
            "soft\u00adhyphen",
            "می\u200cخواهم",
        ],
        max_characters=50,
    )
    assert kept == ["café au lait", "twice", "softhyphen", "می\u200cخواهم"]
    assert drops == {"too_short": 1, "too_long": 1, "empty": 2, "repeated_text": 1}


def test_a_key_that_comes_twice_is_left_out():
    drops = Counter()
    found = clean([Line("k", "first text"), Line("k", "second text")], Cleaning(), "eng", drops=drops)
    assert [line.text for line in found] == ["first text"] and drops == {"repeated_key": 1}
    both = clean([Line("k", "same text")] * 2, Cleaning(duplicates=True), "eng", drops=drops)
    assert len(both) == 2


def test_the_most_lines_are_chosen_by_hash_whatever_else_is_there():
    texts = [f"line number {place}" for place in range(100)]
    few, drops = cleaned(texts, max_lines=10)
    assert len(few) == 10 and drops["beyond_max_lines"] == 90
    assert few != texts[:10] and few == [text for text in texts if text in few], "not the first, in their order"
    reverse = [Line(f"k{place}", text) for place, text in reversed(list(enumerate(texts)))]
    again = clean(reverse, Cleaning(max_lines=10), "eng", drops=Counter())
    assert sorted(line.text for line in again) == sorted(few)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello 12", "Latn"),
        ("Привіт, OK", "Cyrl"),
        ("ⲣⲙⲏ", "Copt"),
        ("நன்றி", "Taml"),
        ("これは漢字です", "Jpan"),
        ("漢字", "Hani"),
        ("안녕", "Hang"),
        ("ሰላም", "Ethi"),
        ("ⴰⵣⵓⵍ", "Tfng"),
        ("ኣ a b c", "Latn"),
        ("ᏣᎳᎩ", "Cher"),
        ("123 !", "Zyyy"),
    ],
)
def test_script(text, code):
    assert script([text]) == code


def test_lines_in_another_script_are_left_out():
    kept, drops = cleaned(
        ["some latin words", "more latin words", "кириллица", "half пополам латин", "1234"], script_share=0.5
    )
    assert kept == ["some latin words", "more latin words", "1234"]
    assert drops == {"other_script": 2}


def test_language_identification_is_a_hook(tmp_path, monkeypatch):
    class Model:
        def predict(self, text):
            return ("__label__swh_Latn",) if "jambo" in text else ("__label__eng_Latn",), [
                0.9 if "sure" in text else 0.4
            ]

    class FastText:
        load_model = staticmethod(lambda path: Model())

    path = write(tmp_path / "lid.bin", "model")
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "fasttext", FastText)
        identifier.cache_clear()
        kept, drops = cleaned(["sure of it", "jambo sure", "perhaps not"], identifier=path)
    assert kept == ["sure of it"] and drops == {"other_language": 2}
    identifier.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "fasttext", None)
    with pytest.raises(LingraftError, match="fasttext is not installed"):
        cleaned(["a line"], identifier=path)


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    assert normalised(normalised(text)) == normalised(text)
