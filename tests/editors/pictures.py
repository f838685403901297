"""Draws docs/images/editor-*.png anew: real editors before a real service, with ghost text, a block and a licence.

CLEANROOM_TEST_EDITORS=.editors PYTHONPATH=tests python tests/editors/pictures.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from consoles.chromium import started as browser
from editors.conftest import GHOST, LICENSED, ROOT, SERVER, environment, function_of, prepared
from editors.in_neovim import test_guarded as guarded_in_neovim
from editors.in_vscode import test_guarded as guarded_in_vscode
from editors.in_vscode.conftest import VSIX
from editors.nvim import started
from editors.vscode import served, window

if TYPE_CHECKING:
    from editors.conftest import Cleanroom
    from editors.nvim import Neovim

IMAGES = ROOT / "docs" / "images"
START, LINE = "def sequence(seed, step):\n    ", GHOST.removeprefix("return ")
# Pixels, and characters.
SIZE, GRID = {"width": 940, "height": 420}, (96, 14)


def main() -> None:
    """Draw them all."""
    tools = Path(os.environ["CLEANROOM_TEST_EDITORS"]).resolve()
    with tempfile.TemporaryDirectory(prefix="cr-pictures-") as folder, prepared(Path(folder)) as cleanroom:
        project = Path(folder) / "project"
        project.mkdir()
        in_vscode(tools, Path(folder) / "vscode", project, cleanroom)
        in_neovim(tools, Path(folder) / "neovim", project, cleanroom)


def in_vscode(tools: Path, home: Path, project: Path, cleanroom: Cleanroom) -> None:
    """Pictures of the window as it is."""
    settings: dict[str, object] = {"cleanroom.command": SERVER, "cleanroom.url": cleanroom.url, "editor.fontSize": 15}
    variables = {**environment(home), "CLEANROOM_API_KEY": cleanroom.key}
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    (project / "numbers.py").write_text(START)
    with served(tools, home, VSIX, settings, variables) as url, window(url, project) as code:
        code.page.set_viewport_size(SIZE)
        code.told("Normal")
        code.press("Control+B")
        cleanroom.upstream.text = LINE
        code.open("numbers.py")
        code.type("return ")
        code.shows(LINE)
        code.until(lambda: not code.busy, "a status at rest")
        code.page.screenshot(path=IMAGES / "editor-vscode.png")
        guarded_in_vscode.taken_over(code, project, cleanroom)
        code.page.screenshot(path=IMAGES / "editor-vscode-licence.png")
        (project / "paths.py").write_text(recital.signature)
        cleanroom.upstream.text = recital.body
        code.open("paths.py")
        code.type("    ")
        code.told("GPL-3.0-only")
        code.item.click()
        code.until(lambda: "GPL-3.0-only" in code.notices, "the status in full")
        code.page.wait_for_function("document.getAnimations().every((one) => one.playState === 'finished')")
        code.page.screenshot(path=IMAGES / "editor-vscode-block.png")


def in_neovim(tools: Path, home: Path, project: Path, cleanroom: Cleanroom) -> None:
    """Pictures of the grid that Neovim draws, as a terminal would show it."""
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    (project / "numbers.py").write_text(START)
    with started(tools / "neovim" / "nvim", home, cleanroom.url, cleanroom.key) as nvim:
        cleanroom.upstream.text = LINE
        nvim.call("nvim_ui_try_resize", *GRID)
        nvim.call("nvim_command", f"cd {project}")
        nvim.edit(Path("numbers.py"))
        nvim.told(kind="Normal")
        nvim.keys("GAreturn ")
        nvim.shows(LINE)
        nvim.told(busy=False)
        draw(nvim, "editor-neovim.png")
        nvim.keys("<Esc>")
        guarded_in_neovim.taken_over(nvim, cleanroom)
        draw(nvim, "editor-neovim-licence.png")
        nvim.fill(recital.signature)
        cleanroom.upstream.text = recital.body
        nvim.keys("Go")
        nvim.until(lambda: "GPL-3.0-only" in nvim.status["message"], "a licence in the status")
        nvim.keys("<Esc>:Cleanroom status<CR>")
        nvim.shows("held back")
        draw(nvim, "editor-neovim-block.png")


def draw(nvim: Neovim, name: str) -> None:
    """The screen as a picture."""
    with browser() as chromium:
        page = chromium.new_page()
        page.set_content(nvim.screen.page())
        page.locator("pre").screenshot(path=IMAGES / name)


if __name__ == "__main__":
    main()
