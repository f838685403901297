"""The ledger's tables, and what a review may choose entries by. Does not know how they are opened, written or chained.

`entry_table` (`ledger_entries`), one row an entry. Rows are only ever added; redaction empties two parts of a row.

- `seq`: the row's number in this database, in the order of writing, for paging. No part of the chain.
- `writer`, `number`: the chain, one for each process that writes, and the place in it, from 1.
- `event`: NULL for a decision, else what happened (`redaction`, ...): `content` says more, the rest is empty.
- `at`: when it was written, UTC, ISO 8601 with microseconds, of one length: it sorts as text.
- `decision_id`, `action` (`allow`, `cite`, `block`), `disposition` (guard.ledger_entry.DISPOSITIONS), `surface`.
- `severity`: `low`, `medium` or `high` for whatever was cited or blocked (guard.ledger_entry.severity), else NULL. A
  leak is an entry whose severity is not NULL: say `severity IS NOT NULL`, and the indexes of leaks are used.
- `kind`: the closest kind of the matches (`exact`, `renamed`, `near`), NULL without any; `tokens`: the most of a match.
- `org`, `key_id`: the caller; NULL once redacted.
- `model`, `release`: the name that clients see (an adapter's own, where it has one) and the signed release behind it.
- `index_version`, `policy`: the index, and the digest of the caller's licence policy, NULL before schema 3.
- `checked_tokens`, `guard_us` (microseconds), `released_characters`, `generated_characters`.
- `content`: the matches, or what an event says, as JSON; NULL without any, or once redacted.
- `caller_salt`, `caller_digest`, `content_digest`, `previous`, `hash`, `schema`, `body`: the chain (guard.ledger_form).

`match_table` (`ledger_matches`), one row a match of a decision, for queries alone: `seq` of the entry, `place` in it,
`owner` (as `str(Owner)` writes it: `org:acme`), `kind`, `license` (the document's, else its owner's; NULL for private
code), `action`, `document`, `tokens`. Gone once redacted.

`head_table` (`ledger_heads`), one row a signed head of a chain: `writer`, `entries`, `hash`, `at`, the public `key`,
its `signature`, and `exported`, when it had been taken in by all who are to keep it, NULL until then.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData()

# In SQLite only INTEGER is the row's own number; BIGINT would let any value in.
_ROW = BigInteger().with_variant(Integer, "sqlite")

entry_table = Table(
    "ledger_entries",
    metadata,
    Column("seq", _ROW, primary_key=True),
    Column("writer", String(32), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("event", String(32)),
    Column("at", String(40), nullable=False),
    Column("decision_id", String(128), nullable=False),
    Column("action", String(16), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("severity", String(8)),
    Column("kind", String(16)),
    Column("tokens", BigInteger, nullable=False),
    Column("surface", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("release", Text),
    Column("index_version", BigInteger, nullable=False),
    Column("policy", Text),
    Column("checked_tokens", BigInteger, nullable=False),
    Column("guard_us", BigInteger, nullable=False),
    Column("released_characters", BigInteger, nullable=False),
    Column("generated_characters", BigInteger, nullable=False),
    Column("org", String(63)),
    Column("key_id", Text),
    Column("caller_salt", String(32)),
    Column("caller_digest", String(64)),
    Column("content", Text),
    Column("content_digest", String(64)),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text),
    UniqueConstraint("decision_id", name="ledger_entries_by_decision"),
    UniqueConstraint("writer", "number", name="ledger_entries_by_chain"),
)
for _name in ("at", "action", "org"):
    Index(f"ledger_entries_by_{_name}", entry_table.c[_name], entry_table.c.seq)
_event = entry_table.c.event.is_not(None)
Index("ledger_events", entry_table.c.event, entry_table.c.seq, sqlite_where=_event, postgresql_where=_event)
# What is allowed, nearly everything, does not pay for what reviews ask.
_leak = entry_table.c.severity.is_not(None)
Index("ledger_leaks", entry_table.c.seq, sqlite_where=_leak, postgresql_where=_leak)
for _name in ("at", "org", "severity", "kind", "disposition", "model", "release", "key_id"):
    Index(
        f"ledger_leaks_by_{_name}",
        entry_table.c[_name],
        entry_table.c.seq,
        sqlite_where=_leak,
        postgresql_where=_leak,
    )

match_table = Table(
    "ledger_matches",
    metadata,
    Column("seq", BigInteger, ForeignKey(entry_table.c.seq), primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("license", Text),
    Column("action", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)
Index("ledger_matches_by_owner", match_table.c.owner, match_table.c.seq)
Index("ledger_matches_by_license", match_table.c.license, match_table.c.seq)

head_table = Table(
    "ledger_heads",
    metadata,
    Column("id", _ROW, primary_key=True),
    Column("writer", String(32), nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    Column("key", String(80), nullable=False),
    Column("signature", String(128), nullable=False),
    Column("exported", String(40)),
)
_waiting = head_table.c.exported.is_(None)
Index("ledger_heads_to_export", head_table.c.id, sqlite_where=_waiting, postgresql_where=_waiting)
