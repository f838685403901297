from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.folding import folded, plain

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def read(text: str) -> str:
    return "".join(LETTERS[letter] for letter in folded(text).letters)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("API_Key-9 = 'x'", "apikey9x"),
        ("'a' + \"b\",\n `c`", "abc"),
        ("0x3F, 0xa2", "3fa2"),
        ("0xyz", "0xyz"),
        ("b'3f' rb'a2' f\"1\"", "3fa21"),
        ("['b', 'f', 'u']", "bfu"),
        (r"\x41\u0062", "ab"),
        (r"\x3f\x61", "3fa"),
        (r"\u200b\n\x4", "4"),
        ("\\", ""),
        ("\\x", ""),
        ("ａ１𝟗ﬀ", "a19f"),
        ("а\u200bс\u0301é", "ace"),  # noqa: RUF001
        ("٣漢", "3"),
        ("", ""),
    ],
)
def test_what_is_left_of_a_text(text: str, letters: str) -> None:
    assert read(text) == letters


@given(st.text(max_size=60))
def test_every_letter_stands_where_it_says(text: str) -> None:
    letters = folded(text)
    assert len(plain(text)) == len(text)
    assert (letters.starts < letters.ends).all()
    assert (letters.ends[:-1] <= letters.starts[1:]).all()
    assert not len(letters.ends) or letters.ends[-1] <= len(text)
    assert (abs(letters.words[1:]) >= abs(letters.words[:-1])).all()


@given(st.text("acde0123456789", min_size=1, max_size=40), st.data())
def test_case_and_separators_leave_no_trace(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word)))
    between = data.draw(st.sampled_from(['" + "', "\n", "-", " ", "', '", "\u200b"]))
    assert read(f'"{word[:at].upper()}{between}{word[at:]}"') == read(f'"{word}"')


def test_digits_behind_a_point_are_no_word() -> None:
    assert (folded("1.5673873907283657").words[1:] < 0).all()
    assert (folded("key.5673873907283657").words > 0).all()
