"""Counts leaks where they are kept, without reading each: the ledger's tables again, in the words of `Viewer.see`.

What the tables cannot tell is left to whoever reads entries: how grave a leak is for an owner who sees some of its
matches, where one of those may be large enough for `high` (how similar it was stands in the entry alone).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, distinct, exists, func, null, or_, select

from guard.ledger_entry import LONG
from guard.ledger_form import SCHEMA
from guard.ledger_schema import entry_table, match_table
from guard.types import Action, MatchKind, OwnerKind
from service.review.leak import Disposition, Severity
from service.review.review_schema import standing_table
from service.review.tallies import UNNAMED, Counted, document_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Subquery

    from service.review.viewer import Viewer

_ENTRY, _MATCH, _STANDING = entry_table.c, match_table.c, standing_table.c
# Of what was redacted no match is left to say more (guard.ledger_entry.severity).
_REDACTED = or_(
    and_(_ENTRY.content.is_(None), _ENTRY.content_digest.is_not(None)),
    and_(_ENTRY.schema != SCHEMA, _ENTRY.body.is_(None)),
)
_SEVERITY = case((_REDACTED, Severity.MEDIUM.value), else_=_ENTRY.severity)
_OF_ENTRY = _MATCH.seq == _ENTRY.seq


@dataclass(frozen=True, slots=True)
class _Side:
    """Leaks on whose one side a viewer stands: which entries, how grave, which matches, and what of them is named."""

    entries: ColumnElement[bool]
    severity: ColumnElement[str]
    matches: ColumnElement[bool]
    caller: bool
    owners: ColumnElement[bool]


def count(connection: Connection, viewer: Viewer, first: str, end: str) -> Counted:
    """The leaks from `first` (inclusive) to `end` (exclusive), as the ledger writes times, but for those `unsure`."""
    counted = Counted()
    for side in _sides(viewer, _period(first, end)):
        entries = _entries(side)
        _count_entries(connection, entries, counted)
        _count_judged(connection, viewer, entries, counted)
        _count_matches(connection, side, entries, counted)
    counted.dispositions.counts = +counted.dispositions.counts
    counted.dispositions.severe = +counted.dispositions.severe
    return counted


def unsure(connection: Connection, viewer: Viewer, first: str, end: str) -> list[int]:
    """The rows of leaks that `count` leaves out."""
    if viewer.admin:
        return []
    which = and_(_period(first, end), _as_owner(viewer), _may_be_graver(viewer))
    return list(connection.execute(select(_ENTRY.seq).where(which).order_by(_ENTRY.seq)).scalars())


def _period(first: str, end: str) -> ColumnElement[bool]:
    # The first condition names the indexes of leaks (guard.ledger_schema).
    leak = and_(_ENTRY.severity.is_not(None), _ENTRY.action == Action.BLOCK.value)
    return and_(leak, _ENTRY.at >= first, _ENTRY.at < end)


def _sides(viewer: Viewer, period: ColumnElement[bool]) -> list[_Side]:
    blocked = _MATCH.action == Action.BLOCK.value
    public = ~_MATCH.owner.startswith(f"{OwnerKind.ORGANIZATION.value}:")
    if viewer.admin:
        return [_Side(period, _SEVERITY, blocked, caller=True, owners=blocked)]
    known = blocked if viewer.knows_both else or_(public, _MATCH.owner == viewer.owner)
    asked = _Side(and_(period, _ENTRY.org == viewer.org), _SEVERITY, blocked, caller=True, owners=known)
    grave = and_(_ENTRY.severity == Severity.HIGH.value, ~_has_others(viewer))
    severity = case((grave, Severity.HIGH.value), else_=Severity.MEDIUM.value)
    owned = and_(period, _as_owner(viewer), ~_may_be_graver(viewer))
    own = and_(blocked, _MATCH.owner == viewer.owner)
    return [asked, _Side(owned, severity, own, caller=viewer.knows_both, owners=own)]


def _as_owner(viewer: Viewer) -> ColumnElement[bool]:
    """Of entries: their code was blocked for somebody else."""
    own = exists().where(_OF_ENTRY, _MATCH.owner == viewer.owner, _MATCH.action == Action.BLOCK.value)
    return and_(or_(_ENTRY.org.is_(None), _ENTRY.org != viewer.org), own.correlate(entry_table))


def _has_others(viewer: Viewer) -> ColumnElement[bool]:
    return exists().where(_OF_ENTRY, _MATCH.owner != viewer.owner).correlate(entry_table)


def _may_be_graver(viewer: Viewer) -> ColumnElement[bool]:
    """Of entries of high severity: others' matches may have made it, or one of theirs."""
    large = (_MATCH.action == Action.BLOCK.value, _MATCH.tokens >= LONG, _MATCH.kind != MatchKind.NEAR.value)
    own = exists().where(_OF_ENTRY, _MATCH.owner == viewer.owner, *large).correlate(entry_table)
    return and_(_ENTRY.severity == Severity.HIGH.value, own, _has_others(viewer))


