"""Parts of entries can be taken out for good, and only by what the ledger itself says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from samples.ledger_records import record
from sqlalchemy import text

from guard.errors import LedgerError
from guard.ledger_chain import written_now
from guard.types import Action

if TYPE_CHECKING:
    from guard.ledger import Ledger


@pytest.fixture(autouse=True)
def _filled(ledger: Ledger) -> None:
    for number in range(1, 5):
        ledger.append(record(number, Action.ALLOW if number == 3 else Action.BLOCK))


def test_what_is_redacted_is_gone_and_the_chain_holds(ledger: Ledger) -> None:
    before = ledger.heads()
    noted = ledger.redact(["decision-2"], ["caller", "content"], "asked to", "operator")
    entry = ledger.get("decision-2")
    assert entry is not None
    assert entry.place.redacted == ("caller", "content")
    assert (entry.record.org, entry.record.key_id, entry.record.decision.matches) == ("", None, ())
    assert entry.record.generated_characters == 90
    assert ledger.entries(org="acme", owner="org:globex", newest_first=True)[-1].seq == 1
    assert [one.seq for one in ledger.entries(owner="org:globex")] == [1, 4]
    assert noted.event.details["entries"] == [[ledger.writer, 2]]
    assert ledger.verify().ok
    assert ledger.verify([*before, *ledger.heads()]).ok
    line = json.loads(list(ledger.export())[1])
    assert line["caller"] is line["content"] is None


@pytest.mark.parametrize("part", ["caller", "content"])
def test_a_part_can_go_alone(ledger: Ledger, part: str) -> None:
    ledger.redact(["decision-2", "decision-3"], [part], "policy")
    entry = ledger.get("decision-2")
    assert entry is not None
    assert entry.place.redacted == (part,)
    assert (entry.record.org == "", entry.record.decision.matches == ()) == (part == "caller", part == "content")
    assert ledger.verify().ok


def test_what_is_not_there_redacts_nothing(ledger: Ledger) -> None:
    for ids, parts in ([["decision-1", "nothing"], ["caller"]], [[], ["caller"]], [["decision-1"], ["org"]]):
        with pytest.raises(LedgerError):
            ledger.redact(ids, parts, "")
    with pytest.raises(LedgerError, match="name one or both of caller, content"):
        ledger.redact(["decision-1"], [], "")
    assert [entry.place.redacted for entry in ledger.entries()] == [()] * 4
    assert ledger.events() == []


CALLER = "UPDATE ledger_entries SET org = NULL, key_id = NULL, caller_salt = NULL WHERE number = 2"
CONTENT = "UPDATE ledger_entries SET content = NULL WHERE number = 2"


@pytest.mark.parametrize("redacted", [[], ["decision-1"]])
def test_what_is_taken_out_without_a_word_is_named(ledger: Ledger, redacted: list[str]) -> None:
    if redacted:
        ledger.redact(redacted, ["caller", "content"], "another one")
    with ledger._database.writing() as connection:
        connection.execute(text(CALLER))
        connection.execute(text(CONTENT))
        connection.execute(text("DELETE FROM ledger_matches WHERE seq = 2"))
    (broken,) = ledger.verify().breaks
    assert (broken.number, broken.reason[:9]) == (2, "who asked")


def test_a_redaction_that_no_head_vouches_for_does_not_count(ledger: Ledger) -> None:
    heads = ledger.heads()
    ledger.redact(["decision-2"], ["content"], "by whoever can write the database")
    assert ledger.verify().ok
    (broken,) = ledger.verify(heads).breaks
    assert broken.number == 2
    assert "no entry says so that a head vouches for" in broken.reason
    assert ledger.verify([*heads, *ledger.heads()]).ok


def test_what_is_half_taken_out_is_named(ledger: Ledger) -> None:
    ledger.redact(["decision-2"], ["caller", "content"], "policy")
    with ledger._database.writing() as connection:
        connection.execute(text("UPDATE ledger_entries SET org = 'evil' WHERE number = 2"))
    assert [broken.number for broken in ledger.verify().breaks] == [2]


def test_retention_takes_out_what_is_older_and_can_go_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_redaction.AT_ONCE", 2)
    before = written_now()
    ledger.append(record(5))
    assert ledger.retain(before, ["block", "cite"], ["caller", "content"])[1] == 3
    assert [entry.place.redacted for entry in ledger.entries()][1:] == [
        ("caller", "content"),
        (),
        ("caller", "content"),
        (),
    ]
    assert ledger.verify(ledger.heads()).ok
    assert ledger.retain(before, ["allow"], ["caller"])[1] == 1
    assert ledger.retain(before, ["allow", "block"], ["caller"])[1] == 0
    assert ledger.verify(ledger.heads()).ok
    with ledger._database.writing() as connection:
        connection.execute(text(CALLER.replace("= 2", "= 5")))
    assert [broken.number for broken in ledger.verify().breaks] == [5]


def test_retention_of_one_part_leaves_the_other(ledger: Ledger) -> None:
    before = written_now()
    ledger.append(record(5))
    assert ledger.retain(before, ["block"], ["content"])[1] == 3
    assert {entry.place.redacted for entry in ledger.entries()} == {(), ("content",)}
    assert ledger.verify().ok


def test_a_redaction_that_cannot_be_read_allows_nothing(ledger: Ledger) -> None:
    ledger.redact(["decision-2"], ["content"], "policy")
    with ledger._database.writing() as connection:
        connection.execute(text("UPDATE ledger_entries SET content = '[' WHERE event IS NOT NULL"))
    (broken,) = ledger.verify().breaks
    assert (broken.number, broken.reason[:14]) == (2, "what was found")


def test_no_rule_takes_out_who_redacted(ledger: Ledger) -> None:
    ledger.retain(written_now(), ["block", "allow"], ["caller"])
    with ledger._database.writing() as connection:
        connection.execute(text(CALLER.replace("number = 2", "event IS NOT NULL")))
    (broken,) = ledger.verify().breaks
    assert (broken.number, broken.reason[:9]) == (5, "who asked")
