"""What a verification tells of a ledger that is sound, and of one whose last write nobody answered for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from samples.ledger_records import record

from guard.errors import LedgerError
from guard.ledger import LedgerEvent
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.ledger import Ledger


@pytest.mark.parametrize("action", [Action.ALLOW, Action.BLOCK])
def test_heads_vouch_for_what_was_there(ledger: Ledger, action: Action) -> None:
    last = [ledger.append(record(number, action)) for number in range(3)][-1]
    (head,) = heads = ledger.heads()
    assert str(head) == f"{ledger.writer}:3:{last.hash}"
    ledger.append(record(3, action))
    assert ledger.verify(heads).beyond == 1
    assert ledger.verify(ledger.heads()).beyond == 0


def test_progress_is_told(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_verifying.AT_ONCE", 1)
    for number, action in enumerate([Action.ALLOW, Action.BLOCK] * 3):
        ledger.append(record(number, action))
    told: list[float] = []
    assert ledger.verify(progress=told.append).ok
    assert told == sorted(told)
    assert len(told) >= 3
    assert 0 < told[-1] <= 1


def test_progress_is_told_of_events_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_verifying.AT_ONCE", 1)
    for number in range(5):
        ledger.note(LedgerEvent("exception", f"exc-{number}", {}, "acme", "key-2"))
    told: list[float] = []
    assert ledger.verify(progress=told.append).entries == 5
    assert told == sorted(told)
    assert len(told) >= 3


@pytest.mark.parametrize("arrives", [True, False])
def test_a_write_that_was_not_answered_is_looked_up(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    ledger.append(record(1))
    real = ledger._database.writing

    @contextmanager
    def breaks_off(*given: Any) -> Iterator[Any]:  # noqa: ANN401 - as the method
        with real(*given) as connection:
            yield connection
            if not arrives:
                raise OSError
        raise OSError

    monkeypatch.setattr(ledger._database, "writing", breaks_off)
    with pytest.raises(LedgerError):
        ledger.append(record(2))
    monkeypatch.undo()
    ledger.append(record(3))
    assert [entry.record.decision.id for entry in ledger.entries()] == [
        f"decision-{number}" for number in ([1, 2, 3] if arrives else [1, 3])
    ]
    assert ledger.verify(ledger.heads()).ok
