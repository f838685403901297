"""A chain as far as a verification has seen it, and whether a plain entry goes on with it.

Knows no database, and no reasons: what is not sound here is looked at again (guard.ledger_verifying).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from guard.ledger_entry import GENESIS
from guard.ledger_form import digest, rows_of
from guard.ledger_plain import MATCH
from guard.ledger_redaction import Allowed
from guard.ledger_rows import WRONG, matches_of

if TYPE_CHECKING:
    from guard.ledger_entry import Break


@dataclass(slots=True)
class Seen:
    """A chain as far as it has been seen. `noted` are the hashes that heads give for some of its entries."""

    count: int = 0
    last: str = GENESIS
    at: str = ""
    broken: Break | None = None
    noted: dict[int, str] = field(default_factory=dict)
    allowed: Allowed = field(default_factory=Allowed)
    vouched: int = 0
    raw: bytes = bytes(32)

    def begin(self) -> None:
        """Nothing has been seen of it."""
        self.count, self.last, self.at, self.broken, self.vouched, self.raw = 0, GENESIS, "", None, 0, bytes(32)

    def end(self, number: int, told: str, at: str) -> None:
        """Its end is this entry, which is sound."""
        self.count, self.last, self.at, self.raw = number, told, at, bytes.fromhex(told)
        if number in self.noted:
            self.vouched = number


def sound(chain: Seen, plain: tuple[Any, ...], matches: list[tuple[Any, ...]], allowed: Allowed) -> bool:
    """Whether a plain entry is the next of its chain, which then ends with it; a broken one stays as it is."""
    _, writer, number, previous, told, at, action, caller_digest, content_digest, content, header_text, caller = plain
    computed = sha256(chain.raw + header_text.encode())
    if (
        told == computed.hexdigest()
        and number == chain.count + 1
        and previous == chain.last
        and at >= chain.at
        and chain.broken is None
        and (not chain.noted or chain.noted.get(number, told) == told)
        and (
            caller_digest == sha256(caller.encode()).hexdigest()
            if caller is not None
            else "caller" in allowed.parts(writer, number, at, action)
        )
        and (
            _tells(content, content_digest, matches)
            if content is not None
            else not matches and (content_digest is None or "content" in allowed.parts(writer, number, at, action))
        )
    ):
        chain.count, chain.last, chain.at, chain.raw = number, told, at, computed.digest()
        if number in chain.noted:
            chain.vouched = number
        return True
    return chain.broken is not None


def _tells(content: str, content_digest: str | None, matches: list[tuple[Any, ...]]) -> bool:
    """Whether a content has its digest, and the rows of its matches are what it says."""
    try:
        return digest(content) == content_digest and matches == compared(rows_of(matches_of(content)))
    except WRONG:
        return False


def compared(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows of matches in the order of MATCH."""
    return [tuple(row[name] for name in MATCH) for row in rows]
