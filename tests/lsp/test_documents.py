from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
)

from lsp.documents import Budget, Document

ENCODINGS = {
    PositionEncodingKind.Utf8: lambda text: len(text.encode()),
    PositionEncodingKind.Utf16: lambda text: len(text.encode("utf-16-le")) // 2,
    PositionEncodingKind.Utf32: len,
}
# Line ends of three kinds, signs that Python takes for line ends and LSP does not, and one to four bytes.
PIECES = st.sampled_from(
    ["\n", "\r\n", "\r", "\f", "\v", "\x1c", "\u2028", "\x85", "\t", "a", "\u00e4", "\u20ac", "\U0001f600", ""]
)
# Joining pieces in the middle of \r\n would make one line end of two; no editor places a cursor there.
TEXTS = st.lists(PIECES, max_size=30).map("".join)

# Machines that run tests are busy.
untimed = settings(deadline=None)


def position_of(text: str, offset: int, encoding: PositionEncodingKind) -> Position:
    """The specification, word for word: lines split by their ends, units counted by encoding the text."""
    lines = re.split("\r\n|\n|\r", text[:offset])
    return Position(len(lines) - 1, ENCODINGS[encoding](lines[-1]))


def cursors(text: str) -> list[int]:
    """Where a cursor can stand: not between the two characters of one line end."""
    return [offset for offset in range(len(text) + 1) if text[offset - 1 : offset + 1] != "\r\n"]


@untimed
@given(TEXTS, st.sampled_from(list(ENCODINGS)))
def test_positions_are_those_of_the_specification(text: str, encoding: PositionEncodingKind) -> None:
    document = Document(text, encoding)
    for offset in cursors(text):
        position = position_of(text, offset, encoding)
        assert document.offset(position) == offset
        assert document.position(offset) == position


@untimed
@given(TEXTS, st.sampled_from(list(ENCODINGS)), st.data())
def test_edits_give_the_text_of_the_editor(text: str, encoding: PositionEncodingKind, data: st.DataObject) -> None:
    document = Document(text, encoding)
    for _ in range(data.draw(st.integers(1, 4))):
        places = st.sampled_from(cursors(text))
        start, end = sorted((data.draw(places), data.draw(places)))
        new = data.draw(TEXTS)
        at = Range(position_of(text, start, encoding), position_of(text, end, encoding))
        document.change([TextDocumentContentChangePartial(at, new)])
        text = text[:start] + new + text[end:]
        assert document.text == text
        assert len(document) == len(text)
    document.change([TextDocumentContentChangeWholeDocument("whole")])
    assert document.text == "whole"


def test_a_position_beyond_the_line_is_its_end_and_inside_a_character_its_start() -> None:
    document = Document("ab\r\n\U0001f600", PositionEncodingKind.Utf16)
    assert document.offset(Position(0, 99)) == 2
    assert document.offset(Position(1, 1)) == 4
    assert document.offset(Position(7, 0)) == 5


@untimed
@given(st.lists(st.sampled_from(["word ", "\n", "\r\n"]), max_size=200).map("".join), st.integers(0, 60))
def test_surroundings_keep_to_the_budget_and_touch_the_place(text: str, budget: int) -> None:
    document = Document(text)
    for offset in cursors(text):
        place = document.around(document.position(offset), Budget(budget, budget))
        assert text[:offset].endswith(place.prefix)
        assert text[offset:].startswith(place.suffix)
        assert len(place.prefix) <= budget
        assert len(place.suffix) <= budget


def test_the_prefix_starts_at_a_line_and_stays_there_while_typing() -> None:
    text = "".join(f"line {number}\n" for number in range(500))
    starts = set()
    for typed in range(40):
        document = Document(text + "x" * typed)
        place = document.around(document.position(len(document.text)), Budget(400, 100))
        starts.add(len(document.text) - len(place.prefix))
    assert len(starts) <= 2
    assert all(text[start - 1] == "\n" for start in starts)
