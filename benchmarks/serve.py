"""What does the way through the guard cost? Streams of Cleanroom beside the bare engine behind it, in the same run.

The engine is a server that writes real code at a fixed pace (serve_vllm.py has a real one); Cleanroom's server is a
process of its own with accounts, quotas, ledger and an index of the standard library and of fragments made up. Both are
asked in turn. Text of streams leaves as `early` and `late` let it (CLEANROOM_STREAM_RELEASE). The
gateway alone is measured before an engine that answers at once, beside the least proxy of the same libraries.

    python benchmarks/serve.py [--json] [--scale small|full] [--fragments 1000000]

The fragments are drawn at random, the same each time (filling.py): look-ups find an index of that size, but no text
shares anything with them. A million take some five minutes to write.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from filling import fill
from options import options_of
from report import Report, progress

from guard.commons import add_standard_library
from guard.index import Index
from guard.ingest import IndexAddress
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Owner
from service.accounts import Accounts, Scope
from service.load import Summary, Target, measure, prompts_of
from service.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

UPSTREAM, PROXY = (Path(__file__).with_name(name) for name in ("serve_upstream.py", "serve_proxy.py"))
KEY = hashlib.sha256(b"benchmark")
STREAMS = (1, 8, 32)
TOKENS = 64
PACE = 0.02
"""Seconds between two tokens of a stream: what a small model on a GPU takes."""
READY, START_SECONDS = 200, 120


@dataclass(frozen=True, slots=True)
class Size:
    """Fragments in the index, requests a round, and rounds."""

    fragments: int
    requests: int
    rounds: int


SIZES = {"small": Size(10_000, 96, 2), "full": Size(1_000_000, 128, 4)}


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES, more=fragments_of)
    size = SIZES[options.scale]
    report = Report("serve")
    prompts = prompts_of(None, size.requests)
    fragments = options.fragments or size.fragments
    report.figures["fragments"] = fragments
    with progress() as bar, ExitStack() as stack:
        task = bar.add_task("index", total=3 + len(STREAMS))
        home, key = stack.enter_context(prepared(fragments, filling(bar, fragments)))
        bar.update(task, advance=1, description="streams")
        paced = stack.enter_context(upstream(PACE)).url
        engine = Target("engine", f"{paced}/v1")
        ways = {
            way: Target(way, f"{stack.enter_context(serving(home, paced, way)).url}/v1", key)
            for way in ("early", "late")
        }
        for streams in STREAMS:
            # One stream takes as long a request as many do, and many need more requests to have begun and ended alike.
            asked = prompts[: size.requests * streams // 32 + 4]
            compared(report, [engine, *ways.values()], lambda *_, asked=asked: asked, streams, size.rounds)
            bar.update(task, advance=1)
        at_once = stack.enter_context(upstream(0.0)).url
        alone(report, "proxy", stack.enter_context(proxy(at_once)), key, prompts * 4)
        alone(report, "gateway", stack.enter_context(serving(home, at_once, "late")), key, prompts * 4)
        for name in ("streamed", "whole"):
            took = {peer: report.figures[f"{peer}_{name}_processor_ms"] for peer in ("gateway", "proxy")}
            report.figures[f"gateway_{name}_over_proxy"] = took["gateway"] / took["proxy"]
        bar.update(task, advance=1)
    report.at_least("gateway_whole_per_core_second", 300)
    report.notes.append(
        f"the engine writes a token in {PACE * 1000:g} ms to each stream; clients, gateway, store and engine share "
        f"{os.cpu_count()} cores; `late` holds the 30 newest tokens, so its first text comes that much later"
    )
    report.show(json_only=options.json)


def compared(
    report: Report, targets: list[Target], prompts: Callable[[str, int], list[str]], streams: int, rounds: int
) -> None:
    """Ask all targets in turn; keep of each what its best round shows, since other processes only ever slow it.

    The first target is the bare engine. Figures and bars of the others are those beside it. `prompts` are those for a
    target's name and the number of a round.
    """
    found: dict[str, list[Summary]] = {target.name: [] for target in targets}
    for number in range(rounds):
        for target in targets:
            asked = prompts(target.name, number)
            found[target.name].append(asyncio.run(measure(target, asked, streams=streams, tokens=TOKENS)))
    failed = {name: summary.errors for name, some in found.items() for summary in some if summary.failed}
    assert not failed, f"at {streams} streams requests failed: {failed}"
    best = {name: min(some, key=lambda summary: summary.total_p50) for name, some in found.items()}
    bare = best["engine"]
    for name in ("early", "late"):
        mine = best[name]
        report.figures[f"{name}_throughput_{streams}"] = mine.requests_per_second / bare.requests_per_second
        report.figures[f"{name}_first_{streams}"] = mine.first_p50 / bare.first_p50
        report.figures[f"{name}_gap_p99_{streams}"] = mine.gap_p99 / bare.gap_p99
    report.at_least(f"early_throughput_{streams}", 0.97)
    report.at_most(f"early_first_{streams}", 1.05)
    report.at_most(f"early_gap_p99_{streams}", 1.15)
    report.at_least(f"late_throughput_{streams}", 0.97)
    rows = {
        "first text, p50 / p99 ms": lambda one: f"{one.first_p50:.0f} / {one.first_p99:.0f}",
        "between texts, p50 / p99 ms": lambda one: f"{one.gap_p50:.1f} / {one.gap_p99:.1f}",
        "whole, p50 / p99 ms": lambda one: f"{one.total_p50:.0f} / {one.total_p99:.0f}",
        "requests/s": lambda one: f"{one.requests_per_second:.2f}",
    }
    report.table(
        f"{streams} streams at once",
        ("", *best),
        [(label, *(shown(summary) for summary in best.values())) for label, shown in rows.items()],
    )


def alone(report: Report, peer: str, server: Server, key: str, prompts: list[str]) -> None:
    """What `server` takes of a core for a request, streamed and whole, before an engine that answers at once.

    The others have their share of the machine's cores as well, so the server's own processor time is what counts.
    """
    target = Target(peer, f"{server.url}/v1", key)
    for streamed in (True, False):
        name = "streamed" if streamed else "whole"
        for _ in range(2):  # the first warms up
            began, spent = time.monotonic(), server.processor_seconds()
            if streamed:
                asyncio.run(measure(target, prompts, streams=32, tokens=8))
            else:
                asyncio.run(ask_whole(target, prompts))
        spent = server.processor_seconds() - spent
        report.figures[f"{peer}_{name}_per_second"] = len(prompts) / (time.monotonic() - began)
        report.figures[f"{peer}_{name}_per_core_second"] = len(prompts) / spent
        report.figures[f"{peer}_{name}_processor_ms"] = spent / len(prompts) * 1000


async def ask_whole(target: Target, prompts: list[str]) -> None:
    """Ask for answers that are no streams, 16 at a time."""
    places = asyncio.Semaphore(16)
    headers = {"Authorization": f"Bearer {target.key}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:

        async def ask(prompt: str) -> None:
            async with places:
                reply = await client.post(f"{target.url}/completions", json={"prompt": prompt, "max_tokens": 8})
            reply.raise_for_status()

        await asyncio.gather(*map(ask, prompts))


@dataclass(frozen=True, slots=True)
class Server:
    """A server's process and where it answers."""

    url: str
    process: psutil.Process

    def processor_seconds(self) -> float:
        """What the process has used of its cores."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def fragments_of(parser: argparse.ArgumentParser) -> None:
    """The option of the index's size."""
    parser.add_argument("--fragments", type=int, help="in the index beside the standard library (default: by --scale)")


def filling(bar: Progress, fragments: int) -> Callable[[int], None]:
    """A line of the progress for an index that is filled."""
    task = bar.add_task("fragments", total=fragments)
    return lambda written: bar.update(task, completed=written)


@contextmanager
def prepared(fragments: int, told: Callable[[int], None] = lambda _: None) -> Iterator[tuple[Path, str]]:
    """A home with an index of so many made-up fragments beside the standard library, and a caller's key."""
    with tempfile.TemporaryDirectory(prefix="cr-bench-") as folder:
        home = Path(folder)
        address = IndexAddress(None, home, KEY.digest())
        # Held open, so that the embedded store lives on between its users.
        with open_store(None, home, check_timeout=30) as store:
            add_standard_library(address, jobs=1)
            index = Index(store, IndexKey(address.key), home)
            index.open()
            fill(index, Owner.organization("filler"), fragments, progress=told)
            with Accounts(load_settings(home=home).database_url) as accounts:
                accounts.add_organization("caller")
                _, key = accounts.create_key("caller", frozenset({Scope.COMPLETE}))
            yield home, key


@contextmanager
def serving(home: Path, url: str, release: str, *, engine: str = "openai", **settings: str) -> Iterator[Server]:
    """A server of Cleanroom before the engine of that kind at that URL; `settings` are further variables."""
    environment = {**os.environ, "CLEANROOM_HOME": str(home), "CLEANROOM_INDEX_KEY": KEY.hexdigest(), **settings}
    environment |= {
        "CLEANROOM_STREAM_RELEASE": release,
        "CLEANROOM_REQUESTS_PER_MINUTE": "0",
        "CLEANROOM_TOKENS_PER_DAY": "0",
        "CLEANROOM_LOG_LEVEL": "error",
        # Whoever else is at work on this machine may stop the store for a moment, which is not the question here.
        "CLEANROOM_CHECK_TIMEOUT": "2",
    }
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    command += ["--engine", engine, "--engine-url", f"{url}/v1"]
    with running(command, f"http://127.0.0.1:{port}", "/readyz", environment) as server:
        yield server


@contextmanager
def upstream(pace: float) -> Iterator[Server]:
    """An engine that writes a token in so many seconds."""
    port = free_port()
    command = [sys.executable, str(UPSTREAM), str(port), str(pace)]
    with running(command, f"http://127.0.0.1:{port}", "/v1/models", dict(os.environ)) as server:
        yield server


@contextmanager
def proxy(engine: str) -> Iterator[Server]:
    """The least that hands on what the engine at that URL answers."""
    port = free_port()
    command = [sys.executable, str(PROXY), str(port), engine]
    with running(command, f"http://127.0.0.1:{port}", "/v1/models", dict(os.environ)) as server:
        yield server


@contextmanager
def running(
    command: list[str], url: str, ready: str, environment: dict[str, str], *, seconds: float = START_SECONDS
) -> Iterator[Server]:
    """A server's process, once it answers at `ready`; it is ended with the context."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=told)
        try:
            deadline = time.monotonic() + seconds
            while not _answers(url + ready):
                if process.poll() is not None:
                    told.seek(0)
                    raise AssertionError(told.read()[-2000:])
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield Server(url, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    return random.randint(20_000, 60_000)  # noqa: S311 - not for secrets


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == READY
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
