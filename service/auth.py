"""The door: turns the bearer token of a request into a caller, or turns the request away.

Knows no route; each names the scope that it asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from fastapi import Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation of a dependency at run time

from service.accounts import Caller  # noqa: TC001 - as above
from service.errors import AccountsUnavailableError, AuthenticationError, PermissionDeniedError
from service.together import Together

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.accounts import Accounts, Scope
    from service.parts import Services

Door: TypeAlias = "Together[str, Caller | AuthenticationError]"
"""Asked whose key a bearer token is."""


def door_of(accounts: Accounts) -> Door:
    """What asks the accounts for all who come at once, in a worker thread, since that asks a database."""
    return Together(accounts.authenticate_all, refusals=(AccountsUnavailableError,))


def requires(scope: Scope, *others: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """A FastAPI dependency: the caller behind the request, who must hold `scope` or one of `others`.

    It raises AuthenticationError without a good key and PermissionDeniedError without the scope. The database is asked
    every time, after the request came, so that a revoked key fails at its next request.
    """

    async def caller(request: Request) -> Caller:
        door = cast("Door", request.app.state.door)
        found = await door.ask(bearer_token(request.headers.get("authorization", "")))
        if isinstance(found, AuthenticationError):
            raise found
        if found.scopes.isdisjoint({scope, *others}):
            message = (
                f"key {found.key_id} lacks the scope {scope.value!r}: ask your administrator for one that has it "
                f"(`cleanroom key create --org {found.org} --scope {scope.value}`)"
            )
            raise PermissionDeniedError(message)
        return found

    return caller


def limited(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """A FastAPI dependency like `requires`, which also counts the request and turns it away beyond the key's quota.

    For routes that generate. It raises RateLimitError, QuotaError or LimitsUnavailableError, before anything is
    generated; what is left of the quota goes out with every response (`service.routes.boundary`).
    """

    async def caller(request: Request, found: Caller = Depends(requires(scope))) -> Caller:  # noqa: B008 - closes over the scope
        limits = cast("Services", request.app.state.services).limits
        if limits is not None:
            standing = await limits.request(found)
            request.state.headers = standing.headers()
            if standing.refusal is not None:
                raise standing.refusal
        return found

    return caller


def bearer_token(header: str) -> str:
    """The token of an Authorization header (RFC 6750, section 2.1). Raises AuthenticationError without one."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        message = "no API key was given: send the header 'Authorization: Bearer cr_...'"
        raise AuthenticationError(message)
    return token.strip()
