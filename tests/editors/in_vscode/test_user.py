"""What a user of VS Code does besides typing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editors.conftest import Cleanroom
    from editors.vscode import VSCode


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
