from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.ordering import diversity, ordered
from training.plan import Incremental


def test_size_goes_from_few_to_many() -> None:
    tokens = {"large": [1] * 30, "small": [1] * 10, "middle": [1] * 20}
    assert ordered(Incremental(kind="incremental", order="size"), tokens) == ("small", "middle", "large")


def test_diversity_goes_from_repetitive_to_diverse_whatever_the_size() -> None:
    tokens = {"diverse": list(range(50)), "repetitive": [1, 2, 3] * 100}
    assert ordered(Incremental(kind="incremental", order="diversity"), tokens) == ("repetitive", "diverse")


def test_a_given_order_is_kept() -> None:
    regime = Incremental(kind="incremental", order=("b", "a"))
    assert ordered(regime, {"a": [1], "b": [1]}) == ("b", "a")


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(2, 5))
def test_diversity_is_a_share_that_repetition_lowers(tokens: list[int], times: int) -> None:
    assert 0 <= diversity(tokens) <= 1
    if len(tokens) >= 5:
        # A text of a period has as many different runs as it at most.
        assert diversity(tokens * times) <= len(tokens) / (times * len(tokens) - 4)
