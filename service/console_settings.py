"""Settings of the console: whether it is served, how long a session lasts, and who may vouch for people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ConsoleSettings(BaseSettings):
    """What `service.console` is told."""

    console: bool = Field(default=True, description="Whether the console is served at `/console`.")
    session_hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = Field(
        8.0, description="Hours after which whoever signed in to the console must do so again."
    )
    oidc_issuer: str | None = Field(
        None,
        pattern=r"^https://|^http://(127\.0\.0\.1|localhost)(:|/|$)",
        description="OpenID Connect provider at which people sign in to the console (extra `oidc`), the URL before "
        "`/.well-known/openid-configuration`. Unset: by API key alone.",
    )
    oidc_client_id: str | None = Field(None, min_length=1, description="What that provider calls this Cleanroom.")
    oidc_client_secret: SecretStr | None = Field(None, description="What proves it. Unset: a public client, by PKCE.")
    oidc_org_claim: str = Field(
        "cleanroom_org", min_length=1, description="Claim that names a person's organization as Cleanroom knows it."
    )
    oidc_scope_claim: str = Field(
        "cleanroom_scopes",
        min_length=1,
        description="Claim that lists a person's scopes, `review` or `admin` or both; others are passed over.",
    )
