from __future__ import annotations

import threading
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON, SAMPLES, C
from samples.indexed import ACME, BETA, COMMONS, KEY, Indexed
from samples.streams import exact

from guard.check import Guard
from guard.errors import OwnerError, RefusalError, StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.index import SCHEMA, Index, owner_number
from guard.layout import SHARDS, mark
from guard.secret import IndexKey, bound_index
from guard.store import STAMP_KEY
from guard.types import Owner
from guard.writing import OWNER_CAP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.digest import Digest
    from guard.store import Store

OTHER = C
"""Shares no fingerprint with PYTHON."""
SHORT = "def area(shape, scale):\n    return shape.width * shape.height * scale ** 2 if shape else None\n"


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    return Indexed(store, home)


@pytest.fixture
def embedded(embedded_store: Store, home: Path) -> Indexed:
    return Indexed(embedded_store, home)


def found(indexed: Indexed, digest: Digest) -> set[tuple[str, str, int]]:
    """Whose documents hold a fingerprint of the digest, and where."""
    hits = indexed.index.lookup(digest.fingerprints.names)
    records = indexed.index.records({int(document) for document in hits.documents})
    return {
        (str(indexed.index.owner(owner_number(int(document)))), records[int(document)].path, int(position))
        for document, position in zip(hits.documents, hits.positions, strict=True)
    }


def test_a_document_is_found_by_its_fingerprints_at_their_places(indexed: Indexed) -> None:
    digest = indexed.digester.digest("src/ledger.py", PYTHON, "python")
    assert found(indexed, digest) == set()
    assert indexed.add(ACME, "src/ledger.py", PYTHON)
    assert found(indexed, digest) == {("org:acme", "src/ledger.py", int(at)) for at in digest.fingerprints.positions}
    hits = indexed.index.lookup(digest.fingerprints.names)
    assert set(hits.which.tolist()) == set(range(len(digest.fingerprints)))
    assert (np.diff(hits.which) >= 0).all()
    assert hits.tokens == digest.tokens
    assert found(indexed, indexed.digester.digest("x", JAVA, "java")) == set()


def test_a_record_says_what_a_document_is(indexed: Indexed) -> None:
    indexed.add(ACME, "päth/\u4e2d \n.py", PYTHON)
    digest = indexed.digester.digest("", PYTHON, "python")
    (document,) = {int(each) for each in indexed.index.lookup(digest.fingerprints.names).documents}
    record = indexed.index.records([document])[document]
    assert (record.path, record.language, record.tokens) == ("päth/\u4e2d \n.py", "python", digest.tokens)
    assert record.fragments == len(digest.fragments)
    assert record.entries >= len(set(digest.fingerprints.names.tolist()))
    assert indexed.index.records([document + 1, document]).keys() == {document}
    assert indexed.index.records([]) == {}


def test_the_same_text_again_changes_nothing(indexed: Indexed) -> None:
    assert indexed.add(ACME, "a.py", PYTHON)
    before = dump(indexed.store)
    assert not indexed.add(ACME, "a.py", PYTHON)
    assert dump(indexed.store) == before


