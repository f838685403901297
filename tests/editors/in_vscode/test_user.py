"""What a user of VS Code does besides typing: signing in and out, working without a folder, being counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.in_vscode.conftest import User
    from editors.vscode import VSCode


def sign_in(code: VSCode, key: str) -> None:
    code.run("Cleanroom: Sign In")
    box = code.page.locator(".quick-input-widget input[type=password]")
    box.wait_for()
    box.fill(key)
    code.press("Enter")


def test_a_key_is_asked_for_kept_and_forgotten(code: VSCode, cleanroom: Cleanroom) -> None:
    code.run("Cleanroom: Sign Out")
    code.told("signed out")
    code.reload()
    # There is a key in the environment, which must not count either.
    code.told("signed out")
    assert "Inactive" in code.status
    sign_in(code, cleanroom.key)
    code.told("Normal")
    assert cleanroom.key not in code.page.content()
    code.reload()
    code.told("Normal")
    code.open("numbers.py")
    code.type("x = ")
    code.shows(GHOST)


def test_a_revoked_key_is_an_error_until_there_is_another(code: VSCode, cleanroom: Cleanroom) -> None:
    id_, key = cleanroom.make_key()
    sign_in(code, key)
    code.told("Normal")
    code.focus()
    code.type("x = ")
    code.shows(GHOST)
    assert cleanroom.home.run("key", "revoke", id_).returncode == 0
    code.type("1 + ")
    code.told("Error")
    assert not code.ghost
    sign_in(code, cleanroom.key)
    code.told("Normal")
    code.focus()
    code.type("2 + ")
    code.shows(GHOST)


def test_what_became_of_completions_is_counted(code: VSCode, cleanroom: Cleanroom) -> None:
    outcomes = ("shown", "accepted", "partly_accepted", "rejected")
    before = [cleanroom.counted("python", outcome) for outcome in outcomes]
    code.type("x = ")
    code.shows(GHOST)
    code.press("Tab")
    code.holds("x = " + GHOST)
    code.type("\ny = ")
    code.shows(GHOST)
    code.press("Control+ArrowRight")
    code.until(lambda: code.ghost == GHOST.removeprefix("return"), "the rest as ghost text")
    code.press("Escape")
    code.type("\nz = ")
    code.shows(GHOST)
    code.press("Escape")
    code.type("8\n")

    def counted() -> bool:
        now = [cleanroom.counted("python", outcome) for outcome in outcomes]
        shown, accepted, partly, rejected = (count - earlier for count, earlier in zip(now, before, strict=True))
        # Behind what was taken over there may have been more.
        return shown >= 3 and accepted == 1 and partly == 1 and rejected >= 1

    code.until(counted, "what became of them")


def test_a_workspace_that_was_never_saved_has_ghost_text(user: User, project: Path, cleanroom: Cleanroom) -> None:
    del cleanroom
    with user.window(None) as code:
        code.told("Normal")
        code.folder = project
        code.open("numbers.py")
        code.type("x = ")
        code.shows(GHOST)
        code.press("Escape")
        code.press("Control+Z")
        code.run("Workspaces: Add Folder to Workspace...")
        box = code.page.locator(".quick-input-widget input").first
        box.fill(f"{project}/")
        code.press("Enter")
        code.page.locator(".explorer-folders-view", has_text="numbers.js").wait_for()
        code.told("Normal")
        code.open("numbers.js")
        code.type("return ")
        code.shows(GHOST.removeprefix("return "))
