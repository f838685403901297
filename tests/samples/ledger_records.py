"""Records of decisions for tests of the ledger."""

from __future__ import annotations

from guard.ledger import LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner


def record(number: int, action: Action = Action.BLOCK, owner: str = "globex", org: str = "acme") -> LedgerRecord:
    found = Match(MatchKind.RENAMED, 3, 90, 41, 0.875, Owner.organization(owner), "src/a.py", None, action, "private")
    decision = Decision(f"decision-{number}", action, () if action is Action.ALLOW else (found,), 60, 1.25, 7)
    return LedgerRecord(decision, org, "key-1", "model", "completions", "trimmed", 12, 90)
