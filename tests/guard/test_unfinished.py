from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import SAMPLES

from guard.literals import SIZE
from guard.unfinished import finished

SECRET = "3fa9c1e07b5d48e2a6f0913c7de4b852"


@pytest.mark.parametrize(
    ("before", "text", "leaves"),
    [
        ("API_KEY = ", '"3fa9', '"'),
        ('API_KEY = "', "3fa9c1e07b5", ""),
        ('API_KEY = "3fa', "9", ""),
        ('API_KEY = "', "3fa9c1e07b5d", "3fa9c1e07b5d"),
        ("API_KEY = ", '"3fa9"', '"3fa9"'),
        ("API_KEY=", "3fa9", ""),
        ("# ", "68009", ""),
        ("", "6800-d8", ""),
        ("keys = ", "['3', 'f', 'a'", "["),
        ("keys = ", "['3', 'f', 'a']", "['3', 'f', 'a']"),
        ("keys = (", '"3fa" +\n    "9', ""),
        ("", "6\n8\n0\n0", ""),
        ("", "a\nb\n", "a\nb\n"),
        ("x = ", "[0, 1", "[0, 1"),
        ("print(", "'hello wor", "'hello wor"),
        ("print(", "'utf8", "'"),
        ("print(", "'will be", "'will "),
        ("print(", "'do\\nTo", "'do\\nTo"),
        ("print(", "'wJ", "'"),
        ("print(", "'setNa", "'setNa"),
        ("print(", "'HTTPErr", "'HTTPErr"),
        ("print(", "'thexqzj", "'"),
        ("keys = ", "['once', 'each", "['once', 'each"),
        ("keys = ", "['', '", "['', '"),
        ("print(", "'hello world')", "'hello world')"),
        ("import hash", "lib.sha256", "lib.sha256"),
        ("# don't do tha", "t", "t"),
        ("x = it", "ems[i]", "ems[i]"),
        ("", "", ""),
    ],
)
def test_what_leaves(before: str, text: str, leaves: str) -> None:
    assert text[: finished(before, text)] == leaves


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.sampled_from("\"'`"))
def test_the_beginning_of_a_string_stays_wherever_the_prompt_ends(known: int, end: int, quote: str) -> None:
    opened = f"key = {quote}"
    text = opened + SECRET[:end]
    for cut in range(len(opened), min(len(text), len(opened) + known)):
        assert finished(text[:cut], text[cut:]) == 0


@given(st.text("0123456789abcdefABCDEF", min_size=1, max_size=SIZE - 1), st.sampled_from("\"'`"))
def test_hexadecimal_digits_stay_wherever_they_are_taken_from(digits: str, quote: str) -> None:
    opened = f"key = {quote}"
    assert finished("", opened + digits) == len(opened)
    assert finished(opened, digits) == 0


def longest(secret: str) -> int:
    """How many letters of `secret` leave at most, asked for one by one from its first."""
    return max(finished('key = "', secret[:end]) for end in range(SIZE))


def test_of_other_secrets_hardly_more_than_a_letter_leaves() -> None:
    """Letters without a digit can look like a word for a while; which, is nobody's secret but by accident."""
    numbers = random.Random(1)  # noqa: S311 - the same each time
    signs = string.ascii_letters + string.digits
    left = [longest("".join(numbers.choices(signs, k=SIZE))) for _ in range(400)]
    assert sum(left) / len(left) < 2


@pytest.mark.parametrize("text", ['"hello wor', "['once', 'each"])
def test_what_goes_on_is_held_whatever_it_is_by_now(text: str) -> None:
    assert finished("", text) == len(text)
    assert finished("", text, goes_on=True) < len(text)


@given(st.text(max_size=80), st.text(max_size=80), st.booleans())
def test_it_is_a_beginning_of_any_text(before: str, text: str, goes_on: bool) -> None:  # noqa: FBT001 - drawn
    assert 0 <= finished(before, text, goes_on=goes_on) <= len(text)


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_goes_on_lets_out_no_more(before: str, text: str) -> None:
    assert finished(before, text, goes_on=True) <= finished(before, text)


@pytest.mark.parametrize("language", SAMPLES)
def test_code_that_breaks_off_with_a_line_is_whole(language: str) -> None:
    lines = SAMPLES[language].splitlines(keepends=True)
    whole = [finished("", "".join(lines[:end])) == len("".join(lines[:end])) for end in range(1, len(lines))]
    assert sum(whole) >= 0.95 * len(whole)


@pytest.mark.parametrize("text", ['"' * 500, "'a'+ " * 100 + "?", "\\" * 500, "'" + "\\'" * 300, "0x" * 300])
def test_hostile_text_takes_no_longer(text: str) -> None:
    assert 0 <= finished(text, text) <= len(text)
