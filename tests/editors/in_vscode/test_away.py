"""The service or the language server is gone: what a real VS Code says of it, and that it is back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST
from editors.in_vscode.conftest import kill_language_servers

if TYPE_CHECKING:
    from editors.conftest import Cleanroom
    from editors.vscode import VSCode


def test_the_service_is_killed_and_comes_back(code: VSCode, cleanroom: Cleanroom) -> None:
    code.type("x = ")
    code.shows(GHOST)
    code.press("Escape")
    cleanroom.kill()
    try:
        code.type("1 + ")
        code.told("Warning")
    finally:
        cleanroom.start()
    code.told("Normal")
    # Whoever stands where they typed has been waiting, and need not type on.
    code.shows(GHOST)
    code.press("Tab")
    code.holds("x = 1 + " + GHOST)


def test_the_language_server_is_killed_and_comes_back(code: VSCode) -> None:
    code.type("x = ")
    code.shows(GHOST)
    code.press("Escape")
    kill_language_servers()
    code.told("Warning")
    code.told("Normal")
    code.type("1 + ")
    code.shows(GHOST)


def test_who_types_while_the_language_server_starts_anew_loses_nothing_and_gets_ghost_text(code: VSCode) -> None:
    code.type("x = ")
    code.shows(GHOST)
    code.press("Escape")
    kill_language_servers()
    code.type("1 + ")
    code.shows(GHOST)
    code.told("Normal")
    code.press("Tab")
    code.holds("x = 1 + " + GHOST)
