from __future__ import annotations

import pytest

from benchmarks.copies import LINES, TOKENS, IndexedCode

# 50 different tokens in 25 lines of two: long enough by tokens, and by lines.
INDEXED = "".join(f"word{i} item{i}\n" for i in range(25))
CODE = IndexedCode([INDEXED, "x = 1\n"])


def lines(first: int, count: int) -> str:
    return "".join(f"word{i} item{i}\n" for i in range(first, first + count))


def test_six_lines_in_a_row_are_a_copy() -> None:
    assert CODE.has_copy("a = 1\n" + lines(3, LINES) + "b = 2\n")
    assert not CODE.has_copy("a = 1\n" + lines(3, LINES - 1) + "b = 2\n")


def test_forty_tokens_in_a_row_are_a_copy_whatever_the_lines() -> None:
    tokens = lines(0, 25).split()
    assert CODE.has_copy(" ".join(tokens[3 : 3 + TOKENS]))
    assert not CODE.has_copy(" ".join(tokens[3 : 2 + TOKENS]))


@pytest.mark.parametrize(
    "disguised",
    [
        lines(3, LINES).replace("\n", "\n\n"),
        lines(3, LINES).replace("\n", "\n    # a comment\n"),
        lines(3, LINES).replace("\n", "\n)\n"),
        lines(3, LINES).replace("word", "    word"),
    ],
)
def test_layout_comments_and_brackets_hide_nothing(disguised: str) -> None:
    assert CODE.has_copy(disguised)


def test_the_choice_of_quotes_and_trailing_commas_hide_nothing() -> None:
    code = IndexedCode(["call(" + ", ".join(f'"text{i}"' for i in range(30)) + ",)\n"])
    assert code.has_copy("call(" + ", ".join(f"'text{i}'" for i in range(30)) + ")\n")


def test_nothing_indexed_is_nothing_copied() -> None:
    assert not IndexedCode([]).has_copy(INDEXED)
    assert not CODE.has_copy("")
