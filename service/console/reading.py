"""What pages read of leaks: by whom, by which filter of an address, and with which words in them.

Reads through `service.review` alone, for the viewer that a session is, so that nobody sees here what they may not.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from guard.errors import LedgerError
from guard.types import MatchKind
from service.console.door import services_of
from service.errors import InvalidRequestError, ReviewUnavailableError
from service.review.filters import LeakFilter
from service.review.leak import Disposition, Leak, Severity
from service.review.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from service.console.sessions import Session
    from service.review.reviews import Reviews

PAGE = 50
SEARCHED_PAGES = 40
"""Pages looked through for one page of a search: what is rare may be found behind the cursor."""
PERIODS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
CHOICES = {
    "severity": tuple(Severity),
    "disposition": tuple(Disposition),
    "kind": tuple(MatchKind),
    "days": tuple(PERIODS),
}
NAMED = ("org", "owner", "license", "model", "key")
"""What a link of the overview asks for, and a list shows as a mark that can be taken off."""


def viewer_of(request: Request, session: Session) -> Viewer:
    """The viewer that is signed in."""
    identities = services_of(request).settings.review_identities
    return Viewer(session.org, session.key_id or session.subject, admin=session.is_admin, identities=identities)


@contextmanager
def reading(request: Request) -> Iterator[Reviews]:
    """The reviews of the service. Raises ReviewUnavailableError where they or their ledger cannot be read."""
    reviews = services_of(request).reviews
    if reviews is None:
        message = "this service was started without reviews"
        raise ReviewUnavailableError(message)
    try:
        yield reviews
    except LedgerError as error:
        raise ReviewUnavailableError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Question:
    """What a list shows: the fields of its address. Empty is no condition; `q` are words that a leak must have."""

    q: str = ""
    severity: str = ""
    disposition: str = ""
    kind: str = ""
    days: str = ""
    org: str = ""
    owner: str = ""
    license: str = ""
    model: str = ""
    key: str = ""
    asked: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Question:
        """Read an address; unknown fields are passed over. Raises InvalidRequestError on a value that is none."""
        names = {one.name for one in fields(cls)} - {"asked"}
        values: dict[str, Any] = {name: value.strip() for name, value in query.items() if name in names}
        for name, choices in CHOICES.items():
            if values.get(name, "") not in {"", *choices}:
                message = f"{name} {values[name][:80]!r} is none of {', '.join(choices)}"
                raise InvalidRequestError(message, param=name)
        moment = _moment(query.get("asked", ""))
        return replace(cls(), **values) if moment is None else replace(cls(), **values, asked=moment)

    @property
    def words(self) -> list[str]:
        """The words, for comparing."""
        return self.q.casefold().split()

    @property
    def wanted(self) -> LeakFilter:
        """The same for the reviews, without the words. Its times hold still from page to page."""
        named = {name: getattr(self, name) or None for name in NAMED}
        return LeakFilter(
            since=self.asked - timedelta(days=int(self.days)) if self.days else None,
            kind=self.kind or None,
            severity=Severity(self.severity) if self.severity else None,
            disposition=Disposition(self.disposition) if self.disposition else None,
            **named,
        )

    @property
    def marks(self) -> list[tuple[str, str, str]]:
        """Name, value and the address without it, of each condition that has no field of its own."""
        return [(name, getattr(self, name), self.address(**{name: ""})) for name in NAMED if getattr(self, name)]

    def query(self, **changes: str) -> str:
        """The query of an address that asks this, with changes."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "asked"} | changes
        return urlencode({name: value for name, value in values.items() if value})

    def address(self, **changes: str) -> str:
        """The address of a list that asks this, with changes."""
        query = self.query(**changes)
        return f"/console/leaks?{query}" if query else "/console/leaks"


@dataclass(frozen=True, slots=True)
class Found:
    """Leaks, the newest first, and where a list goes on, None at its end."""

    leaks: tuple[Leak, ...]
    next: str | None


def find(reviews: Reviews, viewer: Viewer, question: Question, cursor: str | None = None) -> Found:
    """A page of what is asked for: PAGE leaks or a few more, or fewer where what is asked for is rare."""
    leaks: list[Leak] = []
    for _ in range(SEARCHED_PAGES):
        page = reviews.page(viewer, question.wanted, cursor=cursor, limit=PAGE)
        leaks += [leak for leak in page.leaks if _has(leak, question.words)]
        cursor = page.next
        if cursor is None or len(leaks) >= PAGE:
            break
    return Found(tuple(leaks), cursor)


def every(reviews: Reviews, viewer: Viewer, question: Question) -> Iterator[Leak]:
    """All that is asked for, the newest first."""
    return (leak for leak in reviews.all(viewer, question.wanted) if _has(leak, question.words))


def _has(leak: Leak, words: list[str]) -> bool:
    """Whether each of the words stands somewhere in what the viewer sees of the leak."""
    if not words:
        return True
    seen = [leak.id, leak.at, leak.severity, leak.disposition, leak.model, leak.outcome, leak.surface]
    seen += [one for one in (leak.org, leak.key, leak.release) if one]
    for match in leak.matches:
        seen += [one for one in (match.kind, match.owner, match.document, match.license, match.reason) if one]
    text = "\n".join(seen).casefold()
    return all(word in text for word in words)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
