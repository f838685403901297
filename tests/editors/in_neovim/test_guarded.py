"""What the guard holds back, and what has to be named, in a real Neovim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import LICENSED, NAMED, function_of

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom, Recital
    from editors.nvim import Neovim


def test_private_code_of_others_shows_nothing(nvim: Neovim, cleanroom: Cleanroom, private: Recital) -> None:
    nvim.fill(private.signature)
    cleanroom.upstream.text = private.body
    cleanroom.upstream.pause = 0
    nvim.keys("Go")
    assert cleanroom.upstream.paused.wait(20)
    cleanroom.upstream.go_on.set()
    nvim.told(busy=False)
    shown = nvim.screen.text()
    for line in private.body.splitlines():
        assert len(line.strip()) < 8 or line.strip() not in shown
    assert nvim.status == {"busy": False, "kind": "Normal", "message": ""}
    newest = cleanroom.home.answer("ledger", "list", "--json", "--limit", "1")[0]  # type: ignore[index]
    assert (newest["org"], newest["disposition"]) == ("birch", "withheld")


def test_a_denied_licence_shows_nothing_and_the_status_names_it(nvim: Neovim, cleanroom: Cleanroom) -> None:
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    nvim.fill(recital.signature)
    cleanroom.upstream.text = recital.body
    nvim.keys("Go")
    nvim.until(lambda: "GPL-3.0-only" in nvim.status["message"], "a licence in the status")
    assert "dec_" in nvim.status["message"]
    assert not any(line.strip() and line.strip() in nvim.screen.text() for line in recital.body.splitlines())


def taken_over(nvim: Neovim, cleanroom: Cleanroom) -> None:
    """Has code taken over whose licence must be named, in normal mode at the beginning of the file."""
    recital = function_of(NAMED, "utils.py", "get_params_from_function")
    nvim.fill(recital.signature)
    cleanroom.upstream.text = recital.body
    # In front of the line, since only then several lines are asked for.
    nvim.keys("Go")
    nvim.shows("signature = ")
    assert "MIT" not in nvim.screen.text()
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[-1] == "    return params", "the code")
    nvim.keys("<Esc>gg")
    nvim.shows("MIT: ")


def test_a_licence_that_must_be_named_stands_at_the_code(nvim: Neovim, cleanroom: Cleanroom) -> None:
    taken_over(nvim, cleanroom)
    (line,) = _cited(nvim)
    assert line.lstrip().startswith("signature = ")


def test_a_licence_goes_with_its_code_and_comes_back_with_it(nvim: Neovim, cleanroom: Cleanroom) -> None:
    taken_over(nvim, cleanroom)
    nvim.keys("O# a line above<Esc>")
    nvim.until(lambda: [line.lstrip()[:12] for line in _cited(nvim)] == ["signature = "], "the licence at its code")
    nvim.keys("ggdG")
    nvim.hides("MIT: ")
    nvim.keys("u")
    nvim.shows("MIT: ")


def test_a_file_that_is_opened_again_has_its_licences(nvim: Neovim, cleanroom: Cleanroom, project: Path) -> None:
    taken_over(nvim, cleanroom)
    nvim.keys(":write<CR>")
    nvim.edit(project / "numbers.js")
    nvim.keys(":bdelete numbers.py<CR>")
    nvim.hides("MIT: ")
    nvim.edit(project / "numbers.py")
    nvim.shows("MIT: ")
    nvim.keys(":Cleanroom citations<CR>")
    nvim.hides("MIT: ")
    nvim.keys("ggO# a line above<Esc>")
    nvim.shows("# a line above")
    nvim.told(busy=False)
    assert not _cited(nvim)


def _cited(nvim: Neovim) -> list[str]:
    return [line for line in nvim.screen.text().splitlines() if "MIT: " in line]
