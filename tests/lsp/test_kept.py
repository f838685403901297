from __future__ import annotations

from dataclasses import replace

import pytest

from lsp.client import Question
from lsp.kept import ANSWERS, Answer, Kept, Spot

URI = "file:///a.py"
ASKED = Question("def f(n):\n    ", "\nf(1)", 64)
SPOT = Spot("def f(n):\n    ", "\nf(1)")
ANSWER = Answer("return n + 1", "dec_1", index="state")


@pytest.fixture
def kept() -> Kept:
    kept = Kept()
    kept.put(URI, SPOT, ASKED, ANSWER)
    return kept


@pytest.mark.parametrize(
    ("before", "behind", "left"),
    [
        ("", "", "return n + 1"),
        ("ret", "", "urn n + 1"),
        ("return n +", "", " 1"),
        ("return (", ")", None),
        ("return", ")", " n + 1"),
        ("return n + 1", "", None),
        ("rat", "", None),
        ("ret", "x", None),
    ],
)
def test_typing_along_leaves_the_rest(kept: Kept, before: str, behind: str, left: str | None) -> None:
    found = kept.along(URI, Spot(SPOT.before + before, behind + SPOT.behind))
    assert (found.text if found else None) == left
    assert found is None or (found.decision, found.index) == ("dec_1", "state")


def test_an_edit_elsewhere_is_another_place(kept: Kept) -> None:
    assert kept.along(URI, Spot("# new\n" + SPOT.before, SPOT.behind)) is None
    assert kept.along(URI, Spot(SPOT.before, SPOT.behind + "more")) is None
    assert kept.along("file:///b.py", SPOT) is None


def test_the_same_question_has_the_same_answer(kept: Kept) -> None:
    assert kept.again(ASKED) == ANSWER
    for other in (
        replace(ASKED, prefix="x"),
        replace(ASKED, suffix="x"),
        replace(ASKED, stop=("\n",)),
        replace(ASKED, path="b.py"),
        replace(ASKED, others=(("c.py", "def c"),)),
        replace(ASKED, max_tokens=65),
    ):
        assert kept.again(other) is None


def test_what_could_never_be_held_to_an_index_is_not_kept() -> None:
    kept = Kept()
    kept.put(URI, SPOT, ASKED, replace(ANSWER, index=None))
    assert kept.texts() == []


def test_what_is_dropped_is_gone(kept: Kept) -> None:
    kept.drop(URI, ASKED)
    assert kept.texts() == []
    kept.put(URI, SPOT, ASKED, ANSWER)
    kept.close(URI)
    assert kept.along(URI, SPOT) is None
    kept.clear()
    assert kept.texts() == []


def test_the_oldest_go_first(kept: Kept) -> None:
    for number in range(ANSWERS):
        kept.again(ASKED)
        kept.put(f"file:///{number}", SPOT, replace(ASKED, prefix=str(number)), ANSWER)
    assert kept.again(ASKED) == ANSWER
    assert kept.again(replace(ASKED, prefix="0")) is None
    assert kept.again(replace(ASKED, prefix=str(ANSWERS - 1))) == ANSWER
