"""Checks in a process of their own while something else is done to the index: how long they take, how many are refused.

Knows neither corpora nor bars.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from guard.check import Guard, GuardQuery
from guard.digest import Digester
from guard.errors import RefusalError
from guard.index import Index
from guard.secret import IndexKey
from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from guard.ingest import IndexAddress

WARM_UP = 30
STRANGER = "stranger"


@dataclass(slots=True)
class Checks:
    """Wall time of each check in milliseconds, and how often which reason was given for refusing one."""

    times: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def figures(self, name: str) -> dict[str, float]:
        """The figures under their names; empty times are 0, since a short step may leave none."""
        p50, p99, slowest = np.percentile(self.times or [0.0], [50, 99, 100]).tolist()
        return {
            f"checks_during_{name}": len(self.times),
            f"refused_during_{name}": self.refused.total(),
            f"p50_during_{name}_ms": p50,
            f"p99_during_{name}_ms": p99,
            f"slowest_during_{name}_ms": slowest,
        }


@contextmanager
def checking(address: IndexAddress, texts: list[str]) -> Iterator[Checks]:
    """Check these texts again and again, one at a time, until the block is left; the answer is filled in then."""
    context = multiprocessing.get_context("spawn")
    checks = Checks()
    with context.Manager() as manager, ProcessPoolExecutor(1, context) as pool:
        ready, over = manager.Event(), manager.Event()
        running = pool.submit(_check, address, texts, ready, over)
        while not ready.wait(0.1) and not running.done():
            pass
        try:
            yield checks
        finally:
            over.set()
            found = running.result()
            checks.times, checks.refused = found.times, found.refused


def _check(address: IndexAddress, texts: list[str], ready: Event, over: Event) -> Checks:
    key = IndexKey(address.key)
    checks = Checks()
    # As patient as a check of the service is by default: what takes longer is refused there as well.
    with open_store(address.url, address.home) as store:
        index = Index(store, key, address.home)
        index.open()
        guard = Guard(index, Digester(key))
        queries = [GuardQuery(text=text, caller=STRANGER, language="python") for text in texts]
        for query in queries[:WARM_UP]:
            guard.check(query)
        ready.set()
        for query in cycle(queries):
            if over.is_set():
                return checks
            began = time.perf_counter()
            try:
                guard.check(query)
            except RefusalError as error:
                checks.refused[f"{type(error).__name__}: {error}"] += 1
            else:
                checks.times.append((time.perf_counter() - began) * 1000)
    return checks
