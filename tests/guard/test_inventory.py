from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from samples.code import JAVA, PYTHON
from samples.indexed import ACME, COMMONS, Indexed

from guard.errors import StoreEmptyError
from guard.index import SCHEMA, SCHEME
from guard.inventory import statistics, statistics_of
from guard.types import Owner

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


def test_an_index_is_counted_by_owner(store: Store, home: Path) -> None:
    indexed = Indexed(store, home)
    licensed = Owner.licensed("lib", "MIT OR Apache-2.0")
    sizes = []
    for owner, path, text, language in (
        (ACME, "a.py", PYTHON, "python"),
        (ACME, "b.java", JAVA, "java"),
        (COMMONS, "a.py", PYTHON, "python"),
        (licensed, "tiny.py", "x = 1\n", "python"),
    ):
        indexed.add(owner, path, text, language)
        digest = indexed.digester.digest(path, text, language)
        sizes.append((digest.tokens, len(digest.fragments)))
    numbers = statistics(indexed.index)
    found = {each.owner: (each.documents, each.tokens, each.fragments) for each in numbers.owners}
    assert found == {
        "org:acme": (2, sizes[0][0] + sizes[1][0], sizes[0][1] + sizes[1][1]),
        "commons:public": (1, *sizes[2]),
        "license:lib:MIT OR Apache-2.0": (1, 3, 0),
    }
    assert numbers.documents == 4
    assert numbers.tokens == sum(tokens for tokens, _ in sizes)
    assert numbers.fragments == sum(fragments for _, fragments in sizes)
    assert numbers.memory > 100_000
    assert numbers.version == 7  # three owners, four documents
    assert (numbers.schema, numbers.scheme) == (SCHEMA, SCHEME)
    told = json.loads(json.dumps(numbers.to_json()))
    assert told["owners"][0] == {
        "owner": "commons:public",
        "documents": 1,
        "tokens": sizes[2][0],
        "fragments": sizes[2][1],
        "expires": None,
    }
    assert told["documents"] == 4
    assert told["index_id"] == numbers.index_id


def test_a_new_index_holds_nothing(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    numbers = statistics(indexed.index)
    assert numbers.owners == ()
    assert (numbers.documents, numbers.tokens, numbers.fragments, numbers.version) == (0, 0, 0, 0)
    embedded_store.writer.flushall()
    with pytest.raises(StoreEmptyError):
        statistics(indexed.index)


def test_damage_does_not_keep_the_rest_from_being_counted(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    for number in range(4):
        indexed.add(ACME, f"{number}.py", f"{PYTHON}\nnumber = {number}\n")
    whole = statistics(indexed.index)
    records = sorted(embedded_store.writer.scan_iter(match="cr:{main}:d:*"))
    embedded_store.writer.delete(records[0])
    embedded_store.writer.set(records[1], b"[")
    embedded_store.writer.set(records[2], b"\x07\0\0\0")
    damaged = statistics(indexed.index)
    assert damaged.documents == 4
    assert damaged.tokens == whole.tokens / 4


def test_whom_nobody_knows_has_nothing(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    found = statistics_of(indexed.index, ACME)
    assert (found.owner, found.documents, found.tokens) == (str(ACME), 0, 0)
    indexed.add(ACME, "a.py", PYTHON)
    assert statistics_of(indexed.index, ACME).documents == 1
