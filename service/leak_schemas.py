"""The wire of `/v1/leaks`: what can be asked of leaks, and how they and what was said of them look."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from guard.types import MatchKind
from service.review.alerts import AlertKind
from service.review.filters import TEXT_LIMIT, LeakFilter
from service.review.leak import Disposition, Role, Severity
from service.review.review_schema import NOTE_LIMIT
from service.review.reviews import PAGE, PAGE_LIMIT

if TYPE_CHECKING:
    from service.review.judgements import Judgement
    from service.review.leak import Leak

Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]


class LeakConditions(BaseModel):
    """What leaks are meant: all that is said must hold. What is not known is refused: it would mean all leaks."""

    model_config = ConfigDict(extra="forbid")

    since: datetime | None = Field(None, description="From this time on, ISO 8601 with a zone.")
    until: datetime | None = Field(None, description="Before this time.")
    org: Text | None = Field(None, description="The caller's organization.")
    owner: Text | None = Field(None, description="Whose code: an organization or corpus, or `license:NAME:SPDX`.")
    kind: MatchKind | None = Field(None, description="How close the closest match is.")
    license: Text | None = Field(None, description="SPDX expression of one of the matches.")
    severity: Severity | None = Field(None, description="How grave.")
    disposition: Disposition | None = Field(None, description="What was said of it; `open`: nothing yet.")
    key: Text | None = Field(None, description="The caller's key's id.")
    model: Text | None = Field(None, description="The model's name, or its release.")

    def wanted(self) -> LeakFilter:
        """The same for the layer below. Raises InvalidRequestError on what can never be meant."""
        names = LeakConditions.model_fields.keys()
        return LeakFilter(**{name: getattr(self, name) for name in names})


class LeakQuestion(LeakConditions):
    """One page of these leaks."""

    cursor: str | None = Field(None, description="`next` of the page before, with the same conditions.")
    limit: int = Field(PAGE, ge=1, le=PAGE_LIMIT, description="Leaks of a page.")


class ExportQuestion(LeakConditions):
    """All of these leaks in one form."""

    format: Literal["jsonl", "csv", "ocsf", "ecs"] = Field(
        "jsonl", description="`jsonl` and `csv` as here; `ocsf` and `ecs` as a SIEM reads them, one object a line."
    )


class LeakMatchBody(BaseModel):
    """A span of the generation (characters) in somebody's code; null where you may not know whose."""

    kind: MatchKind
    start: int
    end: int
    tokens: int
    similarity: float
    action: Literal["allow", "cite", "block"]
    private: bool
    owner: str | None = None
    document: str | None = None
    license: str | None = None
    reason: str


class LeakBody(BaseModel):
    """A generation that was blocked, as far as you may see it. `role`: on which side of it you stand."""

    id: str
    at: str
    role: Role
    severity: Severity
    disposition: Disposition
    org: str | None = None
    key: str | None = None
    model: str
    release: str | None = None
    surface: str
    outcome: str
    released_characters: int
    generated_characters: int
    checked_tokens: int
    matches: list[LeakMatchBody]
    entry: int | None = None
    hash: str | None = None
    index_version: int | None = None

    @classmethod
    def of(cls, leak: Leak) -> LeakBody:
        """The body of a leak."""
        return cls.model_validate(leak.to_json())


class JudgementBody(BaseModel):
    """What a reviewer said; `org` and `key` are theirs."""

    at: str
    disposition: Disposition
    note: str
    org: str
    key: str

    @classmethod
    def of(cls, judgement: Judgement) -> JudgementBody:
        """The body of a judgement."""
        return cls.model_validate(judgement.to_json())


class LeakPageBody(BaseModel):
    """Leaks, the newest first. A page may be short, or empty, before the last: go on while there is a `next`."""

    object: Literal["list"] = "list"
    data: list[LeakBody]
    next: str | None = None


class LeakDetailBody(LeakBody):
    """A leak with all that you may know was said of it, the oldest first."""

    history: list[JudgementBody]


class AlertBody(BaseModel):
    """Something that many leaks together show. `org` is the caller's; `details` are numbers and names."""

    kind: AlertKind
    id: int
    at: str
    subject: str
    org: str
    details: dict[str, str | int | float]


class AlertListBody(BaseModel):
    """The newest alerts."""

    object: Literal["list"] = "list"
    data: list[AlertBody]


class DispositionBody(BaseModel):
    """What you say of a leak. `open` takes a judgement back; what was said before stays in the history."""

    model_config = ConfigDict(extra="forbid")

    disposition: Disposition
    note: str = Field("", description=f"Why, at most {NOTE_LIMIT} characters. Write no source text here.")


class DispositionReply(BaseModel):
    """What stands now, and all that was said."""

    id: str
    disposition: Disposition
    history: list[JudgementBody]
