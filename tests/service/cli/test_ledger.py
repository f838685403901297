"""`cleanroom ledger redact`, `retain`, `key`, and what `verify` says afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from consoles.served import moment
from samples.leaks import Leaks
from typer.testing import CliRunner

from guard.ledger import Ledger
from registry.keys import PublicKey
from service.cli.root import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *arguments])


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that heads are exported to."""
    exported = tmp_path / "heads"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEANROOM_LEDGER_HEADS", exported.as_uri())
    (tmp_path / "home").mkdir()
    return exported


@pytest.fixture
def url(heads: Path) -> str:
    return f"sqlite:///{heads.parent / 'home' / 'cleanroom.db'}"


@pytest.fixture
def written(url: str) -> list[str]:
    """A leak and what was allowed, both of forty days ago; the same of today."""
    with Ledger(url) as old, moment(datetime.now(UTC) - timedelta(days=40)):
        leaks = Leaks(old)
        ids = [leaks.write("org:globex"), leaks.write()]
    with Ledger(url) as new:
        leaks.ledger = new
        return [*ids, leaks.write("org:globex"), leaks.write()]


def redacted(url: str, ids: list[str]) -> list[tuple[str, ...]]:
    with Ledger(url) as ledger:
        return [entry.place.redacted for one in ids if (entry := ledger.get(one))]


def test_a_part_is_taken_out_and_the_exported_head_vouches_for_it(heads: Path, url: str, written: list[str]) -> None:
    done = run("redact", written[0], "--reason", "erasure requested", "--part", "caller")
    assert done.exit_code == 0, done.output
    assert "redacted 1 entries; red_" in done.output
    assert redacted(url, written) == [("caller",), (), (), ()]
    shown = json.loads(run("show", written[0]).stdout)
    assert (shown["org"], shown["key_id"], shown["redacted"]) == ("", None, ["caller"])
    assert shown["decision"]["matches"]
    held = run("verify", "--heads", str(heads), "--json")
    assert (held.exit_code, json.loads(held.stdout)["ok"]) == (0, True)


def test_both_parts_go_unless_one_is_named(url: str, written: list[str]) -> None:
    assert run("redact", written[0], written[2], "--reason", "asked to").exit_code == 0
    assert redacted(url, written) == [("caller", "content"), (), ("caller", "content"), ()]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["redact", "dec_none", "--reason", "x"], "dec_none"),
        (["redact", "{id}", "--reason", "x", "--part", "hash"], "caller, content"),
        (["redact", "{id}"], "--reason"),
        (["retain", "--days", "0"], "--days"),
        (["retain", "--days", "30", "--part", "all"], "caller, content"),
    ],
)
def test_what_cannot_be_taken_out_changes_nothing(
    url: str, written: list[str], arguments: list[str], complaint: str
) -> None:
    result = run(*(one.format(id=written[0]) for one in arguments))
    assert result.exit_code != 0
    assert complaint in f"{result.output} {result.exception}"
    assert redacted(url, written) == [()] * 4
    assert run("verify").exit_code == 0


def test_what_is_old_is_taken_out_by_its_action(heads: Path, url: str, written: list[str]) -> None:
    first = run("retain", "--days", "365", "--allowed-days", "30")
    assert (first.exit_code, "redacted 1 entries" in first.output) == (0, True)
    assert redacted(url, written) == [(), ("caller",), (), ()]
    assert "redacted 1 entries" in run("retain", "--days", "30", "--part", "content").output
    assert redacted(url, written) == [("content",), ("caller",), (), ()]
    assert "redacted 0 entries" in run("retain", "--days", "30", "--part", "content").output
    assert run("verify", "--heads", str(heads)).exit_code == 0


def test_a_part_that_somebody_else_took_out_is_named(heads: Path, url: str, written: list[str]) -> None:
    assert run("redact", written[3], "--reason", "asked to").exit_code == 0
    with Ledger(url) as ledger, ledger._database.writing() as connection:
        hidden = "UPDATE ledger_entries SET org = NULL, key_id = NULL, caller_salt = NULL WHERE decision_id = ?"
        connection.exec_driver_sql(hidden, (written[2],))
    result = run("verify", "--heads", str(heads))
    assert result.exit_code == 3
    assert "who asked was taken out" in " ".join(result.output.split())


def test_the_key_is_the_one_that_signs_and_no_other_is_trusted(heads: Path, written: list[str]) -> None:
    key = run("key").stdout.strip()
    assert str(PublicKey(key)) == key
    assert run("key").stdout.strip() == key
    assert (heads.parent / "home" / "ledger-key.pem").stat().st_mode & 0o777 == 0o600
    assert run("redact", written[0], "--reason", "asked to").exit_code == 0
    assert run("verify", "--heads", str(heads), "--key", key).exit_code == 0
    forged = heads.with_name("forged")
    forged.write_text(heads.read_text().replace('"entries":', '"entries":1'))
    result = run("verify", "--heads", str(forged), "--key", key)
    assert result.exit_code != 0
    assert "it is forged" in f"{result.output} {result.exception}"
