"""Who is signed in to the console: sessions, kept in the database of accounts so that every replica knows them.

Knows no cookie and no page. A session is recognized by the hash of a random token; the token itself is not kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from service.account_schema import keys_table, organizations_table, sessions_table
from service.accounts import Scope

if TYPE_CHECKING:
    from sqlalchemy import Row

    from service.accounts import Accounts

SCOPES = frozenset({Scope.REVIEW, Scope.ADMIN})
"""The scopes that open the console; either does."""


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who signed in. `subject` is who they are: `key:ID`, or `oidc:` and what the identity provider calls them.

    `csrf` is what every form of this session carries, and `expires` its end in seconds since 1970.
    """

    org: str
    subject: str
    scopes: frozenset[Scope]
    key_id: str | None
    expires: int
    csrf: str

    @property
    def is_admin(self) -> bool:
        """Whether they see every organization."""
        return Scope.ADMIN in self.scopes


class Sessions:
    """The sessions of `accounts`. Every method raises AccountsUnavailableError when the database does not answer."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def open(self, org: str, subject: str, scopes: frozenset[Scope], *, seconds: float, key_id: str | None) -> str:
        """Begin a session that lasts `seconds`, and return its token, which is new every time.

        Sessions that are over are swept out on the way.
        """
        token = secrets.token_urlsafe(32)
        now = int(time.time())
        values = {
            "token_hash": _hash(token),
            "org": org,
            "key_id": key_id,
            "subject": subject,
            "scopes": sorted(scopes & SCOPES),
            "expires": now + int(seconds),
        }
        with self._accounts.transaction() as connection:
            connection.execute(delete(sessions_table).where(sessions_table.c.expires <= now))
            connection.execute(insert(sessions_table), values)
        return token

    def find(self, token: str) -> Session | None:
        """The session of `token`; None once it is over, its key revoked or its organization removed."""
        query = (
            select(sessions_table, keys_table.c.id.label("key"), keys_table.c.revoked)
            .join(organizations_table, organizations_table.c.slug == sessions_table.c.org)
            .outerjoin(keys_table, keys_table.c.id == sessions_table.c.key_id)
            .where(sessions_table.c.token_hash == _hash(token))
        )
        with self._accounts.transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None or not _holds(row) else _session(row, token)

    def close(self, token: str) -> None:
        """End the session of `token`, if there is one."""
        with self._accounts.transaction() as connection:
            connection.execute(delete(sessions_table).where(sessions_table.c.token_hash == _hash(token)))


def form_token(token: str) -> str:
    """What a form carries to show that it came from a page of whoever holds the cookie `token`: nobody else has it."""
    return hmac.new(token.encode(), b"cleanroom console form", hashlib.sha256).hexdigest()


def _holds(row: Row[Any]) -> bool:
    by_good_key = row.key_id is None or (row.key is not None and row.revoked is None)
    return by_good_key and row.expires > time.time()


def _session(row: Row[Any], token: str) -> Session:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return Session(row.org, row.subject, scopes, row.key_id, row.expires, form_token(token))


def _hash(token: str) -> str:
    """SHA-256: a token has 256 random bits, so there is nothing for a slow hash to protect."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
