"""Ghost text in a real VS Code, whose page is read, against a real service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.in_vscode.conftest import User
    from editors.vscode import VSCode


def test_ghost_text_appears_narrows_and_is_accepted(code: VSCode) -> None:
    code.type("r")
    code.until(lambda: "return [seed" in code.text or code.ghost, "ghost text")
    code.press("Backspace")
    code.shows(GHOST)
    code.type("return ")
    code.until(lambda: code.ghost == GHOST.removeprefix("return "), "the rest as ghost text")
    code.until(lambda: code.text.count("return") == 1, "one of them")
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


def test_a_stale_answer_is_not_shown_over_newer_text(code: VSCode, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.pause = 0
    code.type("x = ")
    code.until(cleanroom.upstream.paused.is_set, "a question to the model")
    code.type("print(")
    cleanroom.upstream.go_on.set()
    # What the model says now is for the new place; the answer for the old one has no right to the screen.
    code.shows(GHOST)
    code.press("Tab")
    code.holds("    x = print(" + GHOST)


def test_a_word_can_be_taken_alone_and_the_rest_dismissed(code: VSCode) -> None:
    code.type("x = ")
    code.shows(GHOST)
    code.press("Control+ArrowRight")
    code.until(lambda: code.ghost == GHOST.removeprefix("return"), "the rest as ghost text")
    code.press("Escape")
    code.hides()
    code.press("Control+S")
    code.until(lambda: (code.folder / "numbers.py").read_text().endswith("    x = return"), "a word in the file")


def test_ghost_text_goes_on_where_the_menu_has_something_selected(
    user: User, project: Path, cleanroom: Cleanroom
) -> None:
    cleanroom.upstream.text = "(7, 1)"
    (project / "numbers.py").write_text("def sequence(seed, step):\n    pass\n\n\n")
    with user.window(project, {"editor.quickSuggestions": {"other": "on"}}) as code:
        code.told("Normal")
        code.open("numbers.py")
        code.type("sequ")
        code.offers("sequence")
        code.shows("(7, 1)")
        # The first takes what the menu has, the second the ghost text behind it.
        code.press("Tab")
        code.page.locator(".suggest-widget.visible").wait_for(state="detached")
        code.shows("(7, 1)")
        code.press("Tab")
        code.holds("sequence(7, 1)")
