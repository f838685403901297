"""The connection to the store: opening it, its stamp, and turning its errors into refusals.

Does not know what the index keeps there.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.retry import Retry

from guard.errors import StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.valkey import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAMP_KEY = b"cr:stamp"
# Time-outs, retries and TLS checks are ours to set: a URL that turned them off would turn the guard's promise off.
URL_OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
URL_FORMS = "redis://[user:password@]host[:port][/db], rediss://... or unix://[user:password@]/path[?db=N]"

# Writes the stamp into a store without any key of ours and answers the stamp that then stands there, or nothing
# where keys of ours stand without a stamp. KEYS[1] stamp, ARGV[1] its value. A script, because nobody may get in
# between the look and the write.
INITIALIZE = """
local found = redis.call('GET', KEYS[1])
if found then return found end
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'cr:*', 'COUNT', 1000)
  if #page[2] > 0 then return false end
  cursor = page[1]
until cursor == '0'
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an index was made with. `index_id` is the random id of this very index; empty stands for any."""

    schema: int
    scheme: str
    key_check: str
    index_id: str

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal stamps are equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stamp:
        """Read what `to_bytes` wrote, else raise StoreMismatchError."""
        try:
            stamp = cls(**json.loads(data))
        except (ValueError, TypeError):
            stamp = None
        if stamp is None or stamp.to_bytes() != data:
            message = (
                f"the store's stamp at {STAMP_KEY.decode()} is not one that this version of Cleanroom wrote: use the "
                "version that made the index, or empty the store and run `cleanroom index add` again"
            )
            raise StoreMismatchError(message)
        return stamp


class Store:
    """One store. `reader` fails fast and never retries, for the guard; `writer` is patient, for indexing.

    A command of `writer` may be sent again when the connection breaks before its answer comes, so it must be
    one that may run twice. Both answer bytes. Use every command inside `refusing()`.
    """

    def __init__(
        self, options: dict[str, Any], *, check_timeout: float, write_timeout: float, server: EmbeddedServer | None
    ) -> None:
        self.address = _address(options)
        self.check_timeout = check_timeout
        self._server = server
        self.reader = redis.Redis.from_pool(_pool(options, check_timeout, Retry(NoBackoff(), 0)))
        # Broken connections only: after a time-out the store has had `write_timeout` already.
        patience = Retry(ExponentialBackoff(cap=1.0, base=0.05), 4, supported_errors=(redis.ConnectionError,))
        self.writer = redis.Redis.from_pool(_pool(options, write_timeout, patience))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; an embedded server that nobody else uses stops."""
        self.reader.close()
        self.writer.close()
        if self._server is not None:
            self._server.close()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Turn every error of the store into a StoreUnavailableError. The only place that does."""
        try:
            yield
        except RedisError as error:
            message = f"the store at {self.address} {self._complaint(error)}"
            if self._server is not None and isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._server.revive()
            raise StoreUnavailableError(message) from error

    def ping(self) -> None:
        """Raise StoreUnavailableError unless the store answers within `check_timeout` seconds."""
        with self.refusing():
            self.reader.ping()

    def read_stamp(self) -> Stamp | None:
        """Return the stamp of the index in the store, or None where there is no index."""
        with self.refusing():
            data = self._stamp()
        return None if data is None else Stamp.from_bytes(data)

    def initialize(self, stamp: Stamp) -> Stamp:
        """Begin an index: write `stamp` into a store that holds no key of ours; return the stamp that stands there.

        Where another process was first, its stamp is returned if it differs in the id alone.

        Raises:
            StoreMismatchError: the store holds an index of another make, or keys of ours without a stamp.
        """
        with self.refusing():
            found = self.writer.eval(INITIALIZE, 1, STAMP_KEY, stamp.to_bytes())
        if found is None:
            message = (
                f"the store at {self.address} holds keys of Cleanroom (cr:*) but no stamp: part of an index was lost. "
                "Restore its data, or empty it and run `cleanroom index add` again"
            )
            raise StoreMismatchError(message)
        return self.accept(Stamp(stamp.schema, stamp.scheme, stamp.key_check, ""), found)

    def require(self, stamp: Stamp) -> Stamp:
        """Return the store's stamp if it agrees with `stamp`.

        Raises:
            StoreEmptyError: the store holds no index.
            StoreMismatchError: it holds an index of another schema, scheme or key, or another index.
        """
        with self.refusing():
            found = self._stamp()
        return self.accept(stamp, found)

    def accept(self, stamp: Stamp, found: bytes | None) -> Stamp:
        """`require` for a caller that has fetched the value of STAMP_KEY, `found`, along with something else."""
        if found is None:
            message = (
                f"the store at {self.address} holds no index: add code with `cleanroom index add`, or restore its data"
            )
            raise StoreEmptyError(message)
        standing = Stamp.from_bytes(found)
        differing = [
            name
            for name in ("schema", "scheme", "key_check", "index_id")
            if getattr(stamp, name) not in ("", getattr(standing, name))
        ]
        if differing:
            name = differing[0]
            message = (
                f"the store at {self.address} holds an index with {name} {getattr(standing, name)!r}, not "
                f"{getattr(stamp, name)!r}: {MISMATCH_REMEDIES[name]}"
            )
            raise StoreMismatchError(message)
        return standing

    def _stamp(self) -> bytes | None:
        # redis-py's types allow for decoded answers, which these clients never give.
        return cast("bytes | None", self.reader.get(STAMP_KEY))

    def _complaint(self, error: RedisError) -> str:
        for kind, complaint in COMPLAINTS.items():
            if isinstance(error, kind):
                return complaint
        if isinstance(error, redis.TimeoutError):
            return f"did not answer in time (a check waits {self.check_timeout} s): is it stopped or overloaded?"
        if isinstance(error, redis.ConnectionError):
            if self._server is not None:
                return f"cannot be reached and is being started again: if this persists, see {self._server.log}"
            return "cannot be reached: start it, or correct CLEANROOM_REDIS_URL (unset it for the embedded server)"
        # Server errors may quote the command's arguments; the first line up to them says what is wrong.
        reply = str(error).partition("\n")[0].partition(", with args")[0][:160]
        return f"answered with an error ({reply}): mend the server, then try again"


COMPLAINTS: dict[type[RedisError], str] = {
    BusyLoadingError: "is still loading its data: wait until it is ready",
    AuthenticationError: "does not accept our user and password: correct those in CLEANROOM_REDIS_URL",
    AuthorizationError: "does not accept our user: correct it in CLEANROOM_REDIS_URL",
    NoPermissionError: "denies our user a command or key: to index, use the indexer's settings; to check, grant what "
    "deploy/valkey/users.acl.example grants",
    ReadOnlyError: "is read-only (a replica?): name the primary in CLEANROOM_REDIS_URL",
    OutOfMemoryError: "is out of memory: raise its `maxmemory` (and keep `maxmemory-policy noeviction`)",
}

MISMATCH_REMEDIES = {
    "schema": "use the version of Cleanroom that made it, or empty the store and index again",
    "scheme": "use the version of Cleanroom that made it, or empty the store and index again",
    "key_check": "give the key it was made with (CLEANROOM_INDEX_KEY or index.key), or empty the store and index again",
    "index_id": "the index that this home knew is gone or elsewhere; restore its data, correct CLEANROOM_REDIS_URL, "
    "or remove index.id from CLEANROOM_HOME to accept this one",
}


def open_store(url: str | None, home: Path, *, check_timeout: float = 0.2, write_timeout: float = 30.0) -> Store:
    """Open the store at `url`, or, where it is None, the embedded server of `home`, starting it if need be.

    Time-outs are in seconds and hold for one answer. No command is sent to a `url` yet: see `Store.ping`.

    Raises:
        StoreUnavailableError: `url` is malformed.
        EmbeddedStoreError: the embedded server is missing or does not start.
    """
    server = None
    if url is None:
        server = EmbeddedServer(home)
        options: dict[str, Any] = {"connection_class": redis.UnixDomainSocketConnection, "path": str(server.socket)}
    else:
        options = _parse_url(url)
    return Store(options, check_timeout=check_timeout, write_timeout=write_timeout, server=server)


def _pool(options: dict[str, Any], timeout: float, retry: Retry) -> ConnectionPool:
    # RESP2 and no CLIENT SETINFO: a new connection costs no round trip, hence at most one time-out, and no ACL rule.
    return ConnectionPool(
        **options,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=retry,
        protocol=2,
        driver_info=None,
        max_connections=1024,
    )


def _parse_url(url: str) -> dict[str, Any]:
    """Options for redis-py. The URL may carry a password, so no message repeats it."""
    try:
        parts = urlsplit(url)
        unknown = sorted(set(parse_qs(parts.query)) - URL_OPTIONS)
        known_place = parts.path if parts.scheme == "unix" else parts.hostname
        numbered = parts.scheme == "unix" or parts.path in ("", "/") or parts.path[1:].isdecimal()
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        unknown, known_place, numbered, options = [], None, False, {}
    if unknown:
        message = f"CLEANROOM_REDIS_URL has options that are not allowed: {', '.join(unknown)}; allowed are "
        raise StoreUnavailableError(message + ", ".join(sorted(URL_OPTIONS)))
    if not known_place or not numbered:
        message = f"CLEANROOM_REDIS_URL is malformed: expected {URL_FORMS}"
        raise StoreUnavailableError(message)
    return options


def _address(options: dict[str, Any]) -> str:
    """Where the store is, without user and password."""
    if "path" in options:
        return f"unix://{options['path']}"
    scheme = "rediss" if issubclass(options.get("connection_class", object), redis.SSLConnection) else "redis"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
