"""Asks the service for completions over HTTP. Knows no editor and no document.

Every way in which that can fail is one of the errors of lsp.errors, so that an editor can show it as a status.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httpx

from lsp.errors import (
    AnswerError,
    CertificateError,
    KeyMissingError,
    KeyRefusedError,
    LanguageServerError,
    OverQuotaError,
    PromptTooLongError,
    RequestRefusedError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    from lsp.connection import Connection

DECISION_HEADER = "X-Cleanroom-Decision"
INDEX_HEADER = "X-Cleanroom-Index"
CONNECT_SECONDS = 0.8
"""A service that is down shows as a status within a second."""
NO_KEY = "no API key: set CLEANROOM_API_KEY, --key-file or the initialization option apiKey"
MESSAGE_LIMIT = 300
BODY_LIMIT = 4_000_000
"""Bytes of an answer that are read; a completion has a few thousand."""
PATIENCE = 2.0
"""Seconds for whatever generates nothing."""
RETRY_SECONDS = 60.0
"""Until somebody over quota is asked for again, where the service does not say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Licensed code that the answer matches, or would have: `withheld` tells which."""

    withheld: bool
    license: str
    source: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the service released, which may be nothing. `index`: the state of its index when it was checked."""

    text: str
    decision: str
    finding: Finding | None = None
    index: str | None = None
    whole: bool = True
    """Whether the model came to an end, and not to the number of tokens that it was given."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: the text between `prefix` and `suffix` in the file at `path`; `others` are (path, text)."""

    prefix: str
    suffix: str
    max_tokens: int
    stop: tuple[str, ...] = ()
    path: str = ""
    others: tuple[tuple[str, str], ...] = ()

    def body(self) -> dict[str, Any]:
        """As JSON."""
        body = {
            "prompt": self.prefix,
            "suffix": self.suffix or None,
            "max_tokens": self.max_tokens,
            "stop": list(self.stop),
        }
        if not self.path:
            return body
        files = [{"path": path, "text": text} for path, text in self.others]
        return {**body, "context": {"path": self.path, "files": files}}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back. `content` is whatever JSON it was, or None."""

    status: int
    headers: httpx.Headers
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
            verify=connection.verification(),
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def complete(self, question: Question) -> Suggestion:
        """Ask for one completion. Raises a LanguageServerError when there is none to be had.

        Cancelling closes the request, and with it the generation.
        """
        answer = await self._ask("POST", "/v1/completions", self._connection.seconds, question.body())
        return self._suggestion(answer)

    async def freshness(self) -> str | None:
        """The state of the service's index for this key; None where the service is of a version that tells none.

        Raises what `complete` raises.
        """
        try:
            answer = await self._ask("GET", "/v1/freshness", PATIENCE)
        except AnswerError:
            return None
        index = answer.content.get("index") if isinstance(answer.content, dict) else None
        return index if isinstance(index, str) and index else None

    async def report(self, events: list[dict[str, str]]) -> None:
        """Tell what became of completions. Raises what `complete` raises."""
        await self._ask("POST", "/v1/feedback", PATIENCE, {"events": events})

    async def ready(self) -> bool:
        """Whether the service says that it could give a completion now."""
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._http.get("/readyz")
        except (httpx.HTTPError, TimeoutError):
            return False
        # What is in front of a service may keep this page to itself, but answers.
        return answer.status_code in {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}

    async def _ask(self, method: str, path: str, seconds: float, body: object = None) -> _Answer:
        if not self._connection.key:
            raise KeyMissingError(NO_KEY)
        try:
            # The client's own time-outs hold for each part of an answer; this one for all of it.
            async with asyncio.timeout(seconds):
                answer = await self._sent(method, path, body)
        except (httpx.TimeoutException, TimeoutError):
            message = f"{self._connection.url} does not answer in time: it is stopped, overloaded or far away"
            raise ServiceUnavailableError(message) from None
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message = (
                    f"the certificate of {self._connection.url} is not trusted: name its authority's file as caFile"
                )
                raise CertificateError(message) from None
            message = f"{self._connection.url} cannot be reached ({type(error).__name__}): start it, or correct --url"
            raise ServiceUnavailableError(message) from None
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        return answer

    async def _sent(self, method: str, path: str, body: object) -> _Answer:
        async with self._http.stream(method, path, json=body, headers={INDEX_HEADER: "?"}) as response:
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
            return _Answer(response.status_code, response.headers, content)

    def _suggestion(self, answer: _Answer) -> Suggestion:
        decision = answer.headers.get(DECISION_HEADER, "")
        try:
            choice = answer.content["choices"][0]
            text = choice["text"]
        except (LookupError, TypeError):
            text = None
        if not isinstance(text, str) or not decision:
            # Without a decision's id nothing says that the guard has seen this text.
            reason = "no completion with a decision"
            raise self._foreign(reason)
        index = answer.headers.get(INDEX_HEADER) or None
        return Suggestion(text, decision, _finding(choice), index, choice.get("finish_reason") != "length")

    def _refusal(self, answer: _Answer) -> LanguageServerError:
        code, message = _complaint(answer.content)
        said = message or f"{self._connection.url} answered {answer.status}"
        if code == "context_length_exceeded":
            return PromptTooLongError(said)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return KeyRefusedError(said)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = answer.headers.get("Retry-After", "")
            return OverQuotaError(said, float(wait) if wait.isdecimal() else RETRY_SECONDS)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
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
