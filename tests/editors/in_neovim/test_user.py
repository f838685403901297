"""What a user does besides typing: keys, options, help, health, in a real Neovim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.conftest import GHOST
from editors.nvim import PLUGIN, started

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.in_neovim.conftest import Open
    from editors.nvim import Neovim


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
    # There is a key in the environment now, which must not count either.
    with open_() as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Inactive", message="signed out: :Cleanroom signin takes a key")
        nvim.keys("GAx = <Esc>:Cleanroom signin<CR>")
        nvim.shows("Cleanroom API key:")
        nvim.keys(cleanroom.key + "<CR>")
        nvim.told(kind="Normal")
        nvim.keys("A")
        nvim.shows("x = " + GHOST)
        nvim.keys("<Esc>:Cleanroom signout<CR>")
        nvim.told(kind="Inactive")
    kept = [path for path in (tmp_path / "user").rglob("*") if path.is_file()]
    assert any(path.suffix == ".shada" for path in kept)
    assert not [path for path in kept if cleanroom.key.encode() in path.read_bytes()]


def test_a_revoked_key_is_an_error_until_there_is_another(nvim: Neovim, cleanroom: Cleanroom) -> None:
    id_, key = cleanroom.make_key()
    for typed in (key, cleanroom.key):
        nvim.keys("<Esc>:Cleanroom signin<CR>")
        nvim.shows("Cleanroom API key:")
        nvim.keys(typed + "<CR>")
        nvim.told(kind="Normal")
        nvim.keys("GA<CR>x = ")
        nvim.shows("x = " + GHOST)
        if typed == key:
            assert cleanroom.home.run("key", "revoke", id_).returncode == 0
            nvim.keys("1 + ")
            nvim.told(kind="Error", busy=False)
            assert nvim.lines[-1] == "    x = 1 + "


def test_what_became_of_completions_is_counted(nvim: Neovim, cleanroom: Cleanroom) -> None:
    outcomes = ("shown", "accepted", "partly_accepted", "rejected")
    before = [cleanroom.counted("python", outcome) for outcome in outcomes]
    nvim.keys("GAx = ")
    nvim.shows("x = " + GHOST)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[-1] == "    x = " + GHOST)
    nvim.keys("<CR>y = ")
    nvim.shows("y = " + GHOST)
    nvim.keys("<M-w>")
    nvim.until(lambda: nvim.lines[-1] == "    y = return")
    nvim.keys("<C-]><CR>z = ")
    nvim.shows("z = " + GHOST)
    nvim.keys("<C-]>8<CR>")

    def counted() -> bool:
        now = [cleanroom.counted("python", outcome) for outcome in outcomes]
        shown, accepted, partly, rejected = (count - earlier for count, earlier in zip(now, before, strict=True))
        # Behind what was taken over there may have been more.
        return shown >= 3 and accepted == 1 and partly == 1 and rejected >= 1

    nvim.until(counted, "what became of them")


def test_a_key_file_that_others_can_read_is_not_used(open_: Open, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("cr_something\n")
    file.chmod(0o644)
    with open_(key=None, key_file=str(file)) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Error")
        assert "can be read or written by other users" in nvim.status["message"]


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
