"""Settings of reviews: who may be named to whom, and where leaks and alerts are told."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class ReviewSettings(BaseSettings):
    """What `service.review` is told."""

    review_identities: bool = Field(
        default=False,
        description="Whether reviewers of one side of a leak are told who the other is: organization, key, document. "
        "The consortium's policy; administrators always are.",
    )
