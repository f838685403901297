"""Databases of before each process had a chain of its own are migrated without loss, by whoever opens them first."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from samples.ledger_records import record
from sqlalchemy import Connection, create_engine, text

from guard.errors import LedgerError
from guard.ledger import Head, Ledger
from guard.ledger_database import MIGRATIONS, VERSION
from guard.ledger_schema import metadata
from guard.types import Action

if TYPE_CHECKING:
    from pathlib import Path

MAKE = """
CREATE TABLE ledger (seq BIGINT NOT NULL PRIMARY KEY, at VARCHAR(40) NOT NULL,
  decision_id VARCHAR(128) NOT NULL UNIQUE, org VARCHAR(63) NOT NULL, action VARCHAR(16) NOT NULL, body TEXT NOT NULL,
  previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL);
CREATE INDEX ledger_by_action ON ledger (action, seq);
CREATE TABLE ledger_owners (owner TEXT NOT NULL, seq BIGINT NOT NULL REFERENCES ledger (seq), PRIMARY KEY (owner, seq));
CREATE INDEX ledger_owners_by_entry ON ledger_owners (seq);
"""
ADD = "INSERT INTO ledger VALUES (:seq, :at, :decision_id, :org, :action, :body, :previous, :hash)"
LENGTH = 7


def old_rows() -> list[dict[str, Any]]:
    """As the versions before wrote them, the first of a schema older still."""
    rows, previous = [], "0" * 64
    for seq in range(1, LENGTH + 1):
        written, at = record(seq, Action.ALLOW if seq == 3 else Action.BLOCK), f"2026-01-0{seq}T00:00:00.000000+00:00"
        told = {**written.to_json(), "schema": 1 if seq == 1 else 2, "seq": seq, "at": at}
        del told["policy"]
        if seq == 1:
            del told["release"]
        body = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = sha256(bytes.fromhex(previous) + body.encode()).hexdigest()
        head = {"seq": seq, "at": at, "decision_id": written.decision.id, "org": "acme"}
        action = written.decision.action.value
        rows.append({**head, "action": action, "body": body, "previous": previous, "hash": digest})
        previous = digest
    return rows


@pytest.fixture
def old(url: str, home: Path) -> str:
    """The URL of a ledger of the version before."""
    home.mkdir(exist_ok=True)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("ledger_heads", "ledger_matches", "ledger_entries", "ledger_version", "ledger_owners", "ledger"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        for statement in filter(str.strip, MAKE.split(";")):
            connection.execute(text(statement))
        connection.execute(text(ADD), old_rows())
        owners = [{"seq": row["seq"]} for row in old_rows() if row["action"] == "block"]
        connection.execute(text("INSERT INTO ledger_owners VALUES ('org:globex', :seq)"), owners)
    engine.dispose()
    return url


def test_nothing_is_lost_and_heads_of_before_hold(old: str) -> None:
    heads = [Head("first", row["seq"], row["hash"]) for row in old_rows()]
    with Ledger(old) as ledger:
        assert [entry.record for entry in ledger.entries()] == [
            record(seq, Action.ALLOW if seq == 3 else Action.BLOCK) for seq in range(1, LENGTH + 1)
        ]
        assert [entry.seq for entry in ledger.entries(owner="org:globex")] == [1, 2, 4, 5, 6, 7]
        assert ledger.heads() == (heads[-1],)
        assert ledger.verify(heads).ok
        exported = [line.partition('{"entry":')[2].rpartition(',"hash":')[0] for line in ledger.export()]
        assert exported == [row["body"] for row in old_rows()]
        assert ledger.append(record(100)).seq == LENGTH + 1
    with Ledger(old) as ledger:
        assert ledger.verify(heads).entries == LENGTH + 1


def test_what_a_review_filters_by_is_filled(old: str) -> None:
    with Ledger(old) as ledger, ledger._database.reading() as connection:
        rows = connection.execute(text("SELECT severity, kind, tokens, model, key_id FROM ledger_entries ORDER BY seq"))
        assert rows.all()[1:3] == [("medium", "renamed", 41, "model", "key-1"), (None, None, 0, "model", "key-1")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET body = '{}' WHERE seq = 4",
        "UPDATE ledger SET body = '[[[' WHERE seq = 4",
        "UPDATE ledger SET body = '{\"schema\": 7}' WHERE seq = 4",
        "UPDATE ledger SET org = 'evil' WHERE seq = 4",
        "UPDATE ledger SET hash = previous WHERE seq = 4",
    ],
)
def test_what_was_tampered_with_stays_so(old: str, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_old.PAGE", 1)
    engine = create_engine(old)
    with engine.begin() as connection:
        connection.execute(text(change))
        before = connection.execute(text("SELECT body FROM ledger WHERE seq = 4")).scalar_one()
    engine.dispose()
    with Ledger(old) as ledger:
        (broken,) = ledger.verify().breaks
        assert (broken.writer, broken.number) == ("first", 4)
        with ledger._database.reading() as connection:
            kept = connection.execute(text("SELECT body FROM ledger_entries WHERE seq = 4")).scalar_one()
    assert kept == before


@pytest.mark.parametrize("column", ["severity", "model", "key_id", "decision_id", "at", "generated_characters"])
def test_what_queries_see_of_an_old_entry_is_compared(old: str, column: str) -> None:
    with Ledger(old) as ledger:
        with ledger._database.writing() as connection:
            value = 1 if column == "generated_characters" else "low"
            connection.execute(text(f"UPDATE ledger_entries SET {column} = '{value}' WHERE seq = 5"))  # noqa: S608
        (broken,) = ledger.verify().breaks
        assert broken.number == 5
        assert column in broken.reason


def test_hiding_the_match_of_an_old_entry_is_named(old: str) -> None:
    with Ledger(old) as ledger:
        with ledger._database.writing() as connection:
            connection.execute(text("DELETE FROM ledger_matches WHERE seq = 5"))
        assert [broken.reason for broken in ledger.verify().breaks] == [
            "what queries see of it (matches) differs from its content"
        ]


def test_a_long_ledger_is_migrated_in_pages(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.ledger_old.PAGE", 2)
    with Ledger(old) as ledger:
        assert ledger.verify().entries == LENGTH


def test_an_old_entry_is_redacted_whole_and_only_by_a_word_of_the_ledger(old: str) -> None:
    with Ledger(old) as ledger:
        ledger.redact(["decision-2"], ["caller"], "policy")
        assert ledger.verify().ok
        with ledger._database.writing() as connection:
            connection.execute(text("UPDATE ledger_entries SET body = NULL WHERE seq = 5"))
            connection.execute(text("DELETE FROM ledger_matches WHERE seq = 5"))
        (broken,) = ledger.verify().breaks
        assert (broken.number, broken.reason[:11]) == (5, "its content")


OPENER = "import sys; from guard.ledger import Ledger; print(Ledger(sys.argv[1]).verify().entries)"


def test_processes_that_start_together_migrate_once(old: str) -> None:
    openers = [subprocess.Popen([sys.executable, "-c", OPENER, old], stdout=subprocess.PIPE) for _ in range(3)]
    assert [opener.communicate(timeout=60)[0].strip() for opener in openers] == [b"7"] * 3


def test_an_interrupted_migration_leaves_the_old_ledger(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Connection) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("guard.ledger_old.fill", fail)
    with pytest.raises(KeyboardInterrupt):
        Ledger(old)
    monkeypatch.undo()
    with Ledger(old) as ledger:
        assert ledger.verify().entries == LENGTH


def test_a_ledger_of_a_newer_version_is_refused(url: str) -> None:
    with Ledger(url) as ledger, ledger._database.writing() as connection:
        connection.execute(text("UPDATE ledger_version SET version_num = '999'"))
    try:
        with pytest.raises(LedgerError, match="from a newer version"):
            Ledger(url)
    finally:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE ledger_version SET version_num = :own"), {"own": VERSION})
        engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [VERSION]

    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return kind != "table" or (str(name).startswith("ledger_") and name != "ledger_version")

    with Ledger(url) as ledger, ledger._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []
