from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import PlanError
from training.infilling_problems import read_problems
from training.similarity import edit_similarity, same_length

if TYPE_CHECKING:
    from pathlib import Path

WORDS = st.text("ab", max_size=8)
PROBLEM = {
    "task_id": "SingleLineInfilling/HumanEval/0/L0",
    "prompt": "def add(a, b):\n",
    "suffix": "    return c\n",
    "canonical_solution": "    c = a + b\n",
}


def distance(one: str, other: str) -> int:
    """By its definition."""
    if not one or not other:
        return len(one) + len(other)
    changed = distance(one[1:], other[1:]) + (one[0] != other[0])
    return min(changed, distance(one[1:], other) + 1, distance(one, other[1:]) + 1)


@given(st.text("ab", max_size=5), st.text("ab", max_size=5))
def test_edit_similarity_is_the_distance_over_the_length(one: str, other: str) -> None:
    longest = max(len(one), len(other), 1)
    assert edit_similarity(one, other) == pytest.approx(1 - distance(one, other) / longest)


@given(WORDS, WORDS)
def test_edit_similarity_is_symmetric_and_one_for_equals_alone(one: str, other: str) -> None:
    assert edit_similarity(one, other) == edit_similarity(other, one)
    assert (edit_similarity(one, other) == 1) == (one == other)


def test_a_completion_is_cut_to_as_many_lines_as_the_truth_has() -> None:
    assert same_length("one\ntwo\nthree\n", "a\nb\n") == "one\ntwo"
    assert same_length("one", "a\nb") == "one"
    assert same_length("", "a") == ""


@pytest.mark.parametrize("packed", [True, False])
def test_problems_are_read_packed_and_unpacked(tmp_path: Path, packed: bool) -> None:  # noqa: FBT001 - a parameter
    content = (json.dumps(PROBLEM) + "\n").encode()
    path = tmp_path / ("problems.jsonl.gz" if packed else "problems.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    (problem,) = read_problems(path)
    assert (problem.function, problem.middle) == ("HumanEval/0", "    c = a + b\n")


@pytest.mark.parametrize("content", [b"no json\n", b"{}\n", b"[]\n"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "problems.jsonl").write_bytes(content)
    (tmp_path / "problems.jsonl.gz").write_bytes(content)
    for name in ("problems.jsonl", "problems.jsonl.gz", "absent.jsonl"):
        with pytest.raises(PlanError, match=r"github\.com/openai/human-eval-infilling"):
            read_problems(tmp_path / name)
