from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.evasion_material import SHUFFLED, TOGETHER, UNCHANGED, kinds, tricks

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.questions import Question

BODY = "".join(f"    value_{number} = call_{number}(items)\n" for number in range(10))
PYTHON = "".join(f"def name_{number}(self, items):\n{BODY}    return value_{number}\n\n" for number in range(3))
CLASS = "class Some:\n" + "".join(f"    {line}\n" for line in PYTHON.splitlines())
JAVA_BODY = "".join(f"  int value{number} = call{number}(items);\n" for number in range(10))
JAVA = "".join(
    f"public int name{number}(int items) {{\n{JAVA_BODY}  return value{number};\n}}\n" for number in range(4)
)


@pytest.fixture
def files() -> dict[str, list[tuple[str, str]]]:
    return {"acme": [("a.py", PYTHON), ("b.py", CLASS), ("tests/c.py", CLASS)]}


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, Path]:
    for path in ("src/A.java", "__tests__/B.java"):
        file = tmp_path / path
        file.parent.mkdir()
        file.write_text(JAVA)
    return {"globex": tmp_path}


def owners(some: list[Question]) -> set[str | None]:
    return {question.owner for question in some}


def test_every_trick_that_changes_something_is_asked_about(files: dict[str, list[tuple[str, str]]]) -> None:
    asked = tricks(files, 2, seed=1)
    assert {"capitals", "dead code", "all at once", "methods shuffled"} <= asked.keys()
    assert "while loops" not in asked  # there are none
    for some in asked.values():
        assert 0 < len(some) <= 2
        assert owners(some) == {"acme"}


def test_kinds_are_shared_by_the_languages(files: dict[str, list[tuple[str, str]]], trees: dict[str, Path]) -> None:
    asked = kinds(files, trees, 2, seed=1)
    assert asked.keys() == {"python", "java"}
    assert list(asked["python"]) == list(asked["java"])
    assert owners(asked["java"]["combined"]) == {"globex"}
    assert all(question.text in JAVA for question in asked["java"][UNCHANGED])


def test_functions_of_one_file_are_shuffled(files: dict[str, list[tuple[str, str]]], trees: dict[str, Path]) -> None:
    (question,) = kinds(files, trees, 5, seed=1)["java"][SHUFFLED]
    order = [line.split("(")[0][-1] for line in question.text.splitlines() if line.startswith("public")]
    assert len(order) == TOGETHER
    assert order != sorted(order) == ["0", "1", "2"]


def test_equal_seeds_draw_equal_material(files: dict[str, list[tuple[str, str]]], trees: dict[str, Path]) -> None:
    assert kinds(files, trees, 3, seed=4) == kinds(files, trees, 3, seed=4)
    assert tricks(files, 3, seed=4) == tricks(files, 3, seed=4)
