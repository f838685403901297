from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.names import NAME_BITS, Names
from guard.secret import IndexKey
from guard.siphash import siphash

NAMES = Names(IndexKey(b"k" * 32))
OTHERS = Names(IndexKey(b"o" * 32))
bases = st.lists(st.integers(0, 2**NAME_BITS - 1), max_size=40).map(lambda of: np.array(of, dtype=np.uint64))


@given(bases)
def test_opening_undoes_sealing(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    before = values.tolist()
    sealed = NAMES.seal(values)
    assert sealed.dtype == np.uint64
    assert all(name < 2**NAME_BITS for name in sealed.tolist())
    assert NAMES.open(sealed).tolist() == before == values.tolist()
    assert NAMES.seal(NAMES.open(values)).tolist() == before


@given(bases)
def test_a_name_does_not_depend_on_its_neighbours(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
    alone = [NAMES.seal(values[at : at + 1]).tolist()[0] for at in range(len(values))]
    assert NAMES.seal(values).tolist() == alone


def test_sealing_is_a_bijection() -> None:
    # Opening undoes sealing on every base, so no two have one name; among a hundred thousand that can be seen.
    values = np.arange(100_000, dtype=np.uint64)
    assert len(set(NAMES.seal(values).tolist())) == len(values)


def test_names_look_random_and_differ_from_key_to_key() -> None:
    values = np.arange(50_000, dtype=np.uint64)
    one, other = NAMES.seal(values), OTHERS.seal(values)
    assert int((one == other).sum()) == 0
    for bit in range(NAME_BITS):
        # Half of the names have any bit set: 50,000 coins deviate by 0.0022 (one sigma).
        assert abs(float(((one >> np.uint64(bit)) & np.uint64(1)).mean()) - 0.5) < 0.012
    # One bit of the base changes half of the name's.
    changed = NAMES.seal(values ^ np.uint64(1 << 20)) ^ one
    assert abs(float(np.bitwise_count(changed).mean()) / NAME_BITS - 0.5) < 0.01


def test_the_stores_key_can_be_changed_without_the_sources() -> None:
    values = np.arange(1000, dtype=np.uint64) * np.uint64(4_000_037)
    assert OTHERS.seal(NAMES.open(NAMES.seal(values))).tolist() == OTHERS.seal(values).tolist()


@given(bases, st.integers(0, 2**40 - 1), st.integers(0, 2**24 - 1))
def test_the_veil_hides_all_but_the_document_and_is_lifted_by_itself(
    values: np.ndarray[tuple[int], np.dtype[np.uint64]], document: int, rest: int
) -> None:
    postings = np.full(len(values), rest << 40 | document, dtype=np.uint64)
    veiled = NAMES.veil(values, postings)
    assert NAMES.veil(values, veiled).tolist() == postings.tolist() == [rest << 40 | document] * len(values)
    key = hashlib.blake2b(b"veil", key=IndexKey(b"k" * 32).store, digest_size=16).digest()
    for name, posting in zip(values.tolist(), veiled.tolist(), strict=True):
        pad = siphash(key, name.to_bytes(8, "little") + document.to_bytes(8, "little")) >> 40
        assert posting == (rest ^ pad) << 40 | document


def test_a_veil_differs_by_key_name_and_document() -> None:
    names, same = np.arange(20_000, dtype=np.uint64), np.zeros(20_000, dtype=np.uint64)
    columns = [
        NAMES.veil(names, same) >> np.uint64(40),
        OTHERS.veil(names, same) >> np.uint64(40),
        NAMES.veil(same, names) >> np.uint64(40),
    ]
    for number, column in enumerate(columns):
        # Of 20,000 values of 24 bits about 12 pairs are equal by chance.
        assert len(np.unique(column)) > 19_900
        assert all(int((column == other).sum()) < 5 for other in columns[:number])


def test_the_shape_stays() -> None:
    values = np.arange(12, dtype=np.uint64).reshape(2, 6)
    assert NAMES.seal(values).shape == (2, 6)
    assert NAMES.seal(values).ravel().tolist() == NAMES.seal(values.ravel()).tolist()
    assert NAMES.seal(values[:, ::2]).tolist() == NAMES.seal(values)[:, ::2].tolist()
