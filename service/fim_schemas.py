"""The wire of `POST /v1/fim/completions`, in the shapes of Mistral's API (docs.mistral.ai/api, "Fim").

Knows no engine and no guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from service.completion import CompletionRequest, FinishReason
from service.engines.protocol import Sampling
from service.errors import InvalidRequestError
from service.request_fields import GenerationBody, WholeText, require_characters, require_tokens
from service.schemas import ContentFilterResults, Usage

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.parts import Services


class FimBody(GenerationBody):
    """Body of `POST /v1/fim/completions`."""

    prompt: WholeText = Field(description="What stands before the gap.")
    suffix: WholeText | None = Field(None, description="What follows it.")
    max_tokens: int | None = Field(None, ge=1)
    min_tokens: int | None = Field(None, ge=0, description="0, or absent: no text is made longer than it is.")
    random_seed: int | None = Field(None, ge=0, lt=2**63)

    def order(self, caller: Caller, services: Services, deadline: float) -> CompletionRequest:
        """What the caller asks for. Raises InvalidRequestError where it goes beyond what is served here."""
        self.require_model(caller, services)
        if self.min_tokens:
            message = "min_tokens are not served, since a text ends where it ends: leave the field out"
            raise InvalidRequestError(message, param="min_tokens")
        require_characters(len(self.prompt) + len(self.suffix or ""), services, "prompt and suffix", "prompt")
        return CompletionRequest(
            caller=caller,
            prompts=(self.prompt,),
            suffix=self.suffix or None,
            surface="fim",
            deadline=deadline,
            sampling=Sampling(
                max_tokens=require_tokens(self.max_tokens, services, "max_tokens"),
                temperature=self.temperature,
                top_p=self.top_p,
                stop=tuple(self.stop),
                seed=self.random_seed,
                model=self.model or None,
            ),
        )


class AssistantMessage(BaseModel):
    """The text, as a message."""

    role: Literal["assistant"] = "assistant"
    content: str
    tool_calls: None = None


class FimChoice(BaseModel):
    """The one choice of an answer."""

    index: int = 0
    message: AssistantMessage
    finish_reason: FinishReason
    decision: str
    content_filter_results: ContentFilterResults | None = Field(default=None, exclude_if=lambda value: value is None)


class FimReply(BaseModel):
    """An answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[FimChoice]
    usage: Usage


class Delta(BaseModel):
    """The next piece of the text."""

    role: Literal["assistant"] | None = Field(default=None, exclude_if=lambda value: value is None)
    content: str


class FimDelta(BaseModel):
    """A piece of the one choice, or its end."""

    index: int = 0
    delta: Delta
    finish_reason: FinishReason | None = None
    decision: str | None = Field(default=None, exclude_if=lambda value: value is None)
    content_filter_results: ContentFilterResults | None = Field(default=None, exclude_if=lambda value: value is None)


class FimChunk(BaseModel):
    """An event of a streamed answer; the last one has the usage."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[FimDelta]
    usage: Usage | None = Field(default=None, exclude_if=lambda value: value is None)
