"""What requests and answers look like, for the reference that the service gives of itself. Knows shapes only.

A completion is clean, comes with a citation, or was blocked. One that was blocked for private code looks like a clean
one that stopped early, so the blocked one shown is of a licence, which is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.routes.delivery import DECISION_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.openapi.models import Example

CREATED = 1_790_000_000
NAME = "SmolLM2-135M-Instruct.Q4_1"
DECISION = "dec_2f9c1b7a40d86e53"
PREFIX = "def fibonacci(n):\n"
CLEAN = "    a, b = 0, 1\n"
CITED = "    return lru_cache(maxsize=None)(walk)(n)\n"
REST = "    return a\n"


def _found(name: str, path: str, identifier: str, *, filtered: bool) -> dict[str, object]:
    citation = {"URL": f"pkg:generic/{name}#{path}", "license": identifier}
    return {"protected_material_code": {"detected": True, "filtered": filtered, "citation": citation}}


# By what happened: the text that left, how it ended, and what is told of a licence.
_CASES: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "clean": (CLEAN, "length", None),
    "cited": (CITED, "stop", _found("more-itertools", "more_itertools/recipes.py", "MIT", filtered=False)),
    "blocked": ("", "content_filter", _found("pylint", "pylint/lint.py", "GPL-2.0-or-later", filtered=True)),
}
_USAGE = {"prompt_tokens": 6, "completion_tokens": 11, "total_tokens": 17}


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What can be asked of an interface and what it answers, by name; `stream` is an answer as events."""

    asked: Mapping[str, Mapping[str, object]]
    answered: Mapping[str, Mapping[str, object]]
    stream: str

    def requests(self) -> dict[str, Example]:
        """As FastAPI takes examples of a body."""
        return {name: {"summary": name, "value": dict(body)} for name, body in self.asked.items()}


def _completion(text: str, reason: str, found: dict[str, object] | None) -> dict[str, object]:
    choice: dict[str, object] = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
    choice |= {"decision": DECISION} | ({"content_filter_results": found} if found else {})
    reply = {"id": "cmpl-5d1e", "object": "text_completion", "created": CREATED, "model": NAME}
    return {**reply, "choices": [choice], "usage": _USAGE}


def _fim(text: str, reason: str, found: dict[str, object] | None) -> dict[str, object]:
    message = {"role": "assistant", "content": text, "tool_calls": None}
    choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": reason, "decision": DECISION}
    choice |= {"content_filter_results": found} if found else {}
    reply = {"id": "cmpl-5d1e", "object": "chat.completion", "created": CREATED, "model": NAME}
    return {**reply, "choices": [choice], "usage": _USAGE}


def _infill(text: str, reason: str, found: dict[str, object] | None) -> dict[str, object]:
    answer: dict[str, object] = {"index": 0, "content": text, "tokens": [], "stop": True, "model": NAME}
    answer |= {"tokens_predicted": 11, "tokens_evaluated": 6, "truncated": False, "stopping_word": ""}
    answer |= {"stop_type": "limit" if reason == "length" else "eos", "finish_reason": reason, "decision": DECISION}
    return answer | ({"content_filter_results": found} if found else {})


