"""Reads what OpenAI-compatible servers answer: models, pieces of a completion, refusals. Knows no connection."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from service.errors import ContextLengthError, EngineError, EngineUnavailableError, SetupError

# Most characters of another server's words that are repeated.
WORDS_LIMIT = 200
# JSON can name halves of characters, which nothing can be told of.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
BUSY = frozenset({429, 503})
# How servers say that a prompt is too long: OpenAI and vLLM by code or words, llama.cpp by type.
TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "context length", "context size", "max_model_len")


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a completion stream; the counts come with the last one only."""

    text: str
    finish_reason: Literal["stop", "length"] | None
    prompt_tokens: int | None
    completion_tokens: int | None


def completion_piece(event: dict[str, object]) -> Piece:
    """Read an event of the stream. Raises EngineError for an event that is none."""
    choices, usage = event.get("choices"), event.get("usage")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(choices, list) or not isinstance(choice, dict):
        message = "the engine's server sent an event without choices: check that its URL is a completion server's"
        raise EngineError(message)
    text, finish = choice.get("text", ""), choice.get("finish_reason")
    counts = usage if isinstance(usage, dict) else {}
    if not isinstance(text, str) or HALF_CHARACTER.search(text):
        message = "the engine's server sent a choice whose text is no string: check that it is a completion server"
        raise EngineError(message)
    return Piece(
        text=text,
        finish_reason=None if not finish else "length" if finish == "length" else "stop",
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def served_model(answer: object, named: str | None, url: str) -> tuple[str, int]:
    """The model to ask and its window in tokens (0 when unknown), from the answer to `GET /models`.

    Raises SetupError where no model is named and the server does not serve exactly one.
    """
    listed = answer.get("data") if isinstance(answer, dict) else None
    models = {
        entry["id"]: entry
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    }
    if named is None and len(models) != 1:
        names = ", ".join(sorted(models)[:5]) or "none"
        message = f"{url} lists {len(models)} models ({names}): name the one to use with --model"
        raise SetupError(message)
    model = named if named is not None else next(iter(models))
    # vLLM's name of the window; others do not tell.
    return model, _count(models.get(model, {}).get("max_model_len")) or 0


def served_models(answer: object, named: str | None) -> tuple[str, tuple[str, ...]]:
    """The model to ask and, beginning with it, all names that a vLLM server serves: `GET /v1/models`, adapters too.

    Raises SetupError where `named` is not served, or where none is named and there is not exactly one.
    """
    listed = answer.get("data") if isinstance(answer, dict) else None
    entries = [entry for entry in (listed if isinstance(listed, list) else []) if isinstance(entry, dict)]
    names = [entry["id"] for entry in entries if isinstance(entry.get("id"), str)]
    # Adapters name the model that they adapt.
    models = [entry["id"] for entry in entries if isinstance(entry.get("id"), str) and not entry.get("parent")]
    if named is None and len(models) == 1:
        named = models[0]
    if not names:
        message = "vLLM lists no model: check what runs at CLEANROOM_ENGINE_URL, and CLEANROOM_ENGINE_API_KEY"
        raise SetupError(message)
    if named is None or named not in names:
        message = f"vLLM serves {', '.join(names[:5])}: name one of them with --model"
        raise SetupError(message)
    return named, (named, *(name for name in names if name != named))


def rejection(status: int, body: bytes, url: str) -> EngineError | ContextLengthError:
    """What an answer other than 200 means."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    words = _words(answer)
    said = f": {words}" if words else ""
    if status in {400, 413, 422} and _too_long(answer):
        return ContextLengthError(
            f"{url} finds the prompt too long{said}; shorten it or lower max_tokens", param="prompt"
        )
    if status in BUSY:
        return EngineUnavailableError(f"{url} answered {status}{said}; retry later")
    return EngineError(f"{url} answered {status}{said}; look at that server and at the model and key set for it")


def rejection_in_stream(event: dict[str, object], url: str) -> EngineError | ContextLengthError:
    """What an error in the middle of a stream means."""
    words = _words(event)
    said = f": {words}" if words else ""
    if _too_long(event):
        return ContextLengthError(
            f"{url} finds the prompt too long{said}; shorten it or lower max_tokens", param="prompt"
        )
    return EngineError(f"{url} failed while generating{said}; look at that server, then retry")


def _words(answer: object) -> str:
    """The server's own message, cut short; an answer without one is not repeated at all."""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(message.split())[:WORDS_LIMIT] if isinstance(message, str) else ""


def _too_long(answer: object) -> bool:
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    said = [error.get(field) for field in ("code", "type", "message")] if isinstance(error, dict) else [error]
    return any(sign in str(value).lower() for value in said for sign in TOO_LONG)
