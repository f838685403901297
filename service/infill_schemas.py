"""The wire of `POST /infill`, in the shapes of llama.cpp's server (its tools/server/README.md).

Knows no engine and no guard.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field, JsonValue, RootModel

from service.completion import CompletionRequest, FinishReason
from service.engines.protocol import Sampling
from service.prompt import ALL_THAT_FITS
from service.request_fields import FILES_LIMIT, GenerationBody, Name, WholeText, require_characters, require_tokens
from service.schemas import ContentFilterResults
from service.surroundings import ContextFile, Surroundings

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.completion import Choice
    from service.parts import Services

CHUNKS_LIMIT = 256
"""Pieces of other files that a request may have; the last FILES_LIMIT of them count."""
WITHOUT_END = -1
"""`n_predict` of as many tokens as there may be."""
UNNAMED = "untitled"
RANDOM_SEEDS = {-1, 2**32 - 1}


class ExtraBody(BaseModel):
    """A piece of another file. Editors send buffers without a name, too."""

    filename: Name = ""
    text: WholeText


class InfillBody(GenerationBody):
    """Body of `POST /infill`. The text before the gap is `input_prefix` and `prompt` together."""

    input_prefix: WholeText = Field("", description="What stands before the gap, as far as whole lines.")
    prompt: WholeText = Field("", description="The rest of it: the beginning of the current line.")
    input_suffix: WholeText = Field("", description="What follows the gap.")
    input_extra: list[ExtraBody] = Field(
        [], max_length=CHUNKS_LIMIT, description="Pieces of other files, those that matter most last."
    )
    n_predict: int | None = Field(
        None, ge=WITHOUT_END, description="Tokens to generate; -1: as many as may be; 0: none, as editors warm up with."
    )
    seed: int | None = Field(None, ge=-1, lt=2**63, description="-1, as absent: another one each time.")
    response_fields: list[Annotated[str, Field(max_length=200)]] = Field(
        [],
        max_length=100,
        description="Fields that the answer is to have; one with a slash is lifted out of its object.",
    )

    def order(self, caller: Caller, services: Services, deadline: float) -> CompletionRequest:
        """What the caller asks for. Raises InvalidRequestError where it goes beyond what is served here."""
        self.require_model(caller, services)
        before = self.input_prefix + self.prompt
        characters = len(before) + len(self.input_suffix) + sum(len(extra.text) for extra in self.input_extra)
        require_characters(characters, services, "prefix, prompt, suffix and extra", "input_prefix")
        return CompletionRequest(
            caller=caller,
            prompts=(before,),
            suffix=self.input_suffix or None,
            surface="infill",
            around=self._surroundings(),
            truncate=ALL_THAT_FITS,
            deadline=deadline,
            sampling=Sampling(
                max_tokens=self._tokens(services),
                temperature=self.temperature,
                top_p=self.top_p,
                stop=tuple(self.stop),
                seed=None if self.seed in RANDOM_SEEDS else self.seed,
                model=self.model or None,
            ),
        )

    def _tokens(self, services: Services) -> int:
        """The tokens to generate; without an end, at most half of the window: the prompt needs some of it."""
        if self.n_predict != WITHOUT_END:
            return require_tokens(self.n_predict, services, "n_predict")
        limit, window = services.settings.max_tokens_limit, services.engine.context_window
        return min(limit, max(1, window // 2)) if window else limit

    def _surroundings(self) -> Surroundings:
        """The other files. The interface does not name the one that is written: it is taken to be like the last."""
        files = tuple(ContextFile(extra.filename or UNNAMED, extra.text) for extra in self.input_extra[-FILES_LIMIT:])
        path = UNNAMED + PurePosixPath(files[-1].path).suffix if files else ""
        return Surroundings(path=path, files=files)


class InfillSelection(RootModel[dict[str, JsonValue]]):
    """The fields of an answer that `response_fields` names, as far as it has them."""


class InfillPiece(BaseModel):
    """An event of a streamed answer but the last."""

    index: int = 0
    content: str
    tokens: list[int] = []
    stop: Literal[False] = False


class InfillReply(BaseModel):
    """An answer, or the last event of a streamed one, which has no text.

    Counts are of the prompt and of the released text. Which numbers the tokens have, and how long they took, is not
    told: both would tell of what was kept back. A stop string counts as "eos", since so does a leak.
    """

    index: int = 0
    content: str
    tokens: list[int] = []
    stop: Literal[True] = True
    model: str
    tokens_predicted: int
    tokens_evaluated: int
    truncated: bool = False
    stop_type: Literal["eos", "limit"]
    stopping_word: str = ""
    finish_reason: FinishReason
    decision: str | None = Field(default=None, exclude_if=lambda value: value is None)
    content_filter_results: ContentFilterResults | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, choice: Choice, model: str, content: str) -> InfillReply:
        """The end of `choice`, with `content` of its text."""
        return cls(
            content=content,
            model=model,
            tokens_predicted=choice.tokens,
            tokens_evaluated=choice.prompt_tokens,
            stop_type="limit" if choice.finish_reason == "length" else "eos",
            finish_reason=choice.finish_reason,
            decision=choice.decision_id,
            content_filter_results=ContentFilterResults.of(choice.finding),
        )
