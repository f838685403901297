"""What an entry says of a leak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from guard.ledger_entry import severity
from guard.types import Action, Decision, Match, MatchKind, Owner


@pytest.mark.parametrize(
    ("expected", "action", "change"),
    [
        (None, Action.ALLOW, {}),
        ("medium", Action.BLOCK, {}),
        ("high", Action.BLOCK, {"tokens": 80}),
        ("medium", Action.BLOCK, {"tokens": 80, "kind": MatchKind.NEAR}),
        ("medium", Action.BLOCK, {"tokens": 80, "similarity": 0.5}),
        ("low", Action.BLOCK, {"owner": Owner.licensed("qt", "GPL-3.0-only")}),
        ("medium", Action.BLOCK, {"owner": Owner.licensed("qt", "GPL-3.0-only"), "tokens": 80}),
        ("low", Action.CITE, {"owner": Owner.licensed("qt", "GPL-3.0-only"), "tokens": 80}),
    ],
)
def test_how_bad_a_leak_is(expected: str | None, action: Action, change: dict[str, Any]) -> None:
    found = replace(
        Match(MatchKind.EXACT, 3, 90, 41, 0.875, Owner.organization("globex"), "a.py", None, action, ""), **change
    )
    assert severity(Decision("one", action, () if action is Action.ALLOW else (found,))) == expected


def test_a_block_without_a_match_is_a_leak() -> None:
    assert severity(Decision("one", Action.BLOCK)) == "medium"
    assert severity(Decision("one", Action.CITE)) == "low"
