"""Ghost text in a real Neovim 0.12, and items in the menu of 0.11, against a real service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST
from editors.nvim import started

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.nvim import Neovim


def test_ghost_text_appears_and_is_accepted(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    assert nvim.lines[1] == "    "
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST)
    nvim.keys("!")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST + "!")


def test_typing_on_narrows_it_and_loses_nothing(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    for letter in "return ":
        nvim.keys(letter)
        nvim.shows("    " + GHOST)
    assert nvim.lines[1] == "    return "
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST)


def test_it_goes_at_the_first_key_that_differs(nvim: Neovim, cleanroom: Cleanroom) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    cleanroom.upstream.pause = 0
    nvim.keys("x")
    nvim.hides(GHOST[1:])
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    x   ")


def test_a_stale_answer_is_not_shown_over_newer_text(nvim: Neovim, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.pause = 0
    nvim.keys("GA")
    assert cleanroom.upstream.paused.wait(20)
    nvim.keys("print(")
    nvim.shows("    print(")
    cleanroom.upstream.go_on.set()
    # What the model says now is for the new place; the answer for the old one has no right to the screen.
    nvim.shows("    print(" + GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    print(" + GHOST)


def test_a_word_or_a_line_can_be_accepted_alone(nvim: Neovim, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.text = "total = seed\n    return total"
    nvim.keys("GA")
    nvim.shows("return total")
    nvim.keys("<M-w>")
    nvim.until(lambda: nvim.lines[1] == "    total")
    nvim.shows("    total = seed")
    nvim.keys("<M-l>")
    nvim.until(lambda: nvim.lines[1] == "    total = seed")


def test_it_can_be_dismissed(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    nvim.keys("<C-]>")
    nvim.hides(GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == " " * 8)


def test_another_file_of_another_language(nvim: Neovim, project: Path, cleanroom: Cleanroom) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    nvim.keys("<Esc>")
    cleanroom.upstream.text = "return Array.from({ length: 7 }, (_, n) => seed + step * n);"
    nvim.call("nvim_command", "write")
    nvim.edit(project / "numbers.js")
    nvim.keys("GA")
    nvim.shows("Array.from")
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + cleanroom.upstream.text)


def test_neovim_0_11_has_items_in_its_menu(tools: Path, tmp_path: Path, project: Path, cleanroom: Cleanroom) -> None:
    old = tools / "neovim-0.11" / "nvim"
    with started(old, tmp_path / "user", cleanroom.url, cleanroom.key) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Normal")
        nvim.keys("GAx = ")
        nvim.shows(GHOST)
        assert nvim.lines[1] == "    x = "
        nvim.keys("<C-n><C-y>")
        nvim.until(lambda: nvim.lines[1] == "    x = " + GHOST)
