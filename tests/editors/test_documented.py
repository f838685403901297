"""docs/editors.md as a new user follows it, command by command: from nothing to ghost text in three minutes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST, ROOT, environment
from editors.in_vscode.conftest import VSIX
from editors.in_vscode.test_user import sign_in
from editors.nvim import Neovim
from editors.vscode import served, window

if TYPE_CHECKING:
    from editors.conftest import Cleanroom

URL = "http://127.0.0.1:8080"
THREE_MINUTES = 180


def commands(editor: str, url: str) -> str:
    """What the page has one type into a shell for this editor, with this service."""
    page = (ROOT / "docs" / "editors.md").read_text()
    (section,) = re.findall(rf"^## {editor}\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block).replace(URL, url)


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """Of a user who has nothing but the command `cleanroom`."""
    known = environment(tmp_path / "user")
    path = f"{Path(sys.executable).parent}:{known['PATH']}"
    (tmp_path / "user").mkdir()
    # VS Code asks the login shell.
    (tmp_path / "user" / ".profile").write_text(f"export PATH='{path}'\n")
    return {**known, "PATH": path}


def test_neovim(tools: Path, project: Path, cleanroom: Cleanroom, variables: dict[str, str]) -> None:
    began = time.monotonic()
    subprocess.run(["sh", "-e", "-c", commands("Neovim", cleanroom.url)], cwd=ROOT, env=variables, check=True)
    with Neovim(tools / "neovim" / "nvim", str(project / "numbers.py"), environment=variables) as nvim:
        nvim.told(kind="Inactive")
        nvim.keys(":Cleanroom signin<CR>")
        nvim.shows("Cleanroom API key:")
        nvim.keys(cleanroom.key + "<CR>")
        nvim.told(kind="Normal")
        nvim.keys("GAx = ")
        nvim.shows("x = " + GHOST)
        nvim.keys("<Tab>")
        nvim.until(lambda: nvim.lines[-1] == "    x = " + GHOST)
    assert time.monotonic() - began < THREE_MINUTES


def test_vscode(tools: Path, tmp_path: Path, project: Path, cleanroom: Cleanroom, variables: dict[str, str]) -> None:
    # The package is made when the tests are prepared, and installed by code-server, which is VS Code's `code` here.
    packaged, installed = commands("VS Code", URL).splitlines()
    assert packaged == "make vsix"
    assert installed == f"code --install-extension {VSIX.relative_to(ROOT)}"
    began = time.monotonic()
    settings: dict[str, object] = {"cleanroom.url": cleanroom.url}
    with served(tools, tmp_path / "user", VSIX, settings, variables) as url, window(url, project) as code:
        code.told("no API key")
        sign_in(code, cleanroom.key)
        code.told("Normal")
        code.open("numbers.py")
        code.type("x = ")
        code.shows(GHOST)
        code.press("Tab")
        code.holds("x = " + GHOST)
    assert time.monotonic() - began < THREE_MINUTES
