"""The wire of what editors report and ask beside completions. Knows no text: there is no field for any."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.feedback import Outcome

EVENTS_LIMIT = 64


class FreshnessReply(BaseModel):
    """What must be the same as with a kept completion for that to be shown again."""

    index: str


class FeedbackEvent(BaseModel):
    """What became of one completion."""

    model_config = ConfigDict(extra="forbid")

    decision: str = Field(pattern=r"^dec_[0-9a-f]{1,64}$", description="The decision of the completion.")
    outcome: Outcome
    language: str = Field("", max_length=64, description="Language id, as in LSP.")


class FeedbackBody(BaseModel):
    """Body of `POST /v1/feedback`."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[FeedbackEvent], Field(min_length=1, max_length=EVENTS_LIMIT)]


class FeedbackReply(BaseModel):
    """How many events were news of the caller's own completions."""

    counted: int
