"""The comment that heads a source file, as plain text. Knows no language beyond how comments open and close."""

from __future__ import annotations

from typing import Final

HEADER_CHARACTERS: Final = 16_384
"""How far into a file a header is looked for: room for a whole licence of the shorter kind, in characters."""

_LINE_MARKS: Final = ("#", "//", "--", ";", "%")
_BLOCKS: Final = {
    "/*": "*/", "<!--": "-->", "{-": "-}", "(*": "*)", "=begin": "=end", '"""': '"""', "'''": "'''", 'r"""': '"""',
    "r'''": "'''", "<%--": "--%>", "{#": "#}", "--[[": "]]",
}  # fmt: skip
# What may stand before a header and is neither comment nor code.
_PROLOGUES: Final = ("<?php", "<?xml", "<script", "<template", "@charset", "'use strict'", '"use strict"')
_ORNAMENTS: Final = "#/*!;%=+|-~ \t"


def header_comment(text: str) -> str:
    """The comments and docstrings before the first line of code, without their marks, line for line.

    Preprocessor lines count as comments, so that a header behind an include guard is found.
    """
    lines: list[str] = []
    closing: str | None = None
    for raw in text[:HEADER_CHARACTERS].removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if closing is None:
            opening = next((mark for mark in _BLOCKS if line.startswith(mark)), None)
            if opening is not None:
                closing = _BLOCKS[opening]
                line = line.removeprefix(opening)
            elif line and not line.startswith((*_LINE_MARKS, *_PROLOGUES)):
                break
        if closing is not None:
            line, closed, rest = line.partition(closing)
            closing = None if closed else closing
            if rest.strip(" \t;") and not rest.lstrip().startswith((*_LINE_MARKS, *_BLOCKS)):
                lines.append(line.strip(_ORNAMENTS))
                break
        lines.append(line.strip(_ORNAMENTS))
    return "\n".join(lines)
