"""The wire of `/v1/exceptions`: documents whose copies may pass, as reviewers ask for them and see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from guard.types import SLUG
from service.leak_schemas import Text
from service.review.exceptions import DAYS, ExceptionKind
from service.review.review_schema import NOTE_LIMIT

if TYPE_CHECKING:
    from service.review.exceptions import DocumentException

PATH_LIMIT = 4_096


class ExceptionBody(BaseModel):
    """Let copies of a document pass that was a false alarm in a leak. Name it where several were blocked there."""

    model_config = ConfigDict(extra="forbid")

    leak: Annotated[str, Field(min_length=1, max_length=128, description="The leak that you judged a false alarm.")]
    days: int = Field(ge=1, le=DAYS, strict=True, description="How long it holds.")
    owner: Text | None = Field(None, description="Whose document, as the leak has it: `org:acme`.")
    document: str | None = Field(None, min_length=1, max_length=PATH_LIMIT, description="Its path, as the leak has it.")
    org: str | None = Field(
        None, pattern=f"^{SLUG.pattern}$", description="For whose completions alone; without it, for everybody's."
    )
    kind: ExceptionKind = Field(
        ExceptionKind.EXCEPTION,
        description="`exception`: as if this document were not indexed. `commons`, for administrators: nobody's "
        "secret, which excuses every document that holds the same code.",
    )
    note: str = Field(
        "", description=f"Why, at most {NOTE_LIMIT} characters; the owner reads it. No source text, please."
    )


class ExceptionReply(BaseModel):
    """An exception. `ended` is `revoked` or `expired`, empty while it holds; `everyone`: not for one `org` alone."""

    id: str
    kind: ExceptionKind
    owner: str
    document: str
    org: str | None = None
    everyone: bool
    leak: str
    at: str
    until: str
    note: str
    maker: str | None = None
    key: str | None = None
    ended: Literal["", "revoked", "expired"]
    ended_at: str

    @classmethod
    def of(cls, exception: DocumentException) -> ExceptionReply:
        """The body of an exception."""
        return cls.model_validate(exception.to_json())


class ExceptionListReply(BaseModel):
    """The newest exceptions."""

    object: Literal["list"] = "list"
    data: list[ExceptionReply]
