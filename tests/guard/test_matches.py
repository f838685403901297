"""What a decision says of its matches, and what that costs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import METHOD, PYTHON
from samples.indexed import ACME, COMMONS, Indexed

from guard.matches import MATCHES, strongest
from guard.tokens import lex
from guard.types import Action, Match, MatchKind, Owner, OwnerKind
from guard.winnowing import W

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store


OWNERS = [Owner.organization(f"org-{number}") for number in range(4)] + [Owner.licensed("lib", "MIT")]


def match_of(owner: Owner, path: int, start: int, tokens: int, similarity: float) -> Match:
    """A match of an organization, which is a leak, or one of licensed code, which is to be cited."""
    leaks = owner.kind is OwnerKind.ORGANIZATION
    return Match(
        kind=MatchKind.NEAR,
        start=start,
        end=start + 10 * tokens,
        tokens=tokens,
        similarity=similarity,
        owner=owner,
        document=f"{path}.py",
        license=owner.license,
        action=Action.BLOCK if leaks else Action.CITE,
        reason="",
    )


found = st.lists(
    st.builds(
        match_of,
        st.sampled_from(OWNERS),
        st.integers(0, 50),
        st.integers(0, 300),
        st.integers(26, 60),
        st.sampled_from([0.5, 0.8, 1.0]),
    ),
    max_size=24,
    unique_by=lambda match: (match.owner, match.document),
)


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
    """Pieces of a document: clear copies, doubtful ones, none."""
    indexed.check(METHOD, language="python")  # who the owners are is asked once
    looks: list[int] = []
    writer: Any = indexed.store.writer
    lines = PYTHON.splitlines(keepends=True)
    for first, last in combinations(range(len(lines)), 2):
        before = writer.info("stats")["total_reads_processed"]
        indexed.check("".join(lines[first:last]), language="python")
        looks.append(writer.info("stats")["total_reads_processed"] - before - 1)
    assert set(looks) == {1, 2}


def strength(match: Match) -> float:
    return match.tokens * match.similarity


@given(found)
def test_of_many_matches_the_strongest_and_the_earliest_are_named(matches: list[Match]) -> None:
    """Leaks before citations, the strongest first; and whatever trimming and disclosure must not miss."""
    named = strongest(list(matches))
    assert set(named) <= set(matches)
    assert len(named) == len(set(named))
    best, rest = named[:MATCHES], named[MATCHES:]
    ranks = [(match.action is not Action.BLOCK, -strength(match)) for match in matches]
    assert [(match.action is not Action.BLOCK, -strength(match)) for match in best] == sorted(ranks)[:MATCHES]
    leaks = [match for match in matches if match.action is Action.BLOCK]
    assert min((match.start for match in named if match in leaks), default=0) == min(
        (match.start for match in leaks), default=0
    )
    assert {match.owner.kind for match in named} == {match.owner.kind for match in matches}
    for owner in {match.owner for match in leaks if match.owner.kind is OwnerKind.ORGANIZATION}:
        strongest_leak = max(strength(match) for match in leaks if match.owner == owner)
        assert max(strength(match) for match in named if match.owner == owner) == strongest_leak
    assert len(rest) <= 1 + len(OwnerKind) + len({match.owner for match in leaks})


def test_what_a_prompt_holds_twice_does_not_hide_what_comes_behind(embedded_store: Store, home: Path) -> None:
    """The prompt ends in a piece of the file that has the shape of the line before the piece that is drawn again."""
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    place = PYTHON.index("self.accounts = {")
    (shape,) = (line for line in PYTHON.splitlines(keepends=True) if line.lstrip().startswith("def settle("))
    prompt = PYTHON[: place + 380] + "\n        return True\n\n" + shape
    for start in range(place - 40, place + 1, 4):
        decision = indexed.check(PYTHON[start : start + 400], prefix=prompt, language="python")
        assert decision.action is Action.BLOCK
