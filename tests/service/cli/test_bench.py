from __future__ import annotations

import asyncio
import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from service.accounts import Scope
from service.cli.root import app
from service.errors import SetupError
from service.load import PROMPT_LINES, Summary, Target, Timing, measure, prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.parts import Services


@pytest.fixture
def url_and_key(running: Callable[[Services], Any], services: Services, engine: Any) -> Any:  # noqa: ANN401 - scripted
    engine.texts = ["a = 1\n" * 10]
    _, key = services.accounts.create_key("acme", frozenset({Scope.COMPLETE}))
    with running(services) as url:
        yield f"{url}/v1", key


def test_a_service_is_timed_beside_its_engine(url_and_key: tuple[str, str]) -> None:
    url, key = url_and_key
    options = ["--url", url, "--key", key, "--engine-url", url, "--engine-key", key]
    shape = ["--streams", "1,3", "--requests", "5", "--tokens", "20"]
    done = CliRunner().invoke(app, ["bench", "serve", *options, *shape, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found) == ["1", "3"]
    for some in found.values():
        assert list(some) == ["engine", "cleanroom"]
        for summary in some.values():
            assert (summary["requests"], summary["failed"]) == (5, 0)
            assert 0 < summary["first_p50"] <= summary["total_p99"]
            assert summary["tokens_per_second"] > summary["requests_per_second"] > 0
    table = CliRunner().invoke(app, ["bench", "serve", *options, *shape])
    assert "3 streams at once" in table.stdout
    assert "ratio" in table.stdout


def test_streams_that_fail_are_counted(url_and_key: tuple[str, str], guard: Any) -> None:  # noqa: ANN401 - scripted
    url, key = url_and_key
    guard.error = ZeroDivisionError()
    shape = ["--streams", "2", "--requests", "3", "--json"]
    done = CliRunner().invoke(app, ["bench", "serve", "--url", url, "--key", key, *shape])
    summary = json.loads(done.stdout)["2"]["cleanroom"]
    assert summary["failed"] == 3
    assert done.exit_code == 1
    assert summary["first_p50"] is None  # NaN is no JSON


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--streams", "0"], "--streams '0'"),
        (["--streams", "x"], "--streams 'x'"),
        (["--url", "http://127.0.0.1:1/v1"], "127.0.0.1:1/v1/models"),
        (["--url", "http://[::1"], "check URL and key"),
        (["--url", "http://127.0.0.1:99999/v1"], "check URL and key"),
        (["--url", "127.0.0.1:8080"], "check URL and key"),
        (["--key", "wrong"], "check URL and key"),
    ],
)
def test_what_cannot_be_measured_is_named(url_and_key: tuple[str, str], options: list[str], words: str) -> None:
    url, key = url_and_key
    done = CliRunner().invoke(app, ["bench", "serve", "--url", url, "--key", key, "--requests", "1", *options])
    assert isinstance(done.exception, SetupError)
    assert words in str(done.exception)


@pytest.mark.parametrize("event", ["{garbage", '{"choices": [7]}', '{"choices": 7}', '{"usage": [1], "choices": []}'])
def test_a_server_that_streams_something_else_has_failed(event: str) -> None:
    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer('{"data": [{"id": "m"}]}')

        def do_POST(self) -> None:
            self.answer(f"data: {event}\n\n")

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever).start()
        target = Target("odd", f"http://127.0.0.1:{server.server_port}/v1")
        summary = asyncio.run(measure(target, ["x"], streams=1, tokens=1))
        server.shutdown()
    assert (summary.failed, summary.errors) == (1, ("an event of the stream is no completion",))


def test_prompts_are_beginnings_of_different_files(tmp_path: Path) -> None:
    assert len(set(prompts_of(None, 50))) == 50
    with pytest.raises(SetupError, match="--prompts"):
        prompts_of(tmp_path, 3)
    (tmp_path / "code.py").write_text("x = 1\n" * (PROMPT_LINES + 1))
    assert prompts_of(tmp_path, 3) == ["x = 1\n" * PROMPT_LINES] * 3


def test_nothing_measured_is_no_number() -> None:
    summary = Summary.of([Timing(error="status 503")], 1.0)
    assert math.isnan(summary.first_p50)
    assert (summary.failed, summary.requests_per_second, summary.errors) == (1, 0.0, ("status 503",))
