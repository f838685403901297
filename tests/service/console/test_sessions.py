"""Signing in and out, and what a session and a form must be for the console to listen to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from consoles.served import token_of

from service.accounts import Scope
from service.console.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from consoles.served import Console

PAGES = (
    "/console",
    "/console/leaks",
    "/console/leaks/export",
    "/console/leaks/x",
    "/console/exceptions",
    "/console/inventory",
    "/console/ledger",
)
FORMS = (
    "/console/sign-out",
    "/console/leaks/dispositions",
    "/console/leaks/x/disposition",
    "/console/leaks/x/exception",
    "/console/exceptions/x/revoke",
    "/console/ledger/verify",
)


def sign_in(client: httpx.Client, key: str, **others: str) -> httpx.Response:
    token = token_of(client.get("/console/sign-in"))
    return client.post("/console/sign-in", data={"form_token": token, "key": key, **others})


def test_whoever_is_not_signed_in_is_asked_to(console: Console) -> None:
    with console.client() as client:
        for path in PAGES:
            reply = client.get(path)
            assert reply.status_code == 303
            assert reply.headers["location"].startswith("/console/sign-in")
            assert client.get(path, headers={"HX-Request": "true"}).headers["hx-redirect"] == "/console/sign-in"
        for path in FORMS:
            assert client.post(path, data={"form_token": "x"}).headers["location"] == "/console/sign-in"


def test_a_session_cookie_is_for_this_browser_alone(console: Console) -> None:
    with console.client() as client:
        cookie = sign_in(client, console.keys["acme"]).headers["set-cookie"]
    for word in ("cleanroom=", "HttpOnly", "SameSite=strict", "Max-Age=28800"):
        assert word in cookie
    assert "Secure" not in cookie


def test_over_https_it_is_secure_and_bound_to_the_host(console: Console) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    with console.client() as client:
        page = client.get("/console/sign-in", headers=headers)
        form = page.cookies["__Host-cleanroom-form"]
        sent = headers | {"Cookie": f"__Host-cleanroom-form={form}"}
        data = {"form_token": token_of(page), "key": console.keys["acme"]}
        cookie = client.post("/console/sign-in", data=data, headers=sent).headers["set-cookie"]
    assert cookie.startswith("__Host-cleanroom=")
    assert "Secure" in cookie


@pytest.mark.parametrize(
    ("scopes", "status"),
    [({Scope.REVIEW}, 303), ({Scope.ADMIN}, 303), ({Scope.COMPLETE}, 403), ({Scope.INDEX, Scope.COMPLETE}, 403)],
)
def test_keys_of_reviewers_and_administrators_open_the_console(
    console: Console, scopes: set[Scope], status: int
) -> None:
    secret = console.accounts.create_key("acme", frozenset(scopes))[1]
    with console.client() as client:
        reply = sign_in(client, secret)
        assert reply.status_code == status
        assert ("cleanroom" in client.cookies) == (status == 303)
        assert secret not in reply.text


def test_an_unknown_key_opens_nothing(console: Console) -> None:
    with console.client() as client:
        reply = sign_in(client, "cr_abcdefabcdef_" + "x" * 43)
        assert reply.status_code == 401
        assert "unknown or revoked" in reply.text
        assert "cleanroom" not in client.cookies


def test_every_sign_in_makes_a_new_session_and_ends_the_old(console: Console) -> None:
    with console.signed_in("acme") as client:
        first = client.cookies["cleanroom"]
        # As a browser whose sign-in page was open all along.
        other = console.client()
        token = token_of(other.get("/console/sign-in"))
        client.cookies.set("cleanroom-form", other.cookies["cleanroom-form"])
        client.post("/console/sign-in", data={"form_token": token, "key": console.keys["acme"]})
        other.close()
        cookies = {cookie.value for cookie in client.cookies.jar if cookie.name == "cleanroom"}
    assert first not in cookies
    sessions = Sessions(console.accounts)
    assert sessions.find(first) is None
    assert any(sessions.find(str(cookie)) for cookie in cookies)


def test_signing_out_ends_the_session_for_whoever_has_its_token(console: Console) -> None:
    with console.signed_in("acme") as client, console.client() as thief:
        stolen = client.cookies["cleanroom"]
        thief.cookies.set("cleanroom", stolen)
        assert thief.get("/console").status_code == 200
        client.post("/console/sign-out", data={"form_token": token_of(client.get("/console"))})
        assert "cleanroom" not in client.cookies
        assert thief.get("/console").status_code == 303


def test_a_revoked_key_ends_its_sessions(console: Console) -> None:
    with console.signed_in("acme") as client:
        console.accounts.revoke_key(console.keys["acme"].split("_")[1])
        assert client.get("/console").status_code == 303


def test_a_removed_organization_ends_its_sessions(console: Console) -> None:
    with console.signed_in("globex") as client:
        console.accounts.remove_organization("globex")
        assert client.get("/console").status_code == 303


def test_a_session_ends_by_itself(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    with console.signed_in("acme") as client:
        now = time.time()
        monkeypatch.setattr("service.console.sessions.time.time", lambda: now + 8 * 3600 + 1)
        assert client.get("/console").status_code == 303


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        (None, {"Origin": "https://elsewhere.example"}),
        (None, {"Origin": "null"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_form_of_another_site_is_refused(
    console: Console, path: str, token: str | None, headers: dict[str, str]
) -> None:
    with console.signed_in("admin") as client:
        own = token_of(client.get("/console"))
        data = {"form_token": own if token is None else token, "id": "x", "disposition": "confirmed"}
        assert client.post(path, data=data, headers=headers).status_code == 403
        # And nobody was signed out by it.
        assert client.get("/console").status_code == 200


def test_the_form_token_of_another_session_is_refused(console: Console) -> None:
    with console.signed_in("globex") as other, console.signed_in("admin") as client:
        foreign = token_of(other.get("/console"))
        assert client.post("/console/ledger/verify", data={"form_token": foreign}).status_code == 403


def test_a_sign_in_without_the_pages_own_token_is_refused(console: Console) -> None:
    with console.client() as client:
        client.get("/console/sign-in")
        reply = client.post("/console/sign-in", data={"form_token": "0" * 64, "key": console.keys["acme"]})
        assert reply.status_code == 403
        assert "cleanroom" not in client.cookies


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("/console/leaks?kind=exact", "/console/leaks?kind=exact"),
        ("https://elsewhere.example/", "/console"),
        ("//elsewhere.example", "/console"),
        ("/console@elsewhere.example", "/console"),
        ("/console\\elsewhere", "/console"),
        ("/console/x\r\nSet-Cookie: a=b", "/console"),
        ("javascript:alert(1)", "/console"),
    ],
)
def test_a_sign_in_leads_into_the_console_alone(console: Console, wanted: str, target: str) -> None:
    with console.client() as client:
        assert sign_in(client, console.keys["acme"], next=wanted).headers["location"] == target


def test_what_is_no_form_is_refused_with_words(console: Console) -> None:
    with console.signed_in("acme") as client:
        assert client.post("/console/sign-out", json={"form_token": "x"}).status_code == 400
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.post("/console/sign-out", content=b"\xff", headers=form).status_code == 400
        many = "&".join(f"id={at}" for at in range(2000))
        assert client.post("/console/sign-out", content=many, headers=form).status_code == 400


def test_the_console_can_be_left_out(make_services: Callable[..., Any], running: Callable[..., Any]) -> None:
    with running(make_services(console=False)) as url:
        assert httpx.get(f"{url}/console/sign-in").status_code == 404
