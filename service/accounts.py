"""Organizations and their API keys: who may ask for what, under which licence policy.

Knows neither HTTP nor the index; a key is recognized by its hash and never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from guard.licenses import LicensePolicy
from guard.types import require_slug
from service.account_schema import KEYS_OF, LABEL_LIMIT, keys_table, open_database, organizations_table, refusing
from service.errors import AccountError, AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row

SECRET = re.compile(r"cr_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")
UNKNOWN_HASH = "0" * 64
# What the store counts one by one is bounded; a day's tokens are one number.
QUOTA_LIMITS = {"requests_per_minute": 100_000, "tokens_per_day": 10**12}


class Scope(StrEnum):
    """What a key opens. Scopes do not imply each other."""

    COMPLETE = "complete"
    INDEX = "index"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Organization:
    """A participant and its licence policy."""

    slug: str
    created: datetime
    policy: LicensePolicy


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key may use. 0 is any number; None is what the server's settings say."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of an API key: everything but the secret. `revoked` is when it stopped working."""

    id: str
    org: str
    scopes: frozenset[Scope]
    label: str
    created: datetime
    revoked: datetime | None = None
    quota: Quota = Quota()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the organization and key behind a request, and the licence policy and quota that hold for it."""

    org: str
    key_id: str
    scopes: frozenset[Scope]
    policy: LicensePolicy
    quota: Quota = Quota()


class Accounts:
    """Organizations and keys in the SQL database at `url` (SQLite or PostgreSQL).

    Nothing is cached: a revoked key fails at the next request, in every process. Every method raises
    AccountsUnavailableError when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ready(self) -> None:
        """Raise AccountsUnavailableError unless accounts can be read."""
        with self.transaction() as connection:
            connection.execute(select(organizations_table.c.slug).limit(1)).all()

    def add_organization(self, slug: str, policy: LicensePolicy | None = None) -> Organization:
        """Add an organization. Raises OwnerError on a bad slug and AccountError on one that is taken."""
        require_slug(slug)
        organization = Organization(slug, _now(), policy or LicensePolicy.default())
        values = {
            "slug": slug,
            "created": organization.created.isoformat(),
            "license_policy": organization.policy.to_json(),
        }
        with self.transaction() as connection:
            try:
                connection.execute(organizations_table.insert(), values)
            except IntegrityError:
                message = f"organization {slug!r} is already there: `cleanroom org list` shows all"
                raise AccountError(message) from None
        return organization

    def remove_organization(self, slug: str) -> int:
        """Remove an organization and all its keys, which stop working at once; return how many keys there were.

        What the organization has in the index and the ledger stays. Raises AccountError on an unknown one.
        """
        with self.transaction() as connection:
            _require(connection, slug)
            removed = connection.execute(delete(keys_table).where(keys_table.c.org == slug)).rowcount
            connection.execute(delete(organizations_table).where(organizations_table.c.slug == slug))
        return removed

    def organizations(self) -> tuple[Organization, ...]:
        """All organizations by name."""
        with self.transaction() as connection:
            rows = connection.execute(select(organizations_table).order_by(organizations_table.c.slug)).all()
        return tuple(_organization(row) for row in rows)

    def require_organization(self, slug: str) -> Organization:
        """Return an organization. Raises OwnerError on a bad slug, AccountError with how to add an unknown one."""
        with self.transaction() as connection:
            return _require(connection, slug)

    def set_policy(self, slug: str, policy: LicensePolicy) -> None:
        """Replace the licence policy of an organization, from its next request on."""
        with self.transaction() as connection:
            _require(connection, slug)
            changed = update(organizations_table).where(organizations_table.c.slug == slug)
            connection.execute(changed.values(license_policy=policy.to_json()))

    def create_key(
        self, org: str, scopes: frozenset[Scope], label: str = "", quota: Quota | None = None
    ) -> tuple[KeyRecord, str]:
        """Make a key for `org` and return it with its secret, which cannot be had again.

        Raises AccountError when the organization is unknown, no scope is named, the label is too long or the quota
        out of bounds.
        """
        if not scopes:
            message = f"a key without a scope opens nothing: name one or more of {', '.join(Scope)}"
            raise AccountError(message)
        if len(label) > LABEL_LIMIT:
            message = f"a label of {len(label)} characters is too long: use at most {LABEL_LIMIT}"
            raise AccountError(message)
        quota = quota or Quota()
        _require_bounds(quota)
        record = KeyRecord(secrets.token_hex(6), org, scopes, label, _now(), quota=quota)
        secret = f"cr_{record.id}_{secrets.token_urlsafe(32)}"
        with self.transaction() as connection:
            _require(connection, org)
            connection.execute(
                keys_table.insert(),
                {
                    "id": record.id,
                    "org": org,
                    "scopes": sorted(scopes),
                    "hash": _hash(secret),
                    "label": label,
                    "created": record.created.isoformat(),
                    **asdict(quota),
                },
            )
        return record, secret

    def set_quota(self, key_id: str, quota: Quota) -> KeyRecord:
        """Replace the quota of a key, from its next request on; what it has used counts on.

        Raises AccountError on an unknown id or a quota out of bounds.
        """
        _require_bounds(quota)
        with self.transaction() as connection:
            connection.execute(update(keys_table).where(keys_table.c.id == key_id).values(**asdict(quota)))
            return _require_key(connection, key_id)

    def list_keys(self, org: str | None = None) -> tuple[KeyRecord, ...]:
        """All keys, revoked ones too, or those of one organization; oldest first."""
        query = select(keys_table).order_by(keys_table.c.created, keys_table.c.id)
        with self.transaction() as connection:
            if org is not None:
                _require(connection, org)
                query = query.where(keys_table.c.org == org)
            return tuple(_key(row) for row in connection.execute(query))

    def revoke_key(self, key_id: str) -> KeyRecord:
        """Stop a key at once; a second revocation changes nothing. Raises AccountError on an unknown id."""
        with self.transaction() as connection:
            unrevoked = (keys_table.c.id == key_id) & keys_table.c.revoked.is_(None)
            connection.execute(update(keys_table).where(unrevoked).values(revoked=_now().isoformat()))
            return _require_key(connection, key_id)

    def authenticate(self, secret: str) -> Caller:
        """Return whose key `secret` is. Raises AuthenticationError, which does not tell unknown from revoked."""
        (found,) = self.authenticate_all([secret])
        if isinstance(found, AuthenticationError):
            raise found
        return found

    def authenticate_all(self, secrets: Sequence[str]) -> list[Caller | AuthenticationError]:
        """Whose key each of some secrets is, as `authenticate` says or raises it, by one question to the database."""
        shapes = {secret: SECRET.fullmatch(secret) for secret in secrets}
        # A misshapen secret asks too, for no id: the time of the answer tells nothing of the ids in use.
        ids = {shape[1] if shape else "" for shape in shapes.values()}
        with self.transaction() as connection:
            rows = {row.id: row for row in connection.execute(KEYS_OF, {"ids": list(ids)})}
        found = {secret: _caller(secret, rows.get(shape[1]) if shape else None) for secret, shape in shapes.items()}
        return [found[secret] for secret in secrets]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction in the database of accounts, also for what else is kept there."""
        with refusing(self._engine), self._engine.begin() as connection:
            yield connection


def _caller(secret: str, row: Row[Any] | None) -> Caller | AuthenticationError:
    """Whose key `secret` is, if `row` is that of its id."""
    matches = hmac.compare_digest(_hash(secret), UNKNOWN_HASH if row is None else row.hash)
    if row is None or not matches or row.revoked is not None:
        message = "this API key is unknown or revoked: ask your administrator for one (`cleanroom key create`)"
        return AuthenticationError(message)
    key = _key(row)
    return Caller(key.org, key.id, key.scopes, LicensePolicy.from_json(row.license_policy), key.quota)


def _hash(secret: str) -> str:
    """SHA-256 of a secret. It has 256 random bits, so there is nothing for a slow password hash to protect."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _require(connection: Connection, slug: str) -> Organization:
    row = connection.execute(
        select(organizations_table).where(organizations_table.c.slug == require_slug(slug))
    ).one_or_none()
    if row is None:
        message = f"there is no organization {slug!r}: `cleanroom org add {slug}` adds it"
        raise AccountError(message)
    return _organization(row)


def _require_key(connection: Connection, key_id: str) -> KeyRecord:
    row = connection.execute(select(keys_table).where(keys_table.c.id == key_id)).one_or_none()
    if row is None:
        message = f"there is no key {key_id!r}: `cleanroom key list` shows all"
        raise AccountError(message)
    return _key(row)


def _require_bounds(quota: Quota) -> None:
    for name, value in asdict(quota).items():
        if value is not None and not 0 <= value <= QUOTA_LIMITS[name]:
            message = f"{name} {value} is out of bounds: give 1 to {QUOTA_LIMITS[name]}, or 0 for any number"
            raise AccountError(message)


def _organization(row: Row[Any]) -> Organization:
    return Organization(row.slug, datetime.fromisoformat(row.created), LicensePolicy.from_json(row.license_policy))


def _key(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        org=row.org,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        label=row.label,
        created=datetime.fromisoformat(row.created),
        revoked=datetime.fromisoformat(row.revoked) if row.revoked else None,
        quota=Quota(row.requests_per_minute, row.tokens_per_day),
    )
