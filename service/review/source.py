"""Where leaks are read from: the ledger's tables. The one module of reviews that knows them.

What it answers may be more than a viewer may see and more than a filter means: `Viewer.see` and `LeakFilter.meant`
decide. It asks so that an index gives the rows in order: by whose code it is, by licence, or by what the entry says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, or_, select

from guard.ledger_entry import SEVERITIES
from guard.ledger_rows import read_entry
from guard.ledger_schema import entry_table, match_table
from guard.types import Action, OwnerKind
from service.review.leak import Disposition, Severity
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
            shared += _period(connection, wanted, place)
            found: set[int] = set()
            for model in _models(wanted):
                for side in _sides(viewer, wanted):
                    query = _rows(side, [*shared, *model], place).limit(count)
                    found.update(connection.execute(query).scalars())
            return _read(connection, sorted(found, reverse=True)[:count])

    def entries(self, places: list[int]) -> list[LedgerEntry]:
        """The entries of these rows, some hundred at most."""
        with self._database.refusing("read"), self._database.reading() as connection:
            return _read(connection, places)

    def get(self, leak_id: str) -> LedgerEntry | None:
        """The entry of a decision."""
        query = select(entry_table).where(_ENTRY.decision_id == leak_id, _ENTRY.event.is_(None))
        with self._database.refusing("read"), self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else read_entry(row)


def _read(connection: Connection, places: list[int]) -> list[LedgerEntry]:
    rows = connection.execute(select(entry_table).where(_ENTRY.seq.in_(places))).all()
    by_place = {row.seq: row for row in rows}
    return [read_entry(by_place[seq]) for seq in places]


Conditions = list["ColumnElement[bool]"]


def concerning(viewer: Viewer) -> Conditions:
    """Of leaks: a viewer stands on one side of it."""
    if viewer.admin:
        return []
    own = exists().where(_MATCH.seq == _ENTRY.seq, _MATCH.owner == viewer.owner, _MATCH.action == Action.BLOCK.value)
    return [or_(_ENTRY.org == viewer.org, own.correlate(entry_table))]


def _rows(side: tuple[Conditions, Conditions], shared: Conditions, place: int | None) -> Select[Any]:
    """The rows of one side, in the order of an index: of matches where they are named, else of entries."""
    of_match, of_entry = side
    seq = _MATCH.seq if of_match else _ENTRY.seq
    before: Conditions = [] if place is None else [seq < place]
    if not of_match:
        return select(_ENTRY.seq).where(*of_entry, *shared, *before).order_by(_ENTRY.seq.desc())
    # As a condition and not joined: which table is read first is not left to guesses.
    entry = select(_ENTRY.seq).where(_ENTRY.seq == _MATCH.seq, *of_entry, *shared).correlate(match_table)
    return select(_MATCH.seq).distinct().where(*of_match, *before, entry.exists()).order_by(_MATCH.seq.desc())


def _sides(viewer: Viewer, wanted: LeakFilter) -> list[tuple[Conditions, Conditions]]:
    """What is asked of matches and of entries, for each side on which the viewer may stand and see what is meant."""
    licensed: Conditions = [] if wanted.license is None else [_MATCH.license == wanted.license]
    whole: Conditions = [] if viewer.admin else [_ENTRY.org == viewer.org]
    if wanted.severity is not None:
        whole.append(_ENTRY.severity == wanted.severity.value)
    if wanted.kind is not None:
        whole.append(_ENTRY.kind == wanted.kind)
    sides = [([*licensed, *owned], whole) for owned in _owned(viewer, wanted)]
    return sides if viewer.admin else [*sides, *_as_owner(viewer, wanted, licensed)]


def _as_owner(viewer: Viewer, wanted: LeakFilter, licensed: Conditions) -> list[tuple[Conditions, Conditions]]:
    """The same for an owner, who sees their own matches alone: of private code, and the caller only if they may."""
    asks_caller = wanted.org is not None or wanted.key is not None
    if (asks_caller and not viewer.knows_both) or wanted.owner not in {None, viewer.org, viewer.owner}:
        return []
    if wanted.severity is Severity.LOW:
        return []
    own: Conditions = [_MATCH.owner == viewer.owner, _MATCH.action == Action.BLOCK.value, *licensed]
    if wanted.kind is not None:
        own.append(_MATCH.kind == wanted.kind)
    # Others' matches, which an owner does not see, can make the whole graver.
    graver = SEVERITIES if wanted.severity is None else SEVERITIES[SEVERITIES.index(wanted.severity.value) :]
    return [(own, [_ENTRY.severity.in_(graver)])]


def _owned(viewer: Viewer, wanted: LeakFilter) -> list[Conditions]:
    """Whose code: one set of conditions for each way in which a name can be meant, and none for one not to be known."""
    owner = wanted.owner
    if owner is None:
        return [[]]
    organization = f"{OwnerKind.ORGANIZATION.value}:"
    if ":" in owner:
        hidden = owner.startswith(organization) and owner != viewer.owner and not viewer.knows_both
        return [] if hidden else [[_MATCH.owner == owner]]
    corpora = f"{OwnerKind.LICENSED.value}:{owner}"
    # The character after the colon ends what begins with it.
    found: list[Conditions] = [[_MATCH.owner >= f"{corpora}:", _MATCH.owner < f"{corpora};"]]
    if viewer.knows_both or owner == viewer.org:
        found.append([_MATCH.owner == f"{organization}{owner}"])
    return found


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
