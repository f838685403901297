"""Writes a prompt as one string for a server that recognizes control tokens anywhere in it.

Such a server cannot be told which words are the caller's. A control token among them would end the prefix early or
open a turn of its own, so a blank behind its first character makes it mere text; refusing would shut out everybody who
writes about models. Knows no connection.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING

from published.infilling import END_TOKENS, FAMILIES, ends_of, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import EnginePrompt

# Tokens written <|so|>, with either kind of bar, are control tokens wherever they are any.
BARRED = r"<\|[^\s<>|]{1,40}\|>|<｜[^\s<>｜]{1,40}｜>"  # noqa: RUF001 - DeepSeek's bar
# What opens texts and turns in vocabularies of Llama, Mistral and Gemma.
TURNS = ("<s>", "<bos>", "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "[MIDDLE]")


def one_string(prompt: EnginePrompt, family: FillInTheMiddle | None) -> str:
    """The prompt with no control token in it but its own. `family` is the model's, None where it is unknown."""
    pieces = []
    for own, segments in groupby(prompt.segments, key=lambda segment: segment.token is not None):
        text = "".join(segment.text for segment in segments)
        pieces.append(text if own else broken_up(text, family))
    return "".join(pieces)


def broken_up(text: str, family: FillInTheMiddle | None) -> str:
    """The text with a blank in each control token of `family`, or of any where it is None.

    Words such as <filename> are control tokens of some families, and placeholders in everybody's documentation, so they
    stay where the family is known to have others.
    """
    return _pattern(family).sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


def stops_of(prompt: EnginePrompt, family: FillInTheMiddle | None) -> tuple[str, ...]:
    """Strings at which a server must stop that does not know where the family's completions end."""
    if family is None or not any(segment.token for segment in prompt.segments):
        return ()
    return tuple(written(name) for name in ends_of(family))


def written(token: str) -> str:
    """How a token's name in the vocabulary stands in a text, without the blank of sentencepiece."""
    return token.removeprefix("▁")


def _tokens(family: FillInTheMiddle | None) -> Iterable[str]:
    if family is not None:
        return (*ends_of(family), *TURNS)
    return (*END_TOKENS, *TURNS, *(token for each in FAMILIES for token in tokens_of(each)))


@cache
def _pattern(family: FillInTheMiddle | None) -> re.Pattern[str]:
    names = sorted({written(token) for token in _tokens(family)}, key=len, reverse=True)
    return re.compile("|".join((BARRED, *map(re.escape, names))))
