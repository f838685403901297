from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from samples.leaks import ACME, ADMIN, GLOBEX, INITECH, Leaks, match_in

from guard.types import Action, MatchKind
from service.errors import InvalidRequestError, NotFoundError
from service.review.filters import LeakFilter
from service.review.leak import Disposition, Role, Severity
from service.review.reviews import LOOKED_AT, Reviews

if TYPE_CHECKING:
    from service.review.viewer import Viewer


def ids(reviews: Reviews, viewer: Viewer, wanted: LeakFilter | None = None) -> list[str]:
    return [leak.id for leak in reviews.all(viewer, wanted)]


def test_each_side_sees_its_leaks_and_nobody_else(reviews: Reviews, leaks: Leaks) -> None:
    first = leaks.write("org:globex", to="acme")
    leaks.write(to="acme")  # allowed: no leak
    second = leaks.write("org:acme", to="globex")
    assert ids(reviews, ACME) == ids(reviews, GLOBEX) == ids(reviews, ADMIN) == [second, first]
    assert ids(reviews, INITECH) == []
    assert [leak.role for leak in reviews.all(ACME)] == [Role.OWNER, Role.CALLER]


def test_neither_side_learns_of_the_other(reviews: Reviews, leaks: Leaks) -> None:
    leak_id = leaks.write("org:globex", "org:initech", to="acme")
    asked = json.dumps(reviews.get(ACME, leak_id).to_json())
    assert "globex" not in asked
    assert "initech" not in asked
    assert "key-of-acme" in asked
    owned = json.dumps(reviews.get(GLOBEX, leak_id).to_json())
    assert "src/globex.py" in owned
    assert "acme" not in owned
    assert "initech" not in owned
    assert len(reviews.get(GLOBEX, leak_id).matches) == 1
    seen = json.dumps(reviews.get(ADMIN, leak_id).to_json())
    assert all(name in seen for name in ("acme", "globex", "initech", "key-of-acme"))


def test_the_consortium_may_name_both_sides(reviews: Reviews, leaks: Leaks) -> None:
    leak_id = leaks.write("org:globex", "org:initech", to="acme")
    asked = reviews.get(replace(ACME, identities=True), leak_id)
    assert [match.owner for match in asked.matches] == ["org:globex", "org:initech"]
    owned = reviews.get(replace(GLOBEX, identities=True), leak_id)
    assert owned.org == "acme"
    assert [match.owner for match in owned.matches] == ["org:globex"]


def test_what_is_not_seen_cannot_be_filtered_by(reviews: Reviews, leaks: Leaks) -> None:
    """A filter that answers differently for the right name would tell it."""
    leaks.write("org:globex", to="acme")
    for viewer, guess in (
        (ACME, LeakFilter(owner="globex")),
        (ACME, LeakFilter(owner="org:globex")),
        (GLOBEX, LeakFilter(org="acme")),
        (GLOBEX, LeakFilter(key="key-of-acme")),
    ):
        assert ids(reviews, viewer, guess) == []
        assert len(ids(reviews, replace(viewer, identities=True), guess)) == 1


def test_an_owner_whose_own_match_was_no_leak_sees_nothing(reviews: Reviews, leaks: Leaks) -> None:
    leak_id = leaks.write(match_in("org:initech", action=Action.ALLOW), "org:globex", to="acme")
    assert ids(reviews, INITECH) == []
    with pytest.raises(NotFoundError):
        reviews.get(INITECH, leak_id)


def test_severity_is_of_what_the_viewer_sees(reviews: Reviews, leaks: Leaks) -> None:
    near = match_in("org:globex", kind=MatchKind.NEAR, tokens=40)
    leak_id = leaks.write(near, match_in("org:initech", tokens=80), to="acme")
    assert reviews.get(GLOBEX, leak_id).severity is Severity.MEDIUM
    assert reviews.get(INITECH, leak_id).severity is Severity.HIGH
    assert ids(reviews, GLOBEX, LeakFilter(severity=Severity.HIGH)) == []
    assert ids(reviews, GLOBEX, LeakFilter(severity=Severity.MEDIUM)) == [leak_id]


