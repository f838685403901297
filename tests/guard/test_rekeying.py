from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed

from guard import rekeying
from guard.audit import verify
from guard.errors import StoreMismatchError, StoreUnavailableError
from guard.index import Hits, Index, owner_number
from guard.layout import NAME_BITS
from guard.names import Names
from guard.rekeying import abandon, rekey
from guard.rekeying_scripts import DROP, MOVE, REPLACE
from guard.secret import IndexKey
from guard.withdrawal import withdraw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from guard.digest import Digest
    from guard.store import Store

MASK = np.uint64((1 << NAME_BITS) - 1)
OTHER = IndexKey(b"other index key, also of 32 byte")


class Affine:
    """A permutation of names that keeps no secret: multiplied by an odd number, and turned by half."""

    def __init__(self, factor: int, key: IndexKey) -> None:
        self.veil = Names(key).veil
        self._factor = np.uint64(factor)
        self._inverse = np.uint64(pow(factor, -1, 1 << NAME_BITS))

    def seal(self, base: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return turned(base * self._factor & MASK)

    def open(self, name: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return turned(name) * self._inverse & MASK


def turned(names: NDArray[np.uint64]) -> NDArray[np.uint64]:
    half = np.uint64(NAME_BITS // 2)
    return (names >> half | names << half) & MASK


OLD, NEW = Affine(0x5DEECE66D, KEY), Affine(0x2545F4914F6CDD1D % (1 << 41) | 1, OTHER)


def renamed(digest: Digest, old: Affine, new: Affine) -> Digest:
    """The digest as a digester under the new key would make it."""
    prints, fragments = digest.fingerprints, digest.fragments
    bands = new.seal(old.open(fragments.bands.ravel())).reshape(fragments.bands.shape)
    return replace(
        digest,
        fingerprints=replace(prints, names=new.seal(old.open(prints.names))),
        fragments=replace(fragments, bands=bands),
    )


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    indexed = Indexed(store, home)
    indexed.add(ACME, "a.py", PYTHON)
    indexed.add(ACME, "b.java", JAVA, "java")
    indexed.add(ACME, "empty.py", "")
    indexed.add(BETA, "a.py", PYTHON)
    return indexed


def rekeyed(indexed: Indexed, **given: Any) -> Index:  # noqa: ANN401 - as rekey
    """The index under its new key."""
    rekey(indexed.index, OLD, NEW, OTHER.check, **given)
    index = Index(indexed.store, OTHER, indexed.home)
    index.open()
    return index


def pairs(hits: Hits) -> list[tuple[int, int]]:
    return sorted(zip(hits.which.tolist(), hits.postings.tolist(), strict=True))


def digest(indexed: Indexed) -> Digest:
    return indexed.digester.digest("", PYTHON, "python")


def test_every_posting_is_found_under_the_new_key_and_none_under_the_old(indexed: Indexed) -> None:
    reader = Index(indexed.store, KEY, indexed.home)
    before = pairs(reader.lookup(digest(indexed).fingerprints.names))
    told: list[float] = []
    index = rekeyed(indexed, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert pairs(index.lookup(renamed(digest(indexed), OLD, NEW).fingerprints.names)) == before
    for old in (reader, indexed.index):
        with pytest.raises(StoreMismatchError, match="CLEANROOM_INDEX_KEY"):
            old.lookup(digest(indexed).fingerprints.names)
        with pytest.raises((StoreMismatchError, StoreUnavailableError)):
            old.put(b"\x01\x00", digest(indexed))
    assert verify(index).sound
    assert not list(indexed.store.writer.scan_iter(match="cr:*:[ps]0:*"))


def test_it_is_written_to_under_its_new_key(indexed: Indexed) -> None:
    index = rekeyed(indexed)
    owner = index.owner_id(ACME)
    # What the text was is forgotten, so that it is written again, once.
    same = renamed(replace(digest(indexed), path="a.py"), OLD, NEW)
    assert [index.put(owner, same), index.put(owner, same)] == [True, False]
    other = renamed(indexed.digester.digest("a.py", UNRELATED, "python"), OLD, NEW)
    assert index.put(owner, other)
    assert index.remove(BETA, "a.py")
    hits = index.lookup(renamed(digest(indexed), OLD, NEW).fingerprints.names)
    assert {index.owner(number) for number in owner_number(hits.documents).tolist()} <= {ACME}
    assert index.lookup(other.fingerprints.names).which.tolist() == list(range(len(other.fingerprints)))
    assert verify(index).sound
    assert withdraw(index, ACME) == 3
    assert not list(indexed.store.writer.scan_iter(match="cr:*:[pds]?:*"))


def test_it_can_be_done_again_and_back(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    # In several passes, as an index that does not fit into memory.
    monkeypatch.setattr(rekeying, "HELD", 100)
    before = pairs(indexed.index.lookup(digest(indexed).fingerprints.names))
    index = rekeyed(indexed)
    stamp = rekey(index, NEW, OLD, indexed.index._expected.key_check)
    assert stamp.generation == 2
    again = Indexed(indexed.store, indexed.home)
    assert pairs(again.index.lookup(digest(indexed).fingerprints.names)) == before
    assert verify(again.index).sound


@pytest.mark.parametrize(("script", "calls"), [(REPLACE, 1), (REPLACE, 3), (MOVE, 1), (DROP, 2)])
def test_an_interruption_loses_nothing(
    indexed: Indexed, script: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pairs(indexed.index.lookup(digest(indexed).fingerprints.names))
    real, left = rekeying.Programs.spread, [calls]

    def stop(self: Any, program: str, asked: list[Any]) -> list[Any]:  # noqa: ANN401 - as it is
        if program == script:
            left[0] -= 1
            if not left[0]:
                raise InterruptedError
        return real(self, program, asked)

    monkeypatch.setattr(rekeying.Programs, "spread", stop)
    with pytest.raises(InterruptedError):
        rekey(indexed.index, OLD, NEW, OTHER.check)
    if script != DROP:
        again = Indexed(indexed.store, indexed.home)
        assert pairs(again.index.lookup(digest(indexed).fingerprints.names)) == before
        with pytest.raises(StoreMismatchError, match="another key"):
            again.add(ACME, "c.py", UNRELATED)
    index = rekeyed(indexed)
    assert pairs(index.lookup(renamed(digest(indexed), OLD, NEW).fingerprints.names)) == before
    assert verify(index).sound
    assert not list(indexed.store.writer.scan_iter(match="cr:*:[ps]0:*"))
    index.owner_id(ACME)


def test_it_can_be_given_up(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(share: float) -> None:
        raise InterruptedError(share)

    with pytest.raises(InterruptedError):
        rekey(indexed.index, OLD, NEW, OTHER.check, progress=stop)
    abandon(indexed.index)
    assert indexed.add(ACME, "c.py", UNRELATED)
    assert verify(indexed.index).sound
    assert not list(indexed.store.writer.scan_iter(match="cr:*:[ps]1:*"))
    monkeypatch.undo()
    # What was left of the first attempt is in nobody's way.
    assert verify(rekeyed(indexed)).sound


def test_it_waits_for_writers_and_takes_no_damage_along(indexed: Indexed) -> None:
    writer: Any = indexed.store.writer
    writer.hset("cr:{main}:pending", b"12345", "w")
    with pytest.raises(StoreMismatchError, match="somebody is writing"):
        rekeyed(indexed)
    writer.delete("cr:{main}:pending")
    writer.append(min(writer.scan_iter(match="cr:{??}:p0:*")), b"half")
    with pytest.raises(StoreMismatchError, match="verify --mend"):
        rekeyed(indexed)


def test_what_is_written_meanwhile_is_noticed(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rekeying, "HELD", 100)
    shares: list[float] = []
    bucket = min(indexed.store.writer.scan_iter(match="cr:{??}:p0:*"))

    def write(share: float) -> None:
        # As a version that does not know of re-keying might: at once, without asking.
        shares.append(share)
        indexed.store.writer.append(bucket, bytes(11))

    with pytest.raises(StoreMismatchError, match="was written to while"):
        rekey(indexed.index, OLD, NEW, OTHER.check, progress=write)
    assert shares == sorted(shares)
    assert indexed.index.open().key_check != OTHER.check
