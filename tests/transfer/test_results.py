"""Reading a matrix: every table that people have, and one clear error for what cannot be meant."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft import runs
from lingraft.config import Config
from lingraft.errors import LingraftError
from lingraft.transfer.results import BITS, LOG_PERPLEXITY, STAGE, read_results

TABLE = """donor,recipient,zero-shot,after
deu,quc,20,10
deu,swh,30,60
swh,quc,20,40
"""


@pytest.fixture
def read(tmp_path):
    def write(text, name="published.csv"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_results(file)

    return write


def test_a_gain_is_the_log_of_the_perplexity_that_is_saved(read):
    results = read(TABLE)
    assert (results.donors, results.recipients, results.seeds) == (("deu", "swh"), ("quc", "swh"), (0,))
    assert results.unit == LOG_PERPLEXITY
    expected = np.array([[math.log(2), -math.log(2)], [-math.log(2), math.nan]])
    np.testing.assert_allclose(results.gain[:, :, 0], expected)


HEADER = TABLE.partition("\n")[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TABLE.replace(",", ";"), id="semicolons"),
        pytest.param(TABLE.replace(",", "\t"), id="tabs"),
        pytest.param("\ufeff" + TABLE, id="byte order mark"),
        pytest.param(TABLE.replace("\n", "\r\n"), id="windows"),
        pytest.param(TABLE.replace("\n", "\n\n") + " , , , \n", id="blank lines"),
        pytest.param(TABLE.replace(HEADER, "Source language,Target_Language,Zero Shot PPL,fine-tuned"), id="names"),
        pytest.param(TABLE.replace(HEADER, "train,test,base,trained"), id="other names"),
        pytest.param(TABLE.replace(",20,", ', "20" ,').replace("deu", " deu "), id="blanks and quotes"),
        pytest.param(TABLE.replace(",", ";").replace("20", "20,0").replace("10", "1e1"), id="decimal commas"),
        pytest.param(HEADER + ",note\n" + TABLE.removeprefix(HEADER + "\n").replace("0\n", '0,"a, b"\n'), id="a note"),
    ],
)
def test_the_same_table_in_other_clothes(read, text):
    np.testing.assert_allclose(read(text).gain, read(TABLE, "plain.csv").gain)


def test_our_own_table_as_text_is_read_by_its_perplexities_and_not_by_its_bits(read):
    header = "donor,recipient,seed,before,after,perplexity_before,perplexity_after\n"
    assert read(header + "deu,quc,1,3.0,2.0,20,10\n").gain.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("nothing", ["", "NaN", "NA", "n/a", "-", "None", "inf"])
def test_a_gap_is_no_measurement(read, nothing):
    results = read(TABLE + f"swh,deu,20,{nothing}\n")
    assert np.isnan(results.gain[1, 2, 0])
    assert results.drops == {"missing": 3, "own_language": 0}  # of two donors and three recipients


def test_a_donor_on_itself_is_left_out_and_counted(read):
    results = read(TABLE + "swh,swh,30,5\n")
    assert np.isnan(results.gain[1, 1, 0])
    assert results.drops == {"missing": 0, "own_language": 1}


def test_seeds_may_differ_between_donors(read):
    results = read("donor,recipient,zero-shot,after,seed\na,x,8,4,1\na,x,8,2,2\nb,x,8,8,3\nb,y,8,1,1.0\n")
    assert results.seeds == (1, 2, 3)
    assert np.isfinite(results.gain).sum() == 4
    assert results.drops["missing"] == 8


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deu,quc,20,11", "line 5: deu -> quc (seed 0) stands there twice\nFirst in {file}, line 2."),
        ("deu,eng,20,12%", "line 5: after is '12%', not a number\nWrite plain numbers, as 12.5"),
        ('deu,eng,20,"1,200.5"', "line 5: after is '1,200.5', not a number"),
        ("deu,eng,20,1_2", "line 5: after is '1_2', not a number"),
        ("deu,eng,twenty,12", "line 5: zero-shot is 'twenty', not a number"),
        ("deu,eng,0,12", "line 5: zero-shot is 0.0, and no perplexity"),
        ("deu,eng,20,-1", "line 5: after is -1.0, and no perplexity"),
        (",eng,20,12", "line 5: no donor or no recipient"),
        ("deu,eng,20", "line 5: fewer fields than in the header\nThe line is cut off"),
        ("deu,eng,20,12,5", "line 5: more fields than in the header"),
    ],
)
def test_a_wrong_line_is_named(read, tmp_path, line, words):
    with pytest.raises(LingraftError) as error:
        read(TABLE + line + "\n")
    assert words.format(file=tmp_path / "published.csv") in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column for donor\nIts columns: none."),
        ("doner,recipient,zero-shot,after\n", "has no column for donor: did you mean 'doner'?"),
        ("donor,recipient,after\na,b,1\n", "has no column for before"),
        ("donor,recipient,zero-shot,after,After\na,b,1,2,3\n", "two columns for one thing: 'after' and 'After'"),
        ("donor,recipient,zero-shot,after\n", "holds no measured pair of two languages"),
        ("donor,recipient,zero-shot,after\na,a,2,3\na,b,2,\n", "holds no measured pair of two languages"),
        ("donor,recipient,zero-shot,after,seed\na,b,2,1,\n", "line 2: seed is '', and no whole number"),
        ("donor,recipient,zero-shot,after,seed\na,b,2,1,1.5\n", "line 2: seed is '1.5', and no whole number"),
        (TABLE.encode("utf-16"), "cannot read"),
        (TABLE + "a,b,1,\x00\n", "line 5"),
        (TABLE + '"' + "a" * 200_000 + '",b,1,2\n', "line 5: field larger than field limit"),
    ],
)
def test_a_wrong_table_is_one_error(read, text, words):
    with pytest.raises(LingraftError, match=r".") as error:
        read(text)
    assert words in str(error.value)


def test_no_table_is_one_error(tmp_path):
    with pytest.raises(LingraftError, match=r"cannot read .*nothing\.csv"):
        read_results(tmp_path / "nothing.csv")
    with pytest.raises(LingraftError, match="holds no finished run"):
        read_results(tmp_path)


def test_a_run_is_read_in_bits_and_null_is_a_gap(tmp_path):
    rows = {"donor": ["a", "a", "b"], "recipient": ["x", "y", "x"], "seed": [1, 1, 2]}
    table = pa.table(rows | {"before": [3.0, 3.0, None], "after": [2.0, 4.0, 1.0]})
    with runs.open(tmp_path / "matrix", STAGE, Config()) as run:
        with run.write("matrix.parquet") as path:
            pq.write_table(table, path)
        run.finish({})
    results = read_results(tmp_path / "matrix")
    assert results.unit == BITS
    assert results.gain[0, :, 0].tolist() == [1.0, -1.0]
    assert results.drops["missing"] == 6
    (tmp_path / "matrix" / "matrix.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(LingraftError, match=r"(?s)cannot read .*Repeat the run"):
        read_results(tmp_path / "matrix")


cells = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abxyz"), st.integers(0, 3)),
    st.tuples(st.floats(0.01, 1e6), st.floats(0.01, 1e6)),
    min_size=1,
).filter(lambda held: any(donor != recipient for donor, recipient, _ in held))


@settings(deadline=None, max_examples=50)
@given(held=cells, mark=st.sampled_from(",;\t"))
def test_every_cell_comes_back_in_its_place(tmp_path_factory, held, mark):
    file = tmp_path_factory.mktemp("table") / "matrix.csv"
    lines = [mark.join(map(str, (*key, *value))) for key, value in held.items()]
    file.write_text("\n".join([mark.join(["donor", "recipient", "seed", "zero-shot", "after"]), *lines]))
    results = read_results(file)
    for (donor, recipient, seed), (before, after) in held.items():
        if donor != recipient:
            at = results.donors.index(donor), results.recipients.index(recipient), results.seeds.index(seed)
            assert results.gain[at] == pytest.approx(math.log(before) - math.log(after))
    apart = sum(donor != recipient for donor, recipient, _ in held)
    assert np.isfinite(results.gain).sum() == apart
    assert results.drops["missing"] + results.drops["own_language"] + apart == results.gain.size
