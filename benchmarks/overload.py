"""What does the service do with twice the requests that its engine can answer?

A server process with real accounts, ledger, guard, index and quotas stands before an engine that writes canned text at
a fixed pace. First as many clients ask as the engine has places, one request after the other: that is the capacity.
Then requests come at random times, twice as many a second, most of them from one organization.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from options import options_of
from report import Report, progress

from service.accounts import Accounts, Scope
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).with_name("overload_server.py")
PLACES = 16
DEADLINE = 4.0
# Requests of each organization, of a hundred.
SHARES = {"alder": 80, "birch": 10, "cedar": 10}
PROMPT = "def settle(ledger, rates):\n    total = 0\n    for entry in ledger:\n"
ACCEPTED, LATE = 200, 504
EXPECTED = ("", "queue_full", "overloaded", "deadline_unmet", "engine_timeout")
START_SECONDS = 120
# Seconds that this process may be late before the times say more about the machine than about the service.
STALL = 0.25


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds of each phase."""

    capacity: float
    overload: float


SIZES = {"small": Size(10, 40), "full": Size(30, 300)}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended; `seconds` from its beginning."""

    org: str
    status: int
    code: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Service:
    """A running server, with a key for each organization."""

    process: subprocess.Popen[str]
    url: str
    keys: dict[str, str]

    def memory(self) -> float:
        """Megabytes that the server holds."""
        command = ["ps", "-o", "rss=", "-p", str(self.process.pid)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES)
    size = SIZES[options.scale]
    report = Report("overload")
    with progress() as bar, tempfile.TemporaryDirectory(prefix="cr-bench-") as folder:
        task = bar.add_task("start", total=3)
        with serving(Path(folder)) as service:
            bar.update(task, advance=1, description="capacity")
            alone = asyncio.run(closed_loop(service, size.capacity))
            capacity = sum(answer.status == ACCEPTED for answer in alone) / size.capacity
            bar.update(task, advance=1, description="overload")
            before = service.memory()
            answers, memory, stall = asyncio.run(open_loop(service, 2 * capacity, size.overload))
            bar.update(task, advance=1)
    figures(report, answers, size.overload, capacity)
    report.figures["longest_stall_s"] = stall
    third = len(memory) // 3
    report.figures["rss_before_mb"] = before
    report.figures["rss_after_mb"] = memory[-1]
    report.figures["rss_growth_mb"] = max(memory[-third:]) - max(memory[third : 2 * third])
    if stall > STALL:
        report.notes.append(f"others kept this process waiting for {stall:.2f} s: run again on an idle machine")
    hold(report)
    describe(report, answers)
    report.show(json_only=options.json)


@contextmanager
def serving(folder: Path, server: Path = SERVER) -> Iterator[Service]:
    """A server of its own process, ready; it ends with the block. Its standard output goes on behind the URL."""
    settings = load_settings(home=folder / "home")
    settings.home.mkdir()
    with Accounts(settings.database_url) as accounts:
        keys = {}
        for org in SHARES:
            accounts.add_organization(org)
            keys[org] = accounts.create_key(org, frozenset({Scope.COMPLETE}))[1]
    key = hashlib.sha256(b"benchmark").hexdigest()
    environment = {**os.environ, "CLEANROOM_HOME": str(settings.home), "CLEANROOM_INDEX_KEY": key}
    environment |= {"CLEANROOM_REQUESTS_PER_MINUTE": "100000", "CLEANROOM_TOKENS_PER_DAY": "1000000000"}
    # Whoever else is at work on this machine may stop the server for a moment, which is not the question here.
    environment["CLEANROOM_CHECK_TIMEOUT"] = "2"
    command = [sys.executable, str(server), str(PLACES)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, (folder / "log").read_text()
            _await(url, process)
            yield Service(process, url, keys)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _await(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            if httpx.get(f"{url}/readyz").status_code == ACCEPTED:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)


async def ask(client: httpx.AsyncClient, service: Service, org: str, seconds: float = DEADLINE) -> Answer:
    """One request."""
    headers = {"Authorization": f"Bearer {service.keys[org]}", "X-Request-Timeout": f"{seconds}"}
    began = time.perf_counter()
    try:
        reply = await client.post("/v1/completions", json={"prompt": PROMPT}, headers=headers)
    except httpx.TransportError as error:
        return Answer(org, 0, type(error).__name__, time.perf_counter() - began)
    taken = time.perf_counter() - began
    code = "" if reply.status_code == ACCEPTED else reply.json()["error"]["code"]
    return Answer(org, reply.status_code, code, taken)


def _client(service: Service) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    return httpx.AsyncClient(base_url=service.url, timeout=30, limits=limits)


async def closed_loop(service: Service, seconds: float) -> list[Answer]:
    """As many clients as places, each with its next request when the last is answered."""
    answers: list[Answer] = []
    end = time.monotonic() + seconds

    async def work(org: str) -> None:
        while time.monotonic() < end:
            answers.append(await ask(client, service, org, 30))

    async with _client(service) as client, asyncio.TaskGroup() as group:
        for number in range(PLACES):
            group.create_task(work(list(SHARES)[number % len(SHARES)]))
    return answers


async def open_loop(service: Service, rate: float, seconds: float) -> tuple[list[Answer], list[float], float]:
    """Requests at random times, `rate` a second, whatever becomes of them.

    Also the server's memory every second, and by how much this process was late at most: others may be at work here.
    """
    draw = random.Random(1)  # noqa: S311 - the same run each time, no secret
    tasks: list[asyncio.Task[Answer]] = []
    memory: list[float] = []

    async def watch() -> None:
        while True:
            memory.append(await asyncio.to_thread(service.memory))
            await asyncio.sleep(1)

    loop, stall = asyncio.get_running_loop(), 0.0
    async with _client(service) as client:
        watching = asyncio.create_task(watch())
        at = began = loop.time()
        while at < began + seconds:
            at += draw.expovariate(rate)
            await asyncio.sleep(at - loop.time())
            stall = max(stall, loop.time() - at)
            (org,) = draw.choices(list(SHARES), list(SHARES.values()))
            tasks.append(asyncio.create_task(ask(client, service, org)))
        answers = await asyncio.gather(*tasks)
        watching.cancel()
    return answers, memory, stall


def figures(report: Report, answers: list[Answer], seconds: float, capacity: float) -> None:
    """What became of the requests. Accepted are all that had a place: those whose time was over there as well."""
    accepted = sorted(answer.seconds for answer in answers if answer.status in (ACCEPTED, LATE))
    refused = sorted(answer.seconds for answer in answers if answer.status not in (ACCEPTED, LATE))
    good = sum(answer.status == ACCEPTED for answer in answers)
    report.figures |= {
        "capacity_a_second": capacity,
        "offered_a_second": len(answers) / seconds,
        "answered_a_second": good / seconds,
        "answered_of_capacity": good / seconds / capacity,
        "accepted_p50_s": quantile(accepted, 0.5),
        "accepted_p99_s": quantile(accepted, 0.99),
        "deadline_s": DEADLINE,
        "late_share": sum(answer.status == LATE for answer in answers) / len(accepted),
        "refused_p99_s": quantile(refused, 0.99),
        "broken": sum(answer.code not in EXPECTED for answer in answers),
    }
    for org in SHARES:
        own = [answer for answer in answers if answer.org == org]
        report.figures[f"answered_share_{org}"] = sum(answer.status == ACCEPTED for answer in own) / len(own)


def quantile(ordered: list[float], share: float) -> float:
    """The value below which this share lies."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def hold(report: Report) -> None:
    """Say what shall be."""
    report.at_most("accepted_p99_s", DEADLINE)
    report.at_most("late_share", 0.01)
    report.at_least("answered_of_capacity", 0.9)
    report.at_most("broken", 0)
    report.at_most("rss_growth_mb", 4)
    # Who asks less than its share of the engine gets what it asks.
    report.at_least("answered_share_birch", 0.95)


def describe(report: Report, answers: list[Answer]) -> None:
    """Tables for people."""
    counts = Counter((answer.status, answer.code or "answered") for answer in answers)
    rows = []
    for (status, code), count in sorted(counts.items()):
        times = sorted(
            answer.seconds for answer in answers if (answer.status, answer.code or "answered") == (status, code)
        )
        cells = (f"{count / len(answers):.1%}", f"{quantile(times, 0.5):.3f}", f"{quantile(times, 0.99):.3f}")
        rows.append((f"{status} {code}", str(count), *cells))
    report.table("Answers", ("answer", "requests", "share", "p50, s", "p99, s"), rows)
    rows = [
        (name.replace("_", " "), f"{value:g}") for name, value in ((n, round(v, 4)) for n, v in report.figures.items())
    ]
    report.table("Figures", ("figure", "value"), rows)


if __name__ == "__main__":
    main()
