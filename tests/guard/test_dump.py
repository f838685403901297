"""What a dump of the store tells somebody who knows the algorithm and every source, but not the key.

The attacker makes the names of all known code under keys of its own, and compares. What is compared: whole names, and,
since next to none of those are equal by chance, the buckets that they would stand in, where a part is.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import SAMPLES
from samples.indexed import ACME, Indexed

from guard.digest import Digester
from guard.layout import BUCKETS, ENTRY, REMAINDER_BITS
from guard.postings import buckets_of, postings_of
from guard.rotation import Rotation
from guard.secret import IndexKey, load_index_key, read_index_key, write_index_key

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from guard.store import Store

GUESSES = 24
SIGMAS = 4.5
"""How far from its mean a count may be that is chance: of the 25 here, one in 6,000 runs would be."""


def key_of(number: int) -> IndexKey:
    """Keys that are the same in every run, so that no run fails by chance."""
    return IndexKey(hashlib.sha256(b"dump %d" % number).digest())


TRUE = key_of(-1)


def dictionary(key: IndexKey) -> NDArray[np.uint64]:
    """The distinct names of all samples as this key would have them: their fingerprints and their fragments' bands."""
    digester = Digester(key)
    made = [
        postings_of(digester.digest(language, text, language)).names
        for language, texts in known().items()
        for text in texts
    ]
    return np.unique(np.concatenate(made))


def known() -> dict[str, list[str]]:
    """The samples, and each of them in pieces in another order: more names than the samples alone have."""
    return {
        language: [text, *("\n".join(sorted(text.splitlines(), key=lambda line: line[at:])) for at in range(6))]
        for language, text in SAMPLES.items()
    }


def dumped(store: Store) -> NDArray[np.uint64]:
    """All names in the store, read as a thief would: from its keys and values alone."""
    client: Any = store.writer
    names = []
    for key in client.scan_iter(match="cr:{??}:p?:*", count=1000):
        bucket = int(key[4:6], 16) * (BUCKETS // 64) + int.from_bytes(key[-2:], "big")
        entries = np.frombuffer(client.get(key), dtype=np.uint8).reshape(-1, ENTRY)[:, :3].astype(np.uint64)
        remainder = entries[:, 0] | entries[:, 1] << np.uint64(8) | entries[:, 2] << np.uint64(16)
        names.append(remainder | np.uint64(bucket << REMAINDER_BITS))
    return np.unique(np.concatenate(names))


def deviation(guessed: NDArray[np.uint64], stolen: NDArray[np.uint64]) -> float:
    """By how many standard deviations more (or fewer) of the guessed names fall into filled buckets than by chance."""
    filled = np.unique(buckets_of(stolen))
    share = len(filled) / BUCKETS
    hits = int(np.isin(buckets_of(guessed), filled).sum())
    return (hits - len(guessed) * share) / math.sqrt(len(guessed) * share * (1 - share))


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    write_index_key(home / "index.key", TRUE)
    indexed = Indexed(embedded_store, home, TRUE)
    for language, texts in known().items():
        for number, text in enumerate(texts):
            indexed.add(ACME, f"{number}.{language}", text, language)
    return indexed


def test_with_the_key_every_known_run_is_read_from_the_dump(indexed: Indexed) -> None:
    stolen = dumped(indexed.store)
    assert len(stolen) > 1000
    assert np.isin(dictionary(TRUE), stolen).all()
    assert deviation(dictionary(TRUE), stolen) > 10 * SIGMAS


def test_without_the_key_known_code_is_at_chance(indexed: Indexed) -> None:
    stolen, guesses = dumped(indexed.store), [dictionary(key_of(number)) for number in range(GUESSES)]
    # Among 24 guesses of a few thousand names each, a hundred-thousandth of an equal name is to be expected.
    assert sum(int(np.isin(guessed, stolen).sum()) for guessed in guesses) == 0
    deviations = [deviation(guessed, stolen) for guessed in guesses]
    assert max(map(abs, deviations)) < SIGMAS
    assert abs(sum(deviations)) / math.sqrt(GUESSES) < SIGMAS


def test_after_a_rotation_the_old_key_tells_no_whole_document_either(indexed: Indexed, home: Path) -> None:
    """Neither by the places and the exact tokens of its runs nor by its text's hash."""
    client: Any = indexed.store.writer
    digest = Digester(TRUE).digest("0.go", SAMPLES["go"], "go")
    for old in (True, False):
        # Which document is whose the dump says: only the rest of a posting is veiled.
        stolen = b"".join(client.get(key) for key in client.scan_iter(match="cr:{??}:p?:*", count=1000))
        places = {stolen[at + 8 : at + ENTRY] for at in range(0, len(stolen), ENTRY)}
        same = len({bytes(entry[8:]) for entry in postings_of(digest).entries} & places)
        # A few hundred places against a thousand of 24 bits: a hundredth of an equal one is to be expected.
        assert same <= 2
        tables = [client.hvals(key) for key in client.scan_iter(match="cr:{main}:paths:*")]
        assert any(value.endswith(digest.content) for table in tables for value in table) == old
        if old:
            Rotation(home).run(indexed.store)
            restored = Indexed(indexed.store, home, load_index_key(home, None))
            assert restored.digester.content(SAMPLES["go"]) != digest.content


def test_names_are_spread_as_random_ones(indexed: Indexed) -> None:
    stolen = dumped(indexed.store)
    for bit in range(42):
        ones = int((stolen >> np.uint64(bit) & np.uint64(1)).sum())
        assert abs(ones - len(stolen) / 2) < SIGMAS * math.sqrt(len(stolen)) / 2, bit


def test_after_a_rotation_the_old_key_is_as_good_as_none(indexed: Indexed, home: Path) -> None:
    before = dumped(indexed.store)
    Rotation(home).run(indexed.store)
    stolen, new = dumped(indexed.store), read_index_key(home / "index.key")
    assert new is not None
    assert len(stolen) == len(before)
    assert not np.isin(stolen, before).any()
    assert not np.isin(dictionary(TRUE), stolen).any()
    assert abs(deviation(dictionary(TRUE), stolen)) < SIGMAS
    # Nor is the new store part alone of any use, or another content part with it.
    foreign = IndexKey(key_of(0).secret + new.secret[32:])
    assert not np.isin(dictionary(foreign), stolen).any()
    assert abs(deviation(dictionary(foreign), stolen)) < SIGMAS
    assert np.isin(dictionary(new), stolen).all()
