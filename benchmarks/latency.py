"""How long the guard takes for one text after another, and how often it asks the store, beside its peer.

The two take turns, ROUND texts each, so that what else the machine does falls on both alike. Knows neither corpora nor
bars.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from peers import RedisLsh

from guard.check import Guard, GuardQuery
from guard.digest import Digester
from guard.index import DocumentId, DocumentRecord, Hits, Index
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from guard.ingest import IndexAddress

WARM_UP = 30
ROUND = 25
PATIENCE = 30.0
STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Latency:
    """Of checks one by one: wall time in milliseconds, the share of it spent on the store, and what came of them.

    `peer_p50` and `peer_p99` are datasketch's, for the same texts.
    """

    p50: float
    p99: float
    peer_p50: float
    peer_p99: float
    store_share: float
    round_trips: float
    most_round_trips: int
    blocked: float

    def figures(self, name: str) -> dict[str, float]:
        """The figures under their names."""
        return {
            f"p50_{name}_ms": self.p50,
            f"p99_{name}_ms": self.p99,
            f"datasketch_p50_{name}_ms": self.peer_p50,
            f"datasketch_p99_{name}_ms": self.peer_p99,
            f"times_faster_{name}": self.peer_p50 / self.p50,
            f"store_share_{name}": self.store_share,
            f"round_trips_{name}": self.round_trips,
            f"blocked_{name}": self.blocked,
        }


class _TimedIndex(Index):
    """An index that adds up the seconds for which it was waited on."""

    waited = 0.0

    def lookup(self, names: NDArray[np.uint64], documents: Sequence[DocumentId] = ()) -> Hits:
        began = time.perf_counter()
        hits = super().lookup(names, documents)
        self.waited += time.perf_counter() - began
        return hits

    def records(self, documents: Iterable[DocumentId]) -> dict[DocumentId, DocumentRecord]:
        began = time.perf_counter()
        records = super().records(documents)
        self.waited += time.perf_counter() - began
        return records


def latency(address: IndexAddress, texts: list[str]) -> Latency:
    """Check every text once, warm, one after the other, as a stranger to all indexed code.

    The peer's index must stand on the same server.
    """
    key = IndexKey(address.key)
    with open_store(address.url, address.home, check_timeout=PATIENCE) as store:
        index = _TimedIndex(store, key, address.home)
        index.open()
        guard, peer = Guard(index, Digester(key)), RedisLsh.beside(store)
        for text in texts[:WARM_UP]:
            guard.check(_query(text))
            peer.query(text)
        trips = [_round_trips(store.writer, guard, text) for text in texts]
        times: list[float] = []
        peer_times: list[float] = []
        index.waited = 0.0
        for first in range(0, len(texts), ROUND):
            some = texts[first : first + ROUND]
            times += [_seconds(partial(guard.check, _query(text))) for text in some]
            peer_times += [_seconds(partial(peer.query, text)) for text in some]
        waited = index.waited
        blocked = sum(guard.check(_query(text)).action is Action.BLOCK for text in texts)
    (p50, p99), (peer_p50, peer_p99) = (np.percentile(some, [50, 99]).tolist() for some in (times, peer_times))
    return Latency(
        p50=p50 * 1000,
        p99=p99 * 1000,
        peer_p50=peer_p50 * 1000,
        peer_p99=peer_p99 * 1000,
        store_share=waited / sum(times),
        round_trips=sum(trips) / len(trips),
        most_round_trips=max(trips),
        blocked=blocked / len(texts),
    )


def _seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _query(text: str) -> GuardQuery:
    return GuardQuery(text=text, caller=STRANGER, language="python")


def _round_trips(client: Any, guard: Guard, text: str) -> int:  # noqa: ANN401 - redis-py types its answers loosely
    """How often the server read a request during one check, by its own count; the second INFO is one of them."""
    before = client.info("stats")["total_reads_processed"]
    guard.check(_query(text))
    return int(client.info("stats")["total_reads_processed"]) - int(before) - 1
