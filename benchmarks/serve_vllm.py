"""What does the way through the guard cost beside the real vLLM? Streams of Cleanroom and of `vllm serve`, in turn.

Needs an environment with vLLM, such as that of `make test-vllm`: a GPU's, or the build for CPUs. One server holds the
packaged model; Cleanroom asks it by its URL, as `early` and as `late`. All are asked the same, but for a first line
that makes each prompt a new one to the cache of the server.

    SCALE=small|full VLLM=EXECUTABLE python benchmarks/serve_vllm.py [--fragments 1000000]
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from options import options_of
from report import Report, progress
from serve import STREAMS, Size, compared, filling, fragments_of, free_port, prepared, running, serving

from service.engines.vllm_command import VllmSettings, find_vllm, model_source, vllm_environment
from service.load import Target, measure, prompts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = {"small": Size(10_000, 32, 2), "full": Size(1_000_000, 96, 3)}
START_SECONDS = 600
NAME = "packaged"


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, more=fragments_of)
    size = SIZES[options.scale]
    report = Report("serve-vllm")
    fragments = options.fragments or size.fragments
    report.figures["fragments"] = fragments
    with progress() as bar, ExitStack() as stack:
        task = bar.add_task("index and model", total=2 + len(STREAMS))
        home, key = stack.enter_context(prepared(fragments, filling(bar, fragments)))
        bar.update(task, advance=1)
        url, engine_key = stack.enter_context(vllm(home))
        bar.update(task, advance=1, description="streams")
        given = {"CLEANROOM_ENGINE_API_KEY": engine_key}
        # On few cores a server is silent for long before the first of so many tokens.
        given |= {"CLEANROOM_REQUEST_TIMEOUT": "600", "CLEANROOM_ENGINE_READ_TIMEOUT": "600"}
        targets = [Target("engine", f"{url}/v1", engine_key)]
        for way in ("early", "late"):
            server = stack.enter_context(serving(home, url, way, engine="vllm", **given))
            targets.append(Target(way, f"{server.url}/v1", key))
        for target in targets:
            asyncio.run(measure(target, prompts_of(None, 2), streams=2, tokens=8))  # the first are slower
        for streams in STREAMS:
            texts = prompts_of(None, max(4, streams * size.requests // 32))

            def asked(name: str, number: int, texts: list[str] = texts) -> list[str]:
                return [f"# {name} {number} {len(texts)}\n{text}" for text in texts]

            compared(report, targets, asked, streams, size.rounds)
            bar.update(task, advance=1)
    report.notes.append(f"vLLM, clients, gateway and store share {os.cpu_count()} cores; every prompt is a new one")
    report.show(json_only=options.json)


@contextmanager
def vllm(home: Path) -> Iterator[tuple[str, str]]:
    """A `vllm serve` with the packaged model on loopback: its URL and the key that it asks for."""
    named = os.environ.get("VLLM")
    settings = VllmSettings(home, command=Path(named) if named else None)
    build, key = find_vllm(settings.command), secrets.token_hex(16)
    port = free_port()
    command = [str(build.executable), "serve", model_source(settings, build), "--served-model-name", NAME]
    command += ["--host", "127.0.0.1", "--port", str(port), "--enable-prefix-caching", "--max-model-len", "2048"]
    command += ["--enable-tokenizer-info-endpoint", "--disable-uvicorn-access-log"]
    if build.for_cpu:
        command += ["--enforce-eager", "--dtype", "float32"]
    environment = vllm_environment(settings, build, key)
    with running(command, f"http://127.0.0.1:{port}", "/health", environment, seconds=START_SECONDS) as server:
        yield server.url, key


if __name__ == "__main__":
    sys.exit(main())
