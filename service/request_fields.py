"""What requests for generations have in common: texts that can be encoded, sampling, and the bounds of this server.

Knows no interface in particular.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticUndefined

from service.errors import InvalidRequestError
from service.offering import require_model

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.parts import Services

FILES_LIMIT = 32
STOPS_LIMIT = 16

HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def _whole_characters(text: str) -> str:
    """JSON can name halves of characters, which no engine and no index can take."""
    if HALF_CHARACTER.search(text):
        message = "a surrogate stands alone: send whole characters"
        raise ValueError(message)
    return text


def _listed(value: object) -> object:
    """One string stands for a list of it. Lists of token numbers are not for us: the guard reads text."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        message = "expected a string or a list of strings"
        raise ValueError(message)
    return texts


STRING_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

WholeText = Annotated[str, AfterValidator(_whole_characters)]
Name = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$"), AfterValidator(_whole_characters)]
StopString = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_whole_characters)]
Texts = Annotated[list[WholeText], BeforeValidator(_listed), WithJsonSchema(STRING_OR_LIST)]
Stops = Annotated[list[StopString], BeforeValidator(_listed), WithJsonSchema(STRING_OR_LIST)]


class GenerationBody(BaseModel):
    """What every request for a generation may say. Fields that are not here are ignored, since clients send many."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    model: str | None = Field(
        None, max_length=500, description="One of the served models; the first where it is absent."
    )
    temperature: float = Field(0.0, ge=0, le=2, description="0, the default, is greedy.")
    top_p: float = Field(1.0, gt=0, le=1)
    stop: Stops = Field([], max_length=STOPS_LIMIT, description="Strings before which the text ends.")
    stream: bool = Field(default=False, description="Whether to answer with server-sent events.")

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_default(cls, value: object, info: ValidationInfo) -> object:
        """The APIs that we speak let every optional field be null."""
        default = cls.model_fields[info.field_name or ""].default
        return default if value is None and default is not PydanticUndefined else value

    def require_model(self, caller: Caller, services: Services) -> None:
        """Raise ModelNotFoundError where a model is asked for that is not served to the caller's organization."""
        require_model(services, caller.org, self.model or None)


def require_tokens(asked: int | None, services: Services, param: str) -> int:
    """The tokens to generate. Raises InvalidRequestError above the limit of this server."""
    limit = services.settings.max_tokens_limit
    if asked is not None and asked > limit:
        message = f"{param} {asked} is above the limit of this server: ask for at most {limit}"
        raise InvalidRequestError(message, param=param)
    return services.settings.max_tokens_default if asked is None else asked


def require_characters(count: int, services: Services, what: str, param: str) -> None:
    """Raise InvalidRequestError where `what` has more characters than this server takes."""
    limit = services.settings.max_prompt_characters
    if count > limit:
        message = f"{what} have {count} characters, above the limit of this server: send at most {limit}"
        raise InvalidRequestError(message, param=param)
