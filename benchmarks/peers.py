"""What others would take in the guard's place, asked the same questions: datasketch's MinHashLSH over 16-line windows.

Its default use: 128 permutations, Jaccard similarity of 0.5 or more. To its advantage the windows hold the guard's own
renamed tokens, so that renaming alone hides nothing from it, and what its buckets propose is confirmed by the estimated
similarity. Knows nothing of the guard's index.

datasketch's Redis storage keeps pickles, and whoever can write to that Redis can run code in whoever queries it. It is
used here only against a private store that is thrown away after the run, and nowhere in the product.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasketch import MinHash, MinHashLSH

from guard.tokens import lex
from guard.vocabulary import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.store import Store

LINES = 16
STRIDE = 8
QUERY_STRIDE = 4
"""Lines from one queried window to the next: none is further than this from an indexed one."""
SHINGLE = 5
PERMUTATIONS = 128
SIMILARITY = 0.5
PARAMETERS = (
    f"datasketch MinHashLSH: windows of {LINES} lines of code every {STRIDE} (asked: every {QUERY_STRIDE}), shingles "
    f"of {SHINGLE} renamed tokens, {PERMUTATIONS} permutations, J >= {SIMILARITY}, confirmed"
)

Shingles = set[bytes]


def windows(text: str, *, fragment: bool = False) -> list[Shingles]:
    """The shingles of every window of LINES lines that hold code, the last one flush with the end.

    A shorter text is one window; one without a shingle is none. `fragment`: it is a question rather than a file, and
    has a window every QUERY_STRIDE lines.
    """
    stream = lex(text, "python", fragment=fragment).code
    lines = list(accumulate(map(len, text.splitlines(keepends=True))))
    rows: dict[int, list[str]] = {}
    for token, start in zip(stream.symbols.tolist(), stream.starts.tolist(), strict=True):
        rows.setdefault(bisect_right(lines, start), []).append(text_of(token))
    code = list(rows.values())
    last = max(0, len(code) - LINES)
    starts = [*range(0, last, QUERY_STRIDE if fragment else STRIDE), last]
    found = [_shingles([token for row in code[start : start + LINES] for token in row]) for start in starts]
    return [shingles for shingles in found if shingles]


def signatures(some: Iterable[Shingles]) -> list[MinHash]:
    """The MinHash of each window, in one go as datasketch recommends."""
    signed: list[MinHash] = MinHash.bulk(list(some), num_perm=PERMUTATIONS)
    return signed


@dataclass(slots=True)
class WindowLsh:
    """MinHashLSH in memory, for accuracy."""

    _lsh: Any = field(default_factory=lambda: MinHashLSH(threshold=SIMILARITY, num_perm=PERMUTATIONS))
    _known: list[tuple[str, MinHash]] = field(default_factory=list)

    def add(self, owner: str, text: str) -> None:
        """Index a file of an owner."""
        for signature in signatures(windows(text)):
            self._lsh.insert(len(self._known), signature, check_duplication=False)
            self._known.append((owner, signature))

    def owners(self, text: str) -> set[str]:
        """Whose windows are similar to one of the text's."""
        found = set()
        for signature in signatures(windows(text, fragment=True)):
            for number in self._lsh.query(signature):
                owner, other = self._known[number]
                if owner not in found and signature.jaccard(other) >= SIMILARITY:
                    found.add(owner)
        return found


class RedisLsh:
    """MinHashLSH in the Redis or Valkey behind a unix socket, for speed and size."""

    def __init__(self, socket: Path) -> None:
        storage = {"type": "redis", "basename": b"peer", "redis": {"unix_socket_path": str(socket)}}
        self._lsh: Any = MinHashLSH(threshold=SIMILARITY, num_perm=PERMUTATIONS, storage_config=storage)

    @classmethod
    def beside(cls, store: Store) -> RedisLsh:
        """The one in the embedded server of `store`, which is there to be thrown away."""
        return cls(Path(store.address.removeprefix("unix://")))

    def insert(self, signed: Iterable[tuple[str, MinHash]]) -> None:
        """Add windows through a buffered session, which is how datasketch fills a large index."""
        with self._lsh.insertion_session() as session:
            for name, signature in signed:
                session.insert(name, signature, check_duplication=False)

    def query(self, text: str) -> int:
        """How many windows are proposed for a text, its signatures included in the time."""
        return sum(len(self._lsh.query(signature)) for signature in signatures(windows(text, fragment=True)))


def _shingles(tokens: list[str]) -> Shingles:
    return {" ".join(tokens[i : i + SHINGLE]).encode() for i in range(len(tokens) - SHINGLE + 1)}
