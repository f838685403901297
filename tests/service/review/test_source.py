"""What the tables answer is what reading the whole ledger would."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.leaks import ACME, ADMIN, GLOBEX, INITECH, Leaks, match_in
from samples.postgresql import empty_postgresql

from guard.ledger import Ledger
from guard.types import Action, MatchKind
from service.review import source
from service.review.counting import unsure
from service.review.filters import LeakFilter
from service.review.leak import Disposition, Severity
from service.review.reviews import Reviews
from service.review.tallies import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.review.viewer import Viewer

ORGS = ("acme", "globex", "initech")
OWNERS = (*(f"org:{org}" for org in ORGS), "license:pylint:GPL-2.0-only", "license:globex:MIT")
ENTRIES = 150


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ledger, Reviews]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('source') / 'ledger.db'}"
    if request.param == "postgresql":
        url = os.environ.get("CLEANROOM_TEST_POSTGRES_URL", "")
        if not url:
            pytest.skip("CLEANROOM_TEST_POSTGRES_URL is not set")
        empty_postgresql(url)
    chance = random.Random(7)  # noqa: S311 - a test's own
    with Ledger(url) as ledger, Reviews(ledger, url) as reviews:
        leaks = Leaks(ledger)
        for number in range(ENTRIES):
            to = chance.choice(ORGS)
            matches = [
                match_in(
                    owner,
                    kind=chance.choice(list(MatchKind)),
                    tokens=chance.choice([40, 80]),
                    similarity=chance.choice([0.7, 1.0]),
                    document=chance.choice(["a.py", "b c.py"]),
                    action=Action.ALLOW if owner == f"org:{to}" else chance.choice([Action.BLOCK, Action.CITE]),
                )
                for owner in chance.sample(OWNERS, chance.randint(0, 3))
            ]
            leak = leaks.write(
                *matches, to=to, model=f"m{number % 3}", release=f"m{number % 2}@1", key_id=f"k{number % 4}"
            )
            entry = ledger.get(leak)
            if entry and entry.record.decision.action is Action.BLOCK and number % 5 == 0:
                reviews.judge(ADMIN, [leak], chance.choice(list(Disposition)))
            if entry and ACME.see(entry, "open") and number % 4 == 0:
                reviews.judge(ACME, [leak], chance.choice(list(Disposition)))
        redacted = ledger.entries(limit=ENTRIES)
        ledger.redact([one.record.decision.id for one in redacted[::19]], ["content"], "a test")
        ledger.redact([one.record.decision.id for one in redacted[::23]], ["caller"], "a test")
        yield ledger, reviews


def brute(ledger: Ledger, reviews: Reviews, viewer: Viewer, wanted: LeakFilter) -> list[str]:
    entries = ledger.entries(limit=ENTRIES, newest_first=True)
    said = reviews._judgements.standing(viewer, {one.record.decision.id for one in entries})
    seen = [viewer.see(one, said.get(one.record.decision.id, Disposition.OPEN).value) for one in entries]
    return [leak.id for leak in seen if leak is not None and wanted.meant(leak)]


def one_of(*values: object) -> st.SearchStrategy[object]:
    return st.none() | st.sampled_from(values)


FILTERS = st.builds(
    LeakFilter,
    org=one_of(*ORGS),
    owner=one_of("globex", "pylint", *OWNERS),
    kind=one_of(*(kind.value for kind in MatchKind)),
    license=one_of("GPL-2.0-only", "MIT"),
    severity=one_of(*Severity),
    disposition=one_of(*Disposition),
    key=one_of("k0", "k3"),
    model=one_of("m1", "m1@1"),
)
VIEWERS = st.sampled_from([ACME, GLOBEX, ADMIN, replace(ACME, identities=True), replace(GLOBEX, identities=True)])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(viewer=VIEWERS, wanted=FILTERS, limit=st.sampled_from([1, 7, 500]))
def test_pages_have_what_the_whole_ledger_has(
    filled: tuple[Ledger, Reviews], viewer: Viewer, wanted: LeakFilter, limit: int
) -> None:
    ledger, reviews = filled
    found, cursor = [], None
    while True:
        page = reviews.page(viewer, wanted, cursor=cursor, limit=limit)
        found += [leak.id for leak in page.leaks]
        cursor = page.next
        if cursor is None:
            break
    assert found == brute(ledger, reviews, viewer, wanted)


@pytest.mark.parametrize("few", [0, 5, 10_000])
def test_a_period_is_found_whatever_its_size(
    filled: tuple[Ledger, Reviews], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "FEW", few)
    ledger, reviews = filled
    times = sorted(datetime.fromisoformat(one.at) for one in ledger.entries(limit=ENTRIES))
    first, last = times[ENTRIES // 3], times[2 * ENTRIES // 3]
    for wanted in (LeakFilter(since=first), LeakFilter(until=last), LeakFilter(since=first, until=last)):
        expected = brute(ledger, reviews, ADMIN, wanted)
        assert 0 < len(expected) < ENTRIES
        assert [leak.id for leak in reviews.all(ADMIN, wanted)] == expected
    assert list(reviews.all(ADMIN, LeakFilter(until=first - timedelta(days=1)))) == []


@pytest.mark.parametrize("viewer", [ACME, GLOBEX, INITECH, ADMIN, replace(GLOBEX, identities=True)])
@pytest.mark.parametrize("part", [(0, 1), (0.2, 0.7)])
def test_the_database_counts_as_somebody_who_reads_all(
    filled: tuple[Ledger, Reviews], viewer: Viewer, part: tuple[float, float]
) -> None:
    ledger, reviews = filled
    times = sorted(datetime.fromisoformat(one.at) for one in ledger.entries(limit=ENTRIES))
    since, until = (times[int(share * (ENTRIES - 1))] for share in part)
    expected = Counted()
    for leak in reviews.all(viewer, LeakFilter(since=since, until=until)):
        expected.add(leak)
    assert expected.total
    assert reviews.counted(viewer, since, until) == expected


def test_some_leaks_of_an_owner_are_read_one_by_one(filled: tuple[Ledger, Reviews]) -> None:
    _, reviews = filled
    with reviews._database.reading() as connection:
        assert unsure(connection, GLOBEX, "2", "3")
