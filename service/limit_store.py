"""Where quotas are counted: a storage of the `limits` library over the store that a URL names.

Does not know what is counted. It connects as the guard does (`guard.addresses`), but never waits in the event loop's
way, and as another user: whoever counts has to write, which the guard's user may not.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import redis
from limits.aio.storage import MemoryStorage, RedisClusterStorage, RedisStorage
from redis.asyncio import BlockingConnectionPool, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisClusterException, RedisError

from guard.addresses import Address
from guard.errors import StoreUnavailableError
from guard.valkey import EmbeddedServer
from service.errors import LimitsUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MEMORY = "memory://"
# Keys of the index begin with `cr:`; its users may not touch these, nor the limits' user those.
KEY_PREFIX = "crl"
CONNECTIONS = 64
# Whole questions take a few round trips, each of which has the time-out of one.
ROUND_TRIPS = 4
_ASYNCHRONOUS = {
    redis.UnixDomainSocketConnection: UnixDomainSocketConnection,
    redis.SSLConnection: SSLConnection,
}


class LimitStore:
    """A storage of `limits`. Use it inside `refusing()`, in one event loop."""

    def __init__(
        self,
        storage: Storage,
        shown: str,
        *,
        timeout: float,
        clients: tuple[Any, ...] = (),
        server: EmbeddedServer | None = None,
    ) -> None:
        self.storage = storage
        self._clients = clients
        self._shown = shown
        self._patience = ROUND_TRIPS * timeout
        self._server = server

    async def close(self) -> None:
        """Close the connections, in the event loop that used them; an embedded server that nobody else uses stops."""
        for client in self._clients:
            await client.aclose()
        if self._server is not None:
            self._server.close()

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Turn every error of the store into a LimitsUnavailableError, and its silence too. The only place that does.

        Fail closed: who counts nothing would let through everything.
        """
        try:
            async with asyncio.timeout(self._patience):
                yield
        except (RedisError, RedisClusterException, OSError) as error:  # TimeoutError is an OSError
            if self._server is not None and not isinstance(error, redis.ResponseError):
                self._server.revive()
            message = f"the store of the quotas at {self._shown} {_complaint(error)}"
            raise LimitsUnavailableError(message) from error

    async def ready(self) -> None:
        """Raise LimitsUnavailableError unless quotas could be counted now."""
        async with self.refusing():
            # Not a ping: that would go well with a user who may count nothing, and with a store that is full. Both
            # ways of counting are tried; the first writes nothing when it has been tried a moment ago.
            await self.storage.acquire_entry("ready/entry", 1, 1)
            await self.storage.incr("ready/number", 1)


Storage = MemoryStorage | RedisStorage


def open_limit_store(url: str | None, home: Path, *, timeout: float) -> LimitStore:
    """The store at `url`; `memory://` for this process alone; None for the embedded server of `home`.

    `timeout`: seconds for one answer. No command is sent yet. Raises SetupError on a malformed URL and
    EmbeddedStoreError when the embedded server does not start.
    """
    if url is not None and url.rstrip("/") == MEMORY.rstrip("/"):
        return LimitStore(MemoryStorage(), MEMORY, timeout=timeout)
    if url is None:
        server = EmbeddedServer(home)
        return _over(Address.of_socket(str(server.socket)), timeout, server)
    try:
        return _over(Address.parse(url), timeout)
    except StoreUnavailableError as error:
        message = f"{error}".replace("CLEANROOM_REDIS_URL", "CLEANROOM_LIMITS_URL") + f", or {MEMORY}"
        raise SetupError(message) from None


def _over(address: Address, timeout: float, server: EmbeddedServer | None = None) -> LimitStore:
    """The store at an address, reached with the settings of `Address.client`."""
    common: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    kind: dict[str, Any] = {"implementation": "redispy", "key_prefix": KEY_PREFIX}
    others: tuple[Any, ...] = ()
    if address.sharded:
        common["startup_nodes"] = [ClusterNode(host, port) for host, port in address.hosts]
        storage: RedisStorage = RedisClusterStorage("async+redis+cluster://", **kind, **address.options, **common)
        client = _client(storage)
    else:
        pool, others = _pool(address, common)
        storage = RedisStorage("async+redis://", **kind, connection_pool=pool)
        client = _client(storage)
        client.auto_close_connection_pool = True
    return LimitStore(storage, address.shown, timeout=timeout, clients=(client, *others), server=server)


def _client(storage: RedisStorage) -> Any:  # noqa: ANN401 - of two classes without a common one
    bridge: Any = storage.bridge
    return bridge.storage


def _pool(address: Address, common: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """Connections to one server, or to the primary that sentinels name; and the sentinels' clients."""
    if address.service:
        own = {**address.sentinels, **common}
        sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        primary = sentinel.master_for(address.service, **address.options, **common)
        return primary.connection_pool, tuple(sentinel.sentinels)
    options = dict(address.options)
    if "connection_class" in options:
        options["connection_class"] = _ASYNCHRONOUS[options["connection_class"]]
    # A burst waits for a connection instead of opening one each.
    longest = ROUND_TRIPS * common["socket_timeout"]
    return BlockingConnectionPool(max_connections=CONNECTIONS, timeout=longest, **options, **common), ()


def _complaint(error: Exception) -> str:
    if isinstance(error, NoPermissionError):
        return (
            "denies our user a command or key: grant what deploy/valkey/users.acl.example grants to `limits`, and name "
            "that user in CLEANROOM_LIMITS_URL"
        )
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return "did not answer in time: is it stopped or overloaded?"
    if isinstance(error, redis.ConnectionError | OSError):
        return "cannot be reached: start it, or correct CLEANROOM_LIMITS_URL"
    return f"answered with an error ({str(error).partition(chr(10))[0][:160]}): mend the server, then try again"
