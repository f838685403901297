"""Asks completion servers and times what comes: the first text that can be seen, the gaps between texts, the whole.

Knows any server with OpenAI's `/v1/completions`, and so can ask Cleanroom and the engine behind it alike.
"""

from __future__ import annotations

import asyncio
import json
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from service.errors import InvalidRequestError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROMPT_LINES = 40
TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: `url` ends in `/v1`; `model` None is the one that it lists first."""

    name: str
    url: str
    key: str | None = None
    model: str | None = None


@dataclass(slots=True)
class Timing:
    """One stream, in seconds from its request: `first` text seen, `gaps` between texts, `total`; `error` ended it."""

    first: float | None = None
    gaps: list[float] = field(default_factory=list)
    total: float = 0.0
    tokens: int = 0
    characters: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the streams of one round took together; times in milliseconds, rates a second, NaN where nothing came."""

    requests: int
    failed: int
    first_p50: float
    first_p99: float
    gap_p50: float
    gap_p99: float
    total_p50: float
    total_p99: float
    requests_per_second: float
    tokens_per_second: float
    errors: tuple[str, ...] = ()
    """What ended those that failed, each once."""

    @classmethod
    def of(cls, timings: Sequence[Timing], seconds: float) -> Summary:
        """The summary of timings that took `seconds` together."""
        done = [timing for timing in timings if timing.error is None]
        first = [timing.first for timing in done if timing.first is not None]
        gaps = [gap for timing in done for gap in timing.gaps]
        totals = [timing.total for timing in done]
        return cls(
            requests=len(timings),
            failed=len(timings) - len(done),
            first_p50=_milliseconds(first, 50),
            first_p99=_milliseconds(first, 99),
            gap_p50=_milliseconds(gaps, 50),
            gap_p99=_milliseconds(gaps, 99),
            total_p50=_milliseconds(totals, 50),
            total_p99=_milliseconds(totals, 99),
            requests_per_second=len(done) / seconds,
            tokens_per_second=sum(timing.tokens for timing in done) / seconds,
            errors=tuple(sorted({timing.error for timing in timings if timing.error is not None})),
        )


def _milliseconds(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share)) * 1000 if values else float("nan")


def prompts_of(folder: Path | None, count: int) -> list[str]:
    """Beginnings of source files, different ones: of `folder`, or of Python's standard library.

    Raises SetupError where there is no file of PROMPT_LINES lines.
    """
    root = folder or Path(sysconfig.get_path("stdlib"))
    prompts: list[str] = []
    for path in sorted(root.glob("*.py" if folder is None else "**/*")):
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        for start in range(0, len(lines) - PROMPT_LINES, 4 * PROMPT_LINES):
            prompts.append("".join(lines[start : start + PROMPT_LINES]))
            if len(prompts) == count:
                return prompts
    if not prompts:
        message = f"{str(root)!r} holds no file of {PROMPT_LINES} lines: name a folder of source code with --prompts"
        raise SetupError(message)
    return [prompts[number % len(prompts)] for number in range(count)]


async def measure(
    target: Target, prompts: Sequence[str], *, streams: int, tokens: int, done: Callable[[], None] = lambda: None
) -> Summary:
    """Ask for a stream of each prompt, `streams` at a time; `done` is called after each.

    Raises SetupError where the server cannot be asked at all. Streams that fail are counted.
    """
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    limits = httpx.Limits(max_connections=streams)
    async with httpx.AsyncClient(headers=headers, timeout=TIMEOUT, limits=limits, trust_env=False) as client:
        model = target.model or await _first_model(client, target)
        waiting = list(reversed(prompts))
        timings: list[Timing] = []

        async def ask() -> None:
            while waiting:
                body = {"model": model, "prompt": waiting.pop(), "max_tokens": tokens}
                timings.append(await _timed(client, target, body))
                done()

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(streams)))
        return Summary.of(timings, time.perf_counter() - began)


async def _first_model(client: httpx.AsyncClient, target: Target) -> str:
    try:
        reply = await client.get(f"{target.url}/models")
        reply.raise_for_status()
        return str(reply.json()["data"][0]["id"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, ExceptionGroup) as error:
        # A group: of what anyio could not even try, such as a port above 65535.
        message = f"{target.url}/models does not list a model ({type(error).__name__}): check URL and key, or name one"
        raise SetupError(message) from error


async def _timed(client: httpx.AsyncClient, target: Target, body: dict[str, Any]) -> Timing:
    timing = Timing()
    began = last = time.perf_counter()
    body |= {"stream": True, "temperature": 0, "stream_options": {"include_usage": True}}
    try:
        async with client.stream("POST", f"{target.url}/completions", json=body) as reply:
            if reply.status_code != httpx.codes.OK:
                timing.error = f"status {reply.status_code} {_code(await reply.aread())}".rstrip()
                return timing
            async for line in reply.aiter_lines():
                text = _read(line, timing)
                if text:
                    now = time.perf_counter()
                    if timing.first is None:
                        timing.first = now - began
                    else:
                        timing.gaps.append(now - last)
                    last = now
                    timing.characters += len(text)
    except httpx.HTTPError as error:
        timing.error = type(error).__name__
    except InvalidRequestError as error:
        timing.error = str(error)
    timing.total = time.perf_counter() - began
    return timing


def _read(line: str, timing: Timing) -> str:
    """The text of an event. Raises InvalidRequestError for one that is an error or none at all."""
    if not line.startswith("data: {"):
        return ""
    try:
        event = json.loads(line.removeprefix("data: "))
        text = "".join(choice.get("text") or "" for choice in event.get("choices") or ())
        tokens = (event.get("usage") or {}).get("completion_tokens")
    except (ValueError, TypeError, AttributeError):
        message = "an event of the stream is no completion"
        raise InvalidRequestError(message) from None
    if "error" in event:
        message = f"the stream ended with an error {_code(line.removeprefix('data: ').encode())}".rstrip()
        raise InvalidRequestError(message)
    timing.tokens = tokens or timing.tokens
    return text


def _code(answer: bytes) -> str:
    """The code of an error in OpenAI's shape; empty where there is none."""
    try:
        return str(json.loads(answer)["error"]["code"] or "")
    except (ValueError, LookupError, TypeError):
        return ""
