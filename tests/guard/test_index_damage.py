from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON
from samples.indexed import ACME, BETA, KEY, Indexed
from samples.stored import contents

from guard.check import Guard
from guard.errors import RefusalError, StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.index import SCHEMA, Index
from guard.secret import IndexKey
from guard.store import STAMP_KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.store import Store


def test_an_empty_store_is_refused(store: Store, home: Path) -> None:
    index = Index(store, KEY, home)
    with pytest.raises(StoreEmptyError, match="cleanroom index add"):
        index.lookup(np.array([1], dtype=np.uint64))
    with pytest.raises(StoreEmptyError):
        index.owner_id(ACME)


def every_use(indexed: Indexed) -> list[Callable[[], object]]:
    index, digest = indexed.index, indexed.digester.digest("b.py", JAVA, "java")
    return [
        index.open,
        lambda: index.lookup(digest.fingerprints.names),
        lambda: index.put(b"\x01\x00", digest),
        lambda: index.owner_id(BETA),
        lambda: indexed.check(PYTHON),
        lambda: indexed.check(""),
        indexed.guard.ready,
    ]


def test_a_store_that_lost_its_data_is_refused(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    indexed.store.writer.flushall()
    for use in every_use(indexed):
        with pytest.raises(StoreEmptyError):
            use()
    assert not contents(indexed.store)
    with pytest.raises(StoreEmptyError):
        indexed.index.create()


def test_a_store_that_was_begun_anew_is_refused_by_those_who_knew_it(indexed: Indexed, tmp_path: Path) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    indexed.store.writer.flushall()
    Indexed(indexed.store, tmp_path / "other home")
    for use in [*every_use(indexed), Index(indexed.store, KEY, indexed.home).create]:
        with pytest.raises(StoreMismatchError, match=r"index_id|index\.id"):
            use()


@pytest.mark.parametrize(
    ("change", "remedy"),
    [({"schema": SCHEMA + 1}, "version"), ({"scheme": "other"}, "version"), ({"key_check": "f" * 32}, "INDEX_KEY")],
)
def test_an_index_of_another_make_is_refused(indexed: Indexed, change: dict[str, Any], remedy: str) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    other = replace(indexed.index.open(), **change)
    indexed.store.writer.set(STAMP_KEY, other.to_bytes())
    for use in every_use(indexed):
        with pytest.raises(StoreMismatchError, match=remedy):
            use()


def test_another_key_is_refused(indexed: Indexed, tmp_path: Path) -> None:
    other = Index(indexed.store, IndexKey(b"o" * 32), tmp_path / "other home")
    with pytest.raises(StoreMismatchError, match="CLEANROOM_INDEX_KEY"):
        other.create()


GARBAGE = {
    "half an entry": ("cr:{??}:p0:*", b"123456"),
    "an entry and a half": ("cr:{??}:p0:*", b"1234567890123456"),
    "nothing for entries": ("cr:{??}:p0:*", b""),
    "an empty record": ("cr:{main}:d:*", b""),
    "half a record": ("cr:{main}:d:*", b"\x07\0\0\0\x07"),
    "a record without a path": ("cr:{main}:d:*", b"\x07\0\0\0\x07\0\0\0\x07\0\0\0\x06python"),
    "a record whose path is no text": ("cr:{main}:d:*", b"\x07\0\0\0\x07\0\0\0\x07\0\0\0\x06python\xff\xfe\xed"),
    "a record whose language is no text": ("cr:{main}:d:*", b"\x07\0\0\0\x07\0\0\0\x07\0\0\0\x02\xff\xfea.py"),
    "a long record": ("cr:{main}:d:*", b"\xff" * 100_000),
    "no list of buckets": ("cr:{main}:s0:*", b""),
    "a journal that is none": ("cr:{main}:pending", b"abc"),
    "an owner that is none": ("cr:{main}:owners", b"nobody"),
    "an owner that is no text": ("cr:{main}:owners", b"\xff\xfe"),
    "a licence that is none": ("cr:{main}:owners", b"license:lib:(("),
    "a version that is none": ("cr:{main}:version", b"many"),
    "a size that is none": ("cr:{main}:tokens", b"1e9"),
    "a negative size": ("cr:{main}:tokens", b"-5"),
    "a stamp that is none": ("cr:{main}:stamp", b"cr"),
    "an empty stamp": ("cr:{main}:stamp", b""),
}


@pytest.mark.parametrize(("pattern", "value"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_store_is_refused_or_harmless(embedded: Indexed, pattern: str, value: bytes) -> None:
    embedded.add(ACME, "a.py", PYTHON)
    assert embedded.check(PYTHON).action == "block"
    writer: Any = embedded.store.writer
    for key in writer.scan_iter(match=pattern):
        if writer.type(key) == b"hash":
            for name in writer.hkeys(key):
                writer.hset(key, name, value)
        else:
            writer.set(key, value)
    # One guard that knows the index, and one that has just come.
    assert outcome(embedded) in ("block", "refused")
    embedded.guard = Guard(Index(embedded.store, KEY, embedded.home), embedded.digester)
    assert outcome(embedded) in ("block", "refused")


def outcome(indexed: Indexed) -> str:
    """What becomes of a copy of the code of acme. Anything but a refusal is raised."""
    try:
        return indexed.check(PYTHON).action.value
    except RefusalError:
        return "refused"


@pytest.mark.parametrize("pattern", ["d:*", "s0:*", "owners", "owner-ids", "paths:*", "version", "epoch"])
def test_keys_that_are_lost_let_nothing_out(embedded: Indexed, pattern: str) -> None:
    embedded.add(ACME, "a.py", PYTHON)
    embedded.store.writer.delete(*embedded.store.writer.scan_iter(match="cr:{main}:" + pattern))
    embedded.guard = Guard(Index(embedded.store, KEY, embedded.home), embedded.digester)
    assert outcome(embedded) in ("block", "refused")


def test_a_key_of_another_type_is_refused(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    for key in list(indexed.store.writer.scan_iter(match="cr:{??}:p0:*")):
        indexed.store.writer.delete(key)
        indexed.store.writer.hset(key, "no", "bucket")
    with pytest.raises(StoreUnavailableError, match="another type"):
        indexed.check(PYTHON)
