from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.code import JAVA, PYTHON, UNRELATED

from guard.rarity import LITERAL_BITS, PROSE_LIMIT, Background, literal_bits, without_prose
from guard.stream import TokenStream
from guard.tokens import lex

VOCABULARY = ["I", "S", "N", "(", ")", ".", ",", "=", "if", "return", "import", "from", ":"]
tokens = st.lists(st.sampled_from(VOCABULARY), max_size=60)


def stream(renamed: list[str]) -> TokenStream:
    places = list(range(len(renamed)))
    return TokenStream(renamed, renamed, places, [place + 1 for place in places])


@pytest.fixture(scope="module")
def trained() -> Background:
    ordinary = lex(PYTHON, "python").code.renamed
    return Background.train([ordinary] * 20 + [lex(UNRELATED, "python").code.renamed])


@settings(max_examples=60)
@given(tokens, st.lists(tokens, max_size=4))
def test_information_is_never_negative_and_always_finite(renamed: list[str], corpus: list[list[str]]) -> None:
    for background in (Background.empty(), Background.train(corpus)):
        bits = background.bits(stream(renamed))
        assert bits.shape == (len(renamed),)
        assert np.isfinite(bits).all()
        assert (bits >= 0).all()


def test_ordinary_code_tells_less_than_strange_code(trained: Background) -> None:
    ordinary = trained.bits(lex(PYTHON, "python").code)
    strange = trained.bits(lex(JAVA, "java").code)
    assert ordinary.mean() < 1 < strange.mean()
    assert trained.tokens == 20 * len(ordinary) + len(lex(UNRELATED, "python").code)


def test_repetition_tells_little() -> None:
    line = ["I", "(", "I", ",", "N", ")", ";"]
    bits = Background.empty().bits(stream(line * 40))
    assert bits[-len(line) :].sum() < bits[: len(line)].sum() / 2


@pytest.mark.parametrize("text", ["import os, sys", "from a.b import (c as d, e)", "from . import *"])
def test_imports_tell_nothing(text: str) -> None:
    assert not Background.empty().bits(lex(text, "python").code).any()
    assert Background.empty().bits(lex(f"{text}\nif x: y()", "python").code).any()


def test_names_and_values_that_agree_tell_more() -> None:
    lexed = lex("x = f('a', 3)", "python").code
    assert literal_bits(lexed).tolist() == [LITERAL_BITS * (mark in "ISN") for mark in lexed.renamed]


def test_prose_tells_nothing() -> None:
    words = lex("# once upon a time\n# total = price * (1 + rate)", "python").comments
    bits = without_prose(np.full(len(words), 9.0), words)
    assert bits[:4].tolist() == [0.0] * 4
    assert (bits[-7:] == PROSE_LIMIT).all()


def test_a_background_survives_its_bytes(trained: Background) -> None:
    again = Background.from_bytes(trained.to_bytes())
    lexed = lex(UNRELATED, "python").code
    assert again.bits(lexed).tolist() == trained.bits(lexed).tolist()
    assert again.tokens == trained.tokens


@given(st.binary(max_size=60))
def test_anything_else_is_no_background(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Background.from_bytes(data)


def test_a_damaged_background_is_noticed(trained: Background) -> None:
    data = trained.to_bytes()
    for damaged in (data[:-9], data[: len(data) // 2], b"\x00" + data[1:], data[:5000] + b"\xff" * 50 + data[5050:]):
        with pytest.raises(ValueError, match=r"."):
            Background.from_bytes(damaged)
