"""Random edits as an editor sends them: the server's text is the editor's, in every encoding of positions.

CLEANROOM_TEST_EDITS is their number in each encoding.
"""

from __future__ import annotations

import os
import random

import pytest
from lsprotocol.types import Position, PositionEncodingKind, Range, TextDocumentContentChangePartial

from lsp.documents import Document

EDITS = int(os.environ.get("CLEANROOM_TEST_EDITS", "4000"))
LENGTH = 600
UNITS = {
    PositionEncodingKind.Utf8: lambda text: len(text.encode()),
    PositionEncodingKind.Utf16: lambda text: len(text.encode("utf-16-le")) // 2,
    PositionEncodingKind.Utf32: len,
}
PIECES = [
    "\n",
    "\r\n",
    "\r",
    "\t",
    "a",
    "word ",
    "\u00e4",
    "\u20ac",
    "\U0001f600",
    "\U0001f468\u200d\U0001f469",
    "\f",
    "\u2028",
]


class EditorText:
    """The text as an editor has it: characters, and no more line ends than LSP knows."""

    def __init__(self, encoding: PositionEncodingKind) -> None:
        self.text, self._units = "", UNITS[encoding]

    def position(self, offset: int) -> Position:
        before = self.text[:offset].replace("\r\n", "\n").replace("\r", "\n")
        return Position(before.count("\n"), self._units(before[before.rfind("\n") + 1 :]))

    def place(self, chance: random.Random) -> int:
        """Where a cursor can stand: not between the two characters of one line end."""
        offset = chance.randint(0, len(self.text))
        return offset - (self.text[offset - 1 : offset + 1] == "\r\n" and offset > 0)


@pytest.mark.parametrize("encoding", UNITS)
def test_random_edits_give_the_text_of_the_editor(encoding: PositionEncodingKind) -> None:
    chance = random.Random(7)  # noqa: S311 - the same in every run
    editor, document = EditorText(encoding), Document("", encoding)
    for number in range(EDITS):
        start, end = sorted((editor.place(chance), editor.place(chance)))
        if len(editor.text) < LENGTH:
            end = min(end, start + 3)
            # Not into the middle of a line end either.
            end -= end > start and editor.text[end - 1 : end + 1] == "\r\n"
        new = "".join(chance.choices(PIECES, k=chance.randint(0, 6)))
        at = Range(editor.position(start), editor.position(end))
        document.change([TextDocumentContentChangePartial(at, new)])
        editor.text = editor.text[:start] + new + editor.text[end:]
        assert document.text == editor.text, number
        assert len(document) == len(editor.text)
        cursor = editor.place(chance)
        assert document.offset(editor.position(cursor)) == cursor
        assert document.position(cursor) == editor.position(cursor)


def test_a_key_in_a_large_file_touches_its_line_alone() -> None:
    # 9.6 MB.
    document = Document("value = compute(1)  # \u00e4\n" * 400_000)
    before = list(document._lines)
    document.change([TextDocumentContentChangePartial(Range(Position(200_000, 3), Position(200_000, 3)), "x")])
    assert [number for number, line in enumerate(document._lines) if line is not before[number]] == [200_000]
    assert document._lines[200_000].startswith("valxue")
    assert len(document) == 9_600_001


def test_all_changes_of_one_message_apply_in_turn() -> None:
    document = Document("ab\r\ncd")
    first = TextDocumentContentChangePartial(Range(Position(0, 2), Position(1, 0)), "\r")
    second = TextDocumentContentChangePartial(Range(Position(1, 0), Position(1, 1)), "\n")
    document.change([first, second])
    assert document.text == "ab\r\nd"
    assert document.position(len("ab\r\n")) == Position(1, 0)
    assert document.version == 1


def test_halves_of_a_character_that_meet_are_one() -> None:
    document = Document("x\ud83d")
    document.change([TextDocumentContentChangePartial(Range(Position(0, 2), Position(0, 2)), "\ude00")])
    assert document.text == "x\U0001f600"
    assert document.offset(Position(0, 3)) == 2
