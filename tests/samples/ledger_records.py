"""Records of decisions for tests of the ledger."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import strategies as st

from guard.ledger import LedgerRecord
from guard.types import Action, Decision, Match, MatchKind, Owner


def record(number: int, action: Action = Action.BLOCK, owner: str = "globex", org: str = "acme") -> LedgerRecord:
    found = Match(MatchKind.RENAMED, 3, 90, 41, 0.875, Owner.organization(owner), "src/a.py", None, action, "private")
    decision = Decision(f"decision-{number}", action, () if action is Action.ALLOW else (found,), 60, 1.25, 7)
    return LedgerRecord(decision, org, "key-1", "model", "completions", "trimmed", 12, 90)


# No database that knows text holds NUL in it (tests/guard/test_ledger.py).
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
counts = st.integers(0, 1 << 31)
slugs = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
owners = st.builds(Owner.organization, slugs) | st.builds(Owner.licensed, slugs, st.just("MIT OR GPL-2.0-only"))
# A decision's JSON keeps four digits of a similarity and three of a time.
similarities = st.integers(0, 10**4).map(lambda number: number / 10**4)
times = st.integers(0, 10**6).map(lambda number: number / 10**3)
matches = st.builds(
    Match,
    st.sampled_from(MatchKind),
    counts,
    counts,
    counts,
    similarities,
    owners,
    # Paths of Linux are bytes: Python gives undecodable ones as surrogates.
    st.text(st.characters(exclude_categories=())),
    st.none() | st.just("GPL-2.0-only"),
    st.sampled_from(Action),
    names,
    st.none() | st.just("exc_1"),
)
decisions = st.builds(
    Decision,
    # Every example must be a new decision, in replays too.
    st.builds(lambda: uuid4().hex),
    st.sampled_from(Action),
    st.lists(matches, max_size=3).map(tuple),
    counts,
    times,
    counts,
)
records = st.builds(
    LedgerRecord,
    decisions,
    slugs,
    st.none() | slugs,
    names,
    names,
    st.sampled_from(["released", "cited", "trimmed", "withheld"]),
    counts,
    counts,
    st.none() | names,
    st.none() | names,
)
