from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from samples.code import JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed

from guard.audit import verify
from guard.errors import OwnerError, StoreEmptyError
from guard.index import Index
from guard.inventory import statistics
from guard.withdrawal import BATCH, withdraw

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    indexed = Indexed(store, home)
    indexed.add(ACME, "src/ledger.py", PYTHON)
    indexed.add(ACME, "src/router.java", JAVA, "java")
    indexed.add(ACME, "srcs/tide.py", UNRELATED)
    indexed.add(BETA, "src/ledger.py", PYTHON)
    return indexed


def owners(indexed: Indexed) -> list[str]:
    return [str(owner) for owner in indexed.index.owners()]


def test_an_owners_code_is_taken_back_whole(indexed: Indexed) -> None:
    told: list[int] = []
    assert withdraw(indexed.index, ACME, progress=told.append) == 3
    assert told[-1] == 3
    assert owners(indexed) == ["org:beta"]
    assert indexed.check(JAVA).action == "allow"
    assert str(indexed.check(PYTHON).matches[0].owner) == "org:beta"
    assert verify(indexed.index).sound
    assert [each.owner for each in statistics(indexed.index).owners] == ["org:beta"]
    assert withdraw(indexed.index, ACME) == 0


def test_what_lies_below_a_path_is_taken_back(indexed: Indexed) -> None:
    assert withdraw(indexed.index, ACME, "src/") == 2
    assert indexed.index.paths(ACME).keys() == {"srcs/tide.py"}
    assert withdraw(indexed.index, ACME, "nothing") == 0
    assert owners(indexed) == ["org:acme", "org:beta"]
    assert withdraw(indexed.index, ACME, "srcs/tide.py") == 1
    assert owners(indexed) == ["org:beta"]


def test_an_owner_without_documents_is_forgotten(indexed: Indexed) -> None:
    indexed.index.remove(BETA, "src/ledger.py")
    assert withdraw(indexed.index, BETA) == 0
    assert owners(indexed) == ["org:acme"]


def test_many_documents_go_in_batches_and_an_interruption_loses_nothing(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    count = BATCH + 30
    for number in range(count):
        indexed.add(ACME, f"{number}.py", f"{UNRELATED}\nnumber = {number}\n")

    def stop(removed: int) -> None:
        raise InterruptedError(removed)

    with pytest.raises(InterruptedError, match=str(BATCH)):
        withdraw(indexed.index, ACME, progress=stop)
    assert verify(indexed.index).sound
    assert withdraw(indexed.index, ACME) == count - BATCH
    assert owners(indexed) == []
    assert not list(embedded_store.writer.scan_iter(match="cr:[pdsf]*:*"))


def test_an_owner_that_keeps_growing_is_named(indexed: Indexed) -> None:
    watched = Index(indexed.store, KEY, indexed.home)
    real = watched.run_all

    def and_more(script: str, calls: list[tuple[Any, ...]]) -> list[Any]:
        answers = real(script, calls)
        indexed.add(ACME, "src/more.py", UNRELATED)
        return answers

    watched.run_all = and_more  # type: ignore[assignment,method-assign] # somebody else, who does not stop
    with pytest.raises(OwnerError, match="org:acme"):
        withdraw(watched, ACME)


def test_an_empty_store_is_refused(indexed: Indexed) -> None:
    indexed.store.writer.flushall()
    with pytest.raises(StoreEmptyError):
        withdraw(indexed.index, ACME)
