"""Source text to tokens with character positions, in linear time. Knows no keys, no index and no grammar beyond lexing.

One lexer serves all languages in two syntaxes, by the mark that starts a line comment: `#` (Python, Ruby, shell ...)
and `//` (C, C++, Java, JavaScript, TypeScript, Go, Rust ...). Fragments are first-class input: text may start or end
inside a string or a comment. Layout, comments, docstrings, the choice of quotes and trailing commas leave no trace in
the stream of code; what stands in comments and strings becomes a stream of its own, so that code recited behind a
comment mark or in quotes is compared as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guard.hints import without_type_hints
from guard.keywords import HASH_KEYWORDS, SLASH_KEYWORDS
from guard.opening import start_of_code
from guard.stream import IDENTIFIER, NUMBER, STRING, TokenStream
from guard.syntax import Syntax, syntax_of

__all__ = ["Lexed", "Syntax", "lex", "syntax_of"]


@dataclass(frozen=True, slots=True)
class Lexed:
    """A text's two streams: its code, and the words inside its comments, docstrings and longer strings."""

    syntax: Syntax
    code: TokenStream
    comments: TokenStream


# Every quantified part is possessive or cannot fail after it has matched, so a scan is linear in the text. What runs
# over lines takes a backslash at the very end too: failing there would send every later opening mark to the end again.
_TRIPLE = (
    r"""(?P<triple>(?:\b[rRbBfFuUtT]{1,2})?(?:\"{3}(?:[^"\\]|\\(?:[\s\S]|\Z)|"(?!""))*+(?:\"{3}|\Z)"""
    r"""|'{3}(?:[^'\\]|\\(?:[\s\S]|\Z)|'(?!''))*+(?:'{3}|\Z)))"""
)
_BLOCK = r"(?P<block>/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))"
_TICK = r"(?P<tick>`(?:[^`\\]|\\(?:[\s\S]|\Z))*+(?:`|\Z))"
_DOUBLE = r"""(?:\b[rRbBfFuUtTL]{1,2}(?="))?"(?:[^"\\\n]|\\[\s\S])*+"?"""
_SINGLE = r"""(?:\b[rRbBfFuUtTL]{1,2}(?='))?'(?:[^'\\\n]|\\[\s\S])*+'?"""
# In the slash languages a lone apostrophe may be a lifetime, and in comments it is one of prose; the bound keeps the
# search for its partner linear.
_CHARACTERS = r"""'(?:[^'\\\n]|\\[\s\S]){0,200}+'"""
_QUOTED = r"""\"(?:[^"\\\n]|\\[\s\S]){0,200}+\""""
_LIFETIME = r"(?P<lifetime>(?<=[&<])'[a-z_]\w*+(?!')|'(?:static|[a-z])(?=[>,]|\s?[+>]))"
_REST = (
    r"(?P<number>\d\w*+(?:\.\d\w*+)?)"
    r"|(?P<word>[^\W\d]\w*+)"
    r"""|(?P<skip>\s++|\\\n|["'`\x00-\x1f\x7f\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff])"""
    r"|(?P<op>->|=>|===|!==|==|!=|<=|>=|&&|\|\||::|\+\+|--|\*\*|<<|>>|:=|\?\?|\?\.|\.\.\.|[-+*/%&|^]=|//|.)"
)


def _compile(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.DOTALL)


