"""The service's log: what happened, to whom, how long it took.

Knows no text: neither prompts nor generations nor the messages of unforeseen exceptions are ever written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, Processor, WrappedLogger

ExceptionInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]

# Their records at these levels repeat what the service logs itself, or name the URLs of every request.
QUIETED = {
    "alembic": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
}


def configure_logging(
    level: str = "info", form: Literal["console", "json"] = "console", stream: TextIO | None = None
) -> None:
    """Send structlog and the standard library's records (uvicorn's too) to `stream`, by default the standard error."""
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold_messages,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=True)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=target.isatty())
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, quiet in QUIETED.items():
        logging.getLogger(name).setLevel(quiet)


def withhold_messages(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Reduce an exception to its type and the places it passed: its message may quote what it choked on."""
    exception = event.pop("exc_info", None)
    if exception is True:
        exception = sys.exc_info()[1]
    if isinstance(exception, tuple):
        exception = exception[1]
    if isinstance(exception, BaseException):
        event.update(describe_exception(exception))
    event.pop("stack_info", None)
    # Tracebacks and asyncio's complaints go on over several lines with the representations of values.
    event["event"] = str(event.get("event", "")).partition("\n")[0]
    return event


def describe_exception(error: BaseException) -> dict[str, object]:
    """Type and places of an exception and its causes, without any message."""
    frames = traceback.extract_tb(error.__traceback__)
    described: dict[str, object] = {
        "exception": type(error).__qualname__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    }
    cause = error.__cause__ or error.__context__
    if cause is not None:
        described["cause"] = type(cause).__qualname__
    return described
