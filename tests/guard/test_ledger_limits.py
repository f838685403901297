from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guard import ledger, ledger_database
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