_STRINGS = rf"(?P<string>{_DOUBLE}|{_SINGLE})"
_LITERALS = rf"(?P<string>{_DOUBLE}|{_CHARACTERS})"
# The second pattern of each pair is used after a multi-line string or comment turned out not to end.
_HASH_SCANNERS = (
    _compile(r"(?P<line>\#[^\n]*+)", _TRIPLE, _STRINGS, _REST),
    _compile(r"(?P<line>\#[^\n]*+)", r"(?P<triple>\"{3}|'{3})", _STRINGS, _REST),
)
_SLASH_SCANNERS = (
    _compile(r"(?P<line>//[^\n]*+)", _BLOCK, _TRIPLE, _TICK, _LIFETIME, _LITERALS, _REST),
    _compile(
        r"(?P<line>//[^\n]*+)",
        r"(?P<block>/\*)",
        r"(?P<triple>\"{3}|'{3})",
        r"(?P<tick>`)",
        _LIFETIME,
        _LITERALS,
        _REST,
    ),
)
# Inside comments and strings the marks of comments are passed over, as are the stars that begin a comment's lines and
# the signs for a line's end: what stands behind them is read like the rest.
_WORDS = rf"(?P<string>{_QUOTED}|{_CHARACTERS})"
_COMMENT_SCANNERS = {
    Syntax.HASH: _compile(r"(?P<mark>\\[ntr\"'\\/]|\#[#/!*]*+|\"{3}|'{3})", _WORDS, _REST),
    Syntax.SLASH: _compile(
        r"(?P<mark>\\[ntr\"'\\/]|//[#/!*]*+|/\*|[^\S\n]*+\n\s*+\*++|\"{3}|'{3})", _LIFETIME, _WORDS, _REST
    ),
}
_LONE_RETURN = re.compile(r"\r(?!\n)")
_CLOSERS = frozenset(")]}")
_STRING_BODY = re.compile(r"""^[a-zA-Z]{0,2}(\"{3}|'{3}|["'`])?(.*?)(?:\1)?$""", re.DOTALL)
# A triple-quoted string after one of these is a value; anywhere else at the start of a line it is a docstring.
_VALUE_BEFORE = frozenset("=([{,+%") | {"return", "in", "is", "and", "or", "not", "==", "+=", "else", "if", "yield"}
LONG_STRING = 24
"""Characters of a string beyond which it may hold code."""
# Looking further back for the start of a line would make a line of quotes quadratic.
_INDENT_LIMIT = 200


def lex(text: str, language: str | None = None, *, fragment: bool = True) -> Lexed:
    """Split `text` into its streams.

    With `fragment`, the text may start inside a multi-line string or comment: the reading under which the insides of
    strings look least like code is taken, and the stream of comments is filled. Whole files are read from their start
    as they stand, and their comments are left out.
    """
    text = _with_line_feeds(text)
    syntax = syntax_of(language, text)
    begin = start_of_code(text, syntax) if fragment else 0
    lexer = _Lexer(text, syntax)
    if begin:
        lexer.hide(0, begin)
    lexer.scan(begin)
    return lexer.result(with_comments=fragment)


def _with_line_feeds(text: str) -> str:
    """The text with a line feed first at every line's end, and not a character longer or shorter."""
    if "\r" not in text:
        return text
    return _LONE_RETURN.sub("\n", text).replace("\r\n", "\n\r")


