"""Who looks at leaks, and what of a ledger entry they may see. Knows no database.

A reviewer sees the entries in which their organization is the caller, or the owner of code that would have leaked. The
other side stays unnamed (organization, key, document, and the words that name them) unless the consortium's policy says
otherwise; of other owners' matches in the same generation an owner sees nothing. An administrator sees all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guard.ledger_entry import severity
from guard.types import Action, OwnerKind
from service.accounts import Scope
from service.review.leak import Leak, LeakMatch, Role, Severity

if TYPE_CHECKING:
    from guard.ledger import LedgerEntry
    from guard.types import Match
    from service.accounts import Caller

EVERYONE = "*"
"""The party of administrators: no organization can be called so."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose eyes these are. `identities`: whether the consortium lets the two sides of a leak know each other."""

    org: str
    key_id: str
    admin: bool = False
    identities: bool = False

    @classmethod
    def of(cls, caller: Caller, *, identities: bool) -> Viewer:
        """The viewer behind a key, which has the scope `review` or `admin`."""
        return cls(caller.org, caller.key_id, admin=Scope.ADMIN in caller.scopes, identities=identities)

    @property
    def party(self) -> str:
        """For whom this viewer judges: its organization, or all."""
        return EVERYONE if self.admin else self.org

    @property
    def knows_both(self) -> bool:
        """Whether both sides of a leak may be named."""
        return self.admin or self.identities

    @property
    def owner(self) -> str:
        """This organization as the ledger writes owners."""
        return f"{OwnerKind.ORGANIZATION.value}:{self.org}"

    def may_lift(self, owner: str) -> bool:
        """Whether it is for this viewer to let copies of the owner's code pass: never for those who would get them."""
        return self.admin or owner == self.owner

    def see(self, entry: LedgerEntry, disposition: str) -> Leak | None:
        """The leak in `entry` as this viewer may see it; None where there is none for them."""
        record, decision = entry.record, entry.record.decision
        role = self._role(entry)
        if decision.action is not Action.BLOCK or role is None:
            return None
        matches = decision.matches if self.admin or role is Role.CALLER else self._own(decision.matches)
        grave = severity(decision if len(matches) == len(decision.matches) else replace(decision, matches=matches))
        named = self.knows_both or role is Role.CALLER
        return Leak(
            id=decision.id,
            at=entry.at,
            role=role,
            severity=Severity(grave or Severity.LOW),
            disposition=disposition,
            org=record.org if named else None,
            key=record.key_id if named else None,
            model=record.model,
            release=record.release,
            surface=record.surface,
            outcome=record.disposition,
            released_characters=record.released_characters,
            generated_characters=record.generated_characters,
            checked_tokens=decision.checked_tokens,
            matches=tuple(self._match(match) for match in matches),
            entry=entry.seq if self.admin else None,
            hash=entry.hash if self.admin else None,
            index_version=decision.index_version if self.admin else None,
        )

    def _role(self, entry: LedgerEntry) -> Role | None:
        if self.admin:
            return Role.ADMIN
        if entry.record.org == self.org:
            return Role.CALLER
        own = self._own(entry.record.decision.matches)
        return Role.OWNER if any(match.action is Action.BLOCK for match in own) else None

    def _own(self, matches: tuple[Match, ...]) -> tuple[Match, ...]:
        return tuple(match for match in matches if str(match.owner) == self.owner)

    def _match(self, match: Match) -> LeakMatch:
        private = match.owner.kind is OwnerKind.ORGANIZATION
        named = self.knows_both or not private or match.owner.name == self.org
        return LeakMatch(
            kind=match.kind.value,
            start=match.start,
            end=match.end,
            tokens=match.tokens,
            similarity=round(match.similarity, 4),
            action=match.action.value,
            private=private,
            owner=str(match.owner) if named else None,
            document=match.document if named else None,
            license=match.license,
            reason=match.reason if named else "private code of another organization",
        )
