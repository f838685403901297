"""The text of open documents, kept as the editor has it, and what stands around a position in it.

Positions are LSP's: a line ends at a line feed, a carriage return or both, and nowhere else; characters are counted in
the encoding that client and server agreed on. (pygls 2.1 also ends lines at form feeds and other signs, and so loses
count of them.) Knows neither protocol messages nor the service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from lsprotocol.types import Position, PositionEncodingKind, Range, TextDocumentContentChangePartial

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lsprotocol.types import SelectedCompletionInfo, TextDocumentContentChangeEvent

_LINE_END = re.compile(r"\r\n|\n|\r")
_ASTRAL = 0xFFFF
_UTF8_STEPS = (0x7F, 0x7FF, _ASTRAL)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands before and behind the place of a completion, and the range of the line that it replaces.

    `kept` is the text that the range will hold in front of the completion: what the editor's own menu has selected.
    `alone`: nothing but blanks stands behind the place on its line.
    """

    prefix: str
    suffix: str
    range: Range
    kept: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """Characters of prefix and suffix that are sent."""

    prefix: int = 4000
    suffix: int = 1000

    def halved(self) -> Budget:
        """Half of each."""
        return Budget(self.prefix // 2, self.suffix // 2)


@dataclass(frozen=True, slots=True)
class Document:
    """One version of one open document. `encoding` says what a position's `character` counts."""

    text: str
    encoding: PositionEncodingKind | str = PositionEncodingKind.Utf16

    def changed(self, changes: Iterable[TextDocumentContentChangeEvent]) -> Document:
        """The document after `changes`, which apply in turn."""
        document = self
        for change in changes:
            text = change.text
            if isinstance(change, TextDocumentContentChangePartial):
                start, end = document.offset(change.range.start), document.offset(change.range.end)
                text = document.text[:start] + text + document.text[max(start, end) :]
            document = Document(text, self.encoding)
        return document

    def offset(self, position: Position) -> int:
        """Index into the text. Beyond the end of a line it is the line's end, beyond the last line the text's end."""
        start, end = self._line(position.line)
        units = 0
        for index in range(start, end):
            units += self._units(self.text[index])
            if units > position.character:
                return index
        return end

    def position(self, offset: int) -> Position:
        """The position of an index into the text."""
        ends = [found.end() for found in _LINE_END.finditer(self.text, 0, offset)]
        start = ends[-1] if ends else 0
        return Position(len(ends), sum(map(self._units, self.text[start:offset])))

    def around(
        self, position: Position, budget: Budget, selected: SelectedCompletionInfo | None = None
    ) -> Surroundings:
        """What stands around `position`, as if what the editor's own menu has `selected` were there already."""
        start = end = self.offset(position)
        text = ""
        if selected is not None:
            start, end, text = self.offset(selected.range.start), self.offset(selected.range.end), selected.text
        behind = self.text[end : self._line(position.line)[1]]
        return Surroundings(
            prefix=self.text[_prefix_start(self.text, start, budget.prefix) : start] + text,
            suffix=self.text[end : end + budget.suffix],
            range=Range(self.position(start), self.position(end)),
            kept=text,
            alone=not behind.strip(),
        )

    def _line(self, number: int) -> tuple[int, int]:
        """Where line `number` starts and ends, its line end not counted."""
        start = 0
        if number:
            found = next(islice(_LINE_END.finditer(self.text), number - 1, None), None)
            start = found.end() if found else len(self.text)
        close = _LINE_END.search(self.text, start)
        return start, close.start() if close else len(self.text)

    def _units(self, character: str) -> int:
        """What one character counts in the document's encoding."""
        code = ord(character)
        if self.encoding == PositionEncodingKind.Utf32:
            return 1
        if self.encoding == PositionEncodingKind.Utf8:
            return 1 + sum(code > step for step in _UTF8_STEPS)
        return 1 + (code > _ASTRAL)


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
