"""Languages with braces, as far as a disguise needs them: tokens, functions and lines that are statements.

pygments reads them; nothing here understands a program, so what it finds is meant for benchmarks and not for compilers.
Knows no guard.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String, Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LANGUAGES = ("java", "kotlin", "javascript", "cpp", "objective-c")
"""As the guard calls them."""
MIN_LINES, MAX_LINES = 9, 40
_HEAD = re.compile(r"^\s*[-+\w<][^{}]*\([^{}]*[)\w>?]\s*\{$")
_NO_FUNCTION = re.compile(
    r"^\s*(?:if|for|while|switch|else|try|catch|do|return|synchronized|when)\b|\b(?:class|struct|interface|object|enum)\b"
)
_LEXERS = {"objective-c": "objective-c++"}


class Kind(Enum):
    """What a token is, as far as disguises care."""

    SPACE = auto()
    COMMENT = auto()
    NAME = auto()
    STRING = auto()
    NUMBER = auto()
    KEYWORD = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A token as it is written; the pieces of a text are that text."""

    kind: Kind
    text: str


def pieces(text: str, language: str) -> list[Piece]:
    """The text's tokens in order, strings and numbers whole."""
    lexer = get_lexer_by_name(_LEXERS.get(language, language), stripnl=False, ensurenl=False)
    found: list[Piece] = []
    for token, value in lexer.get_tokens(text):
        kind = _kind(token, value)
        if found and kind in {Kind.STRING, Kind.NUMBER} and found[-1].kind is kind:
            found[-1] = Piece(kind, found[-1].text + value)
        else:
            found.append(Piece(kind, value))
    return found


def _kind(token: object, value: str) -> Kind:
    if not value.strip():
        return Kind.SPACE
    for known, kind in (
        (Comment.Preproc, Kind.MARK),
        (Comment.PreprocFile, Kind.MARK),
        (Comment, Kind.COMMENT),
        (String, Kind.STRING),
        (Number, Kind.NUMBER),
        (Keyword, Kind.KEYWORD),
        (Name.Builtin, Kind.KEYWORD),
        (Name.Decorator, Kind.MARK),
        (Name, Kind.NAME),
    ):
        if token in known:
            return kind
    return Kind.NAME if token is Token.Text and value.isidentifier() else Kind.MARK


def joined(some: Iterable[Piece]) -> str:
    """The text of these pieces."""
    return "".join(piece.text for piece in some)


def functions(text: str, language: str) -> Iterator[str]:
    """Every function of MIN_LINES to MAX_LINES lines whose head fits a line, comments left out, none inside another."""
    # A comment to the end of its line has the line's end in it.
    bare = (
        "\n" * piece.text.endswith("\n") if piece.kind is Kind.COMMENT else piece.text
        for piece in pieces(text, language)
    )
    lines = "".join(bare).splitlines()
    lines = [line.rstrip() for line in lines if line.strip()]
    at = 0
    while at < len(lines):
        if _HEAD.match(lines[at]) and not _NO_FUNCTION.search(lines[at]):
            end = _closed(lines, at)
            if end is not None:
                if MIN_LINES <= end - at + 1 <= MAX_LINES:
                    yield textwrap.dedent("\n".join(lines[at : end + 1])) + "\n"
                at = end
        at += 1


def _closed(lines: list[str], first: int) -> int | None:
    """The line that closes what the last brace of line `first` opens: the next one as little indented."""
    indent = indentation(lines[first])
    for at in range(first + 1, len(lines)):
        if indentation(lines[at]) <= indent:
            return at if lines[at].strip().startswith("}") else None
    return None


def indentation(line: str) -> str:
    """What stands before the line's first token."""
    return line[: len(line) - len(line.lstrip())]