class _Lexer:
    """One pass over one text; `scan` may go on from a later place after an unterminated string or comment."""

    def __init__(self, text: str, syntax: Syntax) -> None:
        self.text = text
        self.syntax = syntax
        self.scanners = _HASH_SCANNERS if syntax is Syntax.HASH else _SLASH_SCANNERS
        self.keywords = HASH_KEYWORDS if syntax is Syntax.HASH else SLASH_KEYWORDS
        self.code = TokenStream([], [], [], [])
        self.hidden: list[tuple[int, int]] = []

    def result(self, *, with_comments: bool) -> Lexed:
        """The streams of what was scanned."""
        comments = TokenStream([], [], [], [])
        for start, end in self.hidden if with_comments else ():
            self._words(comments, start, end)
        code = without_type_hints(self.code, self.text) if self.syntax is Syntax.HASH else self.code
        return Lexed(self.syntax, code, comments)

    def hide(self, start: int, end: int) -> None:
        """Note text[start:end] as standing in a comment."""
        self.hidden.append((start, end))

    def scan(self, begin: int) -> None:
        """Read the text from `begin` to its end."""
        resume: int | None = begin
        for scanner in self.scanners:
            if resume is None:
                return
            resume = self._scan_with(scanner, resume)

    def _scan_with(self, scanner: re.Pattern[str], begin: int) -> int | None:
        """Read on with one scanner; where a multi-line string or comment never ends, return where to go on."""
        text, add = self.text, self._add
        first = scanner is self.scanners[0]
        for found in scanner.finditer(text, begin):
            kind = found.lastgroup
            start, end = found.span()
            if kind == "skip":
                continue
            if kind == "word":
                word = found.group()
                add(word, word if word in self.keywords else IDENTIFIER, start, end)
            elif kind == "op":
                add(found.group(), found.group(), start, end)
            elif kind == "string":
                self._take_string(start, end)
            elif kind == "number":
                add(found.group(), NUMBER, start, end)
            elif kind == "line":
                self.hidden.append((start, end))
            elif kind == "lifetime":
                add("'", "'", start, end)
            elif first and (opened := self._multiline(kind or "", start, end)) is not None:
                return opened
        return None

    def _multiline(self, kind: str, start: int, end: int) -> int | None:
        """Take a multi-line string or comment; if it does not end, return the place after its opening mark."""
        raw = self.text[start:end]
        mark = {"block": "/*", "tick": "`"}.get(kind) or raw.lstrip("rRbBfFuUtT")[:3]
        opened = start + raw.find(mark) + len(mark)
        close = "*/" if kind == "block" else mark
        if end - len(close) < opened or not raw.endswith(close):
            return opened
        if kind == "block" or (kind == "triple" and self._is_docstring(start)):
            self.hidden.append((opened, end - len(close)))
        else:
            self._add(_string_value(raw), STRING, start, end)
            if "\n" in raw:
                self.hidden.append((opened, end - len(close)))
        return None

    def _take_string(self, start: int, end: int) -> None:
        """Take a string on one line; if it is long, what it holds may be code as well."""
        raw = self.text[start:end]
        self._add(_string_value(raw), STRING, start, end)
        if len(raw) <= LONG_STRING:
            return
        opened = len(raw) - len(raw.lstrip("rRbBfFuUtTL")) + 1
        self.hidden.append((start + opened, end - (len(raw) > opened and raw[-1] == raw[opened - 1])))

    def _is_docstring(self, start: int) -> bool:
        indent = self.text[max(0, start - _INDENT_LIMIT) : start]
        if indent[indent.rfind("\n") + 1 :].strip():
            return False
        return not self.code.exact or self.code.exact[-1] not in _VALUE_BEFORE

    def _add(self, exact: str, renamed: str, start: int, end: int) -> None:
        code = self.code
        if renamed in _CLOSERS and code.exact and code.exact[-1] == "," and code.renamed[-1] == ",":
            # A formatter's trailing comma is layout.
            for column in (code.exact, code.renamed, code.starts, code.ends):
                column.pop()
        code.exact.append(exact)
        code.renamed.append(renamed)
        code.starts.append(start)
        code.ends.append(end)

    def _words(self, stream: TokenStream, start: int, end: int) -> None:
        """Add text[start:end], the inside of a comment, as if it were code."""
        for found in _COMMENT_SCANNERS[self.syntax].finditer(self.text, start, end):
            kind = found.lastgroup
            if kind in ("skip", "mark"):
                continue
            word = "'" if kind == "lifetime" else found.group()
            renamed = {"string": STRING, "number": NUMBER}.get(kind or "", word)
            if kind == "word" and word not in self.keywords:
                renamed = IDENTIFIER
            stream.exact.append(_string_value(word) if kind == "string" else word)
            stream.renamed.append(renamed)
            stream.starts.append(found.start())
            stream.ends.append(found.end())


def _string_value(raw: str) -> str:
    """A string token's text without prefix and quotes, behind one mark that no identifier has."""
    found = _STRING_BODY.match(raw)
    return '"' + (found.group(2) if found else raw).replace("\r", "")
