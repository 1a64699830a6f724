import bz2
import gzip
import lzma
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lingraft.errors import LingraftError
from lingraft.wikimedia.compressed import FEED, MAX_CHUNK, Chunks, Fault, format_of, is_splittable, lines

PACKERS = {"plain": bytes, "bz2": bz2.compress, "gz": gzip.compress, "xz": lzma.compress}
DATA = b"".join(b"%d\n" % number for number in range(100_000))


def saved(tmp_path, data, name="data"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def joined(chunks):
    """The same data in the longest chunks: how it is cut says nothing."""
    found = []
    for chunk in chunks:
        if isinstance(chunk, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += chunk
        else:
            found.append(chunk)
    return found


def unpack(path, *span):
    chunks = list(Chunks(path, *span))
    return b"".join(chunk for chunk in chunks if isinstance(chunk, bytes)), [c for c in chunks if isinstance(c, Fault)]


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("streams", [1, 3])
def test_all_formats_of_one_or_many_streams(tmp_path, kind, streams):
    path = saved(tmp_path, PACKERS[kind](DATA) * streams)
    assert format_of(path) == kind
    assert unpack(path) == (DATA * streams, [])


@pytest.mark.parametrize("kind", ["bz2", "gz", "xz"])
def test_zeros_behind_a_stream_are_padding(tmp_path, kind):
    path = saved(tmp_path, PACKERS[kind](b"one") + bytes(1000) + PACKERS[kind](b"two") + bytes(4))
    assert unpack(path) == (b"onetwo", [])


@pytest.mark.parametrize("kind", ["bz2", "gz", "xz"])
def test_chunks_stay_small_whatever_is_unpacked(tmp_path, kind):
    path = saved(tmp_path, PACKERS[kind](bytes(3 * MAX_CHUNK + 1)))
    sizes = [len(chunk) for chunk in Chunks(path)]
    assert max(sizes) <= MAX_CHUNK
    assert sum(sizes) == 3 * MAX_CHUNK + 1


@pytest.mark.parametrize("kind", ["bz2", "gz", "xz"])
@pytest.mark.parametrize("left", [3, 12, 1000])
def test_a_cut_off_stream_is_a_fault_at_the_end_of_the_file(tmp_path, kind, left):
    packed = PACKERS[kind](DATA)
    path = saved(tmp_path, PACKERS[kind](b"first") + packed[:left])
    found, faults = unpack(path)
    assert found.startswith(b"first")
    assert (b"first" + DATA).startswith(found)
    assert [(fault.kind, fault.byte) for fault in faults] in (
        [("truncated", path.stat().st_size)],
        [("corrupt", path.stat().st_size - left)],  # too little is left to know it for a stream
    )


@pytest.mark.parametrize("kind", ["bz2", "gz", "xz"])
def test_other_data_behind_a_stream_is_a_fault(tmp_path, kind):
    packed = PACKERS[kind](DATA)
    found, faults = unpack(saved(tmp_path, packed + b"<html>" * 10))
    assert found == DATA
    assert [(fault.kind, fault.byte) for fault in faults] == [("corrupt", len(packed))]


def test_a_damaged_bzip2_stream_costs_itself_alone_and_its_place_in_the_order_is_shown(tmp_path):
    good = bz2.compress(b"good")
    bad = good[:20] + bytes(8) + good[28:]
    assert list(Chunks(saved(tmp_path, good + bad + good))) == [
        b"good",
        Fault("corrupt_stream", len(good), "Invalid data stream"),
        b"good",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=15), st.integers(1, 400), st.binary(max_size=30))
def test_ranges_partition_the_streams_and_the_faults(tmp_path_factory, contents, step, junk):
    packed = [bz2.compress(content) for content in contents]
    packed.insert(len(packed) // 2, junk)
    path = saved(tmp_path_factory.mktemp("ranges"), b"".join(packed))
    try:
        whole = joined(Chunks(path))
    except LingraftError:
        return  # empty, or the junk came first
    if format_of(path) == "bz2":
        ranges = range(0, path.stat().st_size, step)
        assert joined(chunk for start in ranges for chunk in Chunks(path, start, start + step)) == whole


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=3),
    st.integers(0, 40),
)
def test_damaged_streams_are_the_same_without_the_compiled_decoder(
    tmp_path_factory, monkeypatch, contents, flips, missing
):
    packed = bytearray(b"".join(map(bz2.compress, contents)))
    for at, bits in flips:
        packed[at % len(packed)] ^= bits
    path = saved(tmp_path_factory.mktemp("damaged"), packed[: max(4, len(packed) - missing)])
    found = []
    for kernel in ("", "python"):
        monkeypatch.setenv("LINGRAFT_KERNEL", kernel)
        if format_of(path) == "bz2":
            found.append(joined(Chunks(path)))
    assert found[1:] == found[:1]


def test_what_can_be_read_from_any_byte_on(tmp_path):
    def splittable(data):
        return is_splittable(saved(tmp_path, data))

    assert splittable(b"plain")
    assert splittable(bz2.compress(b"a") * 2)
    assert not splittable(bz2.compress(b"a"))
    assert not splittable(gzip.compress(b"a") * 2)
    assert not splittable("plain".encode("utf-16"))
    assert not splittable(bz2.compress("plain".encode("utf-16")) * 2)


def test_a_stream_magic_astride_two_windows_is_found(tmp_path):
    first = bz2.compress(b"first")
    for shift in range(12):
        path = saved(tmp_path, first + bytes(FEED - len(first) - shift) + bz2.compress(b"second"))
        assert unpack(path, len(first)) == (b"second", [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_lines_of_any_unicode_encoding_with_a_byte_order_mark(tmp_path, encoding):
    text = "Αθήνα\n東京😀\n"
    data = text.encode(encoding)
    path = saved(tmp_path, b"\xfe\xff" + data if encoding == "utf-16-be" else data)
    assert list(lines(path, Counter())) == text.encode().split()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 60))
def test_lines_of_many_streams_are_those_of_the_whole(tmp_path_factory, parts, longest):
    data = b"x" + b"".join(parts)
    packed = bz2.compress(b"x") + b"".join(map(bz2.compress, parts))
    expected = data.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    tally = Counter()
    found = list(lines(saved(tmp_path_factory.mktemp("lines"), packed), tally, max_bytes=longest))
    assert found == [line for line in expected if len(line) <= longest]
    assert tally["oversized_line"] == len(expected) - len(found)


def test_a_fault_costs_the_lines_that_it_cuts(tmp_path):
    good, bad = bz2.compress(b"one\ntwo\nthr"), bytearray(bz2.compress(b"ee\nfour\n"))
    bad[20:28] = bytes(8)
    path = saved(tmp_path, good + bad + bz2.compress(b"five\nsix\n"))
    tally, problems = Counter(), []
    assert list(lines(path, tally, problems)) == [b"one", b"two", b"six"]  # five may be the end of a longer line
    assert tally == {"corrupt_stream": 1}
    assert problems[0].message.startswith(f"file is damaged: data cannot be unpacked at byte {len(good):,}")
    with pytest.raises(LingraftError, match="2 complete lines were read"):
        list(lines(path, Counter(), strict=True))


def test_a_cut_off_file_names_the_line(tmp_path):
    path = saved(tmp_path, gzip.compress(DATA)[:-5000], "titles.tsv.gz")
    tally, problems = Counter(), []
    num_lines = sum(1 for _ in lines(path, tally, problems))
    assert tally == {"truncated": 1}
    size = path.stat().st_size
    assert problems[0].message == f"file is cut off: titles.tsv.gz ends at byte {size:,}, in line {num_lines + 1:,}."
