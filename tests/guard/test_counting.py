from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from samples.code import PYTHON, UNRELATED
from samples.streams import stream_of

from guard.background import COUNTS, ORDERS, Background
from guard.counting import SHORT, TREES, count
from guard.errors import BackgroundError
from guard.rarity import information
from guard.tokens import lex

if TYPE_CHECKING:
    from guard.stream import TokenStream

LINE = ["alpha", "=", "beta", "(", "gamma", "[", "1", "]", ",", "delta", ".", "omega", ")"]


def streams(*texts: str) -> list[TokenStream]:
    return [lex(text, "python").code for text in texts]


def found(model: Background) -> int:
    """How many n-grams a model holds."""
    return int((model.slots > 0).sum())


def test_all_tokens_of_all_trees_count() -> None:
    one, two = streams(PYTHON, UNRELATED)
    model = count([[one, two], [two]], "python")
    assert (model.tokens, model.language) == (len(one) + 2 * len(two), "python")
    assert COUNTS[(model.slots & 31).max()] >= model.tokens / 8, "the commonest symbol"


def test_trees_in_any_order_and_files_in_any_order_give_the_same_model() -> None:
    one, two = streams(PYTHON, UNRELATED)
    some = [count(trees, "python", least_trees=1) for trees in ([[one, two], [one]], [[one], [two, one]])]
    assert some[0].to_bytes() == some[1].to_bytes()


def test_what_one_project_alone_writes_is_not_ordinary() -> None:
    line = stream_of(LINE)
    alone, many = count([[line] * TREES], "python"), count([[line]] * TREES, "python")
    assert alone.tokens == many.tokens
    grams = [len({tuple(line.symbols[i : i + order]) for i in range(len(line) - order + 1)}) for order in range(1, 11)]
    literals = len({word for word in LINE if word.isalnum()})
    assert found(alone) == sum(grams[:SHORT])
    assert found(many) == sum(grams) + literals
    assert information(line, (many,)).sum() < information(line, (alone,)).sum()


@pytest.mark.parametrize("least", [1, 2, 3])
def test_how_many_trees_must_have_it_can_be_said(least: int) -> None:
    line, other = stream_of(LINE), stream_of(["return", *LINE[::-1]])
    trees = [[line], [line, line], [other]]
    kept, fewer = (found(count(trees, "python", least_trees=trees_)) for trees_ in (least, least + 1))
    # One tree has the other line, two have the line, all three the names.
    assert kept > fewer


def test_streams_shorter_than_an_n_gram_count_as_far_as_they_go() -> None:
    assert count([[stream_of(["x"])]], "python").tokens == 1
    model = count([[stream_of(LINE[: ORDERS - 1])], [stream_of([])], []], "python", least_trees=1)
    assert model.tokens == ORDERS - 1


@pytest.mark.parametrize("trees", [[], [[]], [[], []], [[stream_of([])]]])
def test_no_code_is_no_model(trees: list[list[TokenStream]]) -> None:
    with pytest.raises(BackgroundError, match="no code"):
        count(trees, "python")


def test_what_was_counted_often_is_worth_little() -> None:
    (ordinary,) = streams(PYTHON)
    model = count([[ordinary]] * 20, "python")
    assert information(ordinary, (model,)).mean() < 1
    rare = np.flatnonzero(information(streams("yield lambda: not [*x] @ {1: ~y}")[0], (model,)) > 4)
    assert len(rare) > 5
