from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from benchmarks.questions import Asked, OneByOne, Question, figures, recall, share, stopped_in_time

if TYPE_CHECKING:
    from collections.abc import Sequence


class Words:
    """Finds the owner whose name stands in the text or before it, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def owners(self, text: str, prefix: str = "") -> set[str]:
        self.asked += 1
        return {name for name in ("acme", "zeta") if name in prefix + text}


class Counting(OneByOne):
    """Remembers how many questions came in each batch."""

    batches: list[int] = []  # noqa: RUF012 - cleared by the test that reads it

    def answers(self, questions: Sequence[Question]) -> list[set[str]]:
        self.batches.append(len(questions))
        return super().answers(questions)


def test_recall_wants_the_right_owner() -> None:
    questions = [Question("acme zeta", "", "acme"), Question("zeta", "", "acme"), Question("x", "acme", "acme")]
    assert recall(OneByOne(Words()), questions) == pytest.approx(2 / 3)


def test_a_text_that_was_recognized_is_not_asked_about_again() -> None:
    early = [Question("acme", "", "acme"), Question("1", "acme", "acme"), Question("2", "acme", "acme")]
    late = [Question("1", "", "acme"), Question("acme", "1", "acme")]
    never = [Question("1", "", "acme"), Question("2", "1", "acme"), Question("3", "2", "acme")]
    detector = Counting(Words())
    Counting.batches.clear()
    assert stopped_in_time(detector, [early, late, never]) == pytest.approx(2 / 3)
    assert Counting.batches == [3, 2, 1]


def test_figures_have_every_kind() -> None:
    asked = Asked(
        copies={"T1": [Question("acme", "", "acme")], "T2": [Question("x", "", "acme")]},
        drawn=[[Question("acme", "", "acme")]],
        negatives={"functions": [Question("x"), Question("zeta")]},
    )
    assert figures(OneByOne(Words()), asked, "peer_") == {
        "peer_recall_T1": 1.0,
        "peer_recall_T2": 0.0,
        "peer_recall_three_lines": 1.0,
        "peer_false_alarms_functions": 0.5,
    }


def test_a_share_of_nothing_is_no_number() -> None:
    assert math.isnan(share([]))
    assert share([True, False, False, False]) == pytest.approx(0.25)
