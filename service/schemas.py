"""The wire: what a client may send and what it gets, in the shapes of the OpenAI completions API.

Knows no engine and no guard; a request's bounds that settings decide are checked where it becomes a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from service.completion import CompletionRequest
from service.engines.protocol import Sampling
from service.errors import InvalidRequestError, ModelNotFoundError
from service.prompt import ALL_THAT_FITS
from service.surroundings import ContextFile, Surroundings

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.completion import Choice, Completion
    from service.settings import Settings

CHOICES_LIMIT = 8
STOPS_LIMIT = 4
FILES_LIMIT = 32

HALF_CHARACTER = re.compile("[\ud800-\udfff]")

StopString = Annotated[str, Field(min_length=1, max_length=200)]


def _whole_characters(text: str) -> str:
    """JSON can name halves of characters, which no engine and no index can take."""
    if HALF_CHARACTER.search(text):
        message = "a surrogate stands alone: send whole characters"
        raise ValueError(message)
    return text


Name = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f]*$"), AfterValidator(_whole_characters)]


class FileBody(BaseModel):
    """Another file of the repository, or a piece of one."""

    path: Name = Field(min_length=1)
    text: Annotated[str, AfterValidator(_whole_characters)]


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
    """How a stream ends."""

    include_usage: bool = False


class CompletionBody(BaseModel):
    """Body of `POST /v1/completions`. Fields that are not here are ignored, since clients send many."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    model: str | None = Field(None, max_length=500, description="The served model, or absent.")
    prompt: list[str] = Field(description="What is continued; a list asks for each of its prompts.")
    suffix: str | None = Field(None, description="What follows the gap to fill.")
    context: ContextBody = Field(ContextBody(), description="What surrounds prompt and suffix.")
    truncate_prompt_tokens: int | None = Field(
        None, ge=ALL_THAT_FITS, description="Keep so many of the prompt's last tokens; -1: all that fit."
    )
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2, description="0, the default, is greedy.")
    top_p: float = Field(1.0, gt=0, le=1)
    n: int = Field(1, ge=1, le=CHOICES_LIMIT)
    stop: list[StopString] = Field([], max_length=STOPS_LIMIT)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stream: bool = False
    stream_options: StreamOptions | None = None
    echo: bool = False
    logprobs: int | None = None

    @field_validator("prompt", "stop", mode="before")
    @classmethod
    def _string_or_list(cls, value: object) -> object:
        """One string stands for a list of it. Lists of token numbers are not for us: the guard reads text."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            message = "expected a string or a list of strings"
            raise ValueError(message)
        return texts

    @field_validator("temperature", "top_p", "n", "stop", "stream", "echo", "context", mode="before")
    @classmethod
    def _null_is_default(cls, value: object, info: ValidationInfo) -> object:
        """The API of OpenAI lets every optional field be null."""
        return cls.model_fields[info.field_name or ""].default if value is None else value

    @field_validator("prompt", "stop", "suffix", mode="after")
    @classmethod
    def _encodable(cls, value: list[str] | str | None) -> list[str] | str | None:
        for text in [value] if isinstance(value, str) else value or []:
            _whole_characters(text)
        return value

    def request(self, caller: Caller, models: tuple[str, ...], settings: Settings) -> CompletionRequest:
        """What the caller asks for; without a model, the first of `models`.

        Raises InvalidRequestError where it goes beyond what is served here.
        """
        self._require_served(models)
        self._require_bounds(settings)
        return CompletionRequest(
            caller=caller,
            prompts=tuple(self.prompt),
            suffix=self.suffix or None,
            n=self.n,
            surface="stream" if self.stream else "completions",
            around=self.context.surroundings(),
            truncate=self.truncate_prompt_tokens,
            sampling=Sampling(
                max_tokens=self.max_tokens or settings.max_tokens_default,
                temperature=self.temperature,
                top_p=self.top_p,
                stop=tuple(self.stop),
                seed=self.seed,
                model=self.model or None,
            ),
        )

    def _require_served(self, models: tuple[str, ...]) -> None:
        if self.model and self.model not in models:
            message = f"model {self.model!r} is not served here: ask for {models[0]!r} (GET /v1/models)"
            raise ModelNotFoundError(message, param="model")
        if self.logprobs is not None:
            message = "logprobs are not served: they would show tokens that the guard keeps back; leave the field out"
            raise InvalidRequestError(message, param="logprobs")
        if self.stream_options is not None and not self.stream:
            message = 'stream_options go with "stream": true only: set it, or leave them out'
            raise InvalidRequestError(message, param="stream_options")

    def _require_bounds(self, settings: Settings) -> None:
        limit = settings.max_tokens_limit
        if self.max_tokens is not None and self.max_tokens > limit:
            message = f"max_tokens {self.max_tokens} is above the limit of this server: ask for at most {limit}"
            raise InvalidRequestError(message, param="max_tokens")
        if not 1 <= len(self.prompt) * self.n <= CHOICES_LIMIT:
            message = (
                f"{len(self.prompt)} prompts with n={self.n} make {len(self.prompt) * self.n} choices: "
                f"ask for 1 to {CHOICES_LIMIT}"
            )
            raise InvalidRequestError(message, param="prompt")
        context = sum(len(file.text) for file in self.context.files)
        characters = sum(map(len, self.prompt)) + len(self.suffix or "") + context
        if characters > settings.max_prompt_characters:
            message = (
                f"prompt, suffix and context have {characters} characters, above the limit of this server: "
                f"send at most {settings.max_prompt_characters}"
            )
            raise InvalidRequestError(message, param="prompt")


class Citation(BaseModel):
    """Where matching public code stands, and under which licence."""

    URL: str
    license: str


class ProtectedMaterial(BaseModel):
    """A finding in public code: `filtered` when the text was kept back, else it came with this citation."""

    detected: bool = True
    filtered: bool
    citation: Citation


class ContentFilterResults(BaseModel):
    """Findings, as Azure OpenAI shapes them."""

    protected_material_code: ProtectedMaterial


class ChoiceBody(BaseModel):
    """One choice, or a piece of one in a stream."""

    index: int
    text: str
    logprobs: None = None
    finish_reason: Literal["stop", "length", "content_filter"] | None = None
    decision: str | None = Field(default=None, exclude_if=lambda value: value is None)
    content_filter_results: ContentFilterResults | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, index: int, choice: Choice, text: str) -> ChoiceBody:
        """The end of `choice`: `text` and all that is known of it."""
        finding = choice.finding
        results = None
        if finding is not None:
            citation = Citation(URL=finding.source, license=finding.license)
            material = ProtectedMaterial(filtered=finding.filtered, citation=citation)
            results = ContentFilterResults(protected_material_code=material)
        return cls(
            index=index,
            text=text,
            finish_reason=choice.finish_reason,
            decision=choice.decision_id,
            content_filter_results=results,
        )


class Usage(BaseModel):
    """Tokens of the prompts, and of the text that was released."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, completion: Completion) -> Usage:
        """The usage of an answer."""
        prompt, text = completion.prompt_tokens, completion.completion_tokens
        return cls(prompt_tokens=prompt, completion_tokens=text, total_tokens=prompt + text)


class CompletionReply(BaseModel):
    """A completion, or a chunk of a streamed one; `usage` is null but in the one that carries it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[ChoiceBody]
    usage: Usage | None = None


class ModelBody(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "cleanroom"


class ModelList(BaseModel):
    """The models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class ErrorDetail(BaseModel):
    """What was wrong and what to do; `param` names the field, `code` is stable."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(BaseModel):
    """Every error has this shape."""

    error: ErrorDetail


class PartState(BaseModel):
    """Whether one part could do its work now; `reason` is the kind of error, the log has the rest."""

    ready: bool
    reason: str | None = None


class Readiness(BaseModel):
    """Whether the service could answer now, part by part."""

    ready: bool
    parts: dict[str, PartState]
