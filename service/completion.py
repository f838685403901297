"""What is asked for and what is answered, as values. Knows neither HTTP nor how text comes about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from guard.types import new_decision_id
from service.rendering import NOTHING_AROUND

if TYPE_CHECKING:
    from service.accounts import Caller
    from service.engines.protocol import Sampling, TokenLogprobs
    from service.release import Finding
    from service.surroundings import Surroundings

FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a caller asks for: `n` continuations of every prompt. `surface` names the interface it came by.

    `around` and `truncate` are `service.prompt.build_prompt`'s. `deadline`: when the last of them must have been
    written, by the event loop's clock; None is what the settings say. `decision_ids` are the names that the guard's
    decisions will have, by prompt, then by number.
    """

    caller: Caller
    prompts: tuple[str, ...]
    sampling: Sampling
    suffix: str | None = None
    n: int = 1
    surface: str = "completions"
    around: Surroundings = NOTHING_AROUND
    truncate: int | None = None
    deadline: float | None = None
    decision_ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Name the decisions, so that a stream can tell them before it begins."""
        names = tuple(new_decision_id() for _ in range(len(self.prompts) * self.n))
        object.__setattr__(self, "decision_ids", names)


@dataclass(frozen=True, slots=True)
class Choice:
    """One checked continuation: all that a route may show of it. `tokens` counts the released text alone.

    `logprobs`: of the tokens that lie in the released text, if they were asked for and the engine has them. Where a
    text stopped, its last token is not among them: a cut may fall inside a token, and would show by what is missing.
    """

    text: str
    finish_reason: FinishReason
    finding: Finding | None
    decision_id: str
    tokens: int
    prompt_tokens: int
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to a request: `choices` by prompt, then by number."""

    model: str
    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of the choice `index` that leaves before the choice is finished, and the next of its `logprobs`."""

    index: int
    text: str
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The choice `index`, finished; the text of its pieces is the beginning of its own."""

    index: int
    choice: Choice
