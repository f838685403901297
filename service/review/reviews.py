"""The questions of security teams: lists of leaks, one leak, what was said of it. Read this module first.

A plain layer over the ledger: no HTTP, no page. Everything is asked for a `Viewer`, and nothing comes out but through
`Viewer.see`. What a viewer may not see is not there for them (NotFoundError), so that nothing is learned by asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from guard.ledger_database import Database
from guard.types import Action
from service.errors import InvalidRequestError, NotFoundError, OwnerOnlyError
from service.review.alerts import Alerts
from service.review.counting import count, unsure
from service.review.cursors import Cursors
from service.review.exceptions import DocumentException, ExceptionKind, Exceptions, Wanted
from service.review.filters import LeakFilter, written
from service.review.hooks import Hooks
from service.review.judgements import Judgements
from service.review.leak import Disposition, Leak, Role
from service.review.outbox import Outbox
from service.review.review_schema import kept_secret, make_tables
from service.review.source import LeakSource
from service.review.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from guard.ledger import Ledger, LedgerEntry
    from service.review.hooks import Hook
    from service.review.judgements import Judgement
    from service.review.tallies import Counted
    from service.review.viewer import Viewer

PAGE = 50
PAGE_LIMIT = 500
BULK_LIMIT = 500
"""Leaks that are judged at a time."""
LOOKED_AT = 2_000
"""Entries looked at for one page: a page of a rare kind may be short, or empty, and go on behind its cursor."""


@dataclass(frozen=True, slots=True)
class Page:
    """Leaks, the newest first. `next` is the cursor of what follows, None at the end; a page may be short before it."""

    leaks: tuple[Leak, ...]
    next: str | None


class Reviews:
    """Reviews of one ledger, whose database `url` is. Methods raise LedgerError where that does not answer."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self._ledger = ledger
        self._database = Database(url)
        make_tables(self._database)
        self._cursors = Cursors(kept_secret(self._database, "cursors"))
        self._source = LeakSource(self._database)
        self._judgements = Judgements(self._database)
        self.alerts = Alerts(self._database)
        self.exceptions = Exceptions(ledger, self._database)
        self.hooks = Hooks(self._database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def outbox(self, viewer: Viewer) -> Outbox:
        """What the webhook of a viewer's party is still to be told."""
        return Outbox(self._database, viewer)

    def set_hook(self, viewer: Viewer, url: str, secret: str) -> Hook:
        """Tell the viewer's organization at `url` of what concerns it from now on, or there instead of where it was."""
        hook = self.hooks.set(viewer, url, secret)
        self.outbox(viewer).begin()
        return hook

    def remove_hook(self, viewer: Viewer) -> None:
        """Tell the viewer's organization nothing any more."""
        self.hooks.remove(viewer.org)
        self.outbox(viewer).forget()

    def page(
        self, viewer: Viewer, wanted: LeakFilter | None = None, *, cursor: str | None = None, limit: int = PAGE
    ) -> Page:
        """One page of the leaks that `viewer` may see and `wanted` means.

        Raises InvalidRequestError on a cursor of another viewer or filter, and on a limit out of bounds.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            message = f"limit {limit} is out of bounds: ask for 1 to {PAGE_LIMIT}"
            raise InvalidRequestError(message, param="limit")
        wanted = wanted or LeakFilter()
        bound_to = b"\0".join((viewer.party.encode(), wanted.digest()))
        place = None if cursor is None else self._cursors.open(cursor, bound_to)
        found: list[Leak] = []
        looked_at = 0
        while looked_at < LOOKED_AT:
            chunk = self._source.before(viewer, wanted, place, limit + 1)
            for entry, leak in self._seen(viewer, chunk):
                if leak is not None and wanted.meant(leak):
                    if len(found) == limit:
                        return Page(tuple(found), self._cursors.seal(place or 0, bound_to))
                    found.append(leak)
                place = entry.seq
            looked_at += len(chunk)
            if len(chunk) <= limit:
                return Page(tuple(found), None)
        return Page(tuple(found), self._cursors.seal(place or 0, bound_to))

    def all(self, viewer: Viewer, wanted: LeakFilter | None = None) -> Iterator[Leak]:
        """Every such leak, the newest first, read a page at a time."""
        cursor: str | None = None
        while True:
            page = self.page(viewer, wanted, cursor=cursor, limit=PAGE_LIMIT)
            yield from page.leaks
            if page.next is None:
                return
            cursor = page.next

    def counted(self, viewer: Viewer, since: datetime, until: datetime) -> Counted:
        """The leaks of a period (`until` excluded) in numbers, counted by the database.

        Raises InvalidRequestError where that is none.
        """
        LeakFilter(since=since, until=until)  # refuses what is no period
        period = written(since), written(until)
        with self._database.refusing("read"), self._database.reading() as connection:
            counted = count(connection, viewer, *period)
            left = unsure(connection, viewer, *period)
        for start in range(0, len(left), PAGE_LIMIT):
            for _, leak in self._seen(viewer, self._source.entries(left[start : start + PAGE_LIMIT])):
                if leak is not None:
                    counted.add(leak)
        return counted

    def summary(self, viewer: Viewer, since: datetime, until: datetime) -> Summary:
        """The same as a report has it."""
        return summarize(self.counted(viewer, since, until), since, until)

    def get(self, viewer: Viewer, leak_id: str) -> Leak:
        """One leak. Raises NotFoundError, the same for one that is not there and one of others."""
        return self._require(viewer, leak_id)[1]

    def history(self, viewer: Viewer, leak_id: str) -> tuple[Judgement, ...]:
        """What was said of a leak, the oldest first. Raises NotFoundError."""
        self._require(viewer, leak_id)
        return self._judgements.history(viewer, leak_id)

    def judge(self, viewer: Viewer, leak_ids: Sequence[str], disposition: Disposition, note: str = "") -> Judgement:
        """Say what leaks are, of all of them or none; what was said before stays in their history.

        Raises NotFoundError when one of them is not there for the viewer, InvalidRequestError on a note that is too
        long or too many leaks.
        """
        if not 1 <= len(leak_ids) <= BULK_LIMIT:
            message = f"{len(leak_ids)} leaks cannot be judged at a time: name 1 to {BULK_LIMIT}"
            raise InvalidRequestError(message, param="ids")
        judged = [self._require(viewer, leak_id) for leak_id in leak_ids]
        return self._judgements.add(viewer, {leak.id: entry.seq for entry, leak in judged}, disposition, note)

    def except_document(  # noqa: PLR0913 - what an exception is
        self,
        viewer: Viewer,
        leak_id: str,
        *,
        days: int,
        owner: str | None = None,
        document: str | None = None,
        org: str | None = None,
        note: str = "",
        kind: ExceptionKind = ExceptionKind.EXCEPTION,
    ) -> DocumentException:
        """Let copies of a document pass that the viewer judged a false alarm in this leak: the only one, or the named.

        Raises NotFoundError where the leak is not there for the viewer, OwnerOnlyError where it is not for them to lift
        what protects the code, InvalidRequestError on what is no false alarm yet, not in the leak or not clear.
        """
        leak = self.get(viewer, leak_id)
        if leak.role is Role.CALLER:
            message = "only the owner of the code, or an administrator, may let copies of it pass: ask them"
            raise OwnerOnlyError(message)
        if kind is ExceptionKind.COMMONS and not viewer.admin:
            message = "what is commons lifts the protection of all that hold the same code: ask an administrator"
            raise OwnerOnlyError(message)
        if leak.disposition != Disposition.FALSE_ALARM:
            message = (
                f"leak {leak_id} is judged {leak.disposition}: judge it a false_alarm first, then make an exception"
            )
            raise InvalidRequestError(message)
        found = [one for one in exceptable(viewer, leak) if owner in {None, one[0]} and document in {None, one[1]}]
        if len(found) != 1:
            message = (
                f"{len(found)} documents that were blocked in leak {leak_id} are meant: name one by owner and path"
            )
            raise InvalidRequestError(message, param="document")
        return self.exceptions.make(viewer, leak_id, Wanted(*found[0], org, days, note, kind))

    def _require(self, viewer: Viewer, leak_id: str) -> tuple[LedgerEntry, Leak]:
        # A NUL is no text for PostgreSQL.
        entry = self._source.get(leak_id) if "\0" not in leak_id else None
        for found, leak in self._seen(viewer, [entry] if entry is not None else []):
            if leak is not None:
                return found, leak
        message = f"there is no leak {leak_id[:80]!r} for you: GET /v1/leaks lists those that you may see"
        raise NotFoundError(message)

    def _seen(self, viewer: Viewer, entries: Sequence[LedgerEntry]) -> list[tuple[LedgerEntry, Leak | None]]:
        said = self._judgements.standing(viewer, {entry.record.decision.id for entry in entries})
        return [
            (entry, viewer.see(entry, said.get(entry.record.decision.id, Disposition.OPEN).value)) for entry in entries
        ]


def exceptable(viewer: Viewer, leak: Leak) -> list[tuple[str, str]]:
    """The owners and documents that were blocked in a leak and that the viewer may make exceptions of, each once."""
    blocked = [match for match in leak.matches if match.action == Action.BLOCK]
    pairs = [(match.owner, match.document) for match in blocked]
    return list(dict.fromkeys((owner, path) for owner, path in pairs if owner and path and viewer.may_lift(owner)))
