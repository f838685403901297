"""A stream of tokens, the form in which all code is compared. Knows no language."""

from __future__ import annotations

from dataclasses import dataclass

IDENTIFIER = "I"
STRING = "S"
NUMBER = "N"


@dataclass(frozen=True, slots=True)
class TokenStream:
    """Tokens in reading order, four lists of one length.

    `exact` has each token's own text (quotes normalized); `renamed` has `I`, `S`, `N` in place of identifiers, strings
    and numbers; `starts` and `ends` are character offsets into the text.
    """

    exact: list[str]
    renamed: list[str]
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.exact)
