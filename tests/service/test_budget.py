from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.counting import tokens_in

from service.budget import SUFFIX_SHARE, WASTE, fit, longest

if TYPE_CHECKING:
    from collections.abc import Callable

BARE = 5
LINES = st.lists(
    st.one_of(
        st.sampled_from(["def f(self):", "        return self.x", "", "    ab = abcd", "xxxx xxxxx", "x" * 60]),
        st.text(alphabet="abx .()é😀", max_size=12),
    ),
    max_size=40,
)
CODE = st.builds(lambda lines, closed: "\n".join(lines) + "\n" * closed, LINES, st.booleans())


def measured(count: Callable[[str], int] = tokens_in) -> tuple[list[int], Callable[..., object]]:
    asked: list[int] = []

    async def measure(before: str, after: str) -> int:
        asked.append(len(before) + len(after))
        return BARE + count(before) + count(after)

    return asked, measure


def cut(prefix: str, suffix: str, limit: int) -> tuple[str, str] | None:
    return asyncio.run(fit(measured()[1], prefix, suffix, limit))  # type: ignore[arg-type]


def total(prefix: str, suffix: str) -> int:
    return BARE + tokens_in(prefix) + tokens_in(suffix)


def one_line_more(prefix: str, kept: str) -> str:
    """`kept`, and what is before it as far as the last line's start."""
    start = len(prefix) - len(kept)
    return prefix[prefix.rfind("\n", 0, start - 1) + 1 :] if start > 1 else prefix


def one_line_on(suffix: str, kept: str) -> str:
    end = suffix.find("\n", len(kept))
    return suffix if end < 0 else suffix[: end + 1]


@given(CODE, CODE, st.integers(0, 160))
def test_what_is_kept_fits_and_one_more_line_of_either_would_not(prefix: str, suffix: str, limit: int) -> None:
    kept = cut(prefix, suffix, limit)
    if kept is None:
        assert limit < BARE
        return
    before, after = kept
    assert prefix.endswith(before)
    assert suffix.startswith(after)
    assert total(before, after) <= limit
    assert before == prefix or total(one_line_more(prefix, before), after) > limit
    assert after == suffix or total(before, one_line_on(suffix, after)) > limit


@given(CODE, CODE, st.integers(BARE, 160))
def test_neither_side_takes_what_is_the_others_share(prefix: str, suffix: str, limit: int) -> None:
    """A side that is cut has its share, but for part of a line and what tokens merge over borders."""
    kept = cut(prefix, suffix, limit)
    assert kept is not None
    before, after = kept
    room = limit - BARE
    slack = limit // WASTE + 4
    if before != prefix:
        assert tokens_in(before) >= room - room // SUFFIX_SHARE - slack
    if after != suffix:
        assert tokens_in(after) >= room // SUFFIX_SHARE - slack or before != prefix


@given(CODE, CODE)
def test_what_fits_as_a_whole_is_kept_as_a_whole(prefix: str, suffix: str) -> None:
    assert cut(prefix, suffix, total(prefix, suffix)) == (prefix, suffix)


def test_short_lines_are_kept_whole_and_a_long_one_is_cut() -> None:
    prefix = "first = 1\n" * 50
    before, after = cut(prefix, "", 100) or ("", "")
    assert before.startswith("first")
    assert after == ""
    minified = "a" + "=b;" * 1000
    before, after = cut(minified, minified, 100) or ("", "")
    assert (len(before), len(after)) != (0, 0)
    assert total(before, after) == 100


def test_three_quarters_are_the_prefixs() -> None:
    before, after = cut("xxx\n" * 1000, "xxx\n" * 1000, 405) or ("", "")
    assert tokens_in(before) == pytest.approx(300, abs=2)
    assert tokens_in(after) == pytest.approx(100, abs=2)


def test_where_nothing_fits_nothing_is_kept() -> None:
    assert cut("x", "y", BARE - 1) is None
    assert cut("x", "y", BARE) == ("", "")


@pytest.mark.parametrize("characters_a_token", [1, 3, 20])
def test_counts_are_few_and_of_short_texts(characters_a_token: int) -> None:
    """A file of 100,000 lines, of which few fit: after the first look at the suffix nothing long is counted."""
    asked, measure = measured(lambda text: -(-len(text) // characters_a_token))
    prefix = suffix = "value = compute(self.x)\n" * 100_000
    kept = asyncio.run(fit(measure, prefix, suffix, 2000))  # type: ignore[arg-type]
    assert kept is not None
    assert len(asked) < 60
    longest_first = sorted(asked, reverse=True)
    assert longest_first[0] == len(suffix)
    assert longest_first[1] < 2000 * (2 * characters_a_token + 3)


@given(st.lists(st.integers(0, 1000), min_size=1, unique=True).map(sorted), st.integers(0, 1200), st.integers(0, 1200))
def test_the_longest_that_fits_is_found_from_any_guess(lengths: list[int], limit: int, guess: int) -> None:
    lengths = [0, *(length for length in lengths if length)]
    asked = 0

    async def spare(length: int) -> int:
        nonlocal asked
        asked += 1
        return limit - length

    at = asyncio.run(longest(lengths, spare, guess))
    assert lengths[at] <= limit
    assert at + 1 == len(lengths) or lengths[at + 1] > limit
    assert asked <= 2 * math.log2(len(lengths)) + 12
