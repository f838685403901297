"""The two syntaxes in which code is read, and which one a text is in. Knows nothing of tokens."""

from __future__ import annotations

import re
from enum import StrEnum

from guard.keywords import HASH_LANGUAGES, SLASH_LANGUAGES


class Syntax(StrEnum):
    """How comments and strings are written."""

    HASH = "hash"
    SLASH = "slash"


_HASH_EVIDENCE = re.compile(
    r"^[ \t]*+(?:def|class|elif|except|from|import|with|for|while|if|try|else)\b[^{;\n]*+:?[ \t]*+(?:\#.*+)?$"
    r"|^[ \t]*+\#(?!include|define|if|endif|pragma|\[)|\bself\.|^[ \t]*+@\w|\b(?:and|or|not|None|True|False|elif)\b",
    re.MULTILINE,
)
_SLASH_EVIDENCE = re.compile(
    r"[;{}][ \t]*+$|^[ \t]*+//|/\*|\*/|&&|\|\||=>|\b(?:func|fn|const|let|var|public|private|static|void|new|this)\b"
    r"|^[ \t]*+\#(?:include|define)",
    re.MULTILINE,
)


def syntax_of(language: str | None, text: str) -> Syntax:
    """The syntax of `language` (a lower-case name such as "python", "go"), or of the text itself if it is unknown."""
    if language in HASH_LANGUAGES:
        return Syntax.HASH
    if language in SLASH_LANGUAGES:
        return Syntax.SLASH
    head = text[-20_000:]
    hashes = sum(1 for _ in _HASH_EVIDENCE.finditer(head))
    slashes = sum(1 for _ in _SLASH_EVIDENCE.finditer(head))
    return Syntax.HASH if hashes >= slashes else Syntax.SLASH
