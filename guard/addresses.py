"""Where a store is: the forms of CLEANROOM_REDIS_URL, and the clients that they stand for. Sends no command.

Time-outs, retries and TLS checks are not for a URL to set: one that turned them off would turn the guard's promise off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import ConnectionPool, parse_url
from redis.sentinel import Sentinel

from guard.errors import StoreUnavailableError

if TYPE_CHECKING:
    from redis.retry import Retry

URL_OPTIONS = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
URL_FORMS = (
    "redis://[user:password@]host[:port][/db], rediss://... (TLS), unix://[user:password@]/path[?db=N], "
    "redis+cluster://[user:password@]host:port,host:port or "
    "redis+sentinel://[user:password@]host:port,host:port/service[/db]"
)
_CLUSTER, _SENTINEL = "cluster", "sentinel"
_PORTS = {_CLUSTER: 6379, _SENTINEL: 26379}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is. `hosts` are a cluster's nodes or a service's sentinels; `shown` is free of credentials."""

    shown: str
    options: dict[str, Any] = field(repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinels: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def sharded(self) -> bool:
        """Whether it is a cluster."""
        return bool(self.hosts) and not self.service

    @classmethod
    def of_socket(cls, path: str) -> Address:
        """A server on this machine's unix socket."""
        return cls(f"unix://{path}", {"connection_class": redis.UnixDomainSocketConnection, "path": path})

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL, which may carry a password: no message repeats it.

        Raises:
            StoreUnavailableError: it is malformed, or has options that are not allowed.
        """
        try:
            scheme = urlsplit(url).scheme
            base, _, kind = scheme.partition("+")
            if kind in (_CLUSTER, _SENTINEL) and base in ("redis", "rediss"):
                return _of_many(url, base, kind)
            return _of_one(url)
        except ValueError as error:
            message = f"CLEANROOM_REDIS_URL is malformed: expected {URL_FORMS}"
            raise StoreUnavailableError(message) from error

    def client(self, timeout: float, retry: Retry) -> Any:  # noqa: ANN401 - of three classes without a common one
        """A client of the store; of a cluster, one that has asked for its nodes. `timeout`: seconds for one answer."""
        # RESP2 and no CLIENT SETINFO: a new connection costs no round trip, hence at most one time-out.
        common: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": retry,
            "protocol": 2,
            "driver_info": None,
            "max_connections": 1024,
        }
        if self.sharded:
            nodes = [ClusterNode(host, port) for host, port in self.hosts]  # type: ignore[no-untyped-call]
            return RedisCluster(startup_nodes=nodes, **self.options, **common)
        if self.service:
            kept = ("socket_timeout", "socket_connect_timeout", "retry", "protocol", "driver_info")
            own = {**self.sentinels, **{name: common[name] for name in kept}}
            sentinel: Any = Sentinel(list(self.hosts), sentinel_kwargs=own)  # type: ignore[no-untyped-call]
            return sentinel.master_for(self.service, **self.options, **common)
        return redis.Redis.from_pool(ConnectionPool(**self.options, **common))


def _of_one(url: str) -> Address:
    parts = urlsplit(url)
    _refuse_options(parse_qs(parts.query), URL_OPTIONS)
    known_place = parts.path if parts.scheme == "unix" else parts.hostname
    numbered = parts.scheme == "unix" or parts.path in ("", "/") or parts.path[1:].isdecimal()
    if not known_place or not numbered:
        raise ValueError(parts.scheme)
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    if "path" in options:
        return Address(f"unix://{options['path']}", options)
    scheme = "rediss" if issubclass(options.get("connection_class", object), redis.SSLConnection) else "redis"
    return Address(
        f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}", options
    )


def _of_many(url: str, base: str, kind: str) -> Address:
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    _refuse_options(query, (URL_OPTIONS | SENTINEL_OPTIONS if kind == _SENTINEL else URL_OPTIONS) - {"db"})
    credentials, _, places = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    hosts = tuple(_host(place, _PORTS[kind]) for place in places.split(","))
    tls: dict[str, Any] = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if base == "rediss":
        tls["ssl"] = True
    elif tls:
        raise ValueError(kind)
    options = {"username": unquote(username) or None, "password": unquote(password) or None, **tls}
    shown = f"{parts.scheme}://" + ",".join(f"{host}:{port}" for host, port in hosts)
    if kind == _CLUSTER:
        if parts.path not in ("", "/", "/0"):
            raise ValueError(kind)
        return Address(shown, options, hosts)
    service, _, database = parts.path[1:].partition("/")
    if not service or (database and not database.isdecimal()):
        raise ValueError(kind)
    own = {"username": query.get("sentinel_username"), "password": query.get("sentinel_password"), **tls}
    options["db"] = int(database or 0)
    return Address(f"{shown}/{service}/{options['db']}", options, hosts, service, own)


def _host(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname or parts.path or parts.query:
        raise ValueError(place)
    return parts.hostname, parts.port or port


def _refuse_options(given: Any, allowed: frozenset[str]) -> None:  # noqa: ANN401 - any container of names
    unknown = sorted(set(given) - allowed)
    if unknown:
        message = f"CLEANROOM_REDIS_URL has options that are not allowed: {', '.join(unknown)}; allowed are "
        raise StoreUnavailableError(message + ", ".join(sorted(allowed)))
