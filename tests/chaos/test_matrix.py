"""Whatever breaks, and whenever: nothing unchecked leaves, an answer comes, and the service mends itself."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from chaos import faults
from e2e.served import ORGANIZATIONS, Upstream, serving
from e2e.test_completions import OTHER, OWNER, leaked_lines, recited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from e2e.served import Home, Served

CLEAN = "def double(value):\n    return 2 * value\n\n\ndef triple(value):\n    return 3 * value\n\n\n"
ANSWER_SECONDS = 1.0
"""From the fault to the end of the answer, wherever the guard is at fault, or the engine says so itself."""
BACK_SECONDS = 5.0
"""From the fault's end to the first good answer."""
DEADLINE = 3.0
"""Seconds that a client waits for an engine that hangs: by that alone it is told from a slow one."""
TRIES = 3
"""A machine that is busy with other things may be late."""
PATIENCE = 30
FAULTS = {
    name.replace("_", " "): getattr(faults, name)
    for name in (
        "store_killed",
        "store_stopped",
        "store_read_only",
        "store_out_of_memory",
        "store_empty",
        "store_of_another_schema",
        "store_of_another_key",
        "store_of_garbage",
        "ledger_locked",
        "ledger_full",
        "engine_dead",
        "engine_hanging",
        "engine_garbage",
    )
}
HARMLESS = {"store read only", "store out of memory", "store killed"}
"""A check only reads, and an embedded store that dies is started again at once: there may be an answer."""
PHASES = ("before", "during", "after")


@dataclass(frozen=True)
class Arrived:
    """What a client got and when, by the monotonic clock: `failed` if that ended in an error."""

    text: str
    failed: bool
    at: float


def ask(served: Served, *, stream: bool, deadline: float | None = None) -> Arrived:
    """A completion for an organization that may not see the code."""
    headers = {"Authorization": f"Bearer {served.home.keys[OTHER]}"}
    if deadline is not None:
        headers["X-Request-Timeout"] = str(deadline)
    body = {"prompt": "# numbers\n", "max_tokens": 512, "stream": stream}
    with httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE) as client:
        reply = client.post("/v1/completions", json=body)
    at = time.monotonic()
    if reply.status_code != httpx.codes.OK:
        assert reply.status_code in {502, 503, 504}
        return Arrived("", failed=True, at=at)
    if not stream:
        return Arrived(reply.json()["choices"][0]["text"], failed=False, at=at)
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    text = "".join(choice["text"] for event in events for choice in event.get("choices", []))
    return Arrived(text, failed="error" in events[-1], at=at)


def pause_of(phase: str, text: str, *, stream: bool) -> int | None:
    """The character before which the model waits for the fault; a stream would end soon after it begins to leak."""
    if phase == "before":
        return None
    if stream:
        return len(CLEAN) // 2 if phase == "during" else len(CLEAN)
    return len(text) // 2 if phase == "during" else len(text)


@pytest.fixture
def leak(breakable: Served) -> Iterator[str]:
    """The model writes clean code, then a function of somebody else, of which this is the body."""
    _, signature, body = recited(ORGANIZATIONS[OWNER])
    upstream = breakable.upstream
    upstream.text = CLEAN + signature + body
    yield body
    upstream.pause = None
    upstream.behaviour = "recites"
    upstream.go_on.set()


@dataclass(frozen=True)
class Course:
    """How one fault went: what arrived, so many seconds after the fault, and then after it was mended."""

    arrived: Arrived
    again: Arrived
    answered: float
    back: float


