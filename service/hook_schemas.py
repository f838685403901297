"""The wire of `/v1/webhook`: where an organization is told, and the secret that signs it, which no answer has."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class HookBody(BaseModel):
    """Where to post, and what signs it."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        min_length=1, max_length=2048, pattern=r"^[!-~]+$", description="An https address of a host that is allowed."
    )
    secret: SecretStr = Field(
        min_length=16, max_length=256, description="Signs what is posted; nothing tells it again."
    )


class HookReply(BaseModel):
    """The webhook: where, since when, and the id of the key that set it."""

    url: str
    at: str
    key: str


class HookRemoved(BaseModel):
    """There is none any more."""

    removed: Literal[True] = True
