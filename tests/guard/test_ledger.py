from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from samples.ledger_records import record, records
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.schema import CreateTable, DropTable

from guard.errors import LedgerError
from guard.ledger import Head, Ledger, LedgerEvent, LedgerRecord
from guard.ledger_entry import closest, severity
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


def test_an_empty_ledger_is_sound(ledger: Ledger) -> None:
    ledger.ready()
    assert ledger.heads() == ()
    assert ledger.verify().ok
    assert ledger.entries() == []
    assert ledger.get("decision-1") is None
    assert list(ledger.export()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(records)
def test_what_is_appended_is_read_back(file_ledger: Ledger, given_record: LedgerRecord) -> None:
    entry = file_ledger.append(given_record)
    assert entry.record == given_record
    assert file_ledger.get(given_record.decision.id) == entry
    assert file_ledger.entries(after=entry.seq - 1) == [entry]
    assert file_ledger.heads() == (Head(file_ledger.writer, entry.place.number, entry.place.hash),)
    for match in given_record.decision.matches:
        assert entry in file_ledger.entries(owner=str(match.owner), newest_first=True)
    verification = file_ledger.verify()
    assert verification.ok
    assert verification.entries == entry.seq


def test_what_no_database_holds_is_written_otherwise(ledger: Ledger) -> None:
    entry = ledger.append(replace(record(1), model="a\0b\ud800"))
    assert ledger.get("decision-1") == entry
    assert entry.record.model == "a\\x00b\\ud800"


def test_entries_are_chosen_and_paged(ledger: Ledger) -> None:
    ledger.append(record(1, Action.ALLOW))
    ledger.append(record(2, Action.BLOCK, "globex"))
    ledger.append(record(3, Action.CITE, "initech"))
    ledger.append(record(4, Action.BLOCK, "initech", org="umbrella"))

    def chosen(**choice: Any) -> list[int]:  # noqa: ANN401 - the method's own keywords
        return [entry.seq for entry in ledger.entries(**choice)]

    assert chosen() == [1, 2, 3, 4]
    assert chosen(newest_first=True) == [4, 3, 2, 1]
    assert chosen(limit=2) == [1, 2]
    assert chosen(after=2, limit=1) == [3]
    assert chosen(after=3, newest_first=True) == [2, 1]
    assert chosen(action=Action.BLOCK) == [2, 4]
    assert chosen(owner="org:initech") == [3, 4]
    assert chosen(owner="org:init") == []
    assert chosen(owner="org:initech", action=Action.BLOCK, org="umbrella") == [4]


def test_a_ledger_survives_its_process(url: str) -> None:
    with Ledger(url) as ledger:
        first = ledger.append(record(1))
    with Ledger(url) as ledger:
        second = ledger.append(record(2))
        assert ledger.entries() == [first, second]
        # Each process has a chain of its own.
        assert (second.place.number, second.place.previous) == (1, "0" * 64)
        assert len(ledger.verify().heads) == ledger.verify().entries == 2


def test_a_decision_is_recorded_once(ledger: Ledger) -> None:
    ledger.append(record(1))
    with pytest.raises(LedgerError, match="decision-1 already"):
        ledger.append(record(1))
    assert ledger.append(record(2)).place.number == 2
    assert ledger.verify().ok


def test_an_unknown_disposition_is_refused() -> None:
    with pytest.raises(LedgerError, match="'leaked' is no disposition"):
        LedgerRecord(record(1).decision, "acme", None, "model", "completions", "leaked", 0, 0)


def test_an_event_and_what_is_done_with_it_are_both_there_or_neither(ledger: Ledger) -> None:
    """And after one that was not written, the chain goes on."""
    ledger.append(record(1))
    beside = Table("written_beside", MetaData(), Column("number", Integer))
    with ledger._database.writing() as connection:
        connection.execute(DropTable(beside, if_exists=True))
        connection.execute(CreateTable(beside))

    def done(connection: Connection) -> None:
        connection.execute(insert(beside).values(number=7))

    def undone(connection: Connection) -> None:
        done(connection)
        raise KeyError

    def numbers() -> list[int]:
        with ledger._database.reading() as connection:
            return list(connection.execute(select(beside.c.number)).scalars())

    event = LedgerEvent("exception", "exc-1", {})
    with pytest.raises(KeyError):
        ledger.note(event, undone)
    assert (ledger.events(), numbers()) == ([], [])
    noted = ledger.note(event, done)
    assert (ledger.events(), numbers()) == ([noted], [7])
    assert ledger.verify().entries == 2


def test_events_stand_in_the_chain_beside_decisions(ledger: Ledger) -> None:
    ledger.append(record(1))
    noted = ledger.note(LedgerEvent("exception", "exc-1", {"until": "2027", "of": ["decision-1"]}, "acme", "key-2"))
    assert noted.event.details == {"until": "2027", "of": ["decision-1"]}
    assert noted.to_json()["number"] == 2
    assert ledger.events() == [noted]
    assert [entry.seq for entry in ledger.entries()] == [noted.place.seq - 1]
    assert ledger.get("exc-1") is None
    assert ledger.verify().entries == 2


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(records)
def test_an_entry_holds_names_and_numbers_and_no_text(file_ledger: Ledger, given_record: LedgerRecord) -> None:
    entry = file_ledger.append(given_record)
    (line,) = [line for line in file_ledger.export() if json.loads(line)["hash"] == entry.place.hash]
    decision = given_record.decision
    allowed = {decision.id, decision.action.value, given_record.org, given_record.key_id, given_record.model}
    place = entry.place
    allowed |= {given_record.release, given_record.surface, given_record.disposition, given_record.policy}
    allowed |= {place.at, place.hash, place.previous, place.writer, severity(decision), closest(decision)}
    document = json.loads(line)
    caller, content = (json.loads(document[part] or "{}") for part in ("caller", "content"))
    allowed |= {document["entry"][f"{part}_digest"] for part in ("caller", "content")}
    allowed |= {caller["salt"], content.get("salt")}
    del document["caller"], document["content"]
    for match in decision.matches:
        allowed |= {match.kind.value, match.action.value, match.license, match.reason, str(match.owner), match.document}
        allowed |= {match.exception}
    assert set(strings([document, caller, content])) <= allowed


# --- concurrency


def test_a_ledger_that_cannot_be_written_says_nothing_of_what_it_tried(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="decision-1 already"):
        ledger.append_all([record(0), record(1), record(1)])
    assert ledger.entries() == []
    assert ledger.append(record(1)).place.number == 1


def test_threads_share_one_chain(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda number: ledger.append(record(number)), range(80)))
    assert sorted(entry.seq for entry in entries) == list(range(1, 81))
    assert ledger.verify().entries == 80


