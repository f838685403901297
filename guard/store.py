"""The connection to the store: opening it, looking at its stamp, and turning its errors into refusals.

Does not know what the index keeps there.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry

from guard.addresses import Address
from guard.errors import StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.layout import PATTERN, SHARDS, STAMP, mark
from guard.nodes import ask
from guard.stamp import Stamp
from guard.valkey import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from guard.nodes import Question

__all__ = ["STAMP_KEY", "Stamp", "Store", "open_store"]

STAMP_KEY = STAMP
# Writes the stamp into a store without any key of ours and answers the stamp that then stands there, or nothing
# where keys of ours stand without a stamp. KEYS: stamp, shards' marks. ARGV: the stamp's value, the marks'. A script,
# because nobody may get in between the look and the write.
INITIALIZE = """
local found = redis.call('GET', KEYS[1])
if found then return found end
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'cr:*', 'COUNT', 1000)
  if #page[2] > 0 then return false end
  cursor = page[1]
until cursor == '0'
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[2]) end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""


class Store:
    """One store. `reader` fails fast and never retries, for the guard; `writer` is patient, for indexing.

    A command of `writer` may be sent again when the connection breaks before its answer comes, so it must be
    one that may run twice. Both answer bytes. Use every command inside `refusing()`.
    """

    def __init__(
        self, address: Address, *, check_timeout: float, write_timeout: float, server: EmbeddedServer | None
    ) -> None:
        self.address = address.shown
        self.sharded = address.sharded
        self.check_timeout = check_timeout
        self._server = server
        self._outdated = False
        # Broken connections only: after a time-out the store has had `write_timeout` already.
        patience = Retry(ExponentialBackoff(cap=1.0, base=0.05), 4, supported_errors=(redis.ConnectionError,))
        with self.refusing():
            # Of three classes that have no common one.
            self.reader: Any = address.client(check_timeout, Retry(NoBackoff(), 0))
            self.writer: Any = address.client(write_timeout, patience)

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
        except (RedisError, RedisClusterException) as error:
            self._outdated = self.sharded
            message = f"the store at {self.address} {self._complaint(error)}"
            if self._server is not None and isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._server.revive()
            raise StoreUnavailableError(message) from error

    def ping(self) -> None:
        """Raise StoreUnavailableError unless the store answers within `check_timeout` seconds."""
        with self.refusing():
            self.reader.ping()

    def memory(self) -> int:
        """What the store takes, in bytes; of a cluster, its primaries together. Use it inside `refusing()`."""
        if not self.sharded:
            return int(self.writer.info("memory")["used_memory"])
        nodes = self.writer.info("memory", target_nodes=RedisCluster.PRIMARIES)
        return sum(int(node["used_memory"]) for node in nodes.values())

    def node(self, key: bytes, *, reading: bool) -> Any:  # noqa: ANN401 - a redis.Redis, whose types are for text
        """The client of the node that holds `key`, of `reader` or of `writer`. Use it inside `refusing()`."""
        client = self.reader if reading else self.writer
        if not self.sharded:
            return client
        if self._outdated:
            # After an error the cluster may have other primaries than before.
            self._outdated = False
            self.reader.nodes_manager.initialize()
            self.writer.nodes_manager.initialize()
        return client.get_redis_connection(client.get_node_from_key(key))

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Ask the nodes that hold the keys at once, as `guard.nodes.ask` does. Use it inside `refusing()`."""
        return ask(partial(self.node, reading=True), questions)

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
        if self.sharded:
            return self._initialize_cluster(stamp)
        with self.refusing():
            marks = [mark(shard) for shard in range(SHARDS)]
            found = self.writer.eval(
                INITIALIZE, 1 + SHARDS, STAMP_KEY, *marks, stamp.to_bytes(), stamp.index_id.encode()
            )
        if found is None:
            self._refuse_remains()
        return self.accept(Stamp(stamp.schema, stamp.scheme, stamp.key_check, ""), found)

    def _initialize_cluster(self, stamp: Stamp) -> Stamp:
        """`initialize` where no program sees all keys: the marks end up with the id of the stamp that came first."""
        expected = replace(stamp, index_id="")
        with self.refusing():
            found = self._stamp()
            if found is not None:
                return self.accept(expected, found)
            if any(not key.endswith(b":mark") for key in self.writer.scan_iter(match=PATTERN, count=1000)):
                self._refuse_remains()
            self._mark(stamp.index_id)
            self.writer.set(STAMP_KEY, stamp.to_bytes(), nx=True)
            standing = self.accept(expected, self.writer.get(STAMP_KEY))
            self._mark(standing.index_id)
        return standing

    def _mark(self, index_id: str) -> None:
        for shard in range(SHARDS):
            self.writer.set(mark(shard), index_id.encode())

    def _refuse_remains(self) -> NoReturn:
        message = (
            f"the store at {self.address} holds keys of Cleanroom (cr:*) but no stamp: part of an index was lost. "
            "Restore its data, or empty it and run `cleanroom index add` again"
        )
        raise StoreMismatchError(message)

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

    def _complaint(self, error: Exception) -> str:
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
    "key_check": "give the key it was made with (CLEANROOM_INDEX_KEY or index.key) or, if that was rotated since, the "
    "new one (`cleanroom key rotate-index` finishes what was interrupted), or empty the store and index again",
    "index_id": "the index that this home knew is gone or elsewhere; restore its data, correct CLEANROOM_REDIS_URL, "
    "or remove index.id from CLEANROOM_HOME to accept this one",
}


def open_store(url: str | None, home: Path, *, check_timeout: float = 0.2, write_timeout: float = 30.0) -> Store:
    """Open the store at `url`, or, where it is None, the embedded server of `home`, starting it if need be.

    Time-outs are in seconds and hold for one answer. No command is sent to a `url` yet, but to a cluster's, whose nodes
    are asked for: see `Store.ping`.

    Raises:
        StoreUnavailableError: `url` is malformed, or the cluster does not answer.
        EmbeddedStoreError: the embedded server is missing or does not start.
    """
    server = None
    if url is None:
        server = EmbeddedServer(home)
        address = Address.of_socket(str(server.socket))
    else:
        address = Address.parse(url)
    return Store(address, check_timeout=check_timeout, write_timeout=write_timeout, server=server)
