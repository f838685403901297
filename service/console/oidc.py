"""`/console/oidc`: sign-in at an OpenID Connect provider, by authorization code with PKCE and a nonce (extra `oidc`).

Knows what the settings say of the provider, and asks it anew at every sign-in. Authlib speaks OAuth; the ID token is
verified here: signature by the provider's keys, issuer, audience, expiry, nonce (OpenID Connect Core, section 3.1.3.7).
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import RedirectResponse, Response

from guard.errors import OwnerError
from service.console.door import cookie_name, services_of
from service.console.failures import ConsoleRoute
from service.console.rendering import HEADERS, page
from service.console.sessions import SCOPES
from service.console.signing_in import HOME, begin
from service.engines.optional import optional
from service.errors import AccountError, AuthenticationError, NotFoundError, ProviderError

if TYPE_CHECKING:
    from service.accounts import Scope
    from service.console_settings import ConsoleSettings

BEGUN = "cleanroom-oidc"
"""The cookie of a sign-in that has begun."""
BEGUN_SECONDS = 600
TIMEOUT = 10.0
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of signatures: public keys alone, so that nobody makes one with what everybody may read."""
SUBJECT_LENGTH = 64
PURPOSE = "sign-in by OpenID Connect"
UNKNOWN = "the provider vouches for nobody whom Cleanroom knows as a reviewer: ask your administrator"

log = structlog.get_logger(__name__)
router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider says of itself: where to go, where a code is exchanged, and its public keys."""

    issuer: str
    authorize: str
    token: str
    keys: dict[str, Any]


@router.get("/console/oidc")
def begin_sign_in(request: Request) -> Response:
    """Lead to the provider."""
    settings = _settings(request)
    provider = _provider(settings)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    with _client(settings, request) as client:
        address, _ = client.create_authorization_url(
            provider.authorize, state=state, nonce=nonce, code_verifier=verifier
        )
    response = RedirectResponse(address, 303, headers=dict(HEADERS))
    # Lax: the provider's answer comes from another site. It is good for this one sign-in of this one browser.
    response.set_cookie(
        cookie_name(request, BEGUN),
        f"{state}.{nonce}.{verifier}",
        max_age=BEGUN_SECONDS,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/console/oidc/callback")
def finish_sign_in(request: Request) -> Response:
    """Take the provider's answer and begin a session with it."""
    settings = _settings(request)
    begun = request.cookies.get(cookie_name(request, BEGUN), "").split(".")
    state = request.query_params.get("state", "")
    if len(begun) != 3 or not secrets.compare_digest(begun[0].encode(), state.encode()):  # noqa: PLR2004 - three parts
        message = "this sign-in was not begun here, or too long ago: begin again at /console/sign-in"
        raise AuthenticationError(message)
    _, nonce, verifier = begun
    if "code" not in request.query_params:
        message = "the provider refused the sign-in: begin again at /console/sign-in, or ask your administrator"
        raise AuthenticationError(message)
    claims = _claims(request, settings, nonce, verifier)
    org, scopes = _place_of(request, settings, claims)
    subject = f"oidc:{claims['sub']}"
    if len(subject) > SUBJECT_LENGTH:
        subject = f"oidc:{sha256(subject.encode()).hexdigest()[:40]}"
    log.info("signed in", org=org, by="oidc")
    # A redirect from here would still count as the provider's, and a browser would keep a strict cookie back.
    landed = page(request, "signed_in.html", None, {"target": HOME})
    response = begin(request, org, subject, scopes, key_id=None, response=landed)
    response.delete_cookie(cookie_name(request, BEGUN), path="/", secure=request.url.scheme == "https", httponly=True)
    return response


def _library(name: str) -> Any:  # noqa: ANN401 - a module that may be missing
    return optional(name, PURPOSE, "oidc")


def _settings(request: Request) -> ConsoleSettings:
    settings = services_of(request).settings
    if settings.oidc_issuer is None:
        message = "sign-in by OpenID Connect is not set up here"
        raise NotFoundError(message)
    return settings


def _provider(settings: ConsoleSettings) -> Provider:
    """Ask the provider what it is (OpenID Connect Discovery). Raises ProviderError."""
    issuer = str(settings.oidc_issuer).rstrip("/")
    try:
        with httpx.Client(timeout=TIMEOUT) as client:
            told = client.get(f"{issuer}/.well-known/openid-configuration").raise_for_status().json()
            keys = client.get(told["jwks_uri"]).raise_for_status().json()
        provider = Provider(told["issuer"], told["authorization_endpoint"], told["token_endpoint"], keys)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        message = f"the provider {issuer} does not answer as one should ({type(error).__name__}): CLEANROOM_OIDC_ISSUER"
        raise ProviderError(message) from error
    if provider.issuer.rstrip("/") != issuer:
        message = f"the provider {issuer} calls itself {provider.issuer!r}: name it so in CLEANROOM_OIDC_ISSUER"
        raise ProviderError(message)
    return provider


def _client(settings: ConsoleSettings, request: Request) -> Any:  # noqa: ANN401 - of a package that may be missing
    secret = settings.oidc_client_secret
    return _library("authlib.integrations.httpx_client").OAuth2Client(
        settings.oidc_client_id,
        None if secret is None else secret.get_secret_value(),
        scope="openid",
        redirect_uri=str(request.url.replace(path="/console/oidc/callback", query="")),
        code_challenge_method="S256",
        token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
        timeout=TIMEOUT,
    )


def _claims(request: Request, settings: ConsoleSettings, nonce: str, verifier: str) -> dict[str, Any]:
    """Exchange the code for an ID token and verify it. Raises AuthenticationError."""
    provider = _provider(settings)
    jwt, jwk = _library("joserfc.jwt"), _library("joserfc.jwk")
    errors = (httpx.HTTPError, ValueError, KeyError, TypeError, _library("joserfc.errors").JoseError)
    oauth_error = _library("authlib.common.errors").AuthlibBaseError
    try:
        with _client(settings, request) as client:
            token = client.fetch_token(provider.token, code=request.query_params["code"], code_verifier=verifier)
        decoded = jwt.decode(token["id_token"], jwk.KeySet.import_key_set(provider.keys), algorithms=ALGORITHMS)
        claims: dict[str, Any] = decoded.claims
        expected = {"iss": provider.issuer, "nonce": nonce, "aud": settings.oidc_client_id}
        rules = {name: {"essential": True, "value": value} for name, value in expected.items()}
        essential = {"essential": True}
        jwt.JWTClaimsRegistry(now=int(time.time()), leeway=60, sub=essential, exp=essential, **rules).validate(claims)
    except (*errors, oauth_error) as error:
        log.warning("sign-in refused", error=type(error).__name__)
        message = "the provider's answer does not hold: begin again at /console/sign-in, or ask your administrator"
        raise AuthenticationError(message) from error
    return claims


def _place_of(request: Request, settings: ConsoleSettings, claims: dict[str, Any]) -> tuple[str, frozenset[Scope]]:
    """The organization and scopes that the claims name. Raises AuthenticationError where Cleanroom knows no such."""
    named = claims.get(settings.oidc_scope_claim, [])
    words = named.split() if isinstance(named, str) else named if isinstance(named, list) else []
    scopes = frozenset(scope for scope in SCOPES if scope in words)
    try:
        org = services_of(request).accounts.require_organization(str(claims.get(settings.oidc_org_claim))).slug
    except (AccountError, OwnerError) as error:
        raise AuthenticationError(UNKNOWN) from error
    if not scopes:
        raise AuthenticationError(UNKNOWN)
    return org, scopes
