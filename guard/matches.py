"""Matches as a decision names them, of candidates and recitals. Knows no index and decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.recitals import Recital
from guard.types import Action, Match, MatchKind, OwnerKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guard.hits import DocumentId
    from guard.policy import Viewpoint
    from guard.records import DocumentRecord
    from guard.spans import Candidate

MATCHES = 8
"""Matches a decision names, the strongest first; more if they are of more organizations."""


def matches_of(
    candidates: Iterable[Candidate | Recital],
    records: Mapping[DocumentId, DocumentRecord],
    view: Viewpoint,
    boundary: int,
    length: int,
) -> list[Match]:
    """The candidates as matches. The generation begins at character `boundary` of the query and has `length`."""
    matches = []
    for candidate in candidates:
        record = records[candidate.document]
        span = candidate.characters(boundary, length)
        if isinstance(candidate, Recital):
            matches.append(_recited(candidate, record, view, span))
            continue
        matches.append(
            Match(
                kind=candidate.kind,
                start=span[0],
                end=span[1],
                tokens=candidate.tokens,
                similarity=candidate.similarity,
                owner=candidate.owner,
                document=record.path,
                license=candidate.owner.license,
                action=view.action(candidate.owner),
                reason=f"{_WORDS[candidate.kind]} of {view.reason(candidate.owner)}, {candidate.evidence}",
            )
        )
    return matches


def _recited(recital: Recital, record: DocumentRecord, view: Viewpoint, span: tuple[int, int]) -> Match:
    """A literal is one token, of which every letter that was compared is equal."""
    owner = recital.owner
    reason = f"{recital.end - recital.start} characters of a literal that looks random, of {view.reason(owner)}"
    action = view.action(owner)
    return Match(MatchKind.EXACT, *span, 1, 1.0, owner, record.path, None, action, reason)


def strongest(matches: list[Match]) -> tuple[Match, ...]:
    """The strongest MATCHES, strictest first, and with them whatever trimming and disclosure must not miss.

    That is the earliest leak, before which a generation is cut, one of each kind of owner, and one of each organization
    whose code would leak: each will ask whether it was told.
    """
    matches = sorted(matches, key=lambda match: (match.action is not Action.BLOCK, -match.tokens * match.similarity))
    leaks = [match for match in matches if match.action is Action.BLOCK]
    first_of_kind = {match.owner.kind: match for match in reversed(matches)}
    private = [match for match in reversed(leaks) if match.owner.kind is OwnerKind.ORGANIZATION]
    first_of_organization = {match.owner.name: match for match in private}
    needed = [*first_of_kind.values(), *reversed(first_of_organization.values())]
    needed += [min(leaks, key=lambda match: match.start)] if leaks else []
    rest = dict.fromkeys(match for match in needed if match not in matches[:MATCHES])
    return (*matches[:MATCHES], *rest)


_WORDS = {
    MatchKind.EXACT: "exact copy",
    MatchKind.RENAMED: "renamed copy",
    MatchKind.NEAR: "edited copy",
}
