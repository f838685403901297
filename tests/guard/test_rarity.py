from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.code import JAVA, PYTHON, SAMPLES, UNRELATED
from samples.code import renamed as with_other_names
from samples.streams import exact, stream_of

from guard.background import Background, backgrounds_for
from guard.counting import count
from guard.rarity import (
    LIMIT,
    LITERAL_LIMITS,
    UNTRAINED_BITS,
    information,
    literal_information,
    without_prose,
)
from guard.stream import IDENTIFIER, NUMBER
from guard.tokens import lex, syntax_of

VOCABULARY = ["name", '"text', "1", "(", ")", ".", ",", "=", "if", "return", "import", "from", ":"]
words = st.lists(st.sampled_from(VOCABULARY), max_size=60)
UNTRAINED = (Background.untrained(),)


@pytest.fixture(scope="module")
def trained() -> tuple[Background, ...]:
    """A model to which PYTHON is ordinary."""
    ordinary, other = (lex(text, "python").code for text in (PYTHON, UNRELATED))
    return (count([[ordinary]] * 20 + [[other]], "python"),)


@settings(max_examples=60)
@given(words, st.lists(words, max_size=4))
def test_information_lies_between_nothing_and_the_limits(some: list[str], corpus: list[list[str]]) -> None:
    stream = stream_of(some)
    for model in (UNTRAINED[0], count([[stream_of(["x", *line])] for line in [[], *corpus]], "python", least_trees=1)):
        bits, literal = information(stream, (model,)), literal_information(stream, (model,))
        assert bits.shape == literal.shape == (len(some),)
        assert ((bits >= 0) & (bits <= LIMIT)).all()
        assert ((literal == 0) | ((literal >= LITERAL_LIMITS[0] / 2) & (literal <= LITERAL_LIMITS[1]))).all()


def test_without_a_model_every_token_tells_the_same() -> None:
    bits = information(stream_of(["alpha", "=", "[", "beta", "]", "if", "1", "else", "lambda"]), UNTRAINED)
    assert bits.tolist() == [UNTRAINED_BITS] * 9


def test_ordinary_code_tells_less_than_strange_code(trained: tuple[Background, ...]) -> None:
    ordinary = information(lex(PYTHON, "python").code, trained)
    strange = information(lex(JAVA, "java").code, trained)
    assert ordinary.mean() < 1 < strange.mean()


def test_what_is_ordinary_in_python_the_shipped_model_knows() -> None:
    model = backgrounds_for("python", "hash")
    idiom = lex('if __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n', "python").code
    strange = lex("yield -x @ {*y: ~z}, lambda: [not w][1::2] ** 0\n", "python").code
    assert information(idiom, model).mean() < 1.8
    assert information(strange, model).mean() > 2.5
    # A text's own kind of code is ordinary by no text alone.
    for language, text in SAMPLES.items():
        code = lex(text, language).code
        assert information(code, backgrounds_for(language, syntax_of(language, text))).mean() < LIMIT / 3


@pytest.mark.parametrize("before", ["", "x = 1\n" * 30])
def test_a_token_tells_what_its_context_leaves_open(trained: tuple[Background, ...], before: str) -> None:
    # The same tokens after another context: only those within reach of a change tell anything else.
    one, other = (lex(before + line + PYTHON, "python").code for line in ("a = b\n", "return f(c)\n"))
    bits = [information(code, trained) for code in (one, other)]
    assert bits[0][-200:].tolist() == bits[1][-200:].tolist()


@pytest.mark.parametrize("model", ["none", "python"])
def test_repetition_tells_little(model: str) -> None:
    background = UNTRAINED if model == "none" else backgrounds_for("python", "hash")
    line = ["name", "(", "other", ",", "1", ")", ";"]
    bits = information(stream_of(line * 40), background)
    assert bits[-len(line) :].sum() < bits[: len(line)].sum() / 2


def test_repetition_of_another_text_is_no_repetition() -> None:
    code = lex(PYTHON, "python").code
    model = backgrounds_for("python", "hash")
    assert information(code, model).tolist() == information(code, model).tolist()
    twice = information(lex(PYTHON + PYTHON, "python").code, model)
    assert twice[len(code) :].sum() < 0.6 * information(code, model).sum()


def test_what_any_model_expects_is_ordinary(trained: tuple[Background, ...]) -> None:
    stream = lex(PYTHON, "python").code
    shipped = backgrounds_for("python", "hash")
    least = np.minimum(information(stream, trained), information(stream, shipped))
    assert information(stream, trained + shipped).tolist() == least.tolist()
    assert information(stream, shipped + trained).tolist() == least.tolist()


@pytest.mark.parametrize("text", ["import os, sys", "from a.b import (c as d, e)", "from . import *"])
def test_imports_tell_nothing(text: str, trained: tuple[Background, ...]) -> None:
    for model in (UNTRAINED, trained):
        assert not information(lex(text, "python").code, model).any()
        assert information(lex(f"{text}\nif x: y()", "python").code, model).any()


def test_names_and_values_that_agree_tell_more() -> None:
    least, most = LITERAL_LIMITS
    stream = lex("x = f('a', 3, x)", "python").code
    told = dict(zip(exact(stream)[:-2], literal_information(stream, UNTRAINED).tolist(), strict=False))
    assert told == {"x": most, "=": 0.0, "f": most, "(": 0.0, '"a': most, ",": 0.0, "3": most}
    assert literal_information(stream, UNTRAINED).tolist()[-2] == most / 2, "the second time"
    common = literal_information(lex("return self.value", "python").code, backgrounds_for("python", "hash"))
    assert common.tolist() == [0.0, least, 0.0, least]


def test_of_several_models_the_one_counts_to_which_a_name_is_commonest(trained: tuple[Background, ...]) -> None:
    stream = lex(PYTHON, "python").code
    known, new = literal_information(stream, trained), literal_information(stream, UNTRAINED)
    assert literal_information(stream, trained + UNTRAINED).tolist() == np.minimum(known, new).tolist()
    assert known.sum() < new.sum()


def test_names_tell_nothing_about_the_renamed_tokens() -> None:
    model = backgrounds_for("python", "hash")
    one, other = (lex(text, "python").code for text in (PYTHON, with_other_names(PYTHON)))
    assert information(one, model).tolist() == information(other, model).tolist()
    mask = (one.symbols >= IDENTIFIER) & (one.symbols <= NUMBER)
    assert (literal_information(one, model) > 0).tolist() == mask.tolist()


def test_prose_tells_nothing() -> None:
    comments = lex("# once upon a time\n# total = price * (1 + rate)", "python").comments
    bits = without_prose(np.full(len(comments), 9.0), comments)
    assert bits[:4].tolist() == [0.0] * 4
    assert (bits[-7:] == 9.0).all()
    assert without_prose(np.zeros(0), stream_of([])).tolist() == []
