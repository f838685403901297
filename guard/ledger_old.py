"""Entries of schemas 1 and 2, whose canonical JSON was stored whole (`body`): all in one chain, that of FIRST_WRITER.

They keep their bodies, so that heads noted down before still hold; their columns repeat parts of the body.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from guard.ledger_form import decision_columns, match_rows
from guard.ledger_rows import WRONG, read_body
from guard.ledger_schema import entry_table, match_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE = 1000
COLUMNS = (
    "schema",
    "disposition",
    "severity",
    "kind",
    "tokens",
    "surface",
    "model",
    "release",
    "index_version",
    "checked_tokens",
    "guard_us",
    "released_characters",
    "generated_characters",
    "key_id",
)
"""The columns that came with schema 3 and repeat parts of a body; the others were there before."""
_BEFORE = ("decision_id", "action", "org")


def old_hash(previous: str, body: str) -> str:
    """The hash of an entry whose canonical JSON is `body`, after the hash `previous`; both hex."""
    return sha256(bytes.fromhex(previous) + body.encode("utf-8", "surrogateescape")).hexdigest()


def old_columns(body: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The columns that repeat parts of `body`, and the rows of its matches. Raises one of WRONG."""
    record, data = read_body(body), json.loads(body)
    known = {**decision_columns(record), "schema": data["schema"]}
    columns = {name: known[name] for name in (*COLUMNS, *_BEFORE)}
    return {**columns, "number": data["seq"], "at": data["at"]}, match_rows(record)


def fill(connection: Connection) -> None:
    """Fill the columns of all entries that have a body, and the rows of their matches.

    What cannot be read stays as it is: `verify` names it.
    """
    table, after = entry_table, 0
    named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in COLUMNS}
    change = update(table).where(table.c.seq == bindparam("row")).values(named)
    while True:
        page = select(table.c.seq, table.c.body).where(table.c.seq > after, table.c.body.is_not(None))
        rows = connection.execute(page.order_by(table.c.seq).limit(PAGE)).all()
        if not rows:
            return
        changes, matches = [], []
        for row in rows:
            try:
                columns, found = old_columns(row.body)
            except WRONG:
                continue
            changes.append({f"new_{name}": columns[name] for name in named} | {"row": row.seq})
            matches += [{**match, "seq": row.seq} for match in found]
        if changes:
            connection.execute(change, changes)
        if matches:
            connection.execute(insert(match_table), matches)
        after = rows[-1].seq
