from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published.spellings import control_names, cut, spellings

NAMES = ["<|fim_prefix|>", "<file_sep>", "</s>", "[PREFIX]", "<｜fim▁hole｜>", "▁<PRE>", "ab", "ba"]  # noqa: RUF001
WRITTEN = spellings(NAMES)

words = st.lists(st.sampled_from([*NAMES, " <PRE>", "<PRE>", "a", "b", "<", "|", " "]) | st.text(max_size=3)).map(
    "".join
)


@given(words)
def test_pieces_are_the_text_and_none_spells_a_control_token(text: str) -> None:
    pieces = cut(text, WRITTEN)
    assert "".join(pieces) == text
    for name in [*NAMES, " <PRE>", "<PRE>"]:
        assert not any(name in piece for piece in pieces)


@given(st.text(alphabet="xyz \n(),."))
def test_other_texts_stay_whole(text: str) -> None:
    assert cut(text, WRITTEN) == ([text] if text else [])


@pytest.mark.parametrize("names", [[], ["x"]])
def test_without_names_of_several_characters_nothing_is_cut(names: list[str]) -> None:
    assert cut("x<s>x", spellings(names)) == ["x<s>x"]


def test_blanks_and_single_characters_steer_nothing() -> None:
    assert control_names(["    ", "▁▁", "\n", "x", "<s>", "[PREFIX]"]) == {"<s>", "[PREFIX]"}
