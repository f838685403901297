"""Where leaks are read from: the ledger's tables. The one module of reviews that knows them.

What it answers may be more than a viewer may see and more than a filter means: `Viewer.see` and `LeakFilter.meant`
decide. It asks so that an index gives the rows in order: by whose code it is, by licence, or by what the entry says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from guard.ledger_entry import SEVERITIES
from guard.ledger_rows import read_entry
from guard.ledger_schema import entry_table, match_table
from guard.types import Action, OwnerKind
from service.review.leak import Disposition
from service.review.review_schema import standing_table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from guard.ledger_database import Database
    from guard.ledger_entry import LedgerEntry
    from service.review.filters import LeakFilter
    from service.review.viewer import Viewer

FEW = 10_000
"""Leaks of a period that are sought by their time; of a longer one by their row."""

_ENTRY, _MATCH, _STANDING = entry_table.c, match_table.c, standing_table.c
# The first half names the indexes of leaks (guard.ledger_schema).
_LEAK = and_(_ENTRY.severity.is_not(None), _ENTRY.action == Action.BLOCK.value)


class LeakSource:
    """Entries of the ledger that may be leaks. Methods raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def before(self, viewer: Viewer, wanted: LeakFilter, place: int | None, count: int) -> list[LedgerEntry]:
        """Up to `count` entries before the row `place`, the newest first, among them all that are meant."""
        with self._database.refusing("read"), self._database.reading() as connection:
            shared = _conditions(viewer, wanted)
            if place is not None:
                shared.append(_ENTRY.seq < place)
            shared += _period(connection, wanted, place)
            found: set[int] = set()
            for model in _models(wanted):
                for side in _sides(viewer, wanted):
                    query = _rows(side, [*shared, *model]).limit(count)
                    found.update(connection.execute(query).scalars())
            newest = sorted(found, reverse=True)[:count]
            rows = connection.execute(select(entry_table).where(_ENTRY.seq.in_(newest))).all()
        by_place = {row.seq: row for row in rows}
        return [read_entry(by_place[seq]) for seq in newest]

    def get(self, leak_id: str) -> LedgerEntry | None:
        """The entry of a decision."""
        query = select(entry_table).where(_ENTRY.decision_id == leak_id, _ENTRY.event.is_(None))
        with self._database.refusing("read"), self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else read_entry(row)


Conditions = list["ColumnElement[bool]"]


def _rows(side: tuple[Conditions, Conditions], shared: Conditions) -> Select[Any]:
    """The rows of one side, in the order of an index: of matches where they are named, else of entries."""
    of_match, of_entry = side
    if not of_match:
        return select(_ENTRY.seq).where(*of_entry, *shared).order_by(_ENTRY.seq.desc())
    joined = select(_MATCH.seq).distinct().join(entry_table, _ENTRY.seq == _MATCH.seq)
    return joined.where(*of_match, *of_entry, *shared).order_by(_MATCH.seq.desc())


def _sides(viewer: Viewer, wanted: LeakFilter) -> list[tuple[Conditions, Conditions]]:
    """What is asked of matches and of entries, for each side on which the viewer may stand."""
    of_match: Conditions = [] if wanted.license is None else [_MATCH.license == wanted.license]
    if viewer.admin:
        return [([*of_match, *owned], []) for owned in _owned(wanted)]
    as_caller = [([*of_match, *owned], [_ENTRY.org == viewer.org]) for owned in _owned(wanted)]
    as_owner: Conditions = [_MATCH.owner == viewer.owner, _MATCH.action == Action.BLOCK.value]
    return [*as_caller, (as_owner, [])]


def _owned(wanted: LeakFilter) -> list[Conditions]:
    """Whose code: one set of conditions for each way in which a name can be meant."""
    owner = wanted.owner
    if owner is None:
        return [[]]
    if ":" in owner:
        return [[_MATCH.owner == owner]]
    corpora = f"{OwnerKind.LICENSED.value}:{owner}"
    return [
        [_MATCH.owner == f"{OwnerKind.ORGANIZATION.value}:{owner}"],
        # The character after the colon ends what begins with it.
        [_MATCH.owner >= f"{corpora}:", _MATCH.owner < f"{corpora};"],
    ]


def _models(wanted: LeakFilter) -> list[Conditions]:
    if wanted.model is None:
        return [[]]
    return [[_ENTRY.model == wanted.model], [_ENTRY.release == wanted.model]]


def _conditions(viewer: Viewer, wanted: LeakFilter) -> Conditions:
    """What holds of every entry that is meant."""
    found: Conditions = [_LEAK]
    if wanted.org is not None:
        found.append(_ENTRY.org == wanted.org)
    if wanted.key is not None:
        found.append(_ENTRY.key_id == wanted.key)
    if wanted.severity is not None:
        # An owner sees a part of the matches: the whole can be graver.
        graver = SEVERITIES[SEVERITIES.index(wanted.severity.value) :]
        found.append(_ENTRY.severity == wanted.severity.value if viewer.admin else _ENTRY.severity.in_(graver))
    if wanted.kind is not None:
        of_kind = select(_MATCH.seq).where(_MATCH.seq == _ENTRY.seq, _MATCH.kind == wanted.kind)
        found.append(of_kind.correlate(entry_table).exists())
    if wanted.disposition is not None:
        judged = select(_STANDING.seq).where(_STANDING.party == viewer.party)
        if wanted.disposition is Disposition.OPEN:
            others = judged.where(_STANDING.disposition != Disposition.OPEN.value)
            found.append(_ENTRY.seq.not_in(others))
        else:
            found.append(_ENTRY.seq.in_(judged.where(_STANDING.disposition == wanted.disposition.value)))
    return found


def _period(connection: Connection, wanted: LeakFilter, place: int | None) -> Conditions:
    """The period that is meant. Rows are not quite in the order of their times: clocks jump, and processes differ."""
    period: Conditions = []
    if wanted.first is not None:
        period.append(_ENTRY.at >= wanted.first)
    if wanted.end is not None:
        period.append(_ENTRY.at < wanted.end)
    if not period:
        return []
    timed = select(_ENTRY.seq).where(_ENTRY.severity.is_not(None), *period)
    few = connection.execute(select(func.count()).select_from(timed.limit(FEW + 1).subquery())).scalar_one() <= FEW
    if few:
        return [_ENTRY.seq.in_(timed)]
    if place is None and wanted.end is not None:
        # What is newer than the period need not be read to come to it.
        bounds = timed.with_only_columns(func.max(_ENTRY.seq))
        return [*period, _ENTRY.seq <= connection.execute(bounds).scalar_one()]
    return period
