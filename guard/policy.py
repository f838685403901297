"""Who may see what: from a document's owner and the caller's organization to an action. Knows no text and no store."""

from __future__ import annotations

from dataclasses import dataclass, field

from guard.errors import LicenseError
from guard.licenses import LicenseAction, LicensePolicy, decide
from guard.types import Action, Owner, OwnerKind

_ACTIONS = {
    LicenseAction.ALLOW: Action.ALLOW,
    LicenseAction.CITE: Action.CITE,
    LicenseAction.DENY: Action.BLOCK,
}


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """The caller's organization and what licences it accepts."""

    caller: str
    licenses: LicensePolicy = field(default_factory=LicensePolicy.default)

    def action(self, owner: Owner) -> Action:
        """What a match against this owner's code leads to."""
        if owner.kind is OwnerKind.COMMONS:
            return Action.ALLOW
        if owner.kind is OwnerKind.ORGANIZATION:
            return Action.ALLOW if owner.name == self.caller else Action.BLOCK
        try:
            return _ACTIONS[decide(self.licenses, owner.license or "")]
        except LicenseError:
            # A licence that cannot be read permits nothing.
            return Action.BLOCK

    def reason(self, owner: Owner) -> str:
        """The same in words, for the ledger."""
        if owner.kind is OwnerKind.ORGANIZATION:
            return f"private code of {owner.name}"
        if owner.kind is OwnerKind.LICENSED:
            return f"code of {owner.name} under {owner.license}: {self.action(owner).value}"
        return f"commons ({owner.name})"


def strictest(actions: list[Action]) -> Action:
    """The action for several matches at once: block before cite before allow."""
    for action in (Action.BLOCK, Action.CITE):
        if action in actions:
            return action
    return Action.ALLOW