def _entries(side: _Side) -> Subquery:
    """What is counted of each entry. As a subquery: PostgreSQL groups by columns, not by conditions with values."""
    return (
        select(
            _ENTRY.seq,
            func.substr(_ENTRY.at, 1, 10).label("day"),
            side.severity.label("severity"),
            func.coalesce(_ENTRY.release, _ENTRY.model).label("model"),
            (_ENTRY.key_id if side.caller else null()).label("key_id"),
            (_ENTRY.org if side.caller else null()).label("org"),
            _ENTRY.disposition.label("outcome"),
        )
        .where(side.entries)
        .subquery()
    )


def _count_entries(connection: Connection, entries: Subquery, counted: Counted) -> None:
    columns = [entries.c[name] for name in ("day", "severity", "model", "key_id", "outcome")]
    rows: Any = connection.execute(select(*columns, func.count()).group_by(*columns))
    for day, severity, model, key, outcome, leaks in rows:
        counted.days[day, severity] += leaks
        counted.models.add(model, severity, leaks)
        counted.keys.add(key or UNNAMED, severity, leaks)
        counted.outcomes.add(outcome, severity, leaks)
        counted.dispositions.add(Disposition.OPEN.value, severity, leaks)


def _count_judged(connection: Connection, viewer: Viewer, entries: Subquery, counted: Counted) -> None:
    """What was judged is not open any more."""
    columns = (_STANDING.disposition, entries.c.severity)
    judged = select(*columns, func.count()).join_from(standing_table, entries, _STANDING.seq == entries.c.seq)
    said = and_(_STANDING.party == viewer.party, _STANDING.disposition != Disposition.OPEN.value)
    for disposition, severity, leaks in connection.execute(judged.where(said).group_by(*columns)):
        counted.dispositions.add(disposition, severity, leaks)
        counted.dispositions.add(Disposition.OPEN.value, severity, -leaks)


def _count_matches(connection: Connection, side: _Side, entries: Subquery, counted: Counted) -> None:
    """Each entry once for every name in its matches."""
    owner, document = (case((side.owners, _MATCH[name])).label(name) for name in ("owner", "document"))
    columns = (entries.c.seq, entries.c.severity, entries.c.org, _MATCH.license, owner, document)
    joined = select(*columns).join_from(entries, match_table, _MATCH.seq == entries.c.seq)
    found = joined.where(side.matches).subquery().c

    def counts(*names: ColumnElement[Any]) -> Any:  # noqa: ANN401 - rows of names, severity and number
        grouped = (*names, found.severity)
        return connection.execute(select(*grouped, func.count(distinct(found.seq))).group_by(*grouped))

    for org, whose, severity, leaks in counts(found.org, found.owner):
        counted.pairs.add((org or UNNAMED, whose or UNNAMED), severity, leaks)
    for whose, name, severity, leaks in counts(found.owner, found.document):
        counted.documents.add(document_of(whose, name), severity, leaks)
    for license_, severity, leaks in counts(found.license):
        if license_:
            counted.licenses.add(license_, severity, leaks)
