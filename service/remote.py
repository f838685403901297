"""A Cleanroom server's index over HTTP, as one organization sees it: stamp, own documents, numbers. Reads no source.

The API key goes into one header and nowhere else: into no message, no log, and no request to another address.
"""

from __future__ import annotations

import ipaddress
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from guard.index import SCHEMA, SCHEME
from guard.stamp import Stamp
from service.accounts import SECRET
from service.errors import IndexMismatchError, RemoteError, SetupError
from service.index_schemas import (
    PATHS_LIMIT,
    DocumentPage,
    ExpiryReply,
    IndexStamp,
    OwnStatistics,
    PutReply,
    RemovalReply,
)
from service.schemas import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.secret import IndexKey

ATTEMPTS = 7
PAUSE = 0.5
"""Seconds before the second attempt; before each further one twice as many, half a minute in all."""
TIMEOUT = httpx.Timeout(180.0, connect=10.0)
"""A withdrawal of everything goes through every bucket before it is answered."""
RETRIED = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
BINARY = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}

Reply = TypeVar("Reply", bound=BaseModel)


class RemoteIndex:
    """The index behind the server at `url`, for the organization whose API key is `secret`.

    Every request may be made twice without harm, so those that fail in passing are repeated: `attempts` in all, `pause`
    seconds before the second. Every method raises RemoteError when the server refuses or stays away.

    Raises:
        SetupError: `url` is none, or would send the key in clear to another machine; or `secret` is no API key.
    """

    def __init__(self, url: str, secret: str, *, attempts: int = ATTEMPTS, pause: float = PAUSE) -> None:
        self.url, local = _address(url)
        if SECRET.fullmatch(secret) is None:
            message = (
                "what was given as --key or CLEANROOM_API_KEY is no API key (cr_...): `cleanroom key create` makes one"
            )
            raise SetupError(message)
        self._attempts, self._pause = attempts, pause
        headers = {"Authorization": f"Bearer {secret}"}
        # A proxy that the environment names is for other machines.
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def stamp(self) -> IndexStamp:
        """What the server says of its index, and of whose key this is."""
        return self._ask("GET", "/v1/index/stamp", IndexStamp)

    def require(self, key: IndexKey) -> IndexStamp:
        """What the server says of its index and of whose key this is, once it is sure that `key` is the index's.

        Raises:
            IndexMismatchError: it has another key, scheme or schema, so that nothing must be sent.
        """
        stamp = self.stamp()
        ours, theirs = made_with(key), Stamp(stamp.schema_, stamp.scheme, stamp.key_check, "")
        if ours.key_check != theirs.key_check:
            message = f"the index of {self.url} has another index key than this machine, so nothing was sent: "
            raise IndexMismatchError(message + IndexMismatchError.remedy)
        if ours != theirs:
            message = (
                f"the index of {self.url} has schema {theirs.schema} and scheme {theirs.scheme!r}, this machine makes "
                f"{ours.schema} and {ours.scheme!r}, so nothing was sent: {IndexMismatchError.remedy}"
            )
            raise IndexMismatchError(message)
        return stamp

    def documents(self) -> dict[str, bytes]:
        """The organization's documents in the index with their keyed content hashes."""
        found: dict[str, bytes] = {}
        cursor: int | None = 0
        while cursor is not None:
            page = self._ask("GET", "/v1/index/documents", DocumentPage, params={"cursor": cursor})
            found.update((path, bytes.fromhex(content)) for path, content in page.documents.items())
            cursor = page.next
        return found

    def put(self, batch: bytes) -> PutReply:
        """Send a batch of digests (guard.wire)."""
        return self._ask("PUT", "/v1/index/documents", PutReply, content=batch, headers=BINARY)

    def remove(self, paths: Sequence[str]) -> int:
        """Withdraw documents by path; answer how many there were."""
        parts = (list(paths[first : first + PATHS_LIMIT]) for first in range(0, len(paths), PATHS_LIMIT))
        return sum(self._remove({"paths": part}) for part in parts)

    def withdraw(self, prefix: str) -> int:
        """Withdraw every document whose path starts with `prefix`; answer how many there were."""
        return self._remove({"prefix": prefix})

    def expire(self, ttl: int) -> int | None:
        """Let the organization's code count for `ttl` more seconds; answer until when, None if it has none."""
        content = json.dumps({"ttl": ttl}).encode()
        return self._ask("PUT", "/v1/index/expiry", ExpiryReply, content=content, headers=JSON).expires

    def statistics(self) -> OwnStatistics:
        """How much the index holds of the organization."""
        return self._ask("GET", "/v1/index/stats", OwnStatistics)

    def _remove(self, body: dict[str, Any]) -> int:
        # Escaped, so that a path that is no text is the server's to refuse.
        content = json.dumps(body).encode()
        return self._ask("DELETE", "/v1/index/documents", RemovalReply, content=content, headers=JSON).removed

    def _ask(self, method: str, path: str, form: type[Reply], **content: Any) -> Reply:  # noqa: ANN401 - httpx's own
        response = self._answer(method, path, content)
        try:
            if response.status_code == HTTPStatus.OK:
                return form.model_validate_json(response.content)
            complaint = ErrorBody.model_validate_json(response.content).error.message
        except ValidationError:
            complaint = "that is no answer of a Cleanroom server of this version, check --server"
        message = f"{self.url} answered {response.status_code}: {complaint}"
        raise RemoteError(message)

    def _answer(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        for attempt in range(self._attempts):
            last = attempt == self._attempts - 1
            try:
                response = self._client.request(method, path, **content)
            except httpx.TransportError as error:
                if last:
                    message = (
                        f"{self.url} cannot be reached ({type(error).__name__}): check --server and the network; what "
                        "was sent until now stays, and the same command goes on from there"
                    )
                    raise RemoteError(message) from error
            else:
                if last or response.status_code not in RETRIED:
                    return response
            time.sleep(self._pause * 2**attempt)
        raise AssertionError  # the last attempt returns or raises


def made_with(key: IndexKey) -> Stamp:
    """What digests are made with here, under `key`."""
    return Stamp(SCHEMA, SCHEME, key.check, "")


def _address(url: str) -> tuple[str, bool]:
    """The server's base URL, and whether it is on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    # What may be a password is not repeated.
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        message = "--server is no URL of a Cleanroom server: expected https://host[:port], without user and query"
        raise SetupError(message)
    local = _is_loopback(host)
    if parts.scheme == "http" and not local:
        message = (
            f"http://{host} would show the API key to everyone on the way: use https://, or a tunnel to 127.0.0.1 "
            f"(such as `ssh -L 8080:127.0.0.1:8080 {host}`)"
        )
        raise SetupError(message)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{parts.netloc}{path}", local


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
