"""Traces for OpenTelemetry (extra `otel`): spans of the stages that a request passes, by name, in numbers.

Off until somebody asks for traces; this module imports nothing of OpenTelemetry before. Spans never hold text: neither
the messages of exceptions, nor what the `tracestate` or `baggage` of a caller says.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar, cast

from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

INSTALL = "`pip install 'cleanroom[otel]'`"
TRACES_PATH = "/v1/traces"


class Span(Protocol):
    """A stage under way, for a `with`."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; of an error, the class is kept."""

    def note(self, **attributes: str | float) -> None:
        """Add numbers, and names that the code knows, under `cleanroom.`."""


class _Off:
    """What a span is without traces."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def note(self, **_: str | float) -> None:
        """Nothing to note."""


class _On:
    """A span that is recorded. `current`: those that begin inside are its children."""

    def __init__(self, tracer: Tracer, name: str, parent: Context | None, *, server: bool, current: bool) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        self._span = tracer.start_span(name, parent, kind)
        self._current = current
        self._token: Any = None

    def __enter__(self) -> Self:
        from opentelemetry import context, trace  # noqa: PLC0415 - an extra

        if self._current:
            self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from opentelemetry import context  # noqa: PLC0415 - an extra
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

        if self._token is not None:
            context.detach(self._token)
        # A generator that is closed, and a request whose client has gone, failed in nothing.
        if kind is not None and issubclass(kind, Exception):
            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def note(self, **attributes: str | float) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(f"cleanroom.{name}", value)


_OFF = _Off()
_tracer: Tracer | None = None


def span(name: str, *, current: bool = True) -> Span:
    """A span of the stage `name`, inside the current one; for generators, which share their caller's, not `current`."""
    return _OFF if _tracer is None else _On(_tracer, name, None, server=False, current=current)


def request_span(name: str, traceparent: str) -> Span:
    """A span of a whole request; `traceparent` is the header (W3C Trace Context) of whoever sent it, or empty."""
    if _tracer is None:
        return _OFF
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - an extra

    # Of the caller's headers only the one that is mere numbers.
    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    return _On(_tracer, name, parent, server=True, current=True)


def spanned(name: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorates a function, plain or a coroutine's, that is a stage of its own."""

    def decorate(stage: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        if iscoroutinefunction(stage):

            @wraps(stage)
            async def waiting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> object:
                with span(name):
                    return await stage(*args, **kwargs)

            return cast("Callable[Parameters, Result]", waiting)

        @wraps(stage)
        def working(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            with span(name):
                return stage(*args, **kwargs)

        return working

    return decorate


@contextmanager
def traces_to(processor: SpanProcessor) -> Iterator[None]:
    """Hand every span to `processor`; in the end, also those that it still holds are handed on."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra

    global _tracer  # noqa: PLW0603 - like logging: of the process, and on only where a command turns it on
    provider = TracerProvider(resource=Resource.create({"service.name": "cleanroom"}))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("cleanroom")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


@contextmanager
def exported_traces(endpoint: str | None) -> Iterator[None]:
    """Send traces to the OTLP collector at `endpoint` (HTTP), or nowhere where that is None.

    How many, and with which headers, OpenTelemetry's own variables say (`OTEL_TRACES_SAMPLER`,
    `OTEL_EXPORTER_OTLP_HEADERS`). Raises SetupError without the extra.
    """
    if endpoint is None:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError:
        message = f"CLEANROOM_OTLP_ENDPOINT needs OpenTelemetry, which is not installed: run {INSTALL}"
        raise SetupError(message) from None
    with traces_to(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + TRACES_PATH))):
        yield