def test_every_filter_chooses(reviews: Reviews, leaks: Leaks) -> None:
    near = match_in("license:pylint:GPL-2.0-or-later", kind=MatchKind.NEAR)
    one = leaks.write("org:globex", to="acme", model="model-1")
    two = leaks.write(near, to="globex", model="model-2", release="other@2 sha256:11", key_id="k2")
    reviews.judge(ADMIN, [two], Disposition.CONFIRMED)
    now = datetime.now(UTC)
    for wanted in (
        LeakFilter(org="globex"),
        LeakFilter(owner="pylint"),
        LeakFilter(owner="license:pylint:GPL-2.0-or-later"),
        LeakFilter(kind="near"),
        LeakFilter(license="GPL-2.0-or-later"),
        LeakFilter(severity=Severity.LOW),
        LeakFilter(disposition=Disposition.CONFIRMED),
        LeakFilter(key="k2"),
        LeakFilter(model="model-2"),
        LeakFilter(model="other@2 sha256:11"),
        LeakFilter(kind="near", license="GPL-2.0-or-later", org="globex"),
    ):
        assert ids(reviews, ADMIN, wanted) == [two], wanted
    assert ids(reviews, ADMIN, LeakFilter(disposition=Disposition.OPEN)) == [one]
    assert ids(reviews, ADMIN, LeakFilter(kind="exact", license="GPL-2.0-or-later")) == []
    assert ids(reviews, ADMIN, LeakFilter(since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == [two, one]
    assert ids(reviews, ADMIN, LeakFilter(until=now - timedelta(hours=1))) == []
    assert ids(reviews, ADMIN, LeakFilter(since=now + timedelta(hours=1))) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - what is refused
        {"since": datetime(2026, 2, 1, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)},
        {"org": ""},
        {"model": "x" * 513},
        {"key": "a\0b"},
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        LeakFilter(**wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_follow_one_another(reviews: Reviews, leaks: Leaks, limit: int) -> None:
    written = [leaks.write("org:globex" if number % 3 else "org:initech", to="acme") for number in range(7)]
    wanted = LeakFilter(owner="globex")
    expected = [leak for number, leak in enumerate(written) if number % 3][::-1]
    found, cursor = [], None
    while True:
        page = reviews.page(ADMIN, wanted, cursor=cursor, limit=limit)
        found += [leak.id for leak in page.leaks]
        assert len(page.leaks) <= limit
        cursor = page.next
        if cursor is None:
            break
    assert found == expected


def test_a_cursor_belongs_to_its_list(reviews: Reviews, leaks: Leaks) -> None:
    for _ in range(3):
        leaks.write("org:globex", to="acme")
    cursor = reviews.page(ACME, limit=1).next
    assert cursor is not None
    for viewer, wanted in ((ACME, LeakFilter(kind="exact")), (GLOBEX, None), (ADMIN, None)):
        with pytest.raises(InvalidRequestError, match="not one of this list"):
            reviews.page(viewer, wanted, cursor=cursor, limit=1)
    for forged in (cursor[:-2] + "AA", "", "a", "!!!", "A" * 5000, cursor + "=", "ü"):
        with pytest.raises(InvalidRequestError, match="not one of this list"):
            reviews.page(ACME, cursor=forged, limit=1)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_bounds(reviews: Reviews, limit: int) -> None:
    with pytest.raises(InvalidRequestError, match="out of bounds"):
        reviews.page(ADMIN, limit=limit)


def test_judgements_are_kept_apart_and_all_of_them(reviews: Reviews, leaks: Leaks) -> None:
    leak_id = leaks.write("org:globex", to="acme")
    reviews.judge(ACME, [leak_id], Disposition.FALSE_ALARM, "an idiom")
    reviews.judge(GLOBEX, [leak_id], Disposition.CONFIRMED, "ours")
    reviews.judge(ACME, [leak_id], Disposition.ACCEPTED_RISK)
    assert reviews.get(ACME, leak_id).disposition == "accepted_risk"
    assert reviews.get(GLOBEX, leak_id).disposition == "confirmed"
    assert [one.note for one in reviews.history(ACME, leak_id)] == ["an idiom", ""]
    assert [(one.org, one.key, one.note) for one in reviews.history(GLOBEX, leak_id)] == [
        ("globex", "globex-key", "ours")
    ]
    assert len(reviews.history(ADMIN, leak_id)) == 3
    assert reviews.get(ADMIN, leak_id).disposition == "accepted_risk"
    assert ids(reviews, GLOBEX, LeakFilter(disposition=Disposition.CONFIRMED)) == [leak_id]
    assert ids(reviews, GLOBEX, LeakFilter(disposition=Disposition.OPEN)) == []


def test_what_is_not_seen_cannot_be_judged(reviews: Reviews, leaks: Leaks) -> None:
    own, other = leaks.write("org:initech", to="acme"), leaks.write("org:globex", to="acme")
    for named in (other, "dec_0", "a\0b"):
        with pytest.raises(NotFoundError):
            reviews.judge(INITECH, [own, named], Disposition.CONFIRMED)
        with pytest.raises(NotFoundError):
            reviews.history(INITECH, named)
    assert reviews.history(ADMIN, own) == reviews.history(ADMIN, other) == ()


@pytest.mark.parametrize("note", ["x" * 4_001, "x" * 10_000_000, "a\0b", "\ud800"])
def test_a_note_that_cannot_be_kept_changes_nothing(reviews: Reviews, leaks: Leaks, note: str) -> None:
    leak_id = leaks.write("org:globex", to="acme")
    with pytest.raises(InvalidRequestError, match="note"):
        reviews.judge(ACME, [leak_id], Disposition.CONFIRMED, note)
    assert reviews.history(ADMIN, leak_id) == ()
    assert reviews.get(ACME, leak_id).disposition == "open"


def test_a_rare_kind_is_found_behind_short_pages(reviews: Reviews, leaks: Leaks) -> None:
    rare = leaks.write(match_in("org:globex", kind=MatchKind.NEAR), to="acme")
    leaks.ledger.append_all([leaks.record("org:globex") for _ in range(LOOKED_AT + 10)])
    page = reviews.page(ADMIN, LeakFilter(kind="near"))
    assert ids(reviews, ADMIN, LeakFilter(kind="near")) == [rare]
    assert page.next is None or page.leaks == ()


def test_a_second_process_reads_the_same_cursors(reviews: Reviews, leaks: Leaks, ledger_url: str) -> None:
    for _ in range(3):
        leaks.write("org:globex", to="acme")
    first = reviews.page(ADMIN, limit=2)
    with Reviews(leaks.ledger, ledger_url) as other:
        assert len(other.page(ADMIN, cursor=first.next, limit=2).leaks) == 1
