"""Recomputes all chains of a ledger, in one pass over its rows. Changes nothing.

What queries see is either in an entry's hash or compared with what is: nothing that a review shows can be changed
unseen. Where several chains are broken each is named, with its first broken entry.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, not_, select, true

from guard.ledger_chains import AT_ONCE, ROWS
from guard.ledger_entry import Break, Head, Verification
from guard.ledger_form import HEADER, SCHEMA, caller_part, chained_hash, digest, header, match_rows
from guard.ledger_old import old_columns, old_hash
from guard.ledger_plain import MATCH, PLAIN, plain_rows
from guard.ledger_redaction import Allowed
from guard.ledger_rows import OLD_SCHEMAS, WRONG, read_entry, read_event
from guard.ledger_schema import entry_table, match_table
from guard.ledger_seen import Seen, compared, sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, Row

    from guard.ledger_database import Database

_NONE: list[tuple[Any, ...]] = []
_LAST = (sys.maxsize,)
"""Behind all matches."""
TAKEN_OUT = "{} was taken out, and no entry says so that a head vouches for"


def verified(
    database: Database, heads: Iterable[Head] = (), progress: Callable[[float], None] | None = None
) -> Verification:
    """Recompute the chains in `database` and hold them against `heads`; see `Ledger.verify`."""
    chains: defaultdict[str, Seen] = defaultdict(Seen)
    given = [head for head in heads if head.entries]
    for head in given:
        noted = chains[head.writer].noted
        # Two heads that differ cannot both be right.
        noted[head.entries] = head.hash if noted.get(head.entries, head.hash) == head.hash else "two"
    vouched = {writer: max(chain.noted) for writer, chain in chains.items()} if given else None
    with database.reading() as connection:
        allowed = Allowed.read(connection, vouched)
        walk = _Walk(connection, chains, allowed, progress)
        if not walk.quickly():
            for chain in chains.values():
                chain.begin()
            walk.thoroughly()
    return _outcome(chains)


class _Walk:
    """One pass over all rows, which brings `chains` to their ends."""

    def __init__(
        self,
        connection: Connection,
        chains: defaultdict[str, Seen],
        allowed: Allowed,
        progress: Callable[[float], None] | None,
    ) -> None:
        self._connection, self._chains, self._allowed = connection, chains, allowed
        self._progress = progress or (lambda _: None)
        self._due = AT_ONCE
        self._total = connection.execute(select(func.max(entry_table.c.seq))).scalar_one() or 1

    def thoroughly(self) -> None:
        """Column by column."""
        for row, matches in _rows(self._connection, true()):
            self._see(row, matches)

    def quickly(self) -> bool:
        """Column by column where there is something to see; whether that was possible."""
        others = _rows(self._connection, not_(PLAIN))
        row, matches = next(others, (None, []))
        chains, allowed, other = self._chains, self._allowed, row.seq if row is not None else self._total + 1
        due = self._due
        try:
            with plain_rows(self._connection) as (plains, found):
                match = next(found, _LAST)
                for plain in plains:
                    seq = plain[0]
                    while row is not None and other < seq:
                        self._see(row, matches)
                        row, matches = next(others, (None, []))
                        other = row.seq if row is not None else self._total + 1
                    held = _NONE
                    while match[0] <= seq:
                        # Those before it are of no plain entry.
                        if match[0] == seq:
                            held = [*held, tuple(match[1:])]
                        match = next(found, _LAST)
                    if not sound(chains[plain[1]], plain, held, allowed):
                        self._again(seq)
                    if seq >= due:
                        self._tell(seq)
                        due = self._due
        except sqlite3.Error:
            return False
        while row is not None:
            self._see(row, matches)
            row, matches = next(others, (None, []))
        return True

    def _again(self, seq: int) -> None:
        for row, matches in _rows(self._connection, entry_table.c.seq == seq):
            self._see(row, matches)

    def _tell(self, seq: int) -> None:
        self._progress(seq / self._total)
        self._due = seq + AT_ONCE

    def _see(self, row: Row[Any], matches: list[tuple[Any, ...]]) -> None:
        chain = self._chains[row.writer]
        chain.allowed = self._allowed
        if chain.broken is None:
            _follow(chain, row, matches)
        if row.seq >= self._due:
            self._tell(row.seq)


def _follow(chain: Seen, row: Row[Any], matches: list[tuple[Any, ...]]) -> None:
    """The next row of a chain: another sound entry, or where the chain breaks."""
    reason = _defect(chain, row, matches)
    if reason is None:
        noted = chain.noted.get(row.number) if chain.noted else None
        if noted is not None and noted != row.hash:
            reason = "it or one before it was rewritten since the head was taken"
    if reason is not None:
        # A gap is named by the entry that is missing.
        number = row.number if isinstance(row.number, int) else chain.count + 1
        chain.broken = Break(str(row.writer), min(number, chain.count + 1), reason)
        return
    chain.end(row.number, row.hash, row.at)


def _defect(chain: Seen, row: Row[Any], matches: list[tuple[Any, ...]]) -> str | None:
    """What is wrong with the row that should be next in `chain`, or None."""
    try:
        if row.number != chain.count + 1:
            return "it was added" if row.number <= chain.count else f"it is missing: entry {row.number} comes next"
        if row.previous != chain.last:
            return "it does not follow the entry before it"
        if row.schema != SCHEMA:
            return _old_defect(chain, row, matches)
        return _altered(chain, row) or _content_defect(chain, row, matches)
    except WRONG:
        return "its content is no record"


def _allowed(chain: Seen, row: Row[Any]) -> set[str]:
    """The parts that may be missing in a row."""
    return chain.allowed.parts(row.writer, row.number, row.at, None if row.event is not None else row.action)


def _altered(chain: Seen, row: Row[Any]) -> str | None:
    """What differs of a row of today's schema from what its hash says, but for its content."""
    if row.hash != chained_hash(chain.last, header(dict(zip(HEADER, row, strict=False)))) or row.body is not None:
        return "its content does not have its hash"
    if row.caller_salt is None and row.org is None and row.key_id is None:
        return None if "caller" in _allowed(chain, row) else TAKEN_OUT.format("who asked")
    if row.caller_digest != digest(caller_part(row.org, row.key_id, row.caller_salt)):
        return "who asked is not who its hash says"
    return "its time is before that of the entry before it" if row.at < chain.at else None


