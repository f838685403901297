from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from service.engines.detokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence


def decode(tokens: Sequence[int]) -> str:
    """A tokenizer whose tokens are bytes."""
    return bytes(tokens).decode(errors="replace")


# The replacement character stands for broken bytes and is not looked for as text.
TEXT = st.text(st.characters(exclude_characters="\N{REPLACEMENT CHARACTER}", codec="utf-8"))


@given(TEXT, TEXT)
def test_pieces_are_whole_characters_and_join_to_the_text(prompt: str, text: str) -> None:
    detokenizer = Detokenizer(decode, prompt.encode())
    pieces = [detokenizer.feed(token) for token in text.encode()]
    assert "".join(pieces) + detokenizer.flush() == text
    assert all(len(piece) <= 1 for piece in pieces)


def test_half_a_character_at_the_end_is_not_shown() -> None:
    detokenizer = Detokenizer(decode, b"")
    text = "".join(map(detokenizer.feed, "ab😀".encode()[:-1])) + detokenizer.flush()
    assert text == "ab"


def test_bytes_that_never_become_a_character_do_not_hold_the_text_back() -> None:
    detokenizer = Detokenizer(decode, b"")
    text = "".join(map(detokenizer.feed, b"\xff\xff\xff\xff\xff\xffdone"))
    assert text.endswith("done")
