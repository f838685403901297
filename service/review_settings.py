"""Settings of reviews: who may be named to whom, and where leaks and alerts are told."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings


class ReviewSettings(BaseSettings):
    """What `service.review` is told."""

    review_identities: bool = Field(
        default=False,
        description="Whether reviewers of one side of a leak are told who the other is: organization, key, document. "
        "The consortium's policy; administrators always are.",
    )
    webhook_url: str | None = Field(
        None,
        repr=False,
        pattern=r"^https://|^http://(127\.0\.0\.1|localhost|\[::1\])[:/]",
        description="Where leaks and alerts are posted as an administrator sees them, signed (docs/review.md): "
        "`https://...`, or this machine. Unset: nowhere.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret that signs what is posted there, 16 characters or more.",
    )

    org_webhook_hosts: str | None = Field(
        None,
        description="Hosts that organizations may have their own webhooks at, with commas between: `HOST`, `*.DOMAIN` "
        "or `HOST:PORT` (443 without), over HTTPS; plain HTTP for `127.0.0.1:PORT` alone. Unset: none.",
    )

    @model_validator(mode="after")
    def _signed(self) -> ReviewSettings:
        if self.webhook_url is not None and self.webhook_secret is None:
            message = "webhook_url is set, and nothing signs what it is told: set webhook_secret (openssl rand -hex 32)"
            raise ValueError(message)
        return self
