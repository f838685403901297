from __future__ import annotations

from lsp.neighbours import CHARACTERS, FILES, REMEMBERED, Neighbours, outlined

SUMS = """import math
from typing import Any

LIMIT = 3

class Sums(Base):
    async def total(self, values: list[int]) -> int:
        secret_of_the_body = sum(values)
        return secret_of_the_body

def mean(values): ...
"""
OF_LANGUAGES = {
    "export async function load(url: string): Promise<Row[]> {": True,
    "pub(crate) fn area(&self) -> f64 {": True,
    "func (s *Server) Handle(w http.ResponseWriter) {": True,
    "public static int add(int a, int b) {": True,
    "interface Shape {": True,
    "impl Display for Row {": True,
    "    return classify(x)": False,
    "definitely = 1": False,
    "typed = 2": False,
}


def noted(*names: str, folder: str = "/w", text: str = SUMS) -> Neighbours:
    neighbours = Neighbours()
    for name in names:
        neighbours.note(f"file://{folder}/{name}", name, folder, text)
    return neighbours


def test_an_outline_has_imports_and_signatures_and_no_body() -> None:
    assert outlined(SUMS).splitlines() == [
        "import math",
        "from typing import Any",
        "class Sums(Base):",
        "    async def total(self, values: list[int]) -> int:",
        "def mean(values): ...",
    ]
    for line, kept in OF_LANGUAGES.items():
        assert (outlined(line).strip() == line.strip()) is kept, line


def test_an_outline_is_bounded() -> None:
    assert len(outlined("def f(x):\n" * 1000)) <= CHARACTERS
    assert outlined("def " + "f" * 1000 + "(x):\n") == ""


def test_the_same_folder_alone_and_never_the_file_itself() -> None:
    neighbours = noted("a.py", "b.py")
    assert [one.path for one in neighbours.of("file:///w/b.py", "/w", "", 5000)] == ["a.py"]
    assert neighbours.of("file:///v/b.py", "/v", "", 5000) == []
    assert neighbours.of("file:///b.py", None, "", 5000) == []


def test_who_is_named_matters_most_then_who_was_edited_last() -> None:
    neighbours = noted("sums.py", "b.py", "c.py")
    assert [one.path for one in neighbours.of("x", "/w", "from sums import mean", 5000)] == ["b.py", "c.py", "sums.py"]
    neighbours.note("file:///w/b.py", "b.py", "/w", SUMS)
    assert [one.path for one in neighbours.of("x", "/w", "", 5000)] == ["sums.py", "c.py", "b.py"]


def test_the_budget_and_the_number_of_files_hold() -> None:
    neighbours = noted(*(f"m{number}.py" for number in range(REMEMBERED + 5)))
    assert len(neighbours.of("x", "/w", "", 10**6)) == FILES
    found = neighbours.of("x", "/w", "", 2 * len(outlined(SUMS)))
    assert len(found) == 2
    assert neighbours.of("x", "/w", "", 0) == []


def test_what_is_to_be_forgotten_is() -> None:
    neighbours = noted("a.py")
    neighbours.forget("file:///w/a.py")
    assert neighbours.of("x", "/w", "", 5000) == []
    neighbours = noted("a.py", text="def f():\n" * 100_000)
    assert neighbours.of("x", "/w", "", 5000) == []
