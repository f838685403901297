"""Where in a program a place is: in a comment or string, at the opening of a block, in the middle of a word.

By tables of how languages write comments and strings, in one pass over the text before the place, since it is asked at
every key: a whole lexer takes too long for that. Templates count as strings all through; an apostrophe that opens
nothing is forgiven at the end of its line. Knows no document and no service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Syntax:
    """What opens a comment to the end of its line, pairs around other comments, quotes of one line and of several."""

    line: Lines = ()
    block: tuple[tuple[str, str], ...] = ()
    quotes: str = "\"'"
    long: tuple[tuple[str, str], ...] = ()
    skipped: str = field(default="", repr=False)
    """What looks like an opening and is none, as a regular expression."""


_C: Final = (("/*", "*/"),)
_TRIPLE: Final = (('"""', '"""'), ("'''", "'''"))
_SLASHES: Final = Syntax(("//",), _C)
_BACKTICK: Final = Syntax(("//",), _C, long=(("`", "`"),))
_TRIPLED: Final = Syntax(("//",), _C, long=_TRIPLE)
_HASH: Final = Syntax(("#",))
_HASH_TRIPLED: Final = Syntax(("#",), long=_TRIPLE)
_SHELL: Final = Syntax(("#",), skipped=r"[$\w{]#")
_TAGS: Final = Syntax((), (("<!--", "-->"),), quotes="")
_LISP: Final = Syntax((";",), quotes='"')
_BY_NAME: Final[dict[Syntax, str]] = {
    _SLASHES: "c cpp cuda-cpp csharp java jsonc less objective-c objective-cpp proto protobuf scss verilog zig",
    _BACKTICK: "go javascript javascriptreact typescript typescriptreact",
    _TRIPLED: "dart groovy kotlin scala swift",
    _HASH: "cmake dockerfile make makefile nim perl r ruby toml yaml",
    _HASH_TRIPLED: "elixir julia python",
    _SHELL: "bash sh shell shellscript zsh fish",
    _TAGS: "html xml svelte vue markdown",
    _LISP: "clojure commonlisp elisp lisp scheme racket",
    Syntax(("//",), _C, quotes='"', skipped=r"'(?:\\[^\n']+|[^\\'\n])'"): "rust",
    Syntax(("//", "#"), _C): "php terraform hcl",
    Syntax((), _C): "css",
    Syntax(("--",), (("--[[", "]]"),), long=(("[[", "]]"),)): "lua",
    Syntax(("--",), _C): "sql",
    Syntax(("--",), (("{-", "-}"),), quotes='"'): "elm haskell",
    Syntax(("--",), quotes='"'): "ada vhdl",
    Syntax(("#",), (("<#", "#>"),)): "powershell",
    Syntax(("//",), (("(*", "*)"),), quotes='"', long=(('"""', '"""'),)): "fsharp",
    Syntax((), (("(*", "*)"),), quotes='"'): "ocaml",
    Syntax(("%",), quotes='"'): "erlang",
    Syntax(("%",), quotes=""): "latex tex",
    Syntax(("!",)): "fortran fortran-modern",
    Syntax(("'",), quotes='"'): "vb",
}
SYNTAXES: Final = {name: syntax for syntax, names in _BY_NAME.items() for name in names.split()}

_OPENS = re.compile(r"(?:[:{(\[,]|=>|->|\b(?:then|do|begin|else|try|finally|ensure|where|of))\s*$")
_LINE_ENDS = re.compile(r"[\r\n]")


def in_comment_or_string(text: str, place: int, language: str) -> bool:
    """Whether what is written at `place` would be part of a comment or a string. False in languages not known."""
    syntax = SYNTAXES.get(language.lower())
    if syntax is None:
        return False
    opening, closings = _compiled(syntax)
    at = 0
    while found := opening.search(text, at, place):
        closing = closings[found.group()] if found.lastgroup == "opening" else None
        if closing is None:
            at = found.end()
            continue
        closed = closing.match(text, found.end(), place)
        if closed is None:
            return True
        at = closed.end()
    return False


def opens_block(line: str) -> bool:
    """Whether a line up to the place leaves something open that goes on in further lines, or has nothing in it yet."""
    return not line.strip() or _OPENS.search(line) is not None


def in_word(line: str, rest: str) -> bool:
    """Whether the place is in the middle of a name or number."""
    return bool(line and rest) and _is_word(line[-1]) and _is_word(rest[0])


def word_before(text: str) -> str:
    """The part of a name or number that a text ends with."""
    start = len(text)
    while start and _is_word(text[start - 1]):
        start -= 1
    return text[start:]


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@lru_cache(maxsize=64)
def _compiled(syntax: Syntax) -> tuple[re.Pattern[str], dict[str, re.Pattern[str]]]:
    """What finds the next opening, and for each opening what passes over all up to its end."""
    closings = {opening: _until(r"[\r\n]") for opening in syntax.line}
    closings |= {opening: _until(re.escape(closing)) for opening, closing in (*syntax.block,)}
    closings |= {quote: _quoted(quote) for quote in syntax.quotes}
    closings |= {opening: _until(re.escape(closing), escapes=True) for opening, closing in syntax.long}
    openings = "|".join(re.escape(opening) for opening in sorted(closings, key=len, reverse=True))
    skipped = f"(?P<skipped>{syntax.skipped})|" if syntax.skipped else ""
    return re.compile(f"{skipped}(?P<opening>{openings})"), closings


def _until(closing: str, *, escapes: bool = False) -> re.Pattern[str]:
    step = rf"\\[\s\S]|(?!{closing})[\s\S]" if escapes else rf"(?!{closing})[\s\S]"
    return re.compile(rf"(?:{step})*+(?:{closing})")


def _quoted(quote: str) -> re.Pattern[str]:
    """Up to the quote, or to the end of the line where there is none."""
    return re.compile(rf"(?:\\\r\n|\\[\s\S]|[^{quote}\\\r\n])*+(?:{quote}|[\r\n])")
