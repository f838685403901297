"""Each organization is told what concerns it, as its reviewers see it, and where the operator lets it be told."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.hooks import SECRET, Hook, Teller
from samples.leaks import ACME, GLOBEX, INITECH, Leaks

from service.accounts import Scope
from service.review import outbox
from service.review.hooks import AllowedHosts
from service.review.webhook import signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.accounts import Accounts
    from service.parts import Services
    from service.review.reviews import Reviews
    from service.review.viewer import Viewer


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.review.webhook.SETTLED", -timedelta(minutes=1))
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.0)


@pytest.mark.parametrize("viewer", [ACME, GLOBEX, INITECH, replace(ACME, identities=True)])
def test_what_is_told_is_what_the_routes_show(reviews: Reviews, leaks: Leaks, hook: Hook, viewer: Viewer) -> None:
    teller = Teller(reviews, hook.url, viewer)
    written = [
        leaks.write("org:globex", to="acme"),
        leaks.write("org:acme", "org:globex", to="initech"),
        leaks.write("license:pylint:GPL-2.0-only", to="globex"),
        leaks.write(to="acme"),
    ]
    leaks.ledger.append_all([leaks.record("org:globex", to="acme") for _ in range(20)])
    reviews.alerts.notice(datetime.now(UTC))
    for _ in range(3):
        teller.tell()
    told = [one["leak"] for one in hook.told if one["type"] == "leak"]
    assert told == [leak.to_json() for leak in reversed(list(reviews.all(viewer)))]
    assert {leak["id"] for leak in told} & set(written) == {
        "acme": {written[0], written[1]},
        "globex": {written[0], written[1], written[2]},
        "initech": {written[1]},
    }[viewer.org]
    alerts = [one["alert"] for one in hook.told if one["type"] == "alert"]
    assert alerts == [one.to_json() for one in reversed(reviews.alerts.listed(viewer))]
    assert bool(alerts) == (viewer.org == "acme")
    if viewer == ACME:
        assert "globex" not in json.dumps(hook.told)
    if viewer in {GLOBEX, INITECH}:
        assert not {"acme", "initech", "globex"} - {viewer.org} & set(json.dumps(told).replace(".", '"').split('"'))


def test_each_party_has_its_own_queue(reviews: Reviews, leaks: Leaks, hook: Hook) -> None:
    tellers = [Teller(reviews, hook.url, viewer) for viewer in (ACME, GLOBEX)]
    leak = leaks.write("org:globex", to="acme")
    hook.status = 503
    tellers[0].tell()
    hook.status = 200
    tellers[1].tell()
    tellers[1].tell()
    assert [one["leak"]["role"] for one in hook.told] == ["caller", "owner"]
    tellers[0].tell()
    assert [(one["leak"]["id"], one["leak"]["role"]) for one in hook.told[2:]] == [(leak, "caller")]


def test_what_concerns_others_is_not_read_again(
    reviews: Reviews, leaks: Leaks, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROOM", 2)
    teller = Teller(reviews, hook.url, INITECH)
    queue = reviews.outbox(INITECH)
    own = []
    for _ in range(4):
        leaks.write("org:globex", to="acme")
        own.append(leaks.write("org:initech", to="acme"))
    now = datetime.now(UTC) + timedelta(minutes=1)
    assert [queue.collect(now), queue.collect(now)] == [2, 2]
    for _ in range(4):
        teller.tell()
    assert [one["leak"]["id"] for one in hook.told] == own
    leaks.write("org:globex", to="acme")
    assert queue.collect(now) == 0
    with reviews._database.reading() as connection:
        reached = "SELECT place FROM review_reached WHERE party = 'initech' AND name = 'leak'"
        newest = "SELECT max(seq) FROM ledger_entries"
        assert connection.exec_driver_sql(reached).scalar_one() == connection.exec_driver_sql(newest).scalar_one()


def test_a_webhook_that_is_removed_leaves_nothing(reviews: Reviews, leaks: Leaks, hook: Hook) -> None:
    reviews.set_hook(ACME, hook.url, SECRET)
    leaks.write("org:globex", to="acme")
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert reviews.outbox(ACME).collect(later) == 1
    reviews.remove_hook(ACME)
    assert reviews.hooks.get("acme") is None
    assert reviews.outbox(ACME).take(time.time()) == []
    reviews.set_hook(ACME, hook.url, SECRET)
    assert reviews.outbox(ACME).collect(later) == 0


@pytest.mark.parametrize(
    ("hosts", "url", "allowed"),
    [
        (None, "https://siem.acme.example/hook", False),
        ("", "https://siem.acme.example/hook", False),
        ("siem.acme.example", "https://siem.acme.example/hook", True),
        ("siem.acme.example", "https://SIEM.acme.example:443/hook", True),
        ("siem.acme.example", "https://siem.acme.example:8443/hook", False),
        ("siem.acme.example:8443", "https://siem.acme.example:8443/hook", True),
        ("other.example, *.acme.example", "https://siem.acme.example/hook", True),
        ("*.acme.example", "https://acme.example/", False),
        ("*.acme.example", "https://acme.example.evil.example/", False),
        ("*.acme.example", "https://evil.example/.acme.example", False),
        ("*.acme.example", "https://x.acme.example@evil.example/", False),
        ("siem.acme.example", "https://user@siem.acme.example/", False),
        ("siem.acme.example", "http://siem.acme.example/", False),
        ("siem.acme.example", "ftp://siem.acme.example/", False),
        ("siem.acme.example", "https://169.254.169.254/latest", False),
        ("siem.acme.example", "https://127.0.0.1/", False),
        ("siem.acme.example", "https://[::1/", False),
        ("siem.acme.example", "https://siem.acme.example:x/", False),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/hook", True),
        ("127.0.0.1:9000", "http://127.0.0.1:6379/", False),
        ("127.0.0.1", "http://127.0.0.1/", False),
        ("10.0.0.1:80", "http://10.0.0.1:80/", False),
    ],
)
def test_the_operator_says_where(hosts: str | None, url: str, allowed: bool) -> None:  # noqa: FBT001 - what is expected
    assert AllowedHosts(hosts).allow(url) is allowed


def test_a_reviewer_sets_it_and_a_running_service_tells(
    make_services: Callable[..., Services], running: Callable[..., Any], accounts: Accounts, leaks: Leaks, hook: Hook
) -> None:
    secret = accounts.create_key("globex", frozenset({Scope.REVIEW}))[1]
    other = accounts.create_key("acme", frozenset({Scope.REVIEW}))[1]
    port = hook.url.split(":")[2].partition("/")[0]
    with running(make_services(org_webhook_hosts=f"127.0.0.1:{port}")) as url, httpx.Client(base_url=url) as client:
        key, others = ({"Authorization": f"Bearer {one}"} for one in (secret, other))
        assert client.get("/v1/webhook", headers=key).status_code == 404
        for bad in ("http://127.0.0.1:1/", "https://siem.example/"):
            reply = client.put("/v1/webhook", headers=key, json={"url": bad, "secret": SECRET})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, "url")
        assert client.put("/v1/webhook", headers=key, json={"url": hook.url, "secret": "short"}).status_code == 400
        shown = client.put("/v1/webhook", headers=key, json={"url": hook.url, "secret": SECRET})
        assert shown.status_code == 200
        assert SECRET not in shown.text + client.get("/v1/webhook", headers=key).text
        assert client.get("/v1/webhook", headers=key).json()["url"] == hook.url
        assert client.get("/v1/webhook", headers=others).status_code == 404
        leaks.write("license:pylint:GPL-2.0-only", to="acme")
        leak = leaks.write("org:globex", to="acme")
        deadline = time.monotonic() + 30
        while not hook.heard and time.monotonic() < deadline:
            time.sleep(0.05)
        headers, body = hook.heard[0]
        told = json.loads(body)["leak"]
        assert (told["id"], told["role"], told["org"]) == (leak, "owner", None)
        seconds = int(headers["X-Cleanroom-Signature"][2:].partition(",")[0])
        assert headers["X-Cleanroom-Signature"] == signature(SECRET.encode(), body, seconds)
        assert client.delete("/v1/webhook", headers=others).json() == {"removed": True}
        assert client.get("/v1/webhook", headers=key).status_code == 200
        assert client.delete("/v1/webhook", headers=key).status_code == 200
        assert client.get("/v1/webhook", headers=key).status_code == 404


def test_an_organization_that_is_gone_is_told_nothing(
    make_services: Callable[..., Services], running: Callable[..., Any], accounts: Accounts, leaks: Leaks, hook: Hook
) -> None:
    port = hook.url.split(":")[2].partition("/")[0]
    services = make_services(org_webhook_hosts=f"127.0.0.1:{port}")
    assert services.reviews is not None
    services.reviews.set_hook(GLOBEX, hook.url, SECRET)
    leaks.write("org:globex", to="acme")
    accounts.remove_organization("globex")
    with running(services):
        deadline = time.monotonic() + 30
        while services.reviews.hooks.get("globex") is not None and time.monotonic() < deadline:
            time.sleep(0.05)
    assert services.reviews.hooks.get("globex") is None
    assert hook.heard == []
