"""Where code begins in a fragment, which may start inside a string or comment over several lines. Knows no tokens."""

from __future__ import annotations

import re

from guard.syntax import Syntax

_TRIPLE_MARK = re.compile(r"\"{3}|'{3}")
_LINE_COMMENT = {Syntax.HASH: re.compile(r"\#[^\n]*+"), Syntax.SLASH: re.compile(r"//[^\n]*+")}
_OPENING = frozenset(":=([{,+%")
_OPENS = 200
"""What such a place weighs against marks of code."""
_WORD = r"(?!import\b)[^\W\d_]{2,20}+"
_PROSE = re.compile(rf"\b{_WORD} {_WORD} {_WORD}(?! *[(=\[])")
_CODE_MARK = re.compile(r"[(){}\[\]=;]|\w\.\w|:$", re.MULTILINE)
# Looking further back for what stands before a mark would make a text of blanks and marks quadratic.
_INDENT_LIMIT = 200


def start_of_code(text: str, syntax: Syntax) -> int:
    """Where code begins, if the text starts inside a multi-line string or comment; 0 if it does not."""
    if syntax is Syntax.SLASH:
        close = text.find("*/")
        # A regular expression or a pattern of files (`/a*/`, `"*/5"`) is no end of a comment: code stands before it.
        if close >= 0 and text.find("/*", 0, close) < 0 and _codeness(text[:close], syntax) <= 0:
            return close + 2
        return 0
    marks = list(_TRIPLE_MARK.finditer(text))
    edges = [0, *(edge for mark in marks for edge in mark.span()), len(text)]
    parts = [_codeness(text[a:b], syntax) for a, b in zip(edges[0::2], edges[1::2], strict=True)] if marks else []
    openers = [_OPENS * _opens(text, mark.start()) for mark in marks]
    readings = {"": 0, **{mark.group(): mark.end() for mark in reversed(marks)}}
    return readings[max(readings, key=lambda inside: _plausibility(marks, parts, openers, inside))]


def _plausibility(marks: list[re.Match[str]], parts: list[int], openers: list[int], inside: str) -> int:
    """How well a reading of a text's triple quotes fits, if the text starts inside a string of the mark `inside`."""
    score = 0
    for mark, part, opener in zip(marks, parts, openers, strict=False):
        score += -part if inside else part
        if not inside:
            inside = mark.group()
            score += opener
        elif inside == mark.group():
            inside = ""
    return score + (-parts[-1] if inside else parts[-1]) if marks else 0


def _opens(text: str, start: int) -> bool:
    """Whether a triple quote stands where only a string or docstring begins: behind a colon, a bracket, a sign."""
    before = text[max(0, start - _INDENT_LIMIT) : start].rstrip("rRbBfFuUtT \t\n\r\\")
    return before[-1:] in _OPENING


def _codeness(part: str, syntax: Syntax) -> int:
    """How much a part looks like code rather than prose: marks of code less three for each run of three words."""
    part = _LINE_COMMENT[syntax].sub("", part)
    return sum(1 for _ in _CODE_MARK.finditer(part)) - 3 * sum(1 for _ in _PROSE.finditer(part))
