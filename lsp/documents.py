"""The text of open documents, kept as the editor has it, and what stands around a position in it.

Positions are LSP's: a line ends at a line feed, a carriage return or both, and nowhere else; characters are counted in
the encoding that client and server agreed on. (pygls 2.1 also ends lines at form feeds and other signs, and so loses
count of them.) A change costs what its lines cost, not the whole text. Knows neither protocol messages nor the service.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from lsprotocol.types import Position, PositionEncodingKind, Range, TextDocumentContentChangePartial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lsprotocol.types import SelectedCompletionInfo, TextDocumentContentChangeEvent

_LINE_END = re.compile(r"\r\n|\n|\r")
_HALF = re.compile("[\ud800-\udfff]")
_CONTINUES = 0b10
"""The two highest bits of every byte of a character in utf-8 but its first."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands before and behind the place of a completion, and the range of the line that it replaces.

    `kept` is the text that the range will hold in front of the completion: what the editor's own menu has selected; it
    ends `prefix` and `line`. `line` and `rest` are the place's own line before and behind it. `start` and `end` are
    where the range is in the text.
    """

    prefix: str
    suffix: str
    range: Range
    kept: str
    line: str
    rest: str
    start: int
    end: int

    @property
    def alone(self) -> bool:
        """Whether nothing but blanks stands behind the place on its line."""
        return not self.rest.strip()


@dataclass(frozen=True, slots=True)
class Budget:
    """Characters of prefix, suffix and other files that are sent."""

    prefix: int = 4000
    suffix: int = 1000
    others: int = 2400

    def halved(self) -> Budget:
        """Half of each."""
        return Budget(self.prefix // 2, self.suffix // 2, self.others // 2)


class Document:
    """One open document. `encoding` says what a position's `character` counts; `version` rises with every change."""

    def __init__(
        self, text: str, encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16, language: str = ""
    ) -> None:
        self.language = language
        self.version = 0
        self._encoding = encoding
        self._text: str | None = None
        self._lines: list[str] = []
        self._length = 0
        self._replace(text)

    @property
    def text(self) -> str:
        """All of it."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    def __len__(self) -> int:
        return self._length

    def change(self, changes: Iterable[TextDocumentContentChangeEvent]) -> None:
        """Apply `changes` in turn."""
        for change in changes:
            if isinstance(change, TextDocumentContentChangePartial):
                self._splice(change.range, change.text)
            else:
                self._replace(change.text)
        self.version += 1

    def offset(self, position: Position) -> int:
        """Index into the text. Beyond the end of a line it is the line's end, beyond the last line the text's end."""
        line, column = self._place(position)
        return sum(map(len, self._lines[:line])) + column

    def position(self, offset: int) -> Position:
        """The position of an index into the text."""
        starts = list(accumulate(map(len, self._lines[:-1]), initial=0))
        number = bisect_right(starts, offset) - 1
        return Position(number, self._units(self._lines[number][: offset - starts[number]]))

    def around(
        self, position: Position, budget: Budget, selected: SelectedCompletionInfo | None = None
    ) -> Surroundings:
        """What stands around `position`, as if what the editor's own menu has `selected` were there already."""
        if selected is None:
            first = last = position
            kept = ""
        else:
            first, last, kept = selected.range.start, selected.range.end, selected.text
        start, end = self.offset(first), self.offset(last)
        line, column = self._place(first)
        behind, at = self._place(last)
        return Surroundings(
            prefix=_whole(self.text[_prefix_start(self.text, start, budget.prefix) : start] + kept),
            suffix=_whole(self.text[end : end + budget.suffix]),
            range=Range(self._position(line, column), self._position(behind, at)),
            kept=kept,
            line=self._lines[line][:column] + kept,
            rest=_content(self._lines[behind])[at:],
            start=start,
            end=end,
        )

    def _replace(self, text: str) -> None:
        self._lines = _split(text)
        self._length = sum(map(len, self._lines))
        self._text = None

    def _splice(self, place: Range, text: str) -> None:
        first, column = self._place(place.start)
        last, behind = max(self._place(place.end), (first, column))
        head, tail = self._lines[first][:column], self._lines[last][behind:]
        # Two halves of one line end can meet where the change begins and where it ends.
        if first and not head and self._lines[first - 1].endswith("\r"):
            first -= 1
            head = self._lines[first]
        if last + 1 < len(self._lines) and (head + text + tail).endswith("\r"):
            last += 1
            tail += self._lines[last]
        new = _split(head + text + tail)
        if last + 1 < len(self._lines) and not new[-1]:
            new.pop()
        self._length += sum(map(len, new)) - sum(map(len, self._lines[first : last + 1]))
        self._lines[first : last + 1] = new
        self._text = None

    def _place(self, position: Position) -> tuple[int, int]:
        """Line, and index into it."""
        if position.line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        return position.line, self._column(_content(self._lines[position.line]), position.character)

    def _position(self, line: int, column: int) -> Position:
        return Position(line, self._units(self._lines[line][:column]))

    def _column(self, line: str, character: int) -> int:
        """The index of the character in `line` that begins at `character` units or, within one, before."""
        if line.isascii() or self._encoding == PositionEncodingKind.Utf32:
            return min(character, len(line))
        if self._encoding == PositionEncodingKind.Utf8:
            data = line.encode("utf-8", "surrogatepass")
            cut = min(character, len(data))
            while cut < len(data) and data[cut] >> 6 == _CONTINUES:
                cut -= 1
            return len(data[:cut].decode("utf-8", "surrogatepass"))
        data = line.encode("utf-16-le", "surrogatepass")
        cut = min(2 * character, len(data))
        # A low half behind a high one: 0xDC to 0xDF and 0xD8 to 0xDB are their higher bytes.
        if 0 < cut < len(data) and data[cut + 1] >> 2 == 0xDC >> 2 and data[cut - 1] >> 2 == 0xD8 >> 2:
            cut -= 2
        return len(data[:cut].decode("utf-16-le", "surrogatepass"))

    def _units(self, text: str) -> int:
        """What a piece of a line counts in the document's encoding."""
        if text.isascii() or self._encoding == PositionEncodingKind.Utf32:
            return len(text)
        if self._encoding == PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _split(text: str) -> list[str]:
    """The lines of a text with their ends, of which the last has none."""
    if _HALF.search(text):
        # Halves of a character that a change brought together are one.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    lines = list(io.StringIO(text, newline=""))
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _content(line: str) -> str:
    """A line without its end."""
    return line.rstrip("\r\n")


def _whole(text: str) -> str:
    """A text without halves of characters, which cannot be sent."""
    return _HALF.sub("\ufffd", text)


def _prefix_start(text: str, end: int, budget: int) -> int:
    """Where a prefix of at most `budget` characters starts: at the start of a line, and seldom at another one.

    The model's cache holds for as long as a prompt begins alike, so the start moves in strides, not with each key.
    """
    if end <= budget:
        return 0
    stride = max(1, budget // 4)
    start = -(-(end - budget) // stride) * stride
    line = _LINE_END.search(text, start, end)
    return line.end() if line else start
