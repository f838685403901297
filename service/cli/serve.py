"""`cleanroom serve`: the service itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from guard.commons import add_standard_library, has_commons
from service.cli.opening import (
    engine_of,
    index_address,
    limits_of,
    opened_accounts,
    opened_documents,
    opened_guard,
    opened_ledger,
    opened_reviews,
)
from service.cli.output import ingest_progress, say
from service.heads.opening import exported_heads
from service.parts import Services
from service.released import served_release
from service.server import claim_port, claimed_metrics
from service.server import serve as run
from service.settings import Settings, load_settings
from service.telemetry import configure_logging
from service.tracing import exported_traces


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    engine: Annotated[str | None, typer.Option("--engine", help="llamacpp, transformers, vllm or openai.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Path, hub name, name on the server, or release:NAME.")
    ] = None,
    engine_url: Annotated[
        str | None,
        typer.Option(
            "--engine-url",
            "--base-url",
            help="OpenAI-compatible server for --engine openai; servers for vllm, by comma.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes any free one.")] = None,
) -> None:
    """Serve completions, every one of them through the guard."""
    serve_settings(load_settings(engine=engine, model=model, engine_url=engine_url, host=host, port=port))


def serve_settings(settings: Settings) -> None:
    """Serve by these settings until told to stop."""
    configure_logging(settings.log_level, settings.log_format)
    with (
        exported_traces(settings.otlp_endpoint),
        claim_port(settings.host, settings.port) as listener,
        claimed_metrics(settings) as metrics,
    ):
        # Verified before anything that takes minutes, and loaded at once.
        release = served_release(settings)
        ensure_commons(settings)
        with (
            opened_guard(settings) as guard,
            opened_accounts(settings) as accounts,
            opened_ledger(settings) as ledger,
            opened_documents(settings) as documents,
            opened_reviews(settings, ledger) as reviews,
            ExitStack() as opened,
        ):
            guard.ready()
            ledger.ready()
            services = Services(
                settings=settings,
                accounts=accounts,
                engine=engine_of(settings, release),
                guard=guard,
                ledger=ledger,
                documents=documents,
                limits=limits_of(settings),
                reviews=reviews,
                release=release,
            )
            heads = opened.enter_context(exported_heads(settings, ledger))
            services.metrics.heads.follow(heads)
            say(f"serving on http://{settings.host}:{listener.getsockname()[1]}")
            if metrics is not None:
                say(f"metrics on http://{settings.metrics_host}:{metrics.getsockname()[1]}/metrics")
            run(services, listener, metrics)


def ensure_commons(settings: Settings) -> None:
    """Index the standard library as commons if this index has none yet."""
    address = index_address(settings)
    if not has_commons(address):
        say("first start: indexing Python's standard library as commons")
        with ingest_progress("standard library") as progress:
            add_standard_library(address, progress=progress)