def test_an_update_leaves_nothing_of_the_old_text(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    assert indexed.add(ACME, "a.py", OTHER, "c")
    assert found(indexed, indexed.digester.digest("", PYTHON, "python")) == set()
    assert {path for _, path, _ in found(indexed, indexed.digester.digest("", OTHER, "c"))} == {"a.py"}
    assert indexed.index.paths(ACME) == {"a.py": indexed.digester.content(OTHER)}
    assert indexed.index.remove(ACME, "a.py")
    assert dump(indexed.store).keys() <= FIXED_KEYS | {b"cr:{main}:next:\x01\x00"}


FIXED_KEYS = {
    b"cr:{main}:" + name for name in (b"stamp", b"version", b"epoch", b"tokens", b"owners", b"owner-ids", b"next-owner")
} | {mark(shard) for shard in range(SHARDS)}


def dump(store: Store) -> dict[bytes, bytes]:
    """Every key of the store with its value, serialized."""
    writer: Any = store.writer
    return {key: writer.dump(key) for key in writer.scan_iter()}


def test_owners_keep_the_same_text_apart(indexed: Indexed) -> None:
    licensed = Owner.licensed("lib", "GPL-3.0-only")
    for owner in (ACME, BETA, COMMONS, licensed):
        assert indexed.add(owner, "a.py", PYTHON)
    digest = indexed.digester.digest("", PYTHON, "python")
    assert {owner for owner, _, _ in found(indexed, digest)} == {str(each) for each in indexed.index.owners()}
    assert indexed.index.remove(BETA, "a.py")
    assert {owner for owner, _, _ in found(indexed, digest)} == {"org:acme", "commons:public", str(licensed)}
    assert indexed.index.owners() == sorted([ACME, BETA, COMMONS, licensed], key=str)
    assert indexed.index.paths(BETA) == {}


def test_what_was_never_there_cannot_be_removed(indexed: Indexed) -> None:
    assert not indexed.index.remove(ACME, "a.py")
    indexed.index.forget(ACME)
    assert indexed.index.owners() == []
    assert indexed.index.paths(ACME) == {}
    indexed.add(ACME, "a.py", PYTHON)
    assert not indexed.index.remove(ACME, "b.py")
    with pytest.raises(OwnerError, match="org:acme"):
        indexed.index.forget(ACME)


def test_a_forgotten_owners_number_is_not_given_to_another(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    first = indexed.index.owner_id(ACME)
    indexed.index.remove(ACME, "a.py")
    indexed.index.forget(ACME)
    assert indexed.index.owner_id(BETA) != first
    assert indexed.index.owner_id(ACME) not in (first, indexed.index.owner_id(BETA))


def test_nothing_is_put_for_an_owner_that_was_forgotten(indexed: Indexed) -> None:
    gone = indexed.index.owner_id(ACME)
    indexed.index.forget(ACME)
    with pytest.raises(StoreMismatchError, match="owner is gone"):
        indexed.index.put(gone, indexed.digester.digest("a.py", PYTHON, "python"))
    assert found(indexed, indexed.digester.digest("", PYTHON, "python")) == set()


def test_a_fingerprint_keeps_a_bounded_number_of_postings(embedded: Indexed) -> None:
    for number in range(OWNER_CAP + 20):
        embedded.add(ACME, f"{number}.py", f"{SHORT}\n\nlimit_{number} = {number}\n")
    digest = embedded.digester.digest("", SHORT, "python")
    hits = embedded.index.lookup(digest.fingerprints.names)
    assert len(hits.which) == OWNER_CAP * len(digest.fingerprints)
    # An update keeps its place among them.
    assert embedded.add(ACME, "0.py", f"{SHORT}\n\nlimit = 7\n")
    assert "0.py" in {path for _, path, _ in found(embedded, digest)}
    for path in embedded.index.paths(ACME):
        embedded.index.remove(ACME, path)
    assert len(embedded.index.lookup(digest.fingerprints.names).which) == 0


def test_a_reader_sees_one_version_of_a_document_at_a_time(indexed: Indexed) -> None:
    digests = [indexed.digester.digest("a", PYTHON, "python"), indexed.digester.digest("a", OTHER, "c")]
    owner = indexed.index.owner_id(ACME)
    indexed.index.put(owner, digests[0])
    hashes = np.concatenate([digest.fingerprints.names for digest in digests])
    first, sizes = len(digests[0].fingerprints), set()
    stop = threading.Event()

    def write() -> None:
        for turn in range(60):
            indexed.index.put(owner, digests[(turn + 1) % 2])
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        hits = indexed.index.lookup(hashes)
        assert len(set(hits.documents.tolist())) == 1
        which = set(hits.which.tolist())
        old = sum(each < first for each in which)
        sizes.add((old, len(which) - old))
    writer.join()
    assert sizes <= {(first, 0), (0, len(digests[1].fingerprints))}


def test_scripts_that_the_server_forgot_are_sent_again(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    digest = indexed.digester.digest("", PYTHON, "python")
    indexed.store.writer.script_flush()
    assert found(indexed, digest)
    indexed.store.writer.script_flush()
    assert indexed.add(ACME, "a.py", OTHER, "c")
    assert not found(indexed, digest)


def test_an_index_is_begun_once_and_found_again(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    again = Indexed(indexed.store, indexed.home)
    assert again.index.open() == indexed.index.open()
    assert found(again, again.digester.digest("", PYTHON, "python"))
    assert bound_index(indexed.home) == indexed.index.open().index_id


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


def test_who_is_wholly_indexed_is_remembered(indexed: Indexed) -> None:
    assert indexed.index.completed() == []
    indexed.index.complete(ACME)
    assert indexed.index.completed() == [str(ACME)]


def test_no_word_of_the_code_is_stored(indexed: Indexed) -> None:
    words: set[str] = set()
    for language, text in SAMPLES.items():
        indexed.add(ACME, f"{language}.txt", text, language)
        words |= {word for word in exact(indexed.digester.probes(text, language)[0].stream) if len(word) > 4}
    assert {"accounts", "journal", '"amount must be positive: %r', "getOrDefault"} <= words
    kept = b"\x00".join(contents(indexed.store)).lower()
    for word in words - set(SAMPLES):
        value = word.removeprefix('"').lower().encode()
        assert value not in kept, word
        assert value.hex().encode() not in kept, word


def contents(store: Store) -> list[bytes]:
    """Every key and every value of the store."""
    writer: Any = store.writer
    parts: list[bytes] = []
    for key in writer.scan_iter():
        parts.append(key)
        parts += chain(*writer.hgetall(key).items()) if writer.type(key) == b"hash" else [writer.get(key)]
    return parts
