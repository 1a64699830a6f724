"""The compiled decoder of bzip2 against the bz2 module: the same data, and None for whatever that one refuses."""

import bz2
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

_bunzip2 = pytest.importorskip("lingraft.wikimedia._bunzip2", reason="the kernels are not compiled")

LIMIT = 1 << 26
UNPACKER = _bunzip2.Unpacker()
RUNS = st.lists(st.tuples(st.sampled_from(b"ab\0\xff"), st.integers(1, 600)), max_size=40).map(
    lambda runs: b"".join(bytes([byte]) * length for byte, length in runs)
)
"""Runs of 4 to 255 and more: bzip2 codes them before all else."""


def strict(packed: bytes) -> bytes | None:
    """What the bz2 module makes of whole streams and nothing else."""
    data = b""
    while packed:
        decompressor = bz2.BZ2Decompressor()
        try:
            data += decompressor.decompress(packed)
        except OSError:
            return None
        if not decompressor.eof:
            return None
        packed = decompressor.unused_data
    return data


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=2000), RUNS), max_size=12), st.integers(1, 9))
def test_streams_come_back_as_they_were(contents, level):
    packed = b"".join(bz2.compress(content, level) for content in contents)
    assert UNPACKER.unpack(packed, LIMIT) == b"".join(contents)


def test_more_blocks_than_are_inverted_at_once_of_all_sizes():
    rng = random.Random(5)
    contents = [rng.randbytes(rng.choice([0, 1, 99_000, 250_000, 1_000_000])) for _ in range(20)]
    packed = b"".join(bz2.compress(content, rng.randint(1, 9)) for content in contents)
    assert UNPACKER.unpack(packed, LIMIT) == b"".join(contents)


def test_text_with_long_codes():
    text = " ".join(str(number**3) for number in range(200_000)).encode() + bytes(range(256))
    assert UNPACKER.unpack(bz2.compress(text), LIMIT) == text


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=400), RUNS), st.data())
def test_damage_is_never_data(content, data):
    packed = bytearray(bz2.compress(content) + bz2.compress(b"behind"))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = bytes(packed[: data.draw(st.integers(0, len(packed)))])
    assert UNPACKER.unpack(packed, LIMIT) == strict(packed)


@given(st.binary(max_size=3000))
def test_anything_may_be_in_a_block(rest):
    packed = b"BZh91AY&SY" + rest
    assert UNPACKER.unpack(packed, LIMIT) == strict(packed)


def test_the_limit_holds_for_what_unpacks_to_very_much():
    bomb = bz2.compress(bytes(50_000_000))
    assert len(bomb) < 1000
    assert UNPACKER.unpack(bomb, 1_000_000) is None
    assert UNPACKER.unpack(bomb, LIMIT) == bytes(50_000_000)
