from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.limits import duration


@given(st.floats(0, 200_000))
def test_a_duration_is_never_too_short(seconds: float) -> None:
    shown = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?|(\d+)ms", duration(seconds))
    assert shown is not None
    hours, minutes, whole, milliseconds = (float(part or 0) for part in shown.groups())
    read = hours * 3600 + minutes * 60 + whole + milliseconds / 1000
    assert seconds <= read + 1e-9
    assert read - seconds <= (0.001001 if seconds < 60 else 1)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0ms"), (0.02, "20ms"), (1, "1s"), (1.5, "1.5s"), (59.9995, "1m0s"), (360, "6m0s"), (86_399.5, "24h0m0s")],
)
def test_durations_are_written_as_openai_does(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
