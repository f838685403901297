from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from service.errors import EngineError, SetupError
from service.tracing import exported_traces, span

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.tracing import traces_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import SimpleNamespace

    from opentelemetry.sdk.trace import ReadableSpan

    from service.parts import Services

import httpx

TRACE, SENDER = "ab" * 16, "cd" * 8
SENT = {"traceparent": f"00-{TRACE}-{SENDER}-01", "tracestate": "vendor=MARKER", "baggage": "a=MARKER"}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    with traces_to(SimpleSpanProcessor(exporter)):
        yield exporter


def post(url: str, secret: str, **body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}", **SENT}
    return httpx.post(f"{url}/v1/completions", json={"prompt": "MARKER", **body}, headers=headers)


def finished(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans by name, once the request's is among them: it ends after the response has left."""
    for _ in range(1000):
        spans = {one.name: one for one in exporter.get_finished_spans()}
        if "request" in spans:
            return spans
        time.sleep(0.01)
    pytest.fail("no span of the request")


def test_every_stage_is_a_span_of_the_callers_trace(
    exporter: InMemorySpanExporter,
    parts: SimpleNamespace,
    secret: str,
    running: Callable[[Services], AbstractContextManager[str]],
) -> None:
    parts.engine.texts = ["MARKER = 1\nPRIVATE MARKER\n"]
    with running(parts.services) as url:
        reply = post(url, secret, stream=True)
    assert reply.status_code == 200
    spans = finished(exporter)
    assert set(spans) == {"request", "prompt", "engine", "watch look", "release", "guard check", "ledger"}
    request = spans["request"]
    assert request.kind is SpanKind.SERVER
    assert request.parent is not None
    assert (request.parent.trace_id, request.parent.span_id) == (int(TRACE, 16), int(SENDER, 16))
    assert {one.context.trace_id for one in exporter.get_finished_spans() if one.context} == {int(TRACE, 16)}
    checks = [one for one in exporter.get_finished_spans() if one.name == "guard check"]
    assert spans["release"].context is not None
    assert spans["release"].context.span_id in {check.parent.span_id for check in checks if check.parent}
    assert request.attributes == {"cleanroom.route": "/v1/completions", "cleanroom.status": 200}
    assert (spans["ledger"].attributes or {})["cleanroom.disposition"] == "trimmed"
    assert (spans["engine"].attributes or {})["cleanroom.tokens"] == 7
    assert "MARKER" not in json.dumps([one.to_json() for one in exporter.get_finished_spans()])


@pytest.mark.parametrize("error", [EngineError("MARKER"), KeyError("MARKER")])
def test_of_an_error_only_the_class_is_told(
    error: Exception,
    exporter: InMemorySpanExporter,
    parts: SimpleNamespace,
    secret: str,
    running: Callable[[Services], AbstractContextManager[str]],
) -> None:
    with running(parts.services) as url:
        parts.engine.error = error
        assert post(url, secret).status_code >= 500
    engine = finished(exporter)["engine"]
    assert engine.status.status_code is StatusCode.ERROR
    assert (engine.attributes or {})["error.type"] == type(error).__name__
    assert "MARKER" not in json.dumps([one.to_json() for one in exporter.get_finished_spans()])


def test_traces_are_off_unless_asked_for() -> None:
    with exported_traces(None), span("stage") as stage:
        stage.note(tokens=1)
        assert stage is span("another")


def test_nothing_of_it_is_imported_unless_asked_for() -> None:
    # The module alone: redis-py imports OpenTelemetry wherever it is installed.
    program = "import sys, service.tracing as t; t.span('a').note(b=1); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SetupError, match=r"pip install 'cleanroom\[otel\]'"), exported_traces("http://127.0.0.1:9"):
        pass