COMPLETION = Dialogue(
    asked={
        "continue": {"prompt": PREFIX, "max_tokens": 48, "stop": ["\n\n"]},
        "fill a gap": {"prompt": PREFIX, "suffix": REST, "max_tokens": 48},
        "stream": {"prompt": PREFIX, "stream": True, "stream_options": {"include_usage": True}},
        "several, with log probabilities": {"prompt": PREFIX, "n": 2, "temperature": 0.4, "seed": 7, "logprobs": 0},
    },
    answered={name: _completion(*case) for name, case in _CASES.items()},
    stream=(
        'data: {"id":"cmpl-5d1e","object":"text_completion",...,"choices":[{"index":0,"text":"    a, b",...}]}\n\n'
        'data: {...,"choices":[{"index":0,"text":"","finish_reason":"length","decision":"dec_2f9c1b7a40d86e53"}]}\n\n'
        "data: [DONE]\n\n"
    ),
)
FIM = Dialogue(
    asked={
        "fill a gap": {"model": NAME, "prompt": PREFIX, "suffix": REST, "max_tokens": 48},
        "stream": {"model": NAME, "prompt": PREFIX, "suffix": REST, "stream": True},
    },
    answered={name: _fim(*case) for name, case in _CASES.items()},
    stream=(
        'data: {"id":"cmpl-5d1e","object":"chat.completion.chunk","choices":[{"delta":{"content":"    a"}}],...}\n\n'
        'data: {...,"choices":[{"index":0,"delta":{"content":""},"finish_reason":"length",...}],"usage":{...}}\n\n'
        "data: [DONE]\n\n"
    ),
)
INFILL = Dialogue(
    asked={
        "fill a gap": {"input_prefix": PREFIX, "prompt": "    a", "input_suffix": REST, "n_predict": 48},
        "with other files": {
            "input_prefix": PREFIX,
            "input_suffix": REST,
            "input_extra": [{"filename": "sums.py", "text": "A = 1\n"}],
        },
        "warm up": {"input_prefix": "", "input_suffix": "", "n_predict": 0},
    },
    answered={name: _infill(*case) for name, case in _CASES.items()},
    stream=(
        'data: {"index":0,"content":"    a, b","tokens":[],"stop":false}\n\n'
        'data: {"index":0,"content":"","tokens":[],"stop":true,"stop_type":"limit",...}\n\n'
    ),
)
MODEL = {"id": NAME, "object": "model", "created": CREATED, "owned_by": "cleanroom"}
MODEL_LIST = {"object": "list", "data": [MODEL]}
ALIVE = {"status": "ok"}
_READY = {"ready": True, "reason": None}
READY = {"ready": True, "parts": dict.fromkeys(("index", "ledger", "accounts", "engine"), _READY)}
NOT_READY = {
    "ready": False,
    "parts": {
        **dict.fromkeys(("ledger", "accounts", "engine"), _READY),
        "index": {"ready": False, "reason": "StoreUnavailableError"},
    },
}
STAMP = {
    "org": "acme",
    "schema": 3,
    "scheme": "cleanroom-3",
    "key_check": "9f86d081884c7d65",
    "max_batch_bytes": 4_194_304,
}
STATISTICS = {"org": "acme", "documents": 812, "tokens": 402_113, "fragments": 9_871, "expires": None}
PAGE = {"documents": {"src/sums.py": "6f1ed002ab5595859014ebf0951522d9"}, "next": 17}
PUT = {"written": 12, "unchanged": 800}
REMOVED = {"removed": 2}
EXPIRY = {"expires": CREATED + 86_400}
FRESHNESS = {"index": "0c6f2b9e8d1a47535e3f9a7c1b2d4e60"}
COUNTED = {"counted": 2}
FEEDBACK: dict[str, Example] = {
    "shown and accepted": {
        "summary": "shown and accepted",
        "value": {
            "events": [
                {"decision": DECISION, "outcome": outcome, "language": "python"} for outcome in ("shown", "accepted")
            ]
        },
    }
}
REMOVALS: dict[str, Example] = {
    "by path": {"summary": "by path", "value": {"paths": ["src/sums.py", "src/means.py"]}},
    "all": {"summary": "all", "value": {"prefix": ""}},
}
LIVES: dict[str, Example] = {"a day": {"summary": "a day", "value": {"ttl": 86_400}}}


def responses(model: object, dialogue: Dialogue) -> dict[int | str, dict[str, Any]]:
    """What a route that generates answers, as FastAPI takes it; `model` is a pydantic model or several."""
    described = {name: {"summary": name, "value": dict(answer)} for name, answer in dialogue.answered.items()}
    header = {"description": "Names of the guard's decisions, one a choice.", "schema": {"type": "string"}}
    events = {"examples": {"stream": {"summary": "stream", "value": dialogue.stream}}}
    return {
        200: {
            "model": model,
            "description": "What the guard let out.",
            "headers": {DECISION_HEADER: header},
            "content": {"application/json": {"examples": described}, "text/event-stream": events},
        }
    }


def of(answers: Mapping[str, object], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What another route answers."""
    described = {name: {"summary": name, "value": answer} for name, answer in answers.items()}
    return {status: {"content": {"application/json": {"examples": described}}}}
