"""Files and buffers that get no completions: a real Neovim says why, and loses no key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST

if TYPE_CHECKING:
    from pathlib import Path

    from editors.in_neovim.conftest import Open
    from editors.nvim import Neovim

TEN_MEGABYTES = 10_000_000


def test_a_buffer_without_a_name_gets_none_and_says_why(open_: Open) -> None:
    with open_() as nvim:
        nvim.keys("ix = <Esc>:set filetype=python<CR>:Cleanroom status<CR>")
        nvim.shows("this buffer has no name: save it")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("mixed.py", b"a = 1\r\nb = 2\nc = 3\rd = 4\r\n", "c = 3^Md = 4^M"),
        ("faces.py", "faces = '\U0001f600\U0001f468\u200d\U0001f469'\n".encode(), "faces = "),
    ],
    ids=["mixed line ends", "emoji"],
)
def test_a_file_of_another_kind_has_ghost_text_and_keeps_every_key(
    nvim: Neovim, project: Path, name: str, content: bytes, line: str
) -> None:
    file = project / name
    file.write_bytes(content)
    nvim.edit(file)
    nvim.shows(line)
    nvim.keys("Gox = ")
    nvim.shows("x = " + GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[-1] == "x = " + GHOST)
    nvim.keys("<Esc>:write<CR>")
    nvim.until(lambda: file.read_bytes() == content + b"x = " + GHOST.encode() + b"\n", "every key in the file")


def test_a_file_of_an_unknown_language_has_ghost_text_once_it_has_a_filetype(nvim: Neovim, project: Path) -> None:
    (project / "ship.klingon").write_text("qapla' 7\n")
    nvim.edit(project / "ship.klingon")
    nvim.keys(":Cleanroom status<CR>")
    nvim.shows("this buffer has no filetype")
    nvim.keys(":set filetype=klingon<CR>Gox = ")
    nvim.shows("x = " + GHOST)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = \x00\x01\x02\n", "is binary"),
        (b"value = compute(1)\n" * (TEN_MEGABYTES // 19), "more than sizeLimit"),
    ],
    ids=["binary", "10 MB"],
)
def test_a_file_that_is_none_for_completions_says_so_and_takes_every_key(
    nvim: Neovim, project: Path, content: bytes, message: str
) -> None:
    file = project / "odd.py"
    file.write_bytes(content)
    nvim.edit(file)
    nvim.keys("Gotyped = ")
    nvim.until(lambda: message in nvim.status["message"], message)
    assert nvim.status["kind"] == "Inactive"
    nvim.keys("1<Esc>:write<CR>")
    nvim.until(lambda: file.read_bytes() == content + b"typed = 1\n", "every key in the file")
    # Nothing of it is left when the next file is opened.
    nvim.edit(project / "numbers.py")
    nvim.keys("GAx = ")
    nvim.shows(GHOST)
    nvim.told(kind="Normal")
