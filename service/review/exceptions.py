"""Exceptions: documents of which a false alarm showed that copies may pass, for a time. Read `Exceptions.make` first.

What lifts protection is in the ledger, in the same transaction as here: that it was made, revoked, or ran out. The
guard honours what stands (guard.exemptions), and each decision names what let a copy pass. Only the owner's reviewers
and administrators make one; only administrators one for code under a licence, or say that a document is commons. Knows
no leak and no text.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import func, insert, select, update

from guard.errors import LedgerError, OwnerError
from guard.exemptions import Exemption
from guard.ledger import LedgerEvent
from guard.ledger_form import new_id
from guard.types import SLUG, Owner
from service.errors import InvalidRequestError, NotFoundError
from service.review.filters import written
from service.review.judgements import require_note
from service.review.review_schema import exception_table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from guard.exemptions import Exempt
    from guard.ledger import Ledger
    from guard.ledger_database import Database
    from service.review.viewer import Viewer

DAYS = 365
"""The longest time that an exception is made for: whoever still wants it then looks at it again."""
STANDING_LIMIT = 200
"""Exceptions of one owner that stand at a time."""
LISTED = 500
PACE = 1.0
"""Seconds for which it is remembered which exceptions stand: so soon one of another process counts, or ends, here."""
MADE, REVOKED, EXPIRED = "exception-made", "exception-revoked", "exception-expired"
"""Events of the ledger."""

log = structlog.get_logger(__name__)


class ExceptionKind(StrEnum):
    """What a document counts as: as not indexed, or as commons, which excuses all that holds the same code."""

    EXCEPTION = "exception"
    COMMONS = "commons"


@dataclass(frozen=True, slots=True)
class DocumentException:
    """Copies of the owner's `document` may pass to `org` (None: to whoever asks) from `at` until `until`.

    `leak` is the false alarm that it was made of. `maker` and `key` are who made it, None where the viewer may not know
    that, and so is `org` where `everyone` is false. `ended` is "", `revoked` or `expired`; times are UTC, ISO 8601.
    """

    id: str
    kind: ExceptionKind
    owner: str
    document: str
    org: str | None
    everyone: bool
    leak: str
    at: str
    until: str
    note: str
    maker: str | None
    key: str | None
    ended: str = ""
    ended_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """The exception as one JSON object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"kind": self.kind.value}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be excepted: one document of an owner, for one organization or None for all, for so many days.

    Commons is for all. Raises InvalidRequestError on what cannot be meant.
    """

    owner: str
    document: str
    org: str | None
    days: int
    note: str = ""
    kind: ExceptionKind = ExceptionKind.EXCEPTION

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 1 <= self.days <= DAYS:
            message = f"an exception of {self.days} days cannot be made: choose 1 to {DAYS}"
            raise InvalidRequestError(message, param="days")
        if self.org is not None and SLUG.fullmatch(self.org) is None:
            message = f"{self.org[:80]!r} is no organization: write its short name, or none for all"
            raise InvalidRequestError(message, param="org")
        if self.org is not None and self.kind is ExceptionKind.COMMONS:
            message = "what is commons is so for everybody: leave the organization out"
            raise InvalidRequestError(message, param="org")
        require_note(self.note)
        if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in self.document):
            message = (
                "the document's path is no text that can be kept: give the file a name in UTF-8 and index it again"
            )
            raise InvalidRequestError(message, param="document")


class Exceptions:
    """Kept in the database of the ledger. Methods raise LedgerError. Safe to share between threads."""

    def __init__(self, ledger: Ledger, database: Database) -> None:
        self._ledger = ledger
        self._database = database
        self._reading = threading.Lock()
        self._read = float("-inf")
        self._standing: tuple[tuple[Exemption, str, float], ...] = ()

    def make(self, viewer: Viewer, leak: str, wanted: Wanted) -> DocumentException:
        """Let copies of a document pass from now on, and enter that into the ledger: both or neither.

        Whether the viewer may do so has been asked. Raises InvalidRequestError where the owner has too many.
        """
        now = datetime.now(UTC)
        until = now + timedelta(days=wanted.days)
        row: dict[str, Any] = {"id": new_id("exc"), "owner": wanted.owner, "document": wanted.document}
        row |= {"kind": wanted.kind.value, "org": wanted.org or ""}
        row |= {"decision_id": leak, "party": viewer.party, "maker": viewer.org, "key_id": viewer.key_id}
        row |= {"at": written(now), "until": until.timestamp(), "note": wanted.note, "ended": "", "ended_at": ""}

        def add(connection: Connection) -> None:
            column = exception_table.c
            mine = select(func.count()).where(column.owner == wanted.owner, column.ended == "")
            if connection.execute(mine).scalar_one() >= STANDING_LIMIT:
                message = f"{wanted.owner} has {STANDING_LIMIT} exceptions that stand: revoke some that are not needed"
                raise InvalidRequestError(message)
            connection.execute(insert(exception_table), row)

        details = {"owner": wanted.owner, "document": wanted.document, "for": wanted.org or "everyone"}
        details |= {"kind": wanted.kind.value, "leak": leak, "until": written(until)}
        self._ledger.note(LedgerEvent(MADE, row["id"], details, viewer.org, viewer.key_id), add)
        self._forget()
        return self.get(viewer, row["id"])

    def revoke(self, viewer: Viewer, exception_id: str) -> DocumentException:
        """End an exception, now; one that has ended stays as it is. Raises NotFoundError."""
        found = self.get(viewer, exception_id)
        if not found.ended:
            self._end(exception_id, REVOKED, viewer.org, viewer.key_id)
        return self.get(viewer, exception_id)

    def expire(self) -> int:
        """Enter into the ledger which exceptions have run out; answers how many. They let nothing pass before that."""
        over = (exception_table.c.ended == "") & (exception_table.c.until <= time.time())
        with self._database.refusing("read"), self._database.reading() as connection:
            ids = connection.execute(select(exception_table.c.id).where(over)).scalars().all()
        return sum(self._end(one, EXPIRED, "", None) for one in ids)

    def get(self, viewer: Viewer, exception_id: str) -> DocumentException:
        """One exception. Raises NotFoundError, the same for one that is not there and one of others."""
        # A NUL is no text for PostgreSQL.
        query = select(exception_table).where(exception_table.c.id == exception_id.replace("\0", ""))
        with self._database.refusing("read"), self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or not viewer.may_lift(row.owner):
            message = (
                f"there is no exception {exception_id[:80]!r} for you: GET /v1/exceptions lists those that you see"
            )
            raise NotFoundError(message)
        return _seen(viewer, row)

    def listed(self, viewer: Viewer, *, ended: bool = False) -> tuple[DocumentException, ...]:
        """The exceptions that let copies of the viewer's code pass, of everybody's for administrators; newest first.

        `ended`: also those that have ended.
        """
        column = exception_table.c
        query = select(exception_table).order_by(column.at.desc(), column.id).limit(LISTED)
        if not viewer.admin:
            query = query.where(column.owner == viewer.owner)
        if not ended:
            query = query.where(column.ended == "", column.until > time.time())
        with self._database.refusing("read"), self._database.reading() as connection:
            return tuple(_seen(viewer, row) for row in connection.execute(query).all())

    def known(self, org: str) -> Exempt | None:
        """What is exempt for an organization now, if that was read a moment ago."""
        return self._for(org) if time.monotonic() < self._read + PACE else None

    def holding(self, org: str) -> Exempt:
        """What is exempt for an organization now, read since this was called: nothing, where it cannot be read."""
        called = time.monotonic()
        with self._reading:
            # Whoever waited meanwhile has it read once for all.
            if self._read < called:
                self._read_anew()
            return self._for(org)

    def _for(self, org: str) -> Exempt:
        now = time.time()
        return frozenset(one for one, whose, until in self._standing if until > now and whose in {"", org})

    def _read_anew(self) -> None:
        began = time.monotonic()
        try:
            self._standing = self._read_standing()
        except (LedgerError, OwnerError) as error:
            log.warning("exceptions not read: none holds", reason=str(error))
            self._standing = ()
        self._read = began

    def _read_standing(self) -> tuple[tuple[Exemption, str, float], ...]:
        column = exception_table.c
        query = select(exception_table).where(column.ended == "")
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple((_exemption(row), row.org, row.until) for row in rows)

    def _forget(self) -> None:
        with self._reading:
            self._read = float("-inf")

    def _end(self, exception_id: str, event: str, org: str, key_id: str | None) -> bool:
        """End an exception and say so in the ledger; False where another process has."""
        values = {"ended": event.partition("-")[2], "ended_at": written(datetime.now(UTC))}
        standing = (exception_table.c.id == exception_id) & (exception_table.c.ended == "")

        def end(connection: Connection) -> None:
            if connection.execute(update(exception_table).where(standing).values(values)).rowcount != 1:
                raise _EndedError

        try:
            self._ledger.note(LedgerEvent(event, new_id("exe"), {"exception": exception_id}, org, key_id), end)
        except _EndedError:
            return False
        finally:
            self._forget()
        return True


class _EndedError(Exception):
    """An exception ended meanwhile, and the ledger says so already."""


def _exemption(row: Row[Any]) -> Exemption:
    return Exemption(row.id, Owner.parse(row.owner), row.document, commons=row.kind == ExceptionKind.COMMONS)


def _seen(viewer: Viewer, row: Row[Any]) -> DocumentException:
    """What the viewer may see of an exception: of one that administrators made, not who, nor for whom."""
    own = viewer.admin or row.party == viewer.party
    return DocumentException(
        id=row.id,
        kind=ExceptionKind(row.kind),
        owner=row.owner,
        document=row.document,
        org=(row.org or None) if own or viewer.knows_both else None,
        everyone=not row.org,
        leak=row.decision_id,
        at=row.at,
        until=written(datetime.fromtimestamp(row.until, UTC)),
        note=row.note,
        maker=row.maker if own else None,
        key=row.key_id if own else None,
        ended=row.ended or ("expired" if row.until <= time.time() else ""),
        ended_at=row.ended_at,
    )
