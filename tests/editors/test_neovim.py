"""The plugin in a real Neovim 0.12, whose screen is read, against a real service."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
from editors.conftest import GHOST, LICENSED, NAMED, ROOT, SERVER, as_lua, environment, function_of
from editors.nvim import Neovim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from editors.conftest import Cleanroom, Recital

    Open = Callable[..., AbstractContextManager[Neovim]]

PLUGIN = ROOT / "lsp" / "editors" / "neovim"


@contextmanager
def started(program: Path, home: Path, url: str, key: str | None, **options: object) -> Iterator[Neovim]:
    """A Neovim of a user who has nothing but this plugin."""
    home.mkdir(exist_ok=True)
    options = {"cmd": SERVER, **options}
    options["settings"] = {"url": url, **options.get("settings", {})}  # type: ignore[dict-item]
    (home / "init.lua").write_text(
        f"vim.opt.runtimepath:prepend('{PLUGIN}')\n"
        "vim.opt.laststatus = 2\n"
        "vim.opt.statusline = \"%f %= %{v:lua.require'cleanroom'.statusline()} \"\n"
        f"require('cleanroom').setup({as_lua(options)})\n"
    )
    variables = environment(home) | ({"CLEANROOM_API_KEY": key} if key else {})
    with Neovim(program, "-u", str(home / "init.lua"), environment=variables) as nvim:
        yield nvim


@pytest.fixture
def open_(tools: Path, tmp_path: Path, cleanroom: Cleanroom) -> Open:
    """Starts a Neovim."""

    def start(url: str = cleanroom.url, key: str | None = cleanroom.key, **options: object) -> object:
        return started(tools / "neovim" / "nvim", tmp_path / "user", url, key, **options)

    return start  # type: ignore[return-value]


@pytest.fixture
def nvim(open_: Open, project: Path) -> Iterator[Neovim]:
    """One that has a Python file open, and is ready."""
    with open_() as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Normal")
        yield nvim


def test_ghost_text_appears_and_is_accepted(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    assert nvim.lines[1] == "    "
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST)
    nvim.keys("!")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST + "!")


def test_typing_on_narrows_it_and_loses_nothing(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    for letter in "return ":
        nvim.keys(letter)
        nvim.shows("    " + GHOST)
    assert nvim.lines[1] == "    return "
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + GHOST)


def test_it_goes_at_the_first_key_that_differs(nvim: Neovim, cleanroom: Cleanroom) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    cleanroom.upstream.pause = 0
    nvim.keys("x")
    nvim.hides(GHOST[1:])
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    x   ")


def test_a_stale_answer_is_not_shown_over_newer_text(nvim: Neovim, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.pause = 0
    nvim.keys("GA")
    assert cleanroom.upstream.paused.wait(20)
    nvim.keys("print(")
    nvim.shows("    print(")
    cleanroom.upstream.go_on.set()
    # What the model says now is for the new place; the answer for the old one has no right to the screen.
    nvim.shows("    print(" + GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    print(" + GHOST)


def test_a_word_or_a_line_can_be_accepted_alone(nvim: Neovim, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.text = "total = seed\n    return total"
    nvim.keys("GA")
    nvim.shows("return total")
    nvim.keys("<M-w>")
    nvim.until(lambda: nvim.lines[1] == "    total")
    nvim.shows("    total = seed")
    nvim.keys("<M-l>")
    nvim.until(lambda: nvim.lines[1] == "    total = seed")


def test_it_can_be_dismissed(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    nvim.keys("<C-]>")
    nvim.hides(GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == " " * 8)


def test_another_file_of_another_language(nvim: Neovim, project: Path, cleanroom: Cleanroom) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    nvim.keys("<Esc>")
    cleanroom.upstream.text = "return Array.from({ length: 7 }, (_, n) => seed + step * n);"
    nvim.call("nvim_command", "write")
    nvim.edit(project / "numbers.js")
    nvim.keys("GA")
    nvim.shows("Array.from")
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    " + cleanroom.upstream.text)


def test_private_code_of_others_shows_nothing(nvim: Neovim, cleanroom: Cleanroom, private: Recital) -> None:
    nvim.fill(private.signature)
    cleanroom.upstream.text = private.body
    cleanroom.upstream.pause = 0
    nvim.keys("Go")
    assert cleanroom.upstream.paused.wait(20)
    cleanroom.upstream.go_on.set()
    nvim.told(busy=False)
    shown = nvim.screen.text()
    for line in private.body.splitlines():
        assert len(line.strip()) < 8 or line.strip() not in shown
    assert nvim.status == {"busy": False, "kind": "Normal", "message": ""}
    newest = cleanroom.home.answer("ledger", "list", "--json", "--limit", "1")[0]  # type: ignore[index]
    assert (newest["org"], newest["disposition"]) == ("birch", "withheld")


def test_a_denied_licence_shows_nothing_and_the_status_names_it(nvim: Neovim, cleanroom: Cleanroom) -> None:
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    nvim.fill(recital.signature)
    cleanroom.upstream.text = recital.body
    nvim.keys("Go")
    nvim.until(lambda: "GPL-3.0-only" in nvim.status["message"], "a licence in the status")
    assert "dec_" in nvim.status["message"]
    assert not any(line.strip() and line.strip() in nvim.screen.text() for line in recital.body.splitlines())


def test_a_licence_that_must_be_named_stands_at_the_code(nvim: Neovim, cleanroom: Cleanroom) -> None:
    recital = function_of(NAMED, "utils.py", "get_params_from_function")
    nvim.fill(recital.signature)
    cleanroom.upstream.text = recital.body
    # In front of the line, since only then several lines are asked for.
    nvim.keys("Go")
    nvim.shows("signature = ")
    assert "MIT" not in nvim.screen.text()
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[-1] == "    return params")
    nvim.keys("<Esc>gg")
    nvim.shows("MIT: ")


def test_the_service_is_killed_and_comes_back(nvim: Neovim, cleanroom: Cleanroom) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    cleanroom.kill()
    try:
        nvim.keys("x = ")
        nvim.told(kind="Warning")
        nvim.shows("Cleanroom !")
    finally:
        cleanroom.start()
    nvim.keys("1<CR>y = ")
    nvim.shows("y = " + GHOST)
    nvim.told(kind="Normal", busy=False)


def test_the_language_server_is_killed_and_comes_back(nvim: Neovim) -> None:
    nvim.keys("GA")
    nvim.shows(GHOST)
    (server,) = [child for child in psutil.Process(nvim.pid).children() if "lsp.cli" in " ".join(child.cmdline())]
    os.kill(server.pid, signal.SIGKILL)
    nvim.told(kind="Warning")
    nvim.told(kind="Normal")
    nvim.keys("<CR>return ")
    nvim.shows("return " + GHOST)


@pytest.mark.parametrize(
    ("url", "message"),
    [("nonsense", "is not the URL of a service"), ("http://127.0.0.1:9", "cannot be reached")],
    ids=["no URL", "nobody there"],
)
def test_a_wrong_url_is_a_status(open_: Open, project: Path, url: str, message: str) -> None:
    with open_(url) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.keys("GAx = ")
        nvim.until(lambda: message in nvim.status["message"], message)
        assert nvim.lines[1] == "    x = "


def test_a_service_that_answers_nonsense_is_a_status(open_: Open, project: Path, cleanroom: Cleanroom) -> None:
    # An engine is no Cleanroom: its completions went through no guard.
    with open_(cleanroom.upstream.url.removesuffix("/v1")) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.keys("GAx = ")
        nvim.until(lambda: "is no Cleanroom service" in nvim.status["message"])
        assert GHOST not in nvim.screen.text()


def test_without_a_key_nothing_is_asked_until_one_is_typed_in(
    open_: Open, project: Path, cleanroom: Cleanroom, tmp_path: Path
) -> None:
    file = tmp_path / "user" / ".local" / "share" / "nvim" / "cleanroom" / "key"
    with open_(key=None) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Inactive")
        nvim.shows("Cleanroom off")
        nvim.keys(":Cleanroom signin<CR>")
        nvim.shows("Cleanroom API key:")
        nvim.keys(cleanroom.key + "<CR>")
        nvim.told(kind="Normal")
        assert cleanroom.key not in nvim.screen.text()
        nvim.keys("GA")
        nvim.shows(GHOST)
        assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (cleanroom.key, 0o600)
        nvim.keys("<Esc>:wshada<CR>:Cleanroom signout<CR>")
        nvim.told(kind="Inactive")
        assert not file.exists()
    kept = [path for path in (tmp_path / "user").rglob("*") if path.is_file()]
    assert any(path.suffix == ".shada" for path in kept)
    assert not [path for path in kept if cleanroom.key.encode() in path.read_bytes()]


def test_a_key_file_that_others_can_read_is_not_used(open_: Open, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("cr_something\n")
    file.chmod(0o644)
    with open_(key=None, key_file=str(file)) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Error")
        assert "can be read or written by other users" in nvim.status["message"]


def test_a_buffer_without_a_name_gets_none_and_says_why(open_: Open) -> None:
    with open_() as nvim:
        nvim.keys("ix = <Esc>:set filetype=python<CR>:Cleanroom status<CR>")
        nvim.shows("this buffer has no name: save it")


def test_a_server_that_is_not_installed_is_a_status(open_: Open, project: Path) -> None:
    with open_(cmd=["no-such-cleanroom", "lsp"]) as nvim:
        nvim.edit(project / "numbers.py")
        assert nvim.status["message"].startswith("no-such-cleanroom is not to be found: install")


def test_a_server_that_ends_at_once_is_not_started_for_ever(open_: Open, project: Path) -> None:
    with open_(cmd=[sys.executable, "-c", "import time; time.sleep(0.1); raise SystemExit(3)"]) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.until(lambda: nvim.status["kind"] == "Error" and "5 times" in nvim.status["message"])


def test_a_wrong_option_is_named(open_: Open) -> None:
    with open_(kemaps={}) as nvim:
        said = nvim.call("nvim_exec2", "messages", {"output": True})["output"]
        assert "kemaps is no option of Cleanroom" in said


def test_checkhealth_knows_how_things_stand(nvim: Neovim, cleanroom: Cleanroom) -> None:
    nvim.call("nvim_command", "checkhealth cleanroom")
    report = "\n".join(nvim.lines)
    for part in (
        "has ghost text",
        f"{cleanroom.url} is ready",
        "the key comes from $CLEANROOM_API_KEY",
        "status Normal",
    ):
        assert part in report
    assert "ERROR" not in report
    assert cleanroom.key not in report


def test_the_help_has_every_tag_once_and_every_option(tools: Path, tmp_path: Path) -> None:
    with started(tools / "neovim" / "nvim", tmp_path / "user", "http://127.0.0.1:9", None) as nvim:
        help_ = tmp_path / "doc"
        help_.mkdir()
        (help_ / "cleanroom.txt").write_text((PLUGIN / "doc" / "cleanroom.txt").read_text())
        nvim.call("nvim_command", f"helptags {help_}")
        page = (help_ / "cleanroom.txt").read_text()
        names = nvim.lua(
            "local o = require('cleanroom.options').current return vim.list_extend("
            "vim.tbl_keys(o), vim.tbl_keys(o.keymaps))"
        )
        for name in names:
            assert f"*cleanroom-{name}*" in page


def test_neovim_0_11_has_items_in_its_menu(tools: Path, tmp_path: Path, project: Path, cleanroom: Cleanroom) -> None:
    old = tools / "neovim-0.11" / "nvim"
    with started(old, tmp_path / "user", cleanroom.url, cleanroom.key) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Normal")
        nvim.keys("GAx = ")
        nvim.shows(GHOST)
        assert nvim.lines[1] == "    x = "
        nvim.keys("<C-n><C-y>")
        nvim.until(lambda: nvim.lines[1] == "    x = " + GHOST)
