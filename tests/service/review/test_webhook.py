"""A real webhook is told of leaks and alerts, signed, and of each again until it has heard."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.hooks import SECRET, Hook, Teller

from service.errors import SetupError
from service.review import outbox
from service.review.reviews import Reviews
from service.review.telling import OPERATOR
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samples.leaks import Leaks

    from guard.ledger import Ledger
    from service.parts import Services

SOON = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.review.webhook.SETTLED", -SOON)
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.0)


def test_a_leak_is_told_once_and_signed(reviews: Reviews, leaks: Leaks, hook: Hook) -> None:
    leaks.write("org:globex")  # from before the webhook was set
    teller = Teller(reviews, hook.url)
    leaks.write()
    leak = leaks.write("org:globex", to="acme")
    teller.tell()
    teller.tell()
    ((headers, body),) = hook.heard
    told = json.loads(body)
    assert (told["type"], told["leak"]["id"], told["leak"]["org"]) == ("leak", leak, "acme")
    seconds, signed = (part.partition("=")[2] for part in headers["X-Cleanroom-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signed == expected
    assert abs(time.time() - int(seconds)) < 60
    assert teller.number("cleanroom_webhook_deliveries_total", outcome="delivered") == 1


def test_an_alert_is_told(reviews: Reviews, leaks: Leaks, hook: Hook) -> None:
    teller = Teller(reviews, hook.url)
    leaks.ledger.append_all([leaks.record("org:globex") for _ in range(12)])
    assert reviews.alerts.notice(datetime.now(UTC))
    teller.tell()
    assert {one["alert"]["kind"] for one in hook.told if one["type"] == "alert"} == {"walking", "pair_spike"}


def test_what_was_not_heard_is_told_again_even_after_a_restart(
    reviews: Reviews, leaks: Leaks, hook: Hook, ledger: Ledger, ledger_url: str
) -> None:
    teller = Teller(reviews, hook.url)
    written = [leaks.write("org:globex") for _ in range(3)]
    hook.status = 503
    teller.tell()
    assert teller.number("cleanroom_webhook_deliveries_total", outcome="failed") == 3
    hook.status, hook.heard = 204, []
    with Reviews(ledger, ledger_url) as again:
        Teller(again, hook.url).tell()
    assert [one["leak"]["id"] for one in hook.told] == written
    deliveries = [headers["X-Cleanroom-Delivery"] for headers, _ in hook.heard]
    assert len(set(deliveries)) == 3


def test_a_webhook_that_is_not_there_is_bounded_and_loses_nothing(
    reviews: Reviews, leaks: Leaks, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ROOM", 5)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    teller = Teller(reviews, f"http://127.0.0.1:{port}/")
    written = [leaks.write("org:globex") for _ in range(12)]
    teller.tell()
    teller.tell()
    assert teller.number("cleanroom_webhook_waiting") == 5
    assert teller.number("cleanroom_webhook_deliveries_total", outcome="failed") == 10
    back = Teller(reviews, hook.url)
    for _ in range(4):
        back.tell()
    assert [one["leak"]["id"] for one in hook.told] == written
    assert back.number("cleanroom_webhook_waiting") == 0


def test_a_redirection_is_not_followed(reviews: Reviews, leaks: Leaks, hook: Hook) -> None:
    teller = Teller(reviews, hook.url)
    leaks.write("org:globex")
    hook.status = 302
    teller.tell()
    assert teller.number("cleanroom_webhook_deliveries_total", outcome="failed") == 1


def test_two_processes_share_the_work(
    reviews: Reviews, leaks: Leaks, hook: Hook, ledger: Ledger, ledger_url: str
) -> None:
    teller = Teller(reviews, hook.url)
    leaks.write("org:globex")
    reviews.outbox(OPERATOR).collect(datetime.now(UTC) + SOON)
    assert len(reviews.outbox(OPERATOR).take(time.time())) == 1
    with Reviews(ledger, ledger_url) as other:
        assert other.outbox(OPERATOR).take(time.time()) == []
        assert len(other.outbox(OPERATOR).take(time.time() + outbox.LEASE + 1)) == 1
    teller.tell()
    assert hook.heard == []


def test_a_running_service_tells_by_itself(
    make_services: Callable[..., Services], running: Callable[..., Any], leaks: Leaks, hook: Hook
) -> None:
    with running(make_services(webhook_url=hook.url, webhook_secret=SECRET)) as url:
        deadline = time.monotonic() + 20
        while not hook.heard and time.monotonic() < deadline:
            # The first look may come after it: what is older than the webhook is not told.
            leaks.write("org:globex")
            time.sleep(0.1)
        assert httpx.get(f"{url}/healthz").status_code == 200
    assert hook.told[0]["type"] == "leak"


@pytest.mark.parametrize(
    "given",
    [
        {"webhook_url": "https://siem.example/hook"},
        {"webhook_url": "http://siem.example/hook", "webhook_secret": SECRET},
        {"webhook_url": "file:///etc/passwd", "webhook_secret": SECRET},
        {"webhook_url": "https://siem.example/hook", "webhook_secret": "short"},
    ],
)
def test_a_webhook_that_is_unsigned_or_open_to_all_is_refused(given: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"(?i)webhook") as caught:
        load_settings(home=tmp_path, **given)
    assert SECRET not in str(caught.value)
