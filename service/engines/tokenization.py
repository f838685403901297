"""Asks a vLLM server for tokens, such that no control token is recognized in words that are a caller's.

vLLM's `/tokenize` recognizes every added token of the vocabulary in a text and has no option against it. So the words
are cut inside whatever is spelled like one, and the pieces tokenized apart. Knows no prompt and no family.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from published.spellings import control_names, cut, spellings
from service.errors import EngineError, InvalidRequestError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.engines.pool import Pool

# Pieces that a text is cut into at most: each is a request.
PIECES_LIMIT = 128
# Tokens that are remembered between the counting of a prompt and its generation.
REMEMBERED_TOKENS = 1_000_000
# A text in which a tokenizer that begins texts with a token does so: some refuse to tokenize nothing at all.
PROBE = "a"
REMEDY = "start it with --enable-tokenizer-info-endpoint"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What must be known of a model's tokenizer: added tokens by name, what opens a prompt, the window in tokens."""

    control: dict[str, int]
    beginning: tuple[int, ...]
    window: int


class Tokenizer:
    """Turns texts into token numbers, each by at least one request."""

    def __init__(self, pool: Pool, model: str, control: Mapping[str, int]) -> None:
        """`control` are the numbers of the vocabulary's added tokens by name."""
        self._pool = pool
        self._model = model
        names = control_names(control)
        self._control = frozenset(control[name] for name in names)
        self._spellings = spellings(names)
        self._known: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._known_tokens = 0

    async def count(self, text: str) -> int:
        """Number of tokens of `text`, remembered for a `tokens` that follows."""
        tokens = await self._tokenize(text)
        if text not in self._known:
            self._known[text] = tokens
            self._known_tokens += len(tokens)
        while self._known_tokens > REMEMBERED_TOKENS:
            self._known_tokens -= len(self._known.popitem(last=False)[1])
        return len(tokens)

    async def tokens(self, text: str) -> tuple[int, ...]:
        """The numbers of `text`'s tokens.

        Raises InvalidRequestError for a text that spells control tokens too often, or in a way that is recognized
        all the same.
        """
        # Taken out, not read: what one caller had tokenized must not answer another one faster.
        known = self._known.pop(text, None)
        if known is None:
            return await self._tokenize(text)
        self._known_tokens -= len(known)
        return known

    async def _tokenize(self, text: str) -> tuple[int, ...]:
        pieces = cut(text, self._spellings)
        if len(pieces) > PIECES_LIMIT:
            message = f"the text spells control tokens of the model {len(pieces) - 1} times: leave some out"
            raise InvalidRequestError(message, param="prompt")
        found = await asyncio.gather(*(self._ask(piece) for piece in pieces))
        tokens = tuple(token for piece in found for token in piece)
        if not self._control.isdisjoint(tokens):
            message = (
                "the text spells a control token of the model in a way that cannot be taken as words: leave it out"
            )
            raise InvalidRequestError(message, param="prompt")
        return tokens

    async def _ask(self, text: str) -> list[int]:
        return _numbers(
            await self._pool.post("/tokenize", {"model": self._model, "prompt": text, "add_special_tokens": False})
        )


async def learn_vocabulary(pool: Pool, model: str) -> Vocabulary:
    """Ask the pool's servers for what must be known of their tokenizer.

    Raises SetupError where the server does not tell its added tokens.
    """
    control = _added_tokens(await pool.get("/tokenizer_info"))
    if not control:
        message = f"the model's server does not tell its tokenizer's control tokens: {REMEDY}"
        raise SetupError(message)
    body = {"model": model, "prompt": PROBE}
    opened = await pool.post("/tokenize", body | {"add_special_tokens": True})
    plain = _numbers(await pool.post("/tokenize", body | {"add_special_tokens": False}))
    numbers = _numbers(opened)
    beginning = numbers[: numbers.index(plain[0])] if plain and plain[0] in numbers else []
    return Vocabulary(control, tuple(beginning), int(opened.get("max_model_len", 0)))


def _added_tokens(answer: object) -> dict[str, int]:
    """The added tokens by name, from the answer to `GET /tokenizer_info`; none where it does not tell them."""
    told = answer.get("added_tokens_decoder") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        return {}
    return {name: int(number) for number, name in told.items() if isinstance(name, str) and str(number).isdigit()}


def _numbers(answer: Any) -> list[int]:  # noqa: ANN401 - JSON
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        message = "the model's server answered a text without its tokens: check that it is vLLM"
        raise EngineError(message)
    return tokens
