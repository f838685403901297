from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from samples.code import JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, Indexed

from guard import withdrawal
from guard.audit import verify
from guard.errors import StoreEmptyError, StoreMismatchError
from guard.inventory import statistics
from guard.layout import BUCKETS
from guard.owner_scripts import SWEEP
from guard.scripts import APPEND
from guard.withdrawal import FEW, STEP, sweep, withdraw, withdraw_expired

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


@pytest.mark.parametrize("few", [0, FEW])
def test_an_interrupted_withdrawal_is_taken_up(
    embedded_store: Store, home: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(withdrawal, "FEW", few)
    indexed = Indexed(embedded_store, home)
    for number in range(30):
        indexed.add(ACME, f"{number}.py", f"{UNRELATED}\nnumber = {number}\n")
    indexed.add(BETA, "a.py", PYTHON)

    def stop(removed: int) -> None:
        raise InterruptedError(removed)

    with pytest.raises(InterruptedError, match="30"):
        withdraw(indexed.index, ACME, progress=stop)
    # The guard knows none of it from the first step on, whatever is left of it.
    assert indexed.check(UNRELATED).action == "allow"
    assert owners(indexed) == ["org:beta"]
    assert verify(indexed.index).sound
    assert list(embedded_store.writer.scan_iter(match="cr:{main}:d:*"))
    # Code that comes back meanwhile is new code.
    indexed.add(ACME, "again.py", UNRELATED)
    assert withdraw(indexed.index, BETA) == 1
    assert owners(indexed) == ["org:acme"]
    assert indexed.check(UNRELATED).action == "block"
    assert verify(indexed.index).sound
    assert withdraw(indexed.index, ACME) == 1
    assert not list(embedded_store.writer.scan_iter(match="cr:*:[dps]*:*"))


def test_a_sweep_goes_on_where_it_stopped(embedded_store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawal, "FEW", 0)
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "a.py", PYTHON)
    indexed.add(BETA, "a.py", PYTHON)
    real, swept = indexed.index.programs.spread, []

    def counted(script: str, calls: list[Any]) -> list[Any]:
        if script == SWEEP:
            swept.append(calls)
            if len(swept) == 100:
                raise InterruptedError
        return real(script, calls)

    indexed.index.programs.spread = counted  # type: ignore[assignment,method-assign] # the machine stops
    with pytest.raises(InterruptedError):
        withdraw(indexed.index, ACME)
    sweep(indexed.index)
    assert len(swept) < BUCKETS / STEP + 100
    assert withdrawal.sweep(indexed.index) == 0
    assert verify(indexed.index).sound
    assert str(indexed.check(PYTHON).matches[0].owner) == "org:beta"


def test_nothing_is_written_for_an_owner_that_was_withdrawn_meanwhile(indexed: Indexed) -> None:
    real = indexed.index.programs.spread

    def and_withdraw(script: str, calls: list[Any]) -> list[Any]:
        answers = real(script, calls)
        if script == APPEND:
            indexed.index.programs.spread = real  # type: ignore[method-assign] # as it was
            withdraw(indexed.index, ACME)
        return answers

    indexed.index.programs.spread = and_withdraw  # type: ignore[assignment,method-assign] # somebody else
    with pytest.raises(StoreMismatchError, match="owner is gone"):
        indexed.add(ACME, "src/more.py", UNRELATED)
    assert owners(indexed) == ["org:beta"]
    assert verify(indexed.index).sound
    assert indexed.check(UNRELATED).action == "allow"


def test_what_expired_counts_no_more_and_is_then_withdrawn(indexed: Indexed) -> None:
    reader = Indexed(indexed.store, indexed.home)
    indexed.index.expire(ACME, time.time() + 1000)
    assert reader.check(JAVA).action == "block"
    indexed.index.expire(ACME, time.time() - 1)
    assert reader.check(JAVA).action == "allow"
    assert str(reader.check(PYTHON).matches[0].owner) == "org:beta"
    assert verify(indexed.index).sound
    assert withdraw_expired(indexed.index) == [ACME]
    assert withdraw_expired(indexed.index) == []
    assert owners(indexed) == ["org:beta"]
    assert verify(indexed.index).sound


def test_an_empty_store_is_refused(indexed: Indexed) -> None:
    indexed.store.writer.flushall()
    with pytest.raises(StoreEmptyError):
        withdraw(indexed.index, ACME)
