"""Turns token numbers into text, piece by piece and whole characters only. Knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What a tokenizer writes for bytes that are no character, or not yet one.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# A character has at most 4 bytes and so at most 4 tokens; what is longer and still broken stays broken.
LONGEST_CHARACTER = 4
# Tokens of the prompt that are decoded before the first one: some tokenizers drop a text's leading blank.
CONTEXT = 6


class Detokenizer:
    """Decodes a window of tokens twice, with and without the newest, and takes the difference as its text.

    The scheme is that of the streaming detokenizers of text-generation-inference and vLLM: tokens of one word or one
    character only show their text together.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt: Sequence[int]) -> None:
        self._decode = decode
        self._tokens = list(prompt[-CONTEXT:])
        self._window = 0
        self._read = len(self._tokens)

    @property
    def whole(self) -> bool:
        """Whether the text of every token has been returned."""
        return self._read == len(self._tokens)

    def feed(self, token: int) -> str:
        """Take a token and return the text that it completes, if any."""
        self._tokens.append(token)
        waiting = len(self._tokens) - self._read
        return self._take(broken=waiting > LONGEST_CHARACTER)

    def flush(self) -> str:
        """Return what is left, at the end of the text, without half characters."""
        return self._take(broken=True).rstrip(REPLACEMENT)

    def _take(self, *, broken: bool) -> str:
        before = self._decode(self._tokens[self._window : self._read])
        after = self._decode(self._tokens[self._window :])
        if after.endswith(REPLACEMENT) and not broken:
            return ""
        self._window, self._read = self._read, len(self._tokens)
        return after[len(before) :]
