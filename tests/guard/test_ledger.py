from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.ledger_records import record

from guard.errors import LedgerError
from guard.ledger import Head, Ledger, LedgerRecord
from guard.ledger_entry import canonical_entry, read_entry
from guard.types import Action, Decision, Match, MatchKind, Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

names = st.text(max_size=30)
counts = st.integers(0, 1 << 31)
slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
owners = st.builds(Owner.organization, slugs) | st.builds(Owner.licensed, slugs, st.just("MIT OR GPL-2.0-only"))
# A decision's JSON keeps four digits of a similarity and three of a time.
similarities = st.integers(0, 10**4).map(lambda number: number / 10**4)
times = st.integers(0, 10**6).map(lambda number: number / 10**3)
matches = st.builds(
    Match,
    st.sampled_from(MatchKind),
    counts,
    counts,
    counts,
    similarities,
    owners,
    # Paths of Linux are bytes: Python gives undecodable ones as surrogates.
    st.text(st.characters(exclude_categories=())),
    st.none() | st.just("GPL-2.0-only"),
    st.sampled_from(Action),
    names,
)
decisions = st.builds(
    Decision,
    # Every example must be a new decision, in replays too.
    st.builds(lambda: uuid4().hex),
    st.sampled_from(Action),
    st.lists(matches, max_size=3).map(tuple),
    counts,
    times,
    counts,
)
records = st.builds(
    LedgerRecord,
    decisions,
    slugs,
    st.none() | slugs,
    names,
    names,
    st.sampled_from(["released", "cited", "trimmed", "withheld"]),
    counts,
    counts,
    st.none() | names,
)


def test_entries_of_before_models_had_releases_are_read() -> None:
    told = json.loads(canonical_entry(1, "2026-01-01T00:00:00+00:00", record(1)))
    del told["release"]
    body = json.dumps(told | {"schema": 1}, sort_keys=True, separators=(",", ":"))
    assert read_entry(1, body, "0" * 64, "1" * 64).record == record(1)
    with pytest.raises(LedgerError):
        read_entry(1, json.dumps(told | {"schema": 2}), "0" * 64, "1" * 64)


def test_an_empty_ledger_is_sound(ledger: Ledger) -> None:
    ledger.ready()
    assert ledger.head() == Head(0, "0" * 64)
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
    assert file_ledger.head() == Head(entry.seq, entry.hash)
    for match in given_record.decision.matches:
        assert entry in file_ledger.entries(owner=str(match.owner), newest_first=True)
    verification = file_ledger.verify()
    assert verification.ok
    assert verification.entries == entry.seq


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
        assert ledger.append(record(2)).previous == first.hash
        assert ledger.verify().entries == 2


def test_a_decision_is_recorded_once(ledger: Ledger) -> None:
    ledger.append(record(1))
    with pytest.raises(LedgerError, match="decision-1 already"):
        ledger.append(record(1))
    assert ledger.append(record(2)).seq == 2
    assert ledger.verify().ok


def test_an_unknown_disposition_is_refused() -> None:
    with pytest.raises(LedgerError, match="'leaked' is no disposition"):
        LedgerRecord(record(1).decision, "acme", None, "model", "completions", "leaked", 0, 0)


def test_an_export_can_be_verified_with_nothing_but_sha256(ledger: Ledger) -> None:
    for number in range(5):
        ledger.append(record(number))
    last = "0" * 64
    for line in ledger.export():
        document = json.loads(line)
        assert document["previous"] == last
        entry = line.partition('{"entry":')[2].rpartition(',"hash":')[0]
        assert json.loads(entry) == document["entry"]
        last = hashlib.sha256(bytes.fromhex(last) + entry.encode()).hexdigest()
        assert document["hash"] == last
    assert ledger.head() == Head(5, last)


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
    (line,) = [line for line in file_ledger.export() if json.loads(line)["hash"] == entry.hash]
    decision = given_record.decision
    allowed = {decision.id, decision.action.value, given_record.org, given_record.key_id, given_record.model}
    allowed |= {
        given_record.release,
        given_record.surface,
        given_record.disposition,
        entry.at,
        entry.hash,
        entry.previous,
    }
    for match in decision.matches:
        allowed |= {match.kind.value, match.action.value, match.license, match.reason, str(match.owner), match.document}
    assert set(strings(json.loads(line))) <= allowed


# --- concurrency


def test_threads_share_one_chain(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda number: ledger.append(record(number)), range(80)))
    assert sorted(entry.seq for entry in entries) == list(range(1, 81))
    assert ledger.verify().entries == 80


APPENDER = """
import sys
sys.path.insert(0, sys.argv[1])
from guard.ledger import Ledger
from samples.ledger_records import record
with Ledger(sys.argv[2]) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        ledger.append(record(int(sys.argv[3]) + number))
"""


def test_processes_share_one_chain(url: str) -> None:
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
        assert ledger.verify().entries == 80


def test_a_long_chain_is_read_in_pages(file_ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger.PAGE", 2)
    heads = [file_ledger.head()]
    for number in range(6):
        file_ledger.append(record(number))
        heads.append(file_ledger.head())
    assert all(file_ledger.verify(head).head == heads[-1] for head in heads)
    assert len(list(file_ledger.export())) == 6
    with closing(sqlite3.connect(home / "cleanroom.db")) as connection, connection:
        connection.execute("UPDATE ledger SET at = 'never' WHERE seq = 5")
    assert file_ledger.verify().first_broken == 5
