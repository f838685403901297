"""What somebody with SQL can do to a ledger, and what `verify` says of it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.errors import LedgerError
from guard.ledger import Head, Ledger, LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 6


def record(number: int, action: Action = Action.BLOCK) -> LedgerRecord:
    found = Match(MatchKind.EXACT, 3, 90, 41, 0.875, Owner.organization("globex"), "src/a.py", None, action, "private")
    decision = Decision(f"decision-{number}", action, () if action is Action.ALLOW else (found,), 60, 1.25, 7)
    return LedgerRecord(decision, "acme", "key-1", "model", "completions", "trimmed", 12, 90)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "original.db"
    with Ledger(f"sqlite:///{path}") as ledger:
        for number in range(1, LENGTH + 1):
            ledger.append(record(number))
    return path


class Tampered:
    """A copy of a sound ledger, in the hands of somebody with SQL."""

    def __init__(self, original: Path) -> None:
        self.path = original.with_name("tampered.db")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(original, self.path)
        with Ledger(f"sqlite:///{original}") as ledger:
            self.head = ledger.head()

    def run(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement, values in statements:
                assert connection.execute(statement, values).rowcount

    def broken(self, head: Head | None = None) -> int | None:
        with Ledger(f"sqlite:///{self.path}") as ledger:
            verification = ledger.verify(head)
        assert verification.ok == (verification.first_broken is None) == (verification.reason is None)
        if verification.first_broken is not None:
            assert verification.entries == verification.head.entries < LENGTH + 1
        return verification.first_broken


places = st.integers(1, LENGTH)
tampering = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@tampering
@given(
    seq=places,
    column=st.sampled_from(["at", "decision_id", "org", "action", "body", "previous", "hash"]),
    value=st.text() | st.integers(-5, 5) | st.binary(max_size=80),
)
def test_an_edited_entry_is_named(original: Path, seq: int, column: str, value: str | bytes) -> None:
    tampered = Tampered(original)
    tampered.run((f"UPDATE ledger SET {column} = ? WHERE seq = ?", (value, seq)))  # noqa: S608 - columns of this list
    assert tampered.broken() == seq


@tampering
@given(seq=places, position=st.integers(0, 300), byte=st.integers(0, 255))
def test_an_edited_byte_of_a_body_is_named(original: Path, seq: int, position: int, byte: int) -> None:
    tampered = Tampered(original)
    with closing(sqlite3.connect(tampered.path)) as connection:
        body = bytearray(connection.execute("SELECT body FROM ledger WHERE seq = ?", (seq,)).fetchone()[0].encode())
    unchanged = body[position] == byte
    body[position] = byte
    tampered.run(("UPDATE ledger SET body = CAST(? AS TEXT) WHERE seq = ?", (bytes(body), seq)))
    assert tampered.broken() == (None if unchanged else seq)


@tampering
@given(seq=st.integers(1, LENGTH - 1))
def test_an_edit_with_a_new_hash_breaks_the_next_entry(original: Path, seq: int) -> None:
    tampered = Tampered(original)
    with closing(sqlite3.connect(tampered.path)) as connection:
        query = "SELECT body, previous FROM ledger WHERE seq = ?"
        body, previous = connection.execute(query, (seq,)).fetchone()
    body = body.replace('"org":"acme"', '"org":"evil"')
    digest = hashlib.sha256(bytes.fromhex(previous) + body.encode()).hexdigest()
    statement = "UPDATE ledger SET org = 'evil', body = ?, hash = ? WHERE seq = ?"
    tampered.run((statement, (body, digest, seq)))
    assert tampered.broken() == seq + 1


@tampering
@given(seq=places)
def test_hiding_an_entry_from_queries_is_named(original: Path, seq: int) -> None:
    tampered = Tampered(original)
    tampered.run(("DELETE FROM ledger_owners WHERE seq = ?", (seq,)))
    assert tampered.broken() == seq
    tampered.run(("INSERT INTO ledger_owners VALUES ('org:globex', ?)", (seq,)))
    assert tampered.broken() is None
    tampered.run(("INSERT INTO ledger_owners VALUES ('org:initech', ?)", (seq,)))
    assert tampered.broken() == seq


@tampering
@given(seq=st.integers(1, LENGTH - 1), close_gap=st.booleans())
def test_a_deleted_entry_is_named(original: Path, seq: int, close_gap: bool) -> None:  # noqa: FBT001 - drawn
    tampered = Tampered(original)
    tampered.run(("DELETE FROM ledger WHERE seq = ?", (seq,)))
    if close_gap:
        tampered.run(*(("UPDATE ledger SET seq = ? WHERE seq = ?", (n - 1, n)) for n in range(seq + 1, LENGTH + 1)))
    assert tampered.broken() == seq


SHIFT = "UPDATE ledger SET seq = seq + 1 WHERE seq = ?"
COPY = (
    "INSERT INTO ledger SELECT ?, at, 'forged', org, action, replace(body, decision_id, 'forged'), previous, hash"
    " FROM ledger WHERE seq = ?"
)


@tampering
@given(seq=places, source=places)
def test_an_inserted_entry_is_named(original: Path, seq: int, source: int) -> None:
    tampered = Tampered(original)
    source += source >= seq
    tampered.run(*((SHIFT, (n,)) for n in range(LENGTH, seq - 1, -1)), (COPY, (seq, source)))
    assert tampered.broken() == seq


@pytest.mark.parametrize("seq", [0, -3, LENGTH + 1, LENGTH + 2])
def test_an_entry_beside_the_chain_is_named(original: Path, seq: int) -> None:
    tampered = Tampered(original)
    tampered.run((COPY, (seq, 1)))
    assert tampered.broken() == min(seq, LENGTH + 1)


@tampering
@given(st.lists(places, min_size=2, max_size=2, unique=True))
def test_exchanged_entries_are_named(original: Path, pair: list[int]) -> None:
    tampered = Tampered(original)
    move = "UPDATE ledger SET seq = ? WHERE seq = ?"
    tampered.run((move, (99, pair[0])), (move, (pair[0], pair[1])), (move, (pair[1], 99)))
    assert tampered.broken() == min(pair)


@tampering
@given(kept=st.integers(0, LENGTH - 1))
def test_a_tail_that_was_cut_off_shows_only_against_an_exported_head(original: Path, kept: int) -> None:
    tampered = Tampered(original)
    tampered.run(("DELETE FROM ledger WHERE seq > ?", (kept,)))
    tampered.run(("DELETE FROM ledger_owners WHERE seq > ?", (kept,)))
    assert tampered.broken() is None
    assert tampered.broken(tampered.head) == kept + 1


def test_a_rewritten_chain_shows_only_against_an_exported_head(original: Path) -> None:
    tampered = Tampered(original)
    tampered.path.unlink()
    with Ledger(f"sqlite:///{tampered.path}") as ledger:
        for number in range(1, LENGTH + 1):
            ledger.append(record(number, Action.ALLOW))
    assert tampered.broken() is None
    assert tampered.broken(tampered.head) == LENGTH


def test_a_broken_record_is_an_error_to_readers(original: Path) -> None:
    tampered = Tampered(original)
    tampered.run(("UPDATE ledger SET body = '{}' WHERE seq = 2", ()))
    with Ledger(f"sqlite:///{tampered.path}") as ledger, pytest.raises(LedgerError, match="cleanroom ledger verify"):
        ledger.entries()


NO_RECORDS = ["[]", "7", '{"schema": 99}', '{"seq": 1, "at": "", "schema": 0}', "[" * 100_000]


@pytest.mark.parametrize("body", NO_RECORDS, ids=range(len(NO_RECORDS)))
def test_a_hash_that_fits_makes_no_record_of_what_is_none(original: Path, body: str) -> None:
    tampered = Tampered(original)
    with closing(sqlite3.connect(tampered.path)) as connection:
        previous = connection.execute("SELECT previous FROM ledger WHERE seq = ?", (LENGTH,)).fetchone()[0]
    digest = hashlib.sha256(bytes.fromhex(previous) + body.encode()).hexdigest()
    tampered.run(("UPDATE ledger SET body = ?, hash = ? WHERE seq = ?", (body, digest, LENGTH)))
    assert tampered.broken() == LENGTH
    with Ledger(f"sqlite:///{tampered.path}") as ledger, pytest.raises(LedgerError, match="is no record"):
        ledger.entries()
