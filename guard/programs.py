"""Running the programs of guard.scripts: sealed with the stamp, and sent again to a server that forgot them.

On a cluster a program sees one shard, so it is sent to the node of each shard that it is about; elsewhere one call may
be about all of them. Knows what no program means.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

from guard.errors import StoreMismatchError, StoreUnavailableError
from guard.layout import IN_SHARD, STAMP, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from guard.store import Stamp, Store

Call = tuple[Any, ...]
PIPELINED = 256
"""Commands sent at a time."""


class Programs:
    """The programs of one index's writers. `stamp` opens the index if need be; `reopen` says what is wrong with it."""

    def __init__(self, store: Store, stamp: Callable[[], Stamp], reopen: Callable[[], object]) -> None:
        self.store = store
        self.stamp = stamp
        self._reopen = reopen

    @property
    def generation(self) -> int:
        """The generation of buckets and of lists of buckets that counts."""
        return self.stamp().generation

    def main(self, script: str, *args: Any) -> Any:  # noqa: ANN401 - redis takes and answers bytes, numbers and text
        """Run a program on the main keys."""
        return self.spread(script, [(None, args)])[0]

    def main_all(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """Run a program on the main keys for each of `calls`: each is atomic, all together are not."""
        return self.spread(script, [(None, call) for call in calls])

    def spread(self, script: str, calls: Sequence[tuple[int | None, Call]]) -> list[Any]:
        """Run a program for each of `calls` on its shard, or, without one, on the main keys; answers in their order."""
        answers: list[Any] = [None] * len(calls)
        for first in range(0, len(calls), PIPELINED):
            some = range(first, min(first + PIPELINED, len(calls)))
            for node, asked in self._by_node(calls, some).items():
                sealed = [(self._seal(calls[i][0]), calls[i][1]) for i in asked]
                with self.store.refusing():
                    found = _run(node, script, sealed)
                for i, answer in zip(asked, found, strict=True):
                    answers[i] = self._accepted(answer)
        return answers

    def parts(self, buckets: NDArray[np.int64], most: int) -> Iterator[tuple[int | None, slice]]:
        """Cut sorted buckets into runs that one call may be about: of `most` at most, on a cluster of one shard."""
        cuts = {0, len(buckets)}
        if self.store.sharded and len(buckets):
            cuts.update(((buckets[1:] // IN_SHARD != buckets[:-1] // IN_SHARD).nonzero()[0] + 1).tolist())
        edges = sorted(cuts)
        for low, high in pairwise(edges):
            shard = int(buckets[low]) // IN_SHARD if self.store.sharded else None
            for first in range(low, high, most):
                yield shard, slice(first, min(first + most, high))

    def _by_node(self, calls: Sequence[tuple[int | None, Call]], some: range) -> dict[Any, list[int]]:
        if not self.store.sharded:
            return {self.store.writer: list(some)}
        nodes: dict[Any, list[int]] = {}
        for i in some:
            with self.store.refusing():
                node = self.store.node(self._seal(calls[i][0])[0], reading=False)
            nodes.setdefault(node, []).append(i)
        return nodes

    def _seal(self, shard: int | None) -> tuple[bytes, bytes]:
        stamp = self.stamp()
        return (STAMP, stamp.to_bytes()) if shard is None else (mark(shard), stamp.index_id.encode())

    def _accepted(self, answer: Any) -> Any:  # noqa: ANN401 - see `main`
        if not isinstance(answer, Exception):
            return answer
        code, _, words = str(answer).partition(" ")
        if not isinstance(answer, ResponseError) or not code.startswith("CR"):
            with self.store.refusing():
                raise answer
        if code == "CRSTAMP":
            self._reopen()
            message = f"a part of the index at {self.store.address} is gone: restore its data, or index everything anew"
            raise StoreUnavailableError(message) from answer
        message = f"the index refused: {words}; then run the command again"
        raise StoreMismatchError(message) from answer


def _run(node: Any, script: str, calls: list[tuple[tuple[bytes, bytes], Call]]) -> list[Any]:  # noqa: ANN401 - a client
    """Answers and errors of one node, in the order of the calls. A program that it does not know is sent first."""
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    answers = _evaluated(node, digest, calls)
    unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        node.script_load(script)
        again = _evaluated(node, digest, [calls[i] for i in unknown])
        for i, answer in zip(unknown, again, strict=True):
            answers[i] = answer
    return answers


def _evaluated(node: Any, digest: str, calls: list[tuple[tuple[bytes, bytes], Call]]) -> list[Any]:  # noqa: ANN401
    pipe = node.pipeline(transaction=False)
    for (key, value), args in calls:
        pipe.evalsha(digest, 1, key, value, *args)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    return answers