APPENDER = """
import sys
sys.path.insert(0, sys.argv[1])
from guard.ledger import Ledger
from samples.ledger_records import record, records
with Ledger(sys.argv[2]) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        ledger.append(record(int(sys.argv[3]) + number))
"""


def test_processes_have_chains_of_their_own(url: str) -> None:
    # They also open the new ledger together.
    command = [sys.executable, "-c", APPENDER, str(Path(__file__).parents[1]), url]
    appenders = [
        subprocess.Popen([*command, str(start)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for start in (0, 1000)
    ]
    for appender in appenders:
        assert appender.stdout is not None
        assert appender.stdout.readline() == "ready\n"
    for appender in appenders:
        appender.communicate("go\n", timeout=60)
        assert appender.returncode == 0
    with Ledger(url) as ledger:
        verification = ledger.verify()
        assert verification.ok
        assert [head.entries for head in verification.heads] == [40, 40]


def test_a_long_ledger_is_read_in_pages(file_ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_verifying.AT_ONCE", 2)
    heads = []
    for number in range(6):
        file_ledger.append(record(number))
        heads += file_ledger.heads()
    shares: list[float] = []
    assert file_ledger.verify(heads, shares.append).beyond == 0
    assert shares == [2 / 6, 4 / 6, 1]
    assert file_ledger.verify(heads[:4]).beyond == 2
    assert len(list(file_ledger.export())) == 6
    with closing(sqlite3.connect(home / "cleanroom.db")) as connection, connection:
        connection.execute("UPDATE ledger_entries SET at = 'never' WHERE seq = 5")
    (broken,) = file_ledger.verify().breaks
    assert broken.number == 5
