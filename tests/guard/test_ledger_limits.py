from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from guard import ledger, ledger_chain, ledger_database
from guard.errors import LedgerError
from guard.ledger import Ledger, LedgerRecord
from guard.types import Action, Decision

if TYPE_CHECKING:
    from pathlib import Path


def record() -> LedgerRecord:
    decision = Decision("decision-1", Action.ALLOW, (), 60, 1.25, 7)
    return LedgerRecord(decision, "acme", "key-1", "model", "completions", "released", 12, 90)


def test_a_disk_that_is_all_but_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as kept:
        monkeypatch.setattr(ledger_database, "FREE_BYTES", 1 << 60)
        with pytest.raises(LedgerError, match=r"MiB of disk left: make room"):
            kept.ready()
        monkeypatch.undo()
        assert kept.append(record()).seq == 1


def test_who_waits_too_long_behind_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PATIENCE_SECONDS", 0.01)
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as kept:
        with kept._appending, pytest.raises(LedgerError, match="too slowly"):
            kept.append(record())
        monkeypatch.undo()
        assert kept.append(record()).to_json()["seq"] == 1


def test_a_clock_that_jumps_back_stops_the_chain_until_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(moment: str) -> None:
        monkeypatch.setattr(ledger_chain, "written_now", lambda: f"2026-01-01T{moment}.000000+00:00")

    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url) as kept:
        at("12:00:10")
        first = kept.append(record())
        at("12:00:09")
        # A clock that is kept right steps by less than two seconds: time stands still in the ledger.
        assert kept.append(replace(record(), decision=Decision("decision-2", Action.ALLOW))).at == first.at
        at("11:00:10")
        with pytest.raises(LedgerError, match="the clock went back by 3600 s"):
            kept.append(replace(record(), decision=Decision("decision-3", Action.ALLOW)))
        with Ledger(url) as restarted:
            restarted.append(replace(record(), decision=Decision("decision-4", Action.ALLOW)))
        at("12:00:11")
        assert kept.append(replace(record(), decision=Decision("decision-3", Action.ALLOW))).place.number == 3
        assert kept.verify().ok


def test_a_damaged_database_is_named_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(f"sqlite:///{path}") as kept:
        for number in range(200):
            kept.append(replace(record(), decision=Decision(f"decision-{number}", Action.ALLOW)))
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = bytes(len(content) // 3)
    path.write_bytes(content)
    for work in (Ledger.verify, Ledger.ready):
        with pytest.raises(LedgerError, match="restore the file"), Ledger(f"sqlite:///{path}") as kept:
            work(kept)
    assert path.read_bytes() == bytes(content)
