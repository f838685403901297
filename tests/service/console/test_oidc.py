"""Sign-in at an OpenID Connect provider: a real one on loopback, which signs whatever claims a test names."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from service.console.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.accounts import Accounts

GOOD = {"cleanroom_org": "acme", "cleanroom_scopes": ["review", "complete"]}


class Provider:
    """The provider; `claims` go over those of an honest ID token, which `key` signs."""

    def __init__(self) -> None:
        self.key = self.published = jwk.RSAKey.generate_key(2048, parameters={"kid": "k"}, auto_kid=False)
        self.claims: dict[str, Any] = {}
        self.nonce = self.url = ""

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/keys":
            return {"keys": [self.published.as_dict(private=False)]}
        if path == "/token":
            honest = {"iss": self.url, "aud": "cleanroom", "sub": "7", "exp": int(time.time()) + 60}
            claims = {**honest, "nonce": self.nonce, **GOOD, **self.claims}
            token = jwt.encode({"alg": "RS256", "kid": "k"}, claims, self.key)
            return {"access_token": "x", "token_type": "Bearer", "id_token": token}
        ends = {f"{name}_endpoint": f"{self.url}/{name}" for name in ("authorization", "token")}
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **ends}

    @contextmanager
    def listening(self) -> Iterator[None]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = dumps(provider.answer(urlsplit(self.path).path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    with provider.listening():
        yield provider


@pytest.fixture
def client(
    make_services: Callable[..., Any], running: Callable[..., Any], provider: Provider
) -> Iterator[httpx.Client]:
    services = make_services(oidc_issuer=provider.url, oidc_client_id="cleanroom")
    with running(services) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def sign_in(client: httpx.Client, provider: Provider) -> httpx.Response:
    asked = parse_qs(urlsplit(client.get("/console/oidc").headers["location"]).query)
    provider.nonce = asked["nonce"][0]
    assert asked["code_challenge_method"] == ["S256"]
    return client.get("/console/oidc/callback", params={"state": asked["state"][0], "code": "c"})


def test_a_reviewer_signs_in(client: httpx.Client, provider: Provider, accounts: Accounts) -> None:
    assert sign_in(client, provider).status_code == 200
    session = Sessions(accounts).find(client.cookies["cleanroom"])
    assert session is not None
    assert (session.org, session.subject, session.is_admin) == ("acme", "oidc:7", False)
    assert client.get("/console").status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://elsewhere.example"},
        {"nonce": "of another sign-in"},
        {"exp": 1},
        {"cleanroom_org": "initech"},
        {"cleanroom_org": None},
        {"cleanroom_scopes": ["complete"]},
        {"cleanroom_scopes": {"admin": True}},
    ],
)
def test_whom_the_provider_does_not_vouch_for_is_refused(
    client: httpx.Client, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    sign_in(client, provider)
    assert "cleanroom" not in client.cookies


def test_a_signature_of_another_key_is_refused(client: httpx.Client, provider: Provider) -> None:
    provider.key = jwk.RSAKey.generate_key(2048, parameters={"kid": "k"}, auto_kid=False)
    sign_in(client, provider)
    assert "cleanroom" not in client.cookies


def test_an_answer_to_nobodys_sign_in_is_refused(client: httpx.Client) -> None:
    client.get("/console/oidc")
    client.get("/console/oidc/callback", params={"state": "forged", "code": "c"})
    assert "cleanroom" not in client.cookies
