"""Ghost text in a real VS Code, whose page is read, against a real service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST

if TYPE_CHECKING:
    from editors.conftest import Cleanroom
    from editors.vscode import VSCode


def test_ghost_text_appears_narrows_and_is_accepted(code: VSCode) -> None:
    code.type("r")
    code.until(lambda: "return [seed" in code.text or code.ghost, "ghost text")
    code.press("Backspace")
    code.shows(GHOST)
    code.type("return ")
    code.shows(GHOST.removeprefix("return "))
    assert code.text.count("return") == 1
    code.press("Tab")
    code.holds(GHOST)
    assert code.text.count("return") == 1


def test_another_file_of_another_language(code: VSCode, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.text = "Array.from({ length: 7 }, (_, n) => seed + step * n);"
    code.open("numbers.js")
    code.type("return ")
    code.shows("Array.from")
    code.press("Tab")
    code.holds("return " + cleanroom.upstream.text)
