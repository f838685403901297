"""The wire of `POST /v1/completions`, in the shapes of the OpenAI API.

Knows no engine and no guard; a request's bounds that settings decide are checked where it becomes a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.completion import CompletionRequest, FinishReason
from service.engines.protocol import Sampling
from service.errors import InvalidRequestError
from service.prompt import ALL_THAT_FITS
from service.request_fields import (
    FILES_LIMIT,
    GenerationBody,
    Name,
    Stops,
    Texts,
    WholeText,
    require_characters,
    require_tokens,
)
from service.schemas import ContentFilterResults, Usage
from service.surroundings import ContextFile, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.accounts import Caller
    from service.completion import Choice
    from service.engines.protocol import TokenLogprobs
    from service.parts import Services

CHOICES_LIMIT = 8
STOPS_LIMIT = 4
LOGPROBS_LIMIT = 5


class FileBody(BaseModel):
    """Another file of the repository, or a piece of one."""

    path: Annotated[Name, Field(min_length=1)]
    text: WholeText


class ContextBody(BaseModel):
    """What surrounds prompt and suffix."""

    model_config = ConfigDict(frozen=True)

    path: Name = Field(default="", description="Path of the file that prompt and suffix are of.")
    repository: Name = Field(default="", description="Name of its repository.")
    files: list[FileBody] = Field(
        default=[], max_length=FILES_LIMIT, description="Other files, those that matter most last."
    )

    def surroundings(self) -> Surroundings:
        """The same for the pipeline. Raises InvalidRequestError for files without a path of this one."""
        files = tuple(ContextFile(file.path, file.text) for file in self.files)
        return Surroundings(self.path, self.repository, files)


class StreamOptions(BaseModel):
    """How a stream ends. Fields that are not here are ignored."""

    include_usage: bool = Field(default=False, description="Whether the last event tells the usage.")


class CompletionBody(GenerationBody):
    """Body of `POST /v1/completions`."""

    prompt: Texts = Field(description="What is continued; a list asks for each of its prompts.")
    suffix: WholeText | None = Field(None, description="What follows the gap to fill.")
    context: ContextBody = Field(ContextBody(), description="What surrounds prompt and suffix.")
    truncate_prompt_tokens: int | None = Field(
        None, ge=ALL_THAT_FITS, description="Keep so many of the prompt's last tokens; -1: all that fit."
    )
    max_tokens: int | None = Field(None, ge=1)
    n: int = Field(1, ge=1, le=CHOICES_LIMIT, description="Continuations of each prompt.")
    best_of: int | None = Field(None, ge=1, description="As many as `n`, or absent: all that are written are given.")
    stop: Stops = Field([], max_length=STOPS_LIMIT, description="Up to four strings before which the text ends.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stream_options: StreamOptions | None = None
    echo: bool = Field(default=False, description="Whether the prompt stands before the completion.")
    logprobs: int | None = Field(
        None, ge=0, le=LOGPROBS_LIMIT, description="Tell the tokens' log probabilities; of drawn tokens alone."
    )

    def order(self, caller: Caller, services: Services, deadline: float) -> CompletionRequest:
        """What the caller asks for. Raises InvalidRequestError where it goes beyond what is served here."""
        self.require_model(caller, services)
        self._require_served(services)
        if not 1 <= len(self.prompt) * self.n <= CHOICES_LIMIT:
            message = (
                f"{len(self.prompt)} prompts with n={self.n} make {len(self.prompt) * self.n} choices: "
                f"ask for 1 to {CHOICES_LIMIT}"
            )
            raise InvalidRequestError(message, param="prompt")
        context = sum(len(file.text) for file in self.context.files)
        characters = sum(map(len, self.prompt)) + len(self.suffix or "") + context
        require_characters(characters, services, "prompt, suffix and context", "prompt")
        return CompletionRequest(
            caller=caller,
            prompts=tuple(self.prompt),
            suffix=self.suffix or None,
            n=self.n,
            surface="stream" if self.stream else "completions",
            around=self.context.surroundings(),
            truncate=self.truncate_prompt_tokens,
            deadline=deadline,
            sampling=Sampling(
                max_tokens=require_tokens(self.max_tokens, services, "max_tokens"),
                temperature=self.temperature,
                top_p=self.top_p,
                stop=tuple(self.stop),
                seed=self.seed,
                model=self.model or None,
                # Alternatives are not even asked for: no guard has seen them.
                logprobs=None if self.logprobs is None else 0,
            ),
        )

    def _require_served(self, services: Services) -> None:
        if self.best_of not in {None, self.n}:
            message = (
                f"best_of {self.best_of} is not n: every text that is written is checked and given, so leave it out"
            )
            raise InvalidRequestError(message, param="best_of")
        if self.logprobs is not None and self.echo:
            message = (
                "logprobs are not told with echo: those of a prompt would show whether the model was trained on it; "
                "leave one of the two out"
            )
            raise InvalidRequestError(message, param="logprobs")
        if self.logprobs is not None and not services.engine.tells_logprobs:
            message = f"the engine {services.engine.name!r} tells no logprobs: leave the field out"
            raise InvalidRequestError(message, param="logprobs")
        if self.stream_options is not None and not self.stream:
            message = 'stream_options go with "stream": true only: set it, or leave them out'
            raise InvalidRequestError(message, param="stream_options")


class LogprobsBody(BaseModel):
    """Tokens of a choice's text, the natural logarithms of their probabilities, and where in the text they begin.

    `top_logprobs` names the drawn token alone, however many are asked for. Alternatives are text that no guard has
    seen: after a cut they would show the token that was kept back, and before one they would spell out what the model
    knows, token by token.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]

    @classmethod
    def of(cls, tokens: Iterable[TokenLogprobs], start: int = 0) -> LogprobsBody:
        """The `tokens`, of which the first begins at character `start` of the choice's text."""
        body = cls(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        for token in tokens:
            body.tokens.append(token.text)
            body.token_logprobs.append(token.logprob)
            body.top_logprobs.append({token.text: token.logprob})
            body.text_offset.append(start)
            start += len(token.text)
        return body


class ChoiceBody(BaseModel):
    """One choice, or a piece of one in a stream."""

    index: int
    text: str
    logprobs: LogprobsBody | None = None
    finish_reason: FinishReason | None = None
    decision: str | None = Field(default=None, exclude_if=lambda value: value is None)
    content_filter_results: ContentFilterResults | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, index: int, choice: Choice, text: str, logprobs: LogprobsBody | None = None) -> ChoiceBody:
        """The end of `choice`: `text` and all that is known of it."""
        return cls(
            index=index,
            text=text,
            logprobs=logprobs,
            finish_reason=choice.finish_reason,
            decision=choice.decision_id,
            content_filter_results=ContentFilterResults.of(choice.finding),
        )


class CompletionReply(BaseModel):
    """A completion, or a chunk of a streamed one; `usage` is null but in the one that carries it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[ChoiceBody]
    usage: Usage | None = None
