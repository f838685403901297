from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog

from guard.errors import StoreUnavailableError
from service.errors import EngineError
from service.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log writes, as JSON, down to the finest level."""
    stream = io.StringIO()
    with restored():
        configure_logging("debug", "json", stream)
        yield stream


@contextmanager
def restored() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configuration)


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def of_requests(written: io.StringIO, *ids: str) -> list[dict[str, object]]:
    """The lines about the requests `ids`, once each has its last: that is written after the response has left."""
    for _ in range(1000):
        found = [line for line in lines(written) if line.get("request") in ids]
        if sum(line["event"] == "request" for line in found) == len(ids):
            return found
        time.sleep(0.01)
    pytest.fail(f"no line about each of {ids}")


@pytest.mark.parametrize("error", [None, StoreUnavailableError("redis is down"), ValueError("MARKER")])
def test_no_text_is_logged(written: io.StringIO, world: SimpleNamespace, error: Exception | None) -> None:
    world.guard.error = error
    world.engine.texts = ["MARKER = 1\nPRIVATE MARKER\n"]
    post = partial(world.client.post, "/v1/completions")
    replies = [
        post(json={"prompt": "MARKER", "suffix": "MARKER"}),
        post(json={"prompt": "MARKER", "suffix": "MARKER", "stream": True}),
        post(json={"prompt": 1, "stop": {"MARKER": 1}, "user": "MARKER"}),
        post(content=b'{"prompt": "MARKER'),
        post(json={"prompt": "x"}, headers={"Authorization": "Bearer MARKER"}),
        world.client.get("/MARKER?MARKER=MARKER"),
    ]
    world.engine.error = KeyError("MARKER")
    replies.append(post(json={"prompt": "MARKER"}))
    ours = of_requests(written, *(reply.headers["X-Request-Id"] for reply in replies))
    assert "MARKER" not in json.dumps(ours)
    assert world.secret not in written.getvalue()


def test_request_is_logged_with_who_and_what(written: io.StringIO, world: SimpleNamespace) -> None:
    reply = world.client.post("/v1/completions", json={"prompt": "x"})
    by_event = {line["event"]: line for line in of_requests(written, reply.headers["X-Request-Id"])}
    request, generation = by_event["request"], by_event["generation"]
    assert request["request"] == generation["request"] == reply.headers["X-Request-Id"]
    assert (request["org"], request["route"], request["status"]) == ("acme", "/v1/completions", 200)
    assert request["key"] == world.secret.split("_")[1]
    assert (generation["decision"], generation["disposition"]) == (reply.headers["X-Cleanroom-Decision"], "released")


def test_refusal_is_logged_with_its_reason(written: io.StringIO, world: SimpleNamespace) -> None:
    world.guard.error = StoreUnavailableError("redis://10.0.0.7 is down")
    reply = world.client.post("/v1/completions", json={"prompt": "x"})
    failed, _ = of_requests(written, reply.headers["X-Request-Id"])
    assert failed["error"] == "GuardUnavailableError"
    assert failed["reason"] == "StoreUnavailableError: redis://10.0.0.7 is down"


@pytest.mark.parametrize("stream", [False, True])
def test_words_of_an_engine_are_withheld(written: io.StringIO, world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.error = EngineError("the server answered 400: cannot parse MARKER")
    reply = world.client.post("/v1/completions", json={"prompt": "x", "stream": stream})
    assert "MARKER" not in reply.text
    (failed,) = (line for line in of_requests(written, reply.headers["X-Request-Id"]) if line["event"] == "failed")
    assert failed["error"] == "EngineError"
    assert "scripted.py" in str(failed["at"])
    assert "MARKER" not in written.getvalue()


def test_a_method_that_a_client_makes_up_is_not_logged(written: io.StringIO, world: SimpleNamespace) -> None:
    assert world.client.request("MARKER", "/v1/models?MARKER").is_client_error  # by whichever parser, or by the route
    # Of WebDAV, which parsers know.
    reply = world.client.request("MKCALENDAR", "/v1/models?MARKER")
    (request,) = of_requests(written, reply.headers["X-Request-Id"])
    assert (request["method"], request["status"]) == ("other", 405)
    assert "MARKER" not in written.getvalue()


def test_exception_is_reduced_to_type_and_places(written: io.StringIO) -> None:
    try:
        try:
            {}["MARKER"]  # type: ignore[index]
        except KeyError as error:
            message = "MARKER"
            raise ValueError(message) from error
    except ValueError:
        logging.getLogger("elsewhere").exception("failed")
        structlog.get_logger("here").exception("failed too")
    first, second = (line for line in lines(written) if line["logger"] in {"elsewhere", "here"})
    for line in (first, second):
        assert (line["exception"], line["cause"]) == ("ValueError", "KeyError")
        assert "test_telemetry.py" in str(line["at"])
    assert "MARKER" not in written.getvalue()


def test_traceback_in_a_message_is_withheld(written: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").error("Traceback (most recent call last):\n  MARKER")
    (line,) = (line for line in lines(written) if line["logger"] == "uvicorn.error")
    assert line["event"] == "Traceback (most recent call last):"


def test_lost_task_shows_no_value(written: io.StringIO) -> None:
    async def lose() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "lost", "exception": ValueError("MARKER"), "future": asyncio.Future()}
        )

    asyncio.run(lose())
    assert "lost" in written.getvalue()
    assert "MARKER" not in written.getvalue()


def test_console_form_is_for_people() -> None:
    stream = io.StringIO()
    with restored():
        configure_logging("warning", "console", stream)
        structlog.get_logger("a").info("quiet")
        structlog.get_logger("a").warning("loud", part="engine")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()
    assert "engine" in stream.getvalue()
