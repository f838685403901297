from __future__ import annotations

import asyncio

import pytest

from service.errors import SetupError
from service.even_times import GRID, REMEMBERED, EvenTimes
from service.settings import load_settings


def waited(paces: list[tuple[float, int]], behind: float, max_tokens: int) -> float:
    """How long after it was begun an answer leaves that is there after `behind` seconds."""

    async def run() -> float:
        even, loop = EvenTimes(), asyncio.get_running_loop()
        for pace in paces:
            even.wrote(*pace)
        began = loop.time() - behind
        await even.wait(began, max_tokens)
        return loop.time() - began

    return asyncio.run(run())


def test_short_and_long_answers_leave_at_the_same_mark() -> None:
    paces = [(0.05, 50)] * 20
    for behind in (0.0, 0.03, 0.09):
        assert waited(paces, behind, 100) >= 2 * GRID - 1e-3


def test_what_is_late_leaves_at_a_later_mark() -> None:
    assert waited([(0.05, 50)], 0.31, 10) >= 4 * GRID - 1e-3


def test_the_pace_is_that_of_slow_and_long_generations() -> None:
    assert waited([(0.5, 1)] * REMEMBERED, 0.0, 10) < 3 * GRID, "of one token it is no pace"
    assert waited([(0.02, 20)] * 90 + [(0.2, 20)] * 10, 0.0, 30) >= 4 * GRID - 1e-3


def test_a_stream_would_tell() -> None:
    with pytest.raises(SetupError, match="stream_release"):
        load_settings(even_times=True)
    assert load_settings(even_times=True, stream_release="whole").even_times
