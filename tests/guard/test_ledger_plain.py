"""What databases spell by themselves is what the hash of an entry is over."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.ledger_records import record
from sqlalchemy import text

from guard.ledger import LedgerEvent
from guard.ledger_verifying import _Walk
from guard.types import Action

if TYPE_CHECKING:
    from guard.ledger import Ledger

NASTY = ('"', "\\", "\x1f\n", "\u2028", "\x7f", "\ud800")
COUNT = itertools.count()


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The entries that are looked at once more, column by column."""
    seen: list[int] = []
    real = _Walk._again

    def noted(walk: _Walk, seq: int) -> None:
        seen.append(seq)
        real(walk, seq)

    monkeypatch.setattr(_Walk, "_again", noted)
    return seen


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.text() | st.sampled_from(NASTY), min_size=3, max_size=3),
    numbers=st.lists(st.integers(0, 1 << 40), min_size=2, max_size=2),
    absent=st.booleans(),
    action=st.sampled_from(Action),
)
def test_every_name_is_spelled_as_it_was_hashed(
    ledger: Ledger,
    again: list[int],
    words: list[str],
    numbers: list[int],
    absent: bool,  # noqa: FBT001 - drawn
    action: Action,
) -> None:
    model, org, key = words
    whole = record(next(COUNT), action)
    names = {"model": model, "org": org, "key_id": None if absent else key, "release": None if absent else model}
    sizes = {"released_characters": numbers[0], "generated_characters": numbers[1]}
    ledger.append(replace(whole, **names, **sizes))
    assert ledger.verify(ledger.heads()).ok
    assert again == []


EDITS = {
    "model": "'other'",
    "action": "'cite'",
    "at": "'2020-01-01T00:00:00.000000+00:00'",
    "org": "'evil'",
    "org = NULL, key_id = NULL, caller_salt": "NULL",
    "caller_digest": "NULL",
    "content": "'{}'",
    "content = NULL, content_digest": "NULL",
    "content_digest": "NULL",
    "severity": "'low'",
    "number": "77",
    "previous": "hash",
    "hash": "previous",
    "body": "'{}'",
    "event": "'redaction'",
    "schema": "2",
}


@pytest.mark.parametrize("column", EDITS)
@pytest.mark.parametrize("action", [Action.ALLOW, Action.BLOCK])
def test_an_edit_is_named_whichever_the_database(ledger: Ledger, column: str, action: Action) -> None:
    for number in range(1, 5):
        ledger.append(record(number, action))
    with ledger._database.writing() as connection:
        connection.execute(text(f"UPDATE ledger_entries SET {column} = {EDITS[column]} WHERE number = 2"))  # noqa: S608
    # What is allowed has no content.
    same = action is Action.ALLOW and column.endswith("content_digest")
    assert [one.number for one in ledger.verify().breaks] == ([] if same else [2])


def test_what_was_redacted_needs_no_second_look(ledger: Ledger, again: list[int]) -> None:
    for number in range(1, 7):
        ledger.append(record(number, Action.BLOCK if number % 2 else Action.ALLOW))
    ledger.redact(["decision-1", "decision-2"], ["caller"], "asked to")
    later = datetime.now(UTC) + timedelta(seconds=1)
    for moment in (later - timedelta(days=2), later, later - timedelta(days=1)):
        ledger.retain(moment.isoformat(timespec="microseconds"), [Action.BLOCK.value], ["content"])
    ledger.note(LedgerEvent("something", "id-1", {}, "acme", "key-1"))
    assert ledger.verify(ledger.heads()).ok
    assert again == []


def test_a_match_of_an_allowed_generation_is_named(ledger: Ledger) -> None:
    for number in range(1, 4):
        ledger.append(record(number, Action.ALLOW))
    with ledger._database.writing() as connection:
        connection.execute(
            text("INSERT INTO ledger_matches VALUES ((SELECT seq FROM ledger_entries WHERE number = 2), 0, 'org:x', "
                 "'exact', NULL, 'block', '', 1)")
        )  # fmt: skip
    assert [one.number for one in ledger.verify().breaks] == [2]
