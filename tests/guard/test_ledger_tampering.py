"""What somebody with SQL can do to a ledger, and what `verify` says of it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.errors import LedgerError
from guard.ledger import Head, Ledger, LedgerRecord
from guard.ledger_form import HEADER, caller_part, chained_hash, digest, header
from guard.ledger_schema import entry_table
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


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of allowed generations, which have no matches."""
    path = tmp_path_factory.mktemp("plain") / "original.db"
    with Ledger(f"sqlite:///{path}") as ledger:
        for number in range(1, LENGTH + 1):
            ledger.append(record(number, Action.ALLOW))
    return path


class Tampered:
    """A copy of a sound ledger, in the hands of somebody with SQL."""

    def __init__(self, original: Path) -> None:
        self.path = original.with_name("tampered.db")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(original, self.path)
        with Ledger(f"sqlite:///{original}") as ledger:
            (self.head,) = ledger.heads()

    def run(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement, values in statements:
                assert connection.execute(statement, values).rowcount

    def row(self, number: int) -> dict[str, Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM ledger_entries WHERE number = ?", (number,)).fetchone())

    def broken(self, *heads: Head) -> int | None:
        with Ledger(f"sqlite:///{self.path}") as ledger:
            verification = ledger.verify(heads)
        assert verification.ok == (not verification.breaks)
        if verification.ok:
            return None
        (broken,) = verification.breaks
        assert broken.reason
        assert verification.entries < LENGTH + 1
        return broken.number


places = st.integers(1, LENGTH)
tampering = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# All but the row's own number, which pages and binds nothing.
COLUMNS = [column.name for column in entry_table.columns if column.name != "seq"]


@tampering
@given(
    seq=places,
    column=st.sampled_from(COLUMNS),
    value=st.none() | st.text() | st.integers(-5, 5) | st.floats() | st.binary(max_size=80),
    leak=st.booleans(),
)
def test_an_edited_entry_is_named(
    original: Path,
    plain: Path,
    seq: int,
    column: str,
    value: str | bytes | None,
    leak: bool,  # noqa: FBT001 - drawn
) -> None:
    tampered = Tampered(original if leak else plain)
    before = tampered.row(seq)
    statement = f"UPDATE ledger_entries SET {column} = ? WHERE number = ?"  # noqa: S608 - columns of this list
    try:
        tampered.run((statement, (value, seq)))
    except (sqlite3.IntegrityError, UnicodeEncodeError):
        return
    if column == "writer":
        with Ledger(f"sqlite:///{tampered.path}") as ledger:
            assert not ledger.verify([tampered.head]).ok
        return
    with closing(sqlite3.connect(tampered.path)) as connection:
        query = f"SELECT count(*) FROM ledger_entries WHERE decision_id = ? AND {column} IS ?"  # noqa: S608
        same = connection.execute(query, (before["decision_id"], before[column])).fetchone()[0]
        number = connection.execute("SELECT number FROM ledger_entries WHERE seq = ?", (before["seq"],)).fetchone()[0]
    unchanged = column != "decision_id" and same
    # One with a number of before the first is named by that.
    named = min(seq, number) if isinstance(number, int) else seq
    assert tampered.broken() == (None if unchanged else named)


def test_a_writer_that_is_no_text_is_named(original: Path) -> None:
    tampered = Tampered(original)
    tampered.run(("UPDATE ledger_entries SET writer = ? WHERE number = 2", (b"evil",)))
    with Ledger(f"sqlite:///{tampered.path}") as ledger:
        assert {broken.writer for broken in ledger.verify([tampered.head]).breaks} == {"b'evil'", tampered.head.writer}


@tampering
@given(
    seq=places, column=st.sampled_from(["content", "caller_salt"]), position=st.integers(0, 31), bit=st.integers(0, 6)
)
def test_an_edited_byte_is_named(original: Path, seq: int, column: str, position: int, bit: int) -> None:
    tampered = Tampered(original)
    text = bytearray(tampered.row(seq)[column].encode())
    text[position] ^= 1 << bit
    statement = f"UPDATE ledger_entries SET {column} = CAST(? AS TEXT) WHERE number = ?"  # noqa: S608
    tampered.run((statement, (bytes(text), seq)))
    assert tampered.broken() == seq


@tampering
@given(seq=st.integers(1, LENGTH - 1))
def test_an_edit_with_new_hashes_breaks_the_next_entry(original: Path, seq: int) -> None:
    tampered = Tampered(original)
    row = tampered.row(seq)
    row["org"] = "evil"
    row["caller_digest"] = digest(caller_part("evil", row["key_id"], row["caller_salt"]))
    told = chained_hash(row["previous"], header({name: row[name] for name in HEADER}))
    statement = "UPDATE ledger_entries SET org = 'evil', caller_digest = ?, hash = ? WHERE number = ?"
    tampered.run((statement, (row["caller_digest"], told, seq)))
    assert tampered.broken() == seq + 1


@tampering
@given(
    seq=places,
    change=st.sampled_from(
        [
            "DELETE FROM ledger_matches WHERE seq = {}",
            "UPDATE ledger_matches SET owner = 'org:initech' WHERE seq = {}",
            "UPDATE ledger_matches SET document = 'src/b.py' WHERE seq = {}",
            "UPDATE ledger_matches SET kind = 'near' WHERE seq = {}",
            "UPDATE ledger_matches SET license = 'MIT' WHERE seq = {}",
            "UPDATE ledger_matches SET tokens = 1 WHERE seq = {}",
            "UPDATE ledger_matches SET place = 1 WHERE seq = {}",
            "INSERT INTO ledger_matches SELECT seq, 1, owner, kind, NULL, '', '', 1 FROM ledger_matches WHERE seq = {}",
        ]
    ),
)
def test_hiding_an_entry_from_queries_is_named(original: Path, seq: int, change: str) -> None:
    tampered = Tampered(original)
    tampered.run((change.format(seq), ()))
    assert tampered.broken() == seq


@pytest.mark.parametrize("seq", [0, LENGTH + 5])
def test_matches_of_no_entry_are_seen_by_nobody(original: Path, seq: int) -> None:
    tampered = Tampered(original)
    tampered.run(("INSERT INTO ledger_matches VALUES (?, 0, 'org:x', 'exact', NULL, 'block', '', 1)", (seq,)))
    assert tampered.broken() is None
    with Ledger(f"sqlite:///{tampered.path}") as ledger:
        assert ledger.entries(owner="org:x") == []


@tampering
@given(seq=st.integers(1, LENGTH - 1), close_gap=st.booleans())
def test_a_deleted_entry_is_named(original: Path, seq: int, close_gap: bool) -> None:  # noqa: FBT001 - drawn
    tampered = Tampered(original)
    tampered.run(("DELETE FROM ledger_entries WHERE number = ?", (seq,)))
    if close_gap:
        closing_it = "UPDATE ledger_entries SET number = ? WHERE number = ?"
        tampered.run(*((closing_it, (n - 1, n)) for n in range(seq + 1, LENGTH + 1)))
    assert tampered.broken() == seq


SHIFT = "UPDATE ledger_entries SET number = number + 1, seq = seq + 1 WHERE number = ?"
_COPIED = ", ".join(name for name in COLUMNS if name not in ("number", "decision_id"))
COPY = (
    f"INSERT INTO ledger_entries (seq, number, decision_id, {_COPIED})"  # noqa: S608 - columns of the schema
    f" SELECT ?1, ?1, 'forged', {_COPIED} FROM ledger_entries WHERE number = ?2"
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
    move = "UPDATE ledger_entries SET number = ? WHERE number = ?"
    tampered.run((move, (99, pair[0])), (move, (pair[0], pair[1])), (move, (pair[1], 99)))
    assert tampered.broken() == min(pair)


@tampering
@given(kept=st.integers(0, LENGTH - 1))
def test_a_tail_that_was_cut_off_shows_only_against_an_exported_head(original: Path, kept: int) -> None:
    tampered = Tampered(original)
    tampered.run(("DELETE FROM ledger_entries WHERE number > ?", (kept,)))
    tampered.run(("DELETE FROM ledger_matches WHERE seq > ?", (kept,)))
    assert tampered.broken() is None
    assert tampered.broken(tampered.head) == kept + 1


def test_a_rewritten_chain_shows_only_against_an_exported_head(original: Path) -> None:
    tampered = Tampered(original)
    previous = "0" * 64
    for number in range(1, LENGTH + 1):
        row = tampered.row(number) | {"model": "another", "previous": previous}
        previous = chained_hash(previous, header({name: row[name] for name in HEADER}))
        change = "UPDATE ledger_entries SET model = 'another', previous = ?, hash = ? WHERE number = ?"
        tampered.run((change, (row["previous"], previous, number)))
    assert tampered.broken() is None
    assert tampered.broken(tampered.head) == LENGTH


def test_a_chain_that_is_gone_shows_only_against_an_exported_head(original: Path) -> None:
    tampered = Tampered(original)
    tampered.path.unlink()
    with Ledger(f"sqlite:///{tampered.path}") as ledger:
        ledger.append(record(1, Action.ALLOW))
        assert ledger.verify().ok
        (broken,) = ledger.verify([tampered.head]).breaks
    assert (broken.writer, broken.number) == (tampered.head.writer, 1)


def test_each_broken_chain_is_named(original: Path) -> None:
    tampered = Tampered(original)
    for number in (1, 2):
        with Ledger(f"sqlite:///{tampered.path}") as ledger:
            ledger.append(record(100 * number))
            ledger.append(record(100 * number + 1))
    tampered.run(("UPDATE ledger_entries SET org = 'evil' WHERE number = 2", ()))
    with Ledger(f"sqlite:///{tampered.path}") as ledger:
        verification = ledger.verify()
    assert [one.number for one in verification.breaks] == [2, 2, 2]
    assert len({one.writer for one in verification.breaks}) == 3
    assert verification.entries == 3


def test_a_broken_record_is_an_error_to_readers(original: Path) -> None:
    tampered = Tampered(original)
    tampered.run(("UPDATE ledger_entries SET content = '{}' WHERE number = 2", ()))
    with Ledger(f"sqlite:///{tampered.path}") as ledger, pytest.raises(LedgerError, match="cleanroom ledger verify"):
        ledger.entries()


NO_RECORDS = ["[]", "7", '{"matches": 7}', '{"matches":[{"owner":"nobody"}]}', "[" * 100_000]


@pytest.mark.parametrize("content", NO_RECORDS, ids=range(len(NO_RECORDS)))
def test_hashes_that_fit_make_no_record_of_what_is_none(original: Path, content: str) -> None:
    tampered = Tampered(original)
    row = tampered.row(LENGTH) | {"content_digest": digest(content)}
    told = chained_hash(row["previous"], header({name: row[name] for name in HEADER}))
    change = "UPDATE ledger_entries SET content = ?, content_digest = ?, hash = ? WHERE number = ?"
    tampered.run((change, (content, row["content_digest"], told, LENGTH)))
    assert tampered.broken() == LENGTH
    with Ledger(f"sqlite:///{tampered.path}") as ledger, pytest.raises(LedgerError, match="is no record"):
        ledger.entries()


def test_an_entry_of_an_unknown_schema_is_no_record(original: Path) -> None:
    tampered = Tampered(original)
    tampered.run(("UPDATE ledger_entries SET schema = 99 WHERE number = 2", ()))
    assert tampered.broken() == 2
    with Ledger(f"sqlite:///{tampered.path}") as ledger, pytest.raises(LedgerError, match="is no record"):
        ledger.entries()


def test_whoever_adds_to_the_chain_of_a_running_process_is_noticed(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.append(record(1))
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
            connection.execute(COPY, (2, 1))
        for _ in range(2):
            with pytest.raises(LedgerError, match="somebody else changes it"):
                ledger.append(record(2))


def test_whoever_cuts_the_chain_of_a_running_process_breaks_it(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        for number in range(3):
            ledger.append(record(number))
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
            connection.execute("DELETE FROM ledger_entries WHERE number = 3")
            connection.execute("DELETE FROM ledger_matches WHERE seq = 3")
        ledger.append(record(4))
        (broken,) = ledger.verify().breaks
    assert (broken.number, broken.reason) == (3, "it is missing: entry 4 comes next")
