"""What a decision says of its matches, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import METHOD, PYTHON
from samples.indexed import ACME, COMMONS, Indexed

from guard.tokens import lex
from guard.types import Owner
from guard.winnowing import W

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    return indexed


def test_a_leak_begins_behind_what_is_common(embedded_store: Store, home: Path) -> None:
    """A private document of which one half is common: that half is neither in the span nor counted."""
    indexed = Indexed(embedded_store, home)
    cut = PYTHON.index(METHOD)
    public, private = PYTHON[:cut], PYTHON[cut:]
    indexed.add(COMMONS, "public.py", public)
    indexed.add(ACME, "whole.py", PYTHON)
    (match,) = indexed.check(PYTHON, language="python").matches
    assert match.owner == ACME
    starts = lex(PYTHON, "python").code.starts
    # Either document's edge may be W - 1 tokens early.
    begun, first = np.searchsorted(starts, [match.start, cut])
    assert first - 2 * (W - 1) <= begun <= first
    (alone,) = indexed.check(private, language="python").matches
    assert alone.tokens <= match.tokens <= alone.tokens + 2 * (W - 1)


def test_every_organization_whose_code_would_leak_is_named(indexed: Indexed) -> None:
    owners = [Owner.organization(f"org-{number}") for number in range(12)]
    for owner in owners:
        for copy in range(3):
            indexed.add(owner, f"copy{copy}.py", METHOD)
    matches = indexed.check(METHOD, language="python").matches
    assert {match.owner for match in matches} == {ACME, *owners}
    assert len(matches) == len(set(matches))


def test_a_suspicion_costs_one_more_round_trip_and_no_third(indexed: Indexed) -> None:
    """Texts that are ever shorter pieces of a document: clear copies, doubtful ones, none."""
    indexed.check(METHOD, language="python")  # who the owners are is asked once
    looks: list[int] = []
    writer: Any = indexed.store.writer
    for lines in range(1, METHOD.count("\n")):
        before = writer.info("stats")["total_reads_processed"]
        indexed.check("".join(METHOD.splitlines(keepends=True)[:lines]), language="python")
        looks.append(writer.info("stats")["total_reads_processed"] - before - 1)
    assert set(looks) == {1, 2}
