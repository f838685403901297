"""Databases of accounts that an earlier version made."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from service import account_schema
from service.accounts import Accounts, Quota, Scope

if TYPE_CHECKING:
    from sqlalchemy import Column, Engine, Table

COMPLETE = frozenset({Scope.COMPLETE})


@pytest.fixture
def earlier(database: str, accounts: Accounts) -> tuple[Path, str]:
    """A database as the version before quotas left it, and the secret of a key."""
    _, secret = accounts.create_key("acme", COMPLETE, "laptop")
    accounts.close()
    path = Path(database.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        for column in ("requests_per_minute", "tokens_per_day"):
            connection.execute(f"ALTER TABLE api_keys DROP COLUMN {column}")
    return path, secret


def test_database_of_an_earlier_version_goes_on(earlier: tuple[Path, str]) -> None:
    path, secret = earlier
    with Accounts(f"sqlite:///{path}") as accounts:
        caller = accounts.authenticate(secret)
        assert (caller.org, caller.quota) == ("acme", Quota())
        (record,) = accounts.list_keys("acme")
        assert record.label == "laptop"
        assert accounts.set_quota(record.id, Quota(1, 2)).quota == Quota(1, 2)
        accounts.create_key("acme", COMPLETE)
    with Accounts(f"sqlite:///{path}") as again:
        assert again.authenticate(secret).quota == Quota(1, 2)


def test_processes_that_start_at_once_on_an_earlier_version(earlier: tuple[Path, str]) -> None:
    path, secret = earlier
    program = (
        "import sys; from service.accounts import Accounts; print(Accounts(sys.argv[1]).authenticate(sys.argv[2]).org)"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}", secret]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0].strip() for process in processes] == ["acme"] * 3


def test_a_column_that_another_process_adds_meanwhile_is_no_error(
    earlier: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, secret = earlier
    found = account_schema._missing

    def late(engine: Engine, table: Table) -> list[Column[Any]]:
        """What was missing a moment ago."""
        columns = found(engine, table)
        with closing(sqlite3.connect(path)) as connection:
            for column in columns:
                connection.execute(f"ALTER TABLE api_keys ADD COLUMN {column.name} BIGINT")
        return columns

    monkeypatch.setattr(account_schema, "_missing", late)
    with Accounts(f"sqlite:///{path}") as accounts:
        assert accounts.authenticate(secret).org == "acme"
