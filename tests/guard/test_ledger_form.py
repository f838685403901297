"""Entries as they are hashed and exported."""

from __future__ import annotations

import hashlib
import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from samples.ledger_records import record, records, similarities

from guard.ledger import Head, Ledger, LedgerRecord
from guard.ledger_form import HEADER, caller_part, canonical, decision_columns, header, linked
from guard.types import Action


def test_an_export_can_be_verified_with_nothing_but_sha256(ledger: Ledger) -> None:
    for number in range(5):
        ledger.append(record(number, Action.ALLOW if number == 3 else Action.BLOCK))
    last = "0" * 64
    for line in ledger.export():
        document = json.loads(line)
        assert document["previous"] == last
        entry = line.partition('{"entry":')[2].rpartition(',"hash":')[0]
        assert json.loads(entry) == document["entry"]
        last = hashlib.sha256(bytes.fromhex(last) + entry.encode()).hexdigest()
        assert document["hash"] == last
        for part in ("caller", "content"):
            told = document[part] and hashlib.sha256(document[part].encode()).hexdigest()
            assert document["entry"][f"{part}_digest"] == told
    assert ledger.heads() == (Head(ledger.writer, 5, last),)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | similarities,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(json_values)
def test_canonical_json_is_that_of_rfc_8785(value: object) -> None:
    assert canonical(value).encode() == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(records)
def test_a_header_is_canonical(given_record: LedgerRecord) -> None:
    row = linked(decision_columns(given_record), "w1", 1, "2026-01-01T00:00:00.000000+00:00", "0" * 64)
    assert header(row).encode() == rfc8785.dumps({name: row[name] for name in HEADER})
    assert caller_part(row["org"], row["key_id"], row["caller_salt"]) == canonical(
        {"org": row["org"], "key_id": row["key_id"], "salt": row["caller_salt"]}
    )
