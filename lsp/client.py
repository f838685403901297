"""Asks the service for completions over HTTP. Knows no editor and no document.

Every way in which that can fail is one of the errors of lsp.errors, so that an editor can show it as a status.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import httpx

from lsp.errors import (
    AnswerError,
    ConfigurationError,
    KeyMissingError,
    KeyRefusedError,
    LanguageServerError,
    PromptTooLongError,
    RequestRefusedError,
    ServiceUnavailableError,
)

DECISION_HEADER = "X-Cleanroom-Decision"
CONNECT_SECONDS = 0.8
"""A service that is down shows as a status within a second."""
NO_KEY = "no API key: set CLEANROOM_API_KEY, --key-file or the initialization option apiKey"
MESSAGE_LIMIT = 300
BODY_LIMIT = 4_000_000
"""Bytes of an answer that are read; a completion has a few thousand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Licensed code that the answer matches, or would have: `withheld` tells which."""

    withheld: bool
    license: str
    source: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the service released, which may be nothing."""

    text: str
    decision: str
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is and who asks. `seconds`: how long one completion may take."""

    url: str
    key: str | None
    seconds: float = 20.0

    def __post_init__(self) -> None:
        """Hold the forms of both; a wrong one would fail at every key stroke, and less plainly."""
        try:
            url = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError):
            url = httpx.URL("")
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            message = f"{self.url!r} is not the URL of a service: expected http(s)://HOST[:PORT]"
            raise ConfigurationError(message)
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            message = "the API key has characters that no key has: copy it again as `cleanroom key create` showed it"
            raise ConfigurationError(message)

    @property
    def local(self) -> bool:
        """Whether the service runs on this machine."""
        host = httpx.URL(self.url).host
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back. `content` is whatever JSON it was, or None."""

    status: int
    decision: str
    content: Any


class CompletionClient:
    """One connection to one service. Use it in one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = httpx.AsyncClient(
            base_url=connection.url,
            timeout=httpx.Timeout(connection.seconds, connect=CONNECT_SECONDS),
            headers={"Authorization": f"Bearer {connection.key}"} if connection.key else {},
            # A proxy cannot reach this machine's loopback, though the environment may name one for all addresses.
            trust_env=not connection.local,
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def complete(self, prefix: str, suffix: str, *, max_tokens: int, stop: tuple[str, ...] = ()) -> Suggestion:
        """Ask for one completion. Raises a LanguageServerError when there is none to be had.

        Cancelling closes the request, and with it the generation.
        """
        if not self._connection.key:
            raise KeyMissingError(NO_KEY)
        body = {"prompt": prefix, "suffix": suffix or None, "max_tokens": max_tokens, "stop": list(stop)}
        try:
            # The client's own time-outs hold for each part of an answer; this one for all of it.
            async with asyncio.timeout(self._connection.seconds):
                answer = await self._post(body)
        except (httpx.TimeoutException, TimeoutError):
            message = f"{self._connection.url} does not answer in time: it is stopped, overloaded or far away"
            raise ServiceUnavailableError(message) from None
        except httpx.HTTPError as error:
            message = f"{self._connection.url} cannot be reached ({type(error).__name__}): start it, or correct --url"
            raise ServiceUnavailableError(message) from None
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        return self._suggestion(answer)

    async def _post(self, body: dict[str, Any]) -> _Answer:
        async with self._http.stream("POST", "/v1/completions", json=body) as response:
            received = bytearray()
            async for part in response.aiter_bytes():
                received += part
                if len(received) > BODY_LIMIT:
                    reason = f"an answer of more than {BODY_LIMIT} bytes"
                    raise self._foreign(reason)
            try:
                content = json.loads(received)
            except (ValueError, RecursionError):
                content = None
            return _Answer(response.status_code, response.headers.get(DECISION_HEADER, ""), content)

    def _suggestion(self, answer: _Answer) -> Suggestion:
        try:
            choice = answer.content["choices"][0]
            text = choice["text"]
        except (LookupError, TypeError):
            text = None
        if not isinstance(text, str) or not answer.decision:
            # Without a decision's id nothing says that the guard has seen this text.
            reason = "no completion with a decision"
            raise self._foreign(reason)
        return Suggestion(text, answer.decision, _finding(choice))

    def _refusal(self, answer: _Answer) -> LanguageServerError:
        code, message = _complaint(answer.content)
        said = message or f"{self._connection.url} answered {answer.status}"
        if code == "context_length_exceeded":
            return PromptTooLongError(said)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return KeyRefusedError(said)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return ServiceUnavailableError(said)
        return RequestRefusedError(said) if code else self._foreign(f"status {answer.status}")

    def _foreign(self, reason: str) -> AnswerError:
        return AnswerError(f"what answers at {self._connection.url} is no Cleanroom service ({reason}): correct --url")


def _complaint(content: Any) -> tuple[str, str]:  # noqa: ANN401 - whatever JSON a server answers
    """Code and message of an error in the service's shape; empty if it is not in that shape."""
    try:
        error = content["error"]
        code, message = error["code"], error["message"]
    except (LookupError, TypeError):
        return "", ""
    return (str(code), str(message)[:MESSAGE_LIMIT]) if code and message else ("", "")


def _finding(choice: dict[str, Any]) -> Finding | None:
    """The licence match that the service discloses with a choice, if it does."""
    try:
        found = cast("dict[str, Any]", choice["content_filter_results"]["protected_material_code"])
        citation = found["citation"]
        return Finding(bool(found["filtered"]), str(citation["license"])[:100], str(citation["URL"])[:MESSAGE_LIMIT])
    except (LookupError, TypeError):
        return None
