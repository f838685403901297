"""A lane: one thread that does work in order while whoever ordered it goes on. Knows nothing of what the work is."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")


class Lane(Generic[Result]):
    """Use `Lane.opened`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._under_way: deque[Future[Result]] = deque()

    @classmethod
    @contextmanager
    def opened(cls, name: str) -> Iterator[Lane[Result]]:
        """A lane whose thread has this name; left because of an error, it does no more than what it has begun."""
        with ThreadPoolExecutor(1, name) as pool:
            try:
                yield cls(pool)
            finally:
                pool.shutdown(cancel_futures=True)

    def do(self, work: Callable[[], Result]) -> None:
        """Have `work` done after what was ordered before."""
        self._under_way.append(self._pool.submit(work))

    def done(self, most: int) -> Iterator[Result]:
        """What has been done, in order; waits until no more than `most` are under way. Raises what the work raised."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0].done()):
            yield self._under_way.popleft().result()
