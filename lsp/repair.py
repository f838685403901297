"""Fits a completion into its place: brackets, indentation, and what stands behind it already.

A model writes on as if nothing stood behind the place. Everything here takes away or changes blanks; nothing is added
to what the service let out. Knows no document and no service.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_OPENS_BLOCK = re.compile(r"[:{(\[]\s*$")
_WORD = re.compile(r"\w")
_TABS = 4
"""Spaces that a model writes for one step of a text that is indented by tabs, where nothing else is known."""


def fitted(text: str, prefix: str, rest: str, suffix: str) -> str:
    """`text` as it fits between `prefix` and `suffix`, of which `rest` is what stands behind it on its own line."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = re.split(r"\r\n|\n|\r", prefix)
    text = _indented(text, lines)
    text = _closed(text, rest)
    text = _distinct(text, rest, suffix)
    return text.rstrip()


def _closed(text: str, rest: str) -> str:
    """Without closing brackets and quotes that stand behind the place already."""
    behind = rest.lstrip()
    if not behind:
        return text
    depth: list[str] = []
    for at, character in enumerate(text):
        if character in "([{":
            depth.append(character)
        elif character in _PAIRS:
            if depth and depth[-1] == _PAIRS[character]:
                depth.pop()
            elif behind.startswith(character):
                return text[:at]
    # A quote that the editor closed by itself: the text up to its own one.
    if behind[0] in "\"'`" and text.count(behind[0]) % 2:
        return text[: text.index(behind[0])]
    return text


def _indented(text: str, lines: list[str]) -> str:
    """With the blanks at its beginning, and the kind of blanks, that the lines before it ask for."""
    line, earlier = lines[-1], [each for each in lines[:-1] if each.strip()]
    tabs = any(each.startswith("\t") for each in lines) and not any(each.startswith("  ") for each in lines)
    if tabs:
        text = re.sub(r"(?m)^ +", _to_tabs(_step(text)), text)
    if line.strip() or not line:
        return text
    # What the model repeats of an indentation that is there already.
    above = earlier[-1] if earlier else ""
    wanted = _width(_blanks(above)) + (1 if _OPENS_BLOCK.search(above) else 0)
    return text.lstrip(" \t") if _width(line) >= wanted else text


def _distinct(text: str, rest: str, suffix: str) -> str:
    """Without last lines that stand behind the place already."""
    if rest.strip():
        # Of brackets alone `_closed` knows which are whose.
        return text.removesuffix(rest) if _WORD.search(rest) else text
    lines = text.rstrip().split("\n")
    behind = [line.rstrip() for line in re.split(r"\r\n|\n|\r", suffix)[1:] if line.strip()]
    for count in range(min(len(lines) - 1, len(behind)), 0, -1):
        if [line.rstrip() for line in lines if line.strip()][-count:] == behind[:count]:
            kept = lines
            for _ in range(count):
                while not kept[-1].strip():
                    kept.pop()
                kept.pop()
            return "\n".join(kept)
    return text


def _to_tabs(step: int) -> Callable[[re.Match[str]], str]:
    return lambda found: "\t" * (len(found.group()) // step) + " " * (len(found.group()) % step)


def _step(text: str) -> int:
    """Spaces of one step of indentation in a text."""
    widths = [len(found) for found in re.findall(r"(?m)^ +", text)]
    return min((width for width in widths if width > 1), default=_TABS)


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _width(blanks: str) -> int:
    return len(blanks.expandtabs(_TABS))
