"""Buffers of other kinds in a real VS Code: every key kept, and no failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editors.vscode import VSCode


def test_an_untitled_buffer_is_no_failure(code: VSCode) -> None:
    code.run("New Untitled Text File")
    code.page.locator(".tab.active", has_text="Untitled-1").wait_for()
    code.page.locator(".editor-instance .view-lines").last.click()
    code.type("x = ")
    code.told("Normal")
