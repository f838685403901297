from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import JAVA, PYTHON, SAMPLES, C
from samples.indexed import ACME, BETA, COMMONS, Indexed
from samples.stored import contents
from samples.streams import exact

from guard.errors import OwnerError, StoreMismatchError
from guard.index import owner_number
from guard.layout import SHARDS, mark
from guard.secret import bound_index
from guard.types import Owner
from guard.writing import OWNER_CAP

if TYPE_CHECKING:
    from guard.digest import Digest
    from guard.store import Store

OTHER = C
"""Shares no fingerprint with PYTHON."""
SHORT = "def area(shape, scale):\n    return shape.width * shape.height * scale ** 2 if shape else None\n"


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


def test_the_state_changes_with_whatever_a_check_can_see(indexed: Indexed) -> None:
    states = [indexed.index.state()]
    assert indexed.index.state() == states[0]
    indexed.add(ACME, "a.py", PYTHON)
    states.append(indexed.index.state())
    indexed.add(ACME, "a.py", PYTHON)
    assert indexed.index.state() == states[-1]
    indexed.index.expire(ACME, time.time() + 3600)
    states.append(indexed.index.state())
    # Its time runs out, and nobody writes anything.
    indexed.index._owners = replace(indexed.index._owners, expiry=dict.fromkeys(indexed.index._owners.expiry, 0))
    states.append(indexed.index.state())
    indexed.index.remove(ACME, "a.py")
    states.append(indexed.index.state())
    assert len(set(states)) == len(states)
    assert all(len(state) == 32 for state in states)


def test_another_index_has_no_state(indexed: Indexed) -> None:
    indexed.add(ACME, "a.py", PYTHON)
    writer: Any = indexed.store.writer
    writer.set("cr:{main}:stamp", b"{}")
    with pytest.raises(StoreMismatchError):
        indexed.index.state()
