"""Webhooks that organizations set for themselves: where each is, and which hosts the operator allows. Knows no HTTP.

The secret of each is kept as it is, since an HMAC needs it: beside what seals cursors, in the ledger's database, which
on SQLite only its user can read. Nothing gives it out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select

from service.errors import InvalidRequestError
from service.review.filters import written
from service.review.review_schema import hook_table

if TYPE_CHECKING:
    from guard.ledger_database import Database
    from service.review.viewer import Viewer

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HTTPS = 443


@dataclass(frozen=True, slots=True)
class Hook:
    """An organization's webhook; `key` is the id of the key that set it."""

    org: str
    url: str
    secret: str = field(repr=False)
    at: str
    key: str


class AllowedHosts:
    """The hosts that organizations may name: `HOST`, `*.DOMAIN` or `HOST:PORT`, with commas between; 443 by default.

    Whoever names a host makes this service send there, from inside its network: so the operator says which.
    """

    def __init__(self, given: str | None) -> None:
        self._patterns = [one.strip().lower() for one in (given or "").split(",") if one.strip()]

    def allow(self, url: str) -> bool:
        """Whether `url` may be told: over HTTPS, or to this very machine where the operator names it with its port."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.fragment or not host:
            return False
        if parts.scheme == "http" and host in LOOPBACK and port is not None:
            return f"{host}:{port}" in self._patterns
        if parts.scheme != "https":
            return False
        named = f"{host}:{port or HTTPS}"
        return any(fnmatchcase(named, one if ":" in one else f"{one}:{HTTPS}") for one in self._patterns)

    def require(self, url: str) -> None:
        """Raise InvalidRequestError unless `url` may be told."""
        if not self.allow(url):
            message = (
                "the webhook's address is none that the operator of this service allows (CLEANROOM_ORG_WEBHOOK_HOSTS): "
                "name an https address of an allowed host"
            )
            raise InvalidRequestError(message, param="url")


class Hooks:
    """Kept in the database of the ledger, one an organization. Methods raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, viewer: Viewer, url: str, secret: str) -> Hook:
        """Set the webhook of the viewer's organization, in the place of one that was."""
        hook = Hook(viewer.org, url, secret, written(datetime.now(UTC)), viewer.key_id)
        values = {"org": hook.org, "url": url, "secret": secret, "at": hook.at, "key_id": hook.key}
        with self._database.refusing("written"), self._database.writing(alone=True) as connection:
            connection.execute(delete(hook_table).where(hook_table.c.org == hook.org))
            connection.execute(insert(hook_table), values)
        return hook

    def get(self, org: str) -> Hook | None:
        """The webhook of an organization."""
        return next((hook for hook in self.all() if hook.org == org), None)

    def remove(self, org: str) -> None:
        """There is none any more."""
        with self._database.refusing("written"), self._database.writing() as connection:
            connection.execute(delete(hook_table).where(hook_table.c.org == org))

    def all(self) -> tuple[Hook, ...]:
        """Every webhook."""
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(select(hook_table).order_by(hook_table.c.org)).all()
        return tuple(Hook(row.org, row.url, row.secret, row.at, row.key_id) for row in rows)
