from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from samples.leaks import ACME, ADMIN, GLOBEX, INITECH, Leaks, match_in

from service.review.alerts import MODEL_LEAKS, PROBING_LEAKS, SPIKE_LEAKS, WALKING_LEAKS, AlertKind, worse

if TYPE_CHECKING:
    from service.review.reviews import Reviews


def noticed(reviews: Reviews, *, later: timedelta = timedelta(0)) -> set[AlertKind]:
    return set(reviews.alerts.notice(datetime.now(UTC) + later))


def probe(leaks: Leaks, count: int, *, documents: bool = True) -> None:
    matches = [match_in("org:globex", document=f"{number if documents else 0}.py") for number in range(count)]
    leaks.ledger.append_all([leaks.record(match, to="acme") for match in matches])


def test_a_key_that_probes_is_noticed_once_a_day(reviews: Reviews, leaks: Leaks) -> None:
    probe(leaks, PROBING_LEAKS - 1)
    assert AlertKind.PROBING not in noticed(reviews)
    probe(leaks, 1)
    assert AlertKind.PROBING in noticed(reviews)
    assert noticed(reviews) == set()
    assert noticed(reviews, later=timedelta(hours=2)) == set()


def test_walking_along_one_document_is_noticed_sooner(reviews: Reviews, leaks: Leaks) -> None:
    probe(leaks, WALKING_LEAKS)
    assert noticed(reviews) == set()
    probe(leaks, WALKING_LEAKS, documents=False)
    assert AlertKind.WALKING in noticed(reviews)


def test_licensed_code_is_no_probe(reviews: Reviews, leaks: Leaks) -> None:
    leaks.ledger.append_all([leaks.record("license:pylint:GPL-2.0-only") for _ in range(3 * PROBING_LEAKS)])
    assert noticed(reviews) == set()


def test_a_pair_that_spikes_is_noticed(reviews: Reviews, leaks: Leaks) -> None:
    probe(leaks, SPIKE_LEAKS)
    assert noticed(reviews) == {AlertKind.PAIR_SPIKE}
    (alert,) = reviews.alerts.listed(ADMIN)
    assert alert.details == {"caller": "acme", "owner": "org:globex", "leaks": SPIKE_LEAKS, "usual": 0.0}


def test_only_those_whom_it_concerns_are_told(reviews: Reviews, leaks: Leaks) -> None:
    probe(leaks, PROBING_LEAKS, documents=False)
    assert noticed(reviews) == {AlertKind.PROBING, AlertKind.WALKING, AlertKind.PAIR_SPIKE}
    assert len(reviews.alerts.listed(ADMIN)) == 3
    told = reviews.alerts.listed(ACME)
    assert {alert.kind for alert in told} == {AlertKind.PROBING, AlertKind.WALKING}
    assert "globex" not in json.dumps([alert.to_json() for alert in told])
    assert reviews.alerts.listed(GLOBEX) == reviews.alerts.listed(INITECH) == ()
    assert reviews.alerts.listed(ADMIN, datetime.now(UTC) + timedelta(minutes=1)) == ()


def test_a_release_that_leaks_more_than_the_one_before_is_noticed(reviews: Reviews, leaks: Leaks) -> None:
    def served(release: str, count: int, leaking: int) -> None:
        owners = [["license:pylint:GPL-2.0-only"]] * leaking + [[]] * (count - leaking)
        leaks.ledger.append_all([leaks.record(*of, release=release) for of in owners])

    served("joint@1", 300, 5)
    served("other@1", 300, 200)
    served("joint@2", 300, 6)
    assert noticed(reviews) == set()
    served("joint@3", 300, 40)
    assert noticed(reviews) == {AlertKind.MODEL_REGRESSION}
    (alert,) = reviews.alerts.listed(ADMIN)
    assert (alert.subject, alert.details["before"], alert.details["leaks"]) == ("joint@3", "joint@2", 40)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((MODEL_LEAKS + 2, 100, 0, 100), True),
        ((MODEL_LEAKS - 1, 100, 0, 100), False),
        ((20, 1000, 15, 1000), False),
        ((30, 1000, 16, 1000), False),
        ((100, 1000, 20, 1000), True),
        ((12, 12, 0, 12), True),
        ((12, 12, 12, 12), False),
    ],
)
def test_chance_is_no_regression(numbers: tuple[int, int, int, int], expected: bool) -> None:  # noqa: FBT001 - what is expected
    assert worse(*numbers) is expected
