"""The extension in a real VS Code, whose page is read, against a real service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST, LICENSED, ROOT, SERVER, environment, function_of
from editors.vscode import VSCode, served, window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from editors.conftest import Cleanroom

VSIX = ROOT / "lsp" / "editors" / "vscode" / "cleanroom.vsix"


@pytest.fixture(scope="session")
def code_url(tools: Path, tmp_path_factory: pytest.TempPathFactory, _cleanroom: Cleanroom) -> Iterator[str]:
    """A code-server of a user who is signed in nowhere but by the environment."""
    home = tmp_path_factory.mktemp("user")
    variables = {**environment(home), "CLEANROOM_API_KEY": _cleanroom.key}
    settings = {"cleanroom.command": SERVER, "cleanroom.url": _cleanroom.url}
    with served(tools, home, VSIX, settings, variables) as url:
        yield url


@pytest.fixture
def code(code_url: str, project: Path, cleanroom: Cleanroom) -> Iterator[VSCode]:
    """A window that has a Python file open, with the cursor at its end."""
    del cleanroom
    with window(code_url, project) as code:
        code.told("Normal")
        code.open("numbers.py")
        yield code


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


def test_a_denied_licence_shows_nothing_and_the_status_names_it(
    code: VSCode, project: Path, cleanroom: Cleanroom
) -> None:
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    (project / "other.py").write_text(recital.signature)
    code.open("other.py")
    cleanroom.upstream.text = recital.body
    code.type("    ")
    code.told("GPL-3.0-only")
    assert "dec_" in code.status
    assert code.ghost == ""


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
    code.type("2 + ")
    code.shows(GHOST)


def test_an_untitled_buffer_is_no_failure(code: VSCode) -> None:
    code.run("New Untitled Text File")
    code.page.locator(".tab.active", has_text="Untitled-1").wait_for()
    code.page.locator(".editor-instance .view-lines").last.click()
    code.type("x = ")
    code.told("Normal")


def test_a_key_is_asked_for_kept_and_forgotten(code: VSCode, cleanroom: Cleanroom) -> None:
    code.run("Cleanroom: Sign Out")
    code.told("Inactive")
    code.run("Cleanroom: Sign In")
    box = code.page.locator(".quick-input-widget input[type=password]")
    box.wait_for()
    box.fill(cleanroom.key)
    code.press("Enter")
    code.told("Normal")
    assert cleanroom.key not in code.page.content()
