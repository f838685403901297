from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp.pace import Pace


def typing(*gaps: float) -> tuple[Pace, float]:
    """A pace that has seen keys with these gaps between them, and the moment of the last one."""
    pace, now = Pace(), 100.0
    pace.typed(now)
    for gap in gaps:
        now += gap
        pace.typed(now)
    return pace, now


def test_before_the_first_key_nothing_is_waited_for() -> None:
    assert Pace().wait(5.0) == 0


def test_the_wait_follows_the_gaps_between_keys() -> None:
    quick, _ = typing(*[0.05] * 20)
    slow, _ = typing(*[0.3] * 20)
    slowest, _ = typing(*[0.9] * 20)
    assert quick.delay == pytest.approx(0.1)
    assert slow.delay == pytest.approx(0.45)
    assert slowest.delay == 1.0
    # Who types faster from now on is learned.
    for at in range(30):
        slow.typed(200 + at * 0.1)
    assert slow.delay == pytest.approx(0.15, abs=0.01)


def test_a_pause_is_no_gap() -> None:
    pace, _ = typing(0.1, 0.1, 600.0, 0.1)
    assert pace.delay == pytest.approx(0.15)


def test_what_the_editor_waited_counts() -> None:
    pace, now = typing(*[0.2] * 20)
    assert pace.wait(now + 0.2) == pytest.approx(0.1)
    assert pace.wait(now + 1) == 0


@given(st.lists(st.floats(0, 5)))
def test_the_wait_keeps_its_bounds(gaps: list[float]) -> None:
    pace, now = typing(*gaps)
    assert 0.1 <= pace.delay <= 1.0
    assert 0 <= pace.wait(now) <= 1.0 + 1e-9
    unwaiting = Pace(0, 0)
    unwaiting.typed(now)
    assert unwaiting.wait(now) == 0
