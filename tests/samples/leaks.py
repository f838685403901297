"""Leaks between organizations, as the ledger has them, and those who look at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guard.ledger import LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner
from service.review.viewer import Viewer

if TYPE_CHECKING:
    from guard.ledger import Ledger

ACME = Viewer("acme", "acme-key")
GLOBEX = Viewer("globex", "globex-key")
INITECH = Viewer("initech", "initech-key")
ADMIN = Viewer("acme", "admin-key", admin=True)


def match_in(owner: str, **changes: Any) -> Match:  # noqa: ANN401 - fields of a match
    """A blocked match in the code of an owner, as the ledger writes owners."""
    whose = Owner.parse(owner)
    reason = f"exact copy of private code of {whose.name}, 57 bits"
    found = Match(MatchKind.EXACT, 10, 90, 40, 1.0, whose, f"src/{whose.name}.py", whose.license, Action.BLOCK, reason)
    return replace(found, **changes)


@dataclass
class Leaks:
    """Writes into a ledger."""

    ledger: Ledger
    count: int = 0

    def record(self, *matches: Match | str, to: str = "acme", **changes: Any) -> LedgerRecord:  # noqa: ANN401 - fields of a record
        """A generation for `to` with these matches, or with blocked ones in the code of these owners."""
        self.count += 1
        found = tuple(match_in(one) if isinstance(one, str) else one for one in matches)
        action = Action.BLOCK if any(one.action is Action.BLOCK for one in found) else Action.ALLOW
        record = LedgerRecord(
            decision=Decision(f"dec_{self.count:024x}", action, found, 120, 1.5, 7),
            org=to,
            key_id=f"key-of-{to}",
            model="model-1",
            surface="/v1/completions",
            disposition="withheld" if action is Action.BLOCK else "released",
            released_characters=0,
            generated_characters=200,
            release="model@1 sha256:00",
        )
        return replace(record, **changes)

    def write(self, *matches: Match | str, to: str = "acme", **changes: Any) -> str:  # noqa: ANN401 - as above
        """Append such a record; answers the decision's id."""
        record = self.record(*matches, to=to, **changes)
        self.ledger.append_all([record])
        return record.decision.id
