"""Documents whose copies may pass: what else there is of them counts as if they had never been indexed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.code import METHOD, PYTHON, SETTLEMENT, UNRELATED, renamed
from samples.indexed import ACME, BETA, COMMONS, Indexed

from guard.check import GuardQuery
from guard.errors import StoreUnavailableError
from guard.exemptions import Exemption, counted
from guard.layout import OWNER_BITS, TOKENS
from guard.types import Action, Match, Owner
from guard.watch import EARLY, LATE

if TYPE_CHECKING:
    from pathlib import Path

    from guard.store import Store
    from guard.types import Decision

GPL = Owner.licensed("pylint", "GPL-2.0-only")
BSD = Owner.licensed("flask", "BSD-3-Clause")
SECRET = 'API_KEY = "3fa9c1e07b5d48e2a6f0913c7de4b852"\n'
PIECES = (METHOD, SETTLEMENT, UNRELATED, SECRET)
LEDGER = Exemption("exc_1", ACME, "ledger.py")


@dataclass(frozen=True)
class Document:
    owner: Owner
    path: str
    text: str


documents = st.lists(
    st.builds(
        Document,
        st.sampled_from([ACME, BETA, COMMONS, GPL, BSD]),
        st.sampled_from(["a.py", "b.py", "c.py"]),
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=3, unique=True).map("\n".join),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: (one.owner, one.path),
)
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3, unique=True).map("\n".join)


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    return indexed


def checked(indexed: Indexed, text: str, *exempt: Exemption, caller: str = "gamma", prefix: str = "") -> Decision:
    return indexed.guard.check(GuardQuery(text, caller, prefix, "python", exempt=frozenset(exempt)))


def told(decision: Decision) -> list[Match]:
    """The matches that let nothing pass."""
    return [match for match in decision.matches if match.exception is None]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents, st.data(), texts, st.sampled_from([str, renamed]))
def test_what_is_found_is_what_an_index_without_the_document_finds(
    embedded_store: Store, home: Path, there: list[Document], data: st.DataObject, text: str, disguise: type[str]
) -> None:
    """Whole and as a stream, whatever overlaps, and whoever else holds it; in an index of the same size.

    Or what an index finds in which it is commons, where it counts as that.
    """
    embedded_store.writer.flushall()
    indexed = Indexed(embedded_store, home / str(len(list(home.parent.rglob("*")))))
    for one in there:
        indexed.add(one.owner, one.path, one.text)
    chosen = data.draw(st.lists(st.sampled_from(there), unique=True))
    public = data.draw(st.sets(st.sampled_from(range(max(1, len(chosen))))))
    exempt = frozenset(
        Exemption(f"exc_{number}", one.owner, one.path, commons=number in public) for number, one in enumerate(chosen)
    )
    query = GuardQuery(disguise(text), "gamma", "", "python", exempt=exempt)
    caution = data.draw(st.sampled_from([EARLY, LATE]))
    lines = list(accumulate(query.text.splitlines(keepends=True)))

    decision = indexed.guard.check(query)
    watch = indexed.guard.watch(replace(query, text=""), caution)
    holds = [watch.look(line) for line in lines]
    size = int(indexed.store.reader.get(TOKENS))
    for number, one in enumerate(chosen):
        assert indexed.index.remove(one.owner, one.path)
        if number in public:
            indexed.add(Owner.commons("judged"), f"{number}.py", one.text)
    indexed.grow(size)
    without = indexed.guard.check(replace(query, exempt=frozenset()))
    watch = indexed.guard.watch(replace(query, text="", exempt=frozenset()), caution)

    assert (decision.action, told(decision)) == (without.action, list(without.matches))
    assert holds == [watch.look(line) for line in lines]
    commons = {one.id for one in exempt if one.commons}
    meant = {(one.owner, one.path): {one.id} for one in exempt}
    for match in decision.matches:
        if match.exception is not None:
            assert match.action is Action.ALLOW
            assert match.exception in meant.get((match.owner, match.document), commons)


def test_a_copy_of_an_exempt_document_passes_and_its_exemption_is_named(indexed: Indexed) -> None:
    (leak,) = checked(indexed, METHOD).matches
    decision = checked(indexed, METHOD, LEDGER)
    assert decision.action is Action.ALLOW
    assert decision.matches == (replace(leak, action=Action.ALLOW, exception="exc_1"),)
    assert decision.to_json()["matches"][0]["exception"] == "exc_1"
    assert "exception" not in leak.to_json()
    assert checked(indexed, UNRELATED, LEDGER).matches == ()


def test_a_secret_of_an_exempt_document_passes_and_that_of_another_does_not(indexed: Indexed) -> None:
    indexed.add(ACME, "keys.py", SECRET)
    keys = Exemption("exc_2", ACME, "keys.py")
    decision = checked(indexed, SECRET, keys)
    assert (decision.action, [match.exception for match in decision.matches]) == (Action.ALLOW, ["exc_2"])
    indexed.add(BETA, "keys.py", SECRET)
    decision = checked(indexed, SECRET, keys)
    assert decision.action is Action.BLOCK
    assert [(str(match.owner), match.exception) for match in decision.matches] == [
        ("org:beta", None),
        ("org:acme", "exc_2"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        Exemption("exc_1", BETA, "ledger.py"),
        Exemption("exc_1", ACME, "ledger.pyi"),
        Exemption("exc_1", Owner.commons("acme"), "ledger.py"),
        Exemption("exc_1", Owner.licensed("acme", "MIT"), "ledger.py"),
    ],
    ids=["owner", "path", "commons", "licence"],
)
def test_an_exemption_is_for_its_document_alone(indexed: Indexed, other: Exemption) -> None:
    assert checked(indexed, METHOD, other).action is Action.BLOCK
    indexed.add(BETA, "copy.py", PYTHON)
    assert checked(indexed, METHOD, LEDGER).action is Action.BLOCK


def test_licensed_code_that_is_exempt_excuses_no_private_code(indexed: Indexed) -> None:
    """What is publicly licensed is no secret; of what counts as not there, that is not said."""
    indexed.add(GPL, "a.py", PYTHON)
    indexed.add(BETA, "b.py", PYTHON)
    public = Exemption("exc_3", GPL, "a.py")
    assert {str(match.owner) for match in checked(indexed, METHOD).matches} == {str(GPL)}
    assert {str(match.owner) for match in told(checked(indexed, METHOD, public))} == {"org:acme", "org:beta"}


def test_what_counts_as_commons_excuses_all_that_hold_it_and_the_ledger_tells_them(indexed: Indexed) -> None:
    indexed.add(BETA, "copy.py", PYTHON + SETTLEMENT + SECRET)
    indexed.add(ACME, "keys.py", SECRET)
    public = {replace(LEDGER, commons=True), Exemption("exc_2", ACME, "keys.py", commons=True)}
    decision = checked(indexed, METHOD + SECRET, *public)
    assert decision.action is Action.ALLOW
    assert {(str(match.owner), match.document) for match in decision.matches} == {
        ("org:acme", "ledger.py"),
        ("org:acme", "keys.py"),
        ("org:beta", "copy.py"),
    }
    assert {match.exception for match in decision.matches} == {"exc_1", "exc_2"}
    decision = checked(indexed, SETTLEMENT, *public)
    assert (decision.action, [match.exception for match in decision.matches]) == (Action.BLOCK, [None])


def test_code_of_an_owner_that_no_index_knows_is_not_taken_for_commons(indexed: Indexed) -> None:
    """As a damaged store could have it."""
    hits = indexed.index.lookup(indexed.digester.probes(METHOD, "python")[0].fingerprints.names)
    nobodys = replace(hits, postings=hits.postings >> np.uint64(OWNER_BITS) << np.uint64(OWNER_BITS))
    with pytest.raises(StoreUnavailableError, match="owner"):
        counted(indexed.index, frozenset({replace(LEDGER, commons=True)}), nobodys)


def test_a_use_that_only_the_closer_look_sees_is_named(indexed: Indexed) -> None:
    """Whatever line the copy begins with."""
    lines = METHOD.splitlines(keepends=True)
    for first in range(len(lines) - 4):
        text = "".join(lines[first : first + 8])
        (blocked, passed) = checked(indexed, text), checked(indexed, text, LEDGER)
        assert passed.action is Action.ALLOW
        assert bool(passed.matches) == (blocked.action is Action.BLOCK)


def test_an_exemption_follows_its_path_through_changes_of_the_index(indexed: Indexed) -> None:
    assert checked(indexed, METHOD, LEDGER).action is Action.ALLOW
    indexed.add(ACME, "ledger.py", PYTHON + "\n\nx = 1\n")
    assert checked(indexed, METHOD, LEDGER).action is Action.ALLOW
    assert indexed.index.remove(ACME, "ledger.py")
    indexed.add(ACME, "moved.py", PYTHON)
    assert checked(indexed, METHOD, LEDGER).action is Action.BLOCK


def test_of_two_exemptions_of_a_document_one_is_named(indexed: Indexed) -> None:
    decision = checked(indexed, METHOD, LEDGER, replace(LEDGER, id="exc_0"))
    assert [match.exception for match in decision.matches] == ["exc_1"]


def test_streams_of_those_for_whom_it_counts_go_on_beside_those_that_are_held(indexed: Indexed) -> None:
    """Both are looked at together, and see the same answer of the index."""
    query = GuardQuery("", "gamma", "", "python")
    held, free = (
        indexed.guard.watch(replace(query, exempt=some), EARLY)
        for some in (frozenset[Exemption](), frozenset({LEDGER}))
    )
    holds = [indexed.guard.look([(held, text), (free, text)]) for text in accumulate(METHOD.splitlines(keepends=True))]
    assert any(one.suspect for one, _ in holds)
    assert max(one.safe for one, _ in holds) < len(METHOD) // 2
    assert not any(one.suspect for _, one in holds)
    assert holds[-1][1].safe == len(METHOD)
