from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.idioms import NO_LANGUAGE, blocked, idioms
from guard.languages import LANGUAGES

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = idioms()


def test_there_are_five_hundred_in_six_languages() -> None:
    languages = Counter(idiom.language for idiom in KNOWN)
    assert len(KNOWN) >= 500
    assert len(languages.keys() - {NO_LANGUAGE}) >= 6
    assert all(count >= 30 for count in languages.values()), languages


def test_each_has_three_to_forty_lines() -> None:
    lines = {(idiom.language, idiom.name): len(idiom.text.splitlines()) for idiom in KNOWN}
    assert {name: count for name, count in lines.items() if not 3 <= count <= 40} == {}


def test_none_comes_twice() -> None:
    texts = Counter(" ".join(idiom.text.split()) for idiom in KNOWN)
    assert [text for text, count in texts.items() if count > 1] == []
    names = Counter((idiom.language, idiom.name) for idiom in KNOWN)
    assert [name for name, count in names.items() if count > 1] == []


def test_languages_are_those_that_the_guard_knows() -> None:
    assert {idiom.spoken for idiom in KNOWN} <= {*LANGUAGES.values(), None}


def test_python_idioms_are_python() -> None:
    for idiom in KNOWN:
        if idiom.language == "python":
            compile(idiom.text, idiom.name, "exec")


def test_files_are_split_at_marker_lines(tmp_path: Path) -> None:
    path = tmp_path / "go" / "a.txt"
    path.parent.mkdir()
    path.write_text("=== first\na === b\n\nc\n\n=== second one\nd\n")
    found = [(idiom.name, idiom.language, idiom.text) for idiom in idioms(tmp_path)]
    assert found == [("first", "go", "a === b\n\nc\n"), ("second one", "go", "d\n")]


def test_a_file_without_a_marker_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "go" / "a.txt"
    path.parent.mkdir()
    path.write_text("package main\n=== first\n")
    with pytest.raises(ValueError, match="does not begin with a line '=== name'"):
        idioms(tmp_path)


def test_those_that_are_blocked_are_named_with_their_owners() -> None:
    def blockers(text: str, language: str | None) -> set[str]:
        return {"acme", "zeta"} if language == "python" and "fizz" in text.lower() else set()

    assert [(idiom.name, owners) for idiom, owners in blocked(blockers, KNOWN)] == [("fizzbuzz", "acme, zeta")]
