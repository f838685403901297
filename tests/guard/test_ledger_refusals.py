from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from samples.ledger_records import record

from guard.errors import LedgerError, RefusalError
from guard.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

# --- what a database does


def refused(ledger: Ledger, number: int) -> str:
    with pytest.raises(LedgerError) as caught:
        ledger.append(record(number))
    assert isinstance(caught.value, RefusalError)
    with pytest.raises(LedgerError):
        ledger.ready()
    return str(caught.value)


def test_the_file_is_private(file_ledger: Ledger, home: Path) -> None:
    file_ledger.append(record(1))
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}


def test_a_file_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "cleanroom.db"
    path.touch(0o644)
    with Ledger(f"sqlite:///{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_locked_ledger_refuses_and_recovers(file_ledger: Ledger, home: Path) -> None:
    with closing(sqlite3.connect(home / "cleanroom.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another process holds it" in refused(file_ledger, 1)
        other.execute("ROLLBACK")
    assert file_ledger.append(record(1)).seq == 1


def test_a_full_ledger_refuses_keeps_what_it_has_and_recovers(file_ledger: Ledger) -> None:
    with file_ledger._database.reading() as connection:
        size = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {size + 4}")
    kept = 0
    try:
        while kept < 1000:
            file_ledger.append(record(kept))
            kept += 1
    except LedgerError as error:
        assert "make room on its disk" in str(error)  # noqa: PT017 - which append fails is SQLite's affair
    assert 0 < kept < 1000
    assert "full" in refused(file_ledger, 1000)
    assert file_ledger.verify().entries == kept
    with file_ledger._database.reading() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {size + 400}")
    assert file_ledger.append(record(kept)).seq == kept + 1
    assert file_ledger.verify().ok


def test_a_read_only_ledger_refuses_but_can_be_verified(file_ledger: Ledger, home: Path) -> None:
    file_ledger.append(record(1))
    with Ledger(f"sqlite:///file:{home}/cleanroom.db?mode=ro&uri=true") as ledger:
        assert "make the file and its directory writable" in refused(ledger, 99)
        assert ledger.verify().entries == 1


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port/d"],
)
def test_a_database_that_cannot_keep_a_ledger_is_refused(url: str) -> None:
    with pytest.raises(LedgerError, match=r"CLEANROOM_LEDGER_URL.*sqlite:///PATH") as caught:
        Ledger(url)
    assert "s3cret" not in str(caught.value)


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, and longer than a header")
    path.chmod(0o644)
    with pytest.raises(LedgerError, match="name another in CLEANROOM_LEDGER_URL"):
        Ledger(f"sqlite:///{path}")
    assert path.read_text().startswith("no database")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(f"sqlite:///{tmp_path}/file/cleanroom.db")