def _content_defect(chain: Seen, row: Row[Any], matches: list[tuple[Any, ...]]) -> str | None:
    if row.content_digest is None and row.content is None and not matches:
        return None
    if row.content is None and not matches:
        return None if "content" in _allowed(chain, row) else TAKEN_OUT.format("what was found")
    if row.content is None or digest(row.content) != row.content_digest:
        return "what was found is not what its hash says"
    if row.event is not None:
        read_event(row)
        told: list[dict[str, Any]] = []
    else:
        told = match_rows(read_entry(row).record)
    if matches != compared(told):
        return "what queries see of its matches differs from its content"
    return None


def _old_defect(chain: Seen, row: Row[Any], matches: list[tuple[Any, ...]]) -> str | None:
    if row.body is None and row.schema in OLD_SCHEMAS and not matches:
        return None if _allowed(chain, row) else TAKEN_OUT.format("its content")
    if row.hash != old_hash(chain.last, row.body):
        return "its content does not have its hash"
    columns, told = old_columns(row.body)
    differing = [name for name, value in columns.items() if getattr(row, name) != value]
    if matches != compared(told):
        differing.append("matches")
    return f"what queries see of it ({', '.join(differing)}) differs from its content" if differing else None


def _outcome(chains: dict[str, Seen]) -> Verification:
    breaks, found, beyond = [], [], 0
    # Whoever tampers may have named a writer by bytes.
    for writer, chain in sorted(chains.items(), key=lambda item: str(item[0])):
        unseen = max((number for number in chain.noted if number > chain.count), default=None)
        if chain.broken is not None:
            breaks.append(chain.broken)
        elif unseen is not None:
            reason = f"the chain ends before entry {unseen}, which a head knows"
            breaks.append(Break(str(writer), chain.count + 1, reason))
        if chain.count:
            found.append(Head(writer, chain.count, chain.last))
        beyond += chain.count - chain.vouched
    entries = sum(chain.count for chain in chains.values())
    return Verification(entries, tuple(found), tuple(breaks), beyond)


def _rows(connection: Connection, which: ColumnElement[bool]) -> Iterator[tuple[Row[Any], list[tuple[Any, ...]]]]:
    """The entries in order with the rows of their matches."""
    held = select(match_table.c.seq, *(match_table.c[name] for name in MATCH))
    held = held.where(match_table.c.seq.in_(select(entry_table.c.seq).where(which)))
    streamed = connection.execution_options(yield_per=AT_ONCE)
    grouped = groupby(
        streamed.execute(held.order_by(match_table.c.seq, match_table.c.place)), key=lambda match: match.seq
    )
    seq, group = next(grouped, (None, iter(())))
    for row in streamed.execute(ROWS.where(which).order_by(entry_table.c.seq)):
        while seq is not None and seq < row.seq:
            # Of no entry, so no query finds it either.
            seq, group = next(grouped, (None, iter(())))
        if seq == row.seq:
            yield row, [tuple(match)[1:] for match in group]
        else:
            yield row, []
