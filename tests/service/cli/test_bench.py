from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from service.accounts import Scope
from service.cli.root import app
from service.errors import SetupError
from service.load import PROMPT_LINES, Summary, Timing, prompts_of

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
    assert summary["first_p50"] is None  # NaN is no JSON


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--streams", "0"], "--streams '0'"),
        (["--streams", "x"], "--streams 'x'"),
        (["--url", "http://127.0.0.1:1/v1"], "127.0.0.1:1/v1/models"),
        (["--key", "wrong"], "check URL and key"),
    ],
)
def test_what_cannot_be_measured_is_named(url_and_key: tuple[str, str], options: list[str], words: str) -> None:
    url, key = url_and_key
    done = CliRunner().invoke(app, ["bench", "serve", "--url", url, "--key", key, "--requests", "1", *options])
    assert isinstance(done.exception, SetupError)
    assert words in str(done.exception)


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
