"""Typing in VS Code, Neovim and plain Node for `editor.py`: when the last key was hit, and when ghost text stood there.

Moments are seconds of one clock for each editor. In VS Code that is the page's: the key is the event's own time stamp,
ghost text stands when its element is in the page, which is painted at the next frame. In Neovim the key is when it was
sent by RPC, ghost text stands when the grid that Neovim draws has it. In Node the key is when the document's change is
sent, and the answer stands for the ghost text.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from editor_server import ANSWER
from editors.conftest import ROOT, as_lua, environment
from editors.nvim import Neovim
from editors.plain import Client
from editors.vscode import VSCode, served, window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

EXTENSION = ROOT / "lsp" / "editors" / "vscode"
PLUGIN = ROOT / "lsp" / "editors" / "neovim"
GAP = 0.04
"""Seconds between two keys."""
PATIENCE = 20.0
START = "def main(first, second):\n    pass"
# The last key's event and the ghost text behind it, in seconds of the page's clock.
WATCH = """answer => {
  window.moments = { key: 0, ghost: 0 };
  window.addEventListener("keydown", (event) => { window.moments = { key: event.timeStamp / 1000, ghost: 0 }; }, true);
  new MutationObserver(() => {
    const ghost = [...document.querySelectorAll(".ghost-text, .ghost-text-decoration")];
    const text = ghost.map((one) => one.textContent).join("").replaceAll("\\u00a0", " ");
    if (!window.moments.ghost && text.includes(answer)) window.moments.ghost = performance.now() / 1000;
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


@dataclass(frozen=True, slots=True)
class Shown:
    """Seconds of one clock: the last key, and the ghost text behind it."""

    key: float
    ghost: float


@dataclass(frozen=True, slots=True)
class Started:
    """What a language server is started with: `settings` of its own, and the key that its user has."""

    command: list[str]
    settings: dict[str, object]
    key: str = ""

    def environment(self, home: Path) -> dict[str, str]:
        """Of a user who has nothing but that."""
        return {**environment(home), "CLEANROOM_API_KEY": self.key}


class Typing(Protocol):
    """An editor with a file open."""

    def __call__(self, text: str, gap: float = GAP) -> Shown:
        """Type a line of its own; when ghost text stood behind it."""


@contextmanager
def in_node(tools: Path, folder: Path, started: Started) -> Iterator[Typing]:
    """The protocol alone."""
    with Client(tools, started.environment(folder)) as client:
        client.start(started.command, started.settings)
        client.reported(kind="Normal")
        client.open(folder / "main.py", START)

        def typing(text: str, gap: float = GAP) -> Shown:
            for key in "\n" + text:
                time.sleep(gap)
                client.type(key)
                answer = client.ask()
            found = answer.result(PATIENCE)
            assert ANSWER in str(found["items"]), found
            return Shown(found["key"], found["answered"])

        yield typing


@contextmanager
def in_neovim(tools: Path, folder: Path, started: Started) -> Iterator[Typing]:
    """Neovim 0.12 with the plugin."""
    options = {"cmd": started.command, "settings": started.settings}
    (folder / "init.lua").write_text(
        f"vim.opt.runtimepath:prepend('{PLUGIN}')\nrequire('cleanroom').setup({as_lua(options)})\n"
    )
    (folder / "main.py").write_text(START)
    program, init = tools / "neovim" / "nvim", str(folder / "init.lua")
    with Neovim(program, "-u", init, environment=started.environment(folder)) as nvim:
        nvim.edit(folder / "main.py")
        nvim.told(kind="Normal")
        nvim.keys("GA")

        def typing(text: str, gap: float = GAP) -> Shown:
            nvim.keys("<CR>")
            for letter in text:
                time.sleep(gap)
                pressed = time.monotonic()
                nvim.keys(letter)
            shown = Shown(pressed, nvim.shows(ANSWER))
            nvim.keys("<C-]>")
            nvim.hides(ANSWER)
            return shown

        yield typing


@contextmanager
def in_vscode(tools: Path, folder: Path, started: Started) -> Iterator[Typing]:
    """VS Code (code-server in a headless Chromium) with the extension."""
    project = folder / "project"
    project.mkdir()
    (project / "main.py").write_text(START)
    named = {f"cleanroom.{name}": value for name, value in started.settings.items()}
    settings, package = {"cleanroom.command": started.command, **named}, EXTENSION / "cleanroom.vsix"
    variables = started.environment(folder)
    with served(tools, folder, package, settings, variables) as url, window(url, project) as code:
        code.told("Normal")
        code.open("main.py")
        code.page.evaluate(WATCH, ANSWER)
        yield _vscode_typing(code)


def _vscode_typing(code: VSCode) -> Typing:
    def typing(text: str, gap: float = GAP) -> Shown:
        code.press("Enter")
        code.page.keyboard.type(text, delay=gap * 1000)
        code.page.wait_for_function("window.moments.ghost > 0", polling=50, timeout=PATIENCE * 1000)
        moments = code.page.evaluate("window.moments")
        code.press("Escape")
        code.hides()
        return Shown(moments["key"], moments["ghost"])

    return typing


EDITORS: dict[str, Callable[[Path, Path, Started], AbstractContextManager[Typing]]] = {
    "node": in_node,
    "neovim": in_neovim,
    "vscode": in_vscode,
}
