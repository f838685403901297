from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.siphash import siphash

# The paper's appendix A, and vectors 0 to 16 of its reference implementation: the messages are 00 01 02 ... under the
# key 00 01 ... 0f, the hashes stand with their lowest byte first.
KEY = bytes(range(16))
OFFICIAL = """
310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf 8da699cd64557618
cee3fe586e46c9cb 37d1018bf50002ab 6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4
fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1 db9bc2577fcc2a3f
"""
VECTORS = OFFICIAL.split()


@pytest.mark.parametrize(("size", "expected"), [*enumerate(VECTORS)], ids=range(len(VECTORS)))
def test_the_official_vectors(size: int, expected: str) -> None:
    assert siphash(KEY, bytes(range(size))).to_bytes(8, "little").hex() == expected


def test_the_example_of_the_paper() -> None:
    assert siphash(KEY, bytes(range(15))) == 0xA129CA6149BE45E5


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=600))
def test_it_is_siphash_as_the_paper_writes_it(key: bytes, message: bytes) -> None:
    assert siphash(key, message) == _plain(key, message)


def _plain(key: bytes, message: bytes) -> int:
    k0, k1 = (int.from_bytes(key[at : at + 8], "little") for at in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        for a, b, turn, whole in ((0, 1, 13, 32), (2, 3, 16, 0), (0, 3, 21, 0), (2, 1, 17, 32)):
            v[a] = (v[a] + v[b]) % 2**64
            v[b] = _turned(v[b], turn) ^ v[a]
            v[a] = _turned(v[a], whole)


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) % 2**64