def broken(served: Served, name: str, phase: str, *, stream: bool) -> Course:
    """Ask, break it in the phase, and ask until it is back."""
    fault: Callable[[Served], AbstractContextManager[None]] = FAULTS[name]
    deadline = DEADLINE if name == "engine hanging" else None
    upstream = served.upstream
    upstream.paused.clear()
    upstream.go_on.clear()
    upstream.pause = pause_of(phase, upstream.text, stream=stream)
    with ThreadPoolExecutor(1) as pool, ExitStack() as breaking:
        if upstream.pause is None:
            breaking.enter_context(fault(served))
            upstream.go_on.set()
            began = time.monotonic()
            answer = pool.submit(ask, served, stream=stream, deadline=deadline)
        else:
            answer = pool.submit(ask, served, stream=stream, deadline=deadline)
            while not upstream.paused.wait(0.05) and not answer.done():
                pass
            if upstream.paused.is_set():  # else something was too slow for the service already, and nothing is broken
                breaking.enter_context(fault(served))
            began = time.monotonic()
            upstream.go_on.set()
        arrived = answer.result(2 * PATIENCE)
    upstream.pause = None
    mended = time.monotonic()
    while (again := ask(served, stream=stream)).failed:
        assert time.monotonic() < mended + PATIENCE, "the service did not come back"
        time.sleep(0.05)
    return Course(arrived, again, arrived.at - began, again.at - mended)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_unchecked_leaves(breakable: Served, leak: str, name: str, phase: str, *, stream: bool) -> None:
    within = ANSWER_SECONDS + (DEADLINE if name == "engine hanging" else 0)
    for _ in range(TRIES):
        course = broken(breakable, name, phase, stream=stream)
        arrived, again = course.arrived, course.again
        assert breakable.upstream.text.startswith(arrived.text)
        assert not leaked_lines(leak, arrived.text)
        if name not in HARMLESS:
            assert arrived.failed
            assert stream or not arrived.text
        assert again.text.startswith("def double(value):\n    return 2 * value")
        assert not leaked_lines(leak, again.text)
        # Where others want the processors too, all takes as many times longer.
        busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        if 0 <= course.answered < within * busy and course.back < BACK_SECONDS * busy:
            break
    # An answer from before the fault would say nothing of it.
    assert 0 <= course.answered < within * busy
    assert course.back < BACK_SECONDS * busy


PARTS = {
    # Quotas are counted in the same store, and asked about first.
    "store stopped": ("index", "limits_unavailable"),
    "store empty": ("index", "guard_unavailable"),
    "store of another schema": ("index", "guard_unavailable"),
    "store of another key": ("index", "guard_unavailable"),
    "ledger locked": ("ledger", "guard_unavailable"),
    "engine dead": ("engine", "engine_failed"),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_answer_and_readyz_tell_which_part_it_is(breakable: Served, leak: str, name: str) -> None:
    part, code = PARTS[name]
    headers = {"Authorization": f"Bearer {breakable.home.keys[OWNER]}"}
    breakable.upstream.text = "answer_marker = 41 + 1\n"
    with httpx.Client(base_url=breakable.url, headers=headers, timeout=PATIENCE) as client, FAULTS[name](breakable):
        for stream in (False, True):
            refused = client.post("/v1/completions", json={"prompt": "# question\n", "stream": stream})
            assert refused.status_code in {502, 503}
            assert refused.json()["error"]["code"] == code
            assert "marker" not in refused.text
        ready = client.get("/readyz")
    assert leak
    if part != "engine":  # that one still lists its models
        assert ready.status_code == 503
        assert not ready.json()["parts"][part]["ready"]


def test_readyz_tells_of_an_engine_that_is_gone(home: Home) -> None:
    with Upstream() as upstream, serving(home, "--engine", "openai", "--base-url", upstream.url) as url:
        upstream.stop()
        ready = httpx.get(f"{url}/readyz", timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {home.keys[OWNER]}"}
        began = time.monotonic()
        refused = httpx.post(f"{url}/v1/completions", json={"prompt": "x"}, headers=headers, timeout=PATIENCE)
        assert time.monotonic() - began < ANSWER_SECONDS
    assert ready.status_code == 503
    assert [part for part, state in ready.json()["parts"].items() if not state["ready"]] == ["engine"]
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_unavailable")
