"""The wire of `/v1/index/...` but for batches, whose form is guard.wire's: what a client may send and what it gets."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from guard.wire import PATH_LIMIT

PATHS_LIMIT = 1000
"""Paths of one removal."""
LONGEST_LIFE = 100_000 * 86_400
"""Seconds of the longest life-time that code may be given."""
MOST_SHOWN = 40
"""Characters of a wrong value that an answer repeats."""


def _encodable(text: str) -> str:
    """JSON can name halves of characters, which no store can take."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        message = "a surrogate stands alone: send whole characters"
        raise ValueError(message)
    return text


def _life_time(value: object) -> int:
    """Seconds; what is none is named, since nothing of the caller's code can stand here."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LONGEST_LIFE:
        shown = repr(value)
        shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}..."
        message = f"{shown} is no life-time: give a whole number of seconds from 1 to {LONGEST_LIFE}"
        raise ValueError(message)
    return value


PathText = Annotated[str, Field(max_length=PATH_LIMIT), AfterValidator(_encodable)]


class IndexStamp(BaseModel):
    """Whose documents a key may send, what fingerprints must be made with, and bytes that a batch may have."""

    org: str
    schema_: int = Field(alias="schema")
    scheme: str
    key_check: str
    max_batch_bytes: int


class OwnStatistics(BaseModel):
    """What the index holds of one organization. `expires`: from when on its code counts no more, seconds since 1970."""

    org: str
    documents: int
    tokens: int
    fragments: int
    expires: int | None = None


class DocumentPage(BaseModel):
    """Paths with their keyed content hashes in hexadecimal, and the cursor of the next page, null on the last."""

    documents: dict[str, str]
    next: int | None


class PutReply(BaseModel):
    """Documents written, and those that stood there unchanged."""

    written: int
    unchanged: int


class RemovalBody(BaseModel):
    """What to withdraw: `paths`, or all whose path starts with `prefix` (all there are if that is empty)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: Annotated[list[PathText], Field(max_length=PATHS_LIMIT)] | None = None
    prefix: PathText | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> RemovalBody:
        if (self.paths is None) == (self.prefix is None):
            message = "name either paths or a prefix"
            raise ValueError(message)
        return self


class RemovalReply(BaseModel):
    """Documents that were withdrawn."""

    removed: int


class ExpiryBody(BaseModel):
    """For how many seconds from now on the organization's code is to count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl: Annotated[int, BeforeValidator(_life_time)]


class ExpiryReply(BaseModel):
    """From when on its code counts no more, in seconds since 1970; null if it has none."""

    expires: int | None
