"""Owns the rule that a prompt and what follows it share the model's window. Knows no engine and no text."""

from __future__ import annotations

from service.errors import ContextLengthError


def require_room(prompt_tokens: int, max_tokens: int, window: int, model: str) -> None:
    """Raise ContextLengthError unless the prompt and `max_tokens` fit `window` (all in tokens)."""
    if prompt_tokens + max_tokens > window:
        message = (
            f"the prompt has {prompt_tokens} tokens and max_tokens is {max_tokens}, together "
            f"{prompt_tokens + max_tokens}, but {model} holds {window}: shorten the prompt or lower max_tokens"
        )
        raise ContextLengthError(message, param="prompt")
