"""Buffers and files of all kinds in a real VS Code: ghost text or the reason why there is none, and every key kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST

if TYPE_CHECKING:
    from editors.vscode import VSCode

TEN_MEGABYTES = 10_000_000
CELL = ["def sequence(seed, step):\n", "    return 7"]


def test_an_untitled_buffer_has_ghost_text(desk: VSCode) -> None:
    desk.press("Control+Alt+N")
    desk.page.locator(".tab.active", has_text="Untitled-1").wait_for()
    desk.page.locator(".editor-instance .monaco-editor.focused").first.wait_for()
    desk.type("x = ")
    desk.shows(GHOST)
    desk.press("Tab")
    desk.holds("x = " + GHOST)
    desk.told("Normal")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mixed.py", b"a = 1\r\nb = 2\nc = 3\rd = 4\r\n"),
        ("ship.klingon", b"qapla' 7\n"),
        ("faces.py", "faces = '\U0001f600\U0001f468\u200d\U0001f469'\n".encode()),
    ],
    ids=["mixed line ends", "unknown language", "emoji"],
)
def test_a_file_of_another_kind_has_ghost_text_and_keeps_every_key(desk: VSCode, name: str, content: bytes) -> None:
    file = desk.folder / name
    file.write_bytes(content)
    desk.open(name)
    desk.type("x = ")
    desk.shows(GHOST)
    desk.press("Tab")
    desk.holds("x = " + GHOST)
    desk.press("Control+S")
    # VS Code has one line end for a file.
    wanted = _lines(content) + b"x = " + GHOST.encode()
    desk.until(lambda: _lines(file.read_bytes()) == wanted, "every key in the file")


def test_a_notebook_has_ghost_text_in_its_cells(desk: VSCode) -> None:
    file = desk.folder / "sums.ipynb"
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": CELL}
    language = {"language_info": {"name": "python"}}
    file.write_text(json.dumps({"cells": [cell], "metadata": language, "nbformat": 4, "nbformat_minor": 5}))
    desk.find(file.name)
    lines = desk.page.locator(".notebookOverlay .monaco-editor .view-lines")
    lines.first.click()
    desk.page.locator(".notebookOverlay .monaco-editor.focused").first.wait_for()
    desk.press("Control+End")
    desk.type(" + ")
    desk.shows(GHOST)
    desk.press("Tab")
    desk.until(lambda: not desk.ghost, "that it was taken over")
    desk.press("Control+S")
    wanted = "".join(CELL) + " + " + GHOST
    desk.until(lambda: "".join(json.loads(file.read_text())["cells"][0]["source"]) == wanted, "every key in the file")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("odd.bin", b"x = \x00\x01\x02\n", "is binary"),
        ("large.py", b"value = compute(1)\n" * (TEN_MEGABYTES // 19), "more than sizeLimit"),
    ],
    ids=["binary", "10 MB"],
)
def test_a_file_that_is_none_for_completions_says_so_and_takes_every_key(
    desk: VSCode, name: str, content: bytes, message: str
) -> None:
    file = desk.folder / name
    file.write_bytes(content)
    desk.find(name)
    if b"\x00" in content:
        desk.page.get_by_role("button", name="Open Anyway").click()
        desk.page.locator(".quick-input-list .monaco-list-row.focused", has_text="Text Editor").wait_for()
        desk.press("Enter")
    desk.focus()
    desk.type("typed = ")
    desk.told(message)
    assert "Inactive" in desk.status
    assert not desk.ghost
    desk.type("1")
    desk.press("Control+S")
    desk.until(lambda: file.read_bytes() == content + b"typed = 1", "every key in the file")
    # Nothing of it is left when the next file is opened.
    (desk.folder / "next.py").write_text("")
    desk.open("next.py")
    desk.type("x = ")
    desk.shows(GHOST)
    desk.told("Normal")


def _lines(content: bytes) -> bytes:
    return re.sub(rb"\r\n?", b"\n", content)
