from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import SAMPLES, renamed
from samples.streams import stream_of

from guard.keywords import GIVEN_NAMES, HASH_KEYWORDS, SLASH_KEYWORDS
from guard.pattern import pattern_of
from guard.stream import IDENTIFIER
from guard.tokens import lex
from guard.vocabulary import NEAR, REPEATED, given_symbol

NAMES = st.sampled_from(["a", "b", "aa", "ab", "\u00e9", "len", "LEN", "Len", "ValueError", "VALUEERROR", "valueerror"])


def pattern(text: str, language: str = "python") -> list[int]:
    return pattern_of(lex(text, language).code).tolist()


@given(st.lists(NAMES | st.sampled_from(["+", "[", "if", "1"]), max_size=40))
def test_a_name_is_given_or_repeated_or_new(words: list[str]) -> None:
    """Against a model that looks at every word before."""
    stream = lex(" ".join(words), "python").code
    given_ = {"len": "len", "LEN": "len", "ValueError": "ValueError", "VALUEERROR": "ValueError"}
    expected = stream.symbols.tolist()
    for at, word in enumerate(words):
        if expected[at] != IDENTIFIER:
            continue
        if word in given_:
            expected[at] = given_symbol(given_[word])
            continue
        before = [back for back in range(1, min(NEAR, at) + 1) if words[at - back] == word]
        if before:
            expected[at] = REPEATED + before[0]
    assert pattern_of(stream).tolist() == expected


@pytest.mark.parametrize(("language", "text"), SAMPLES.items(), ids=SAMPLES)
def test_renaming_leaves_the_pattern(language: str, text: str) -> None:
    assert pattern(renamed(text), language) == pattern(text, language)
    assert len(set(pattern(text, language))) > len(set(lex(text, language).code.symbols.tolist()))


def test_names_that_are_equal_here_and_differ_there_have_another_pattern() -> None:
    assert pattern("x.y = y") == pattern("one.two = two")
    assert pattern("x.y = y") != pattern("x.y = z")


@given(st.integers(1, 20))
def test_what_stood_long_ago_is_new(between: int) -> None:
    symbols = pattern(f"name{' +' * between} name")
    assert symbols[-1] == (REPEATED + between + 1 if between < NEAR else IDENTIFIER)


def test_every_given_name_is_known_as_it_is_written_and_in_capitals() -> None:
    keywords = HASH_KEYWORDS | SLASH_KEYWORDS
    for name in sorted(GIVEN_NAMES):
        alike = {given_symbol(other) for other in GIVEN_NAMES if other.upper() == name.upper()}
        for word in {name, name.upper()} - keywords:
            assert pattern(f"x + {word}")[2] in alike, word


def test_an_empty_stream_has_an_empty_pattern() -> None:
    assert pattern_of(stream_of([])).tolist() == []
    assert pattern_of(stream_of([])).dtype == np.int32
