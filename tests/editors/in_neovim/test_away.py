"""The service or the language server is gone, or none at all: what a real Neovim says of it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from editors.conftest import GHOST
from editors.tls import encrypted
from samples.self_signed import self_signed

if TYPE_CHECKING:
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.in_neovim.conftest import Open
    from editors.nvim import Neovim


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
    # Whoever stands where they typed has been waiting, and need not type on.
    nvim.shows("x = " + GHOST)
    nvim.told(kind="Normal", busy=False)
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.lines[1] == "    x = " + GHOST)


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


def test_a_server_that_is_not_installed_is_a_status(open_: Open, project: Path) -> None:
    with open_(cmd=["no-such-cleanroom", "lsp"]) as nvim:
        nvim.edit(project / "numbers.py")
        assert nvim.status["message"].startswith("no-such-cleanroom is not to be found: install")


def test_a_server_that_ends_at_once_is_not_started_for_ever(open_: Open, project: Path) -> None:
    with open_(cmd=[sys.executable, "-c", "import time; time.sleep(0.1); raise SystemExit(3)"]) as nvim:
        nvim.edit(project / "numbers.py")
        nvim.until(lambda: nvim.status["kind"] == "Error" and "5 times" in nvim.status["message"])


def test_a_self_signed_certificate_takes_a_setting(
    open_: Open, project: Path, cleanroom: Cleanroom, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    with encrypted(cleanroom.port, certificate) as url:
        with open_(url) as nvim:
            nvim.edit(project / "numbers.py")
            nvim.keys("GAx = ")
            nvim.until(lambda: "is not trusted" in nvim.status["message"], "that it is not trusted")
            assert (nvim.status["kind"], nvim.lines[1]) == ("Error", "    x = ")
            assert GHOST not in nvim.screen.text()
        with open_(url, settings={"caFile": str(certificate.certificate)}) as nvim:
            nvim.edit(project / "numbers.py")
            nvim.keys("GAx = ")
            nvim.shows(GHOST)
            nvim.told(kind="Normal")
        with open_(url, settings={"unsafeAcceptAnyCertificate": True}) as nvim:
            nvim.edit(project / "numbers.py")
            nvim.keys("GAx = ")
            nvim.shows(GHOST)
            assert "unsafeAcceptAnyCertificate" in nvim.told(kind="Warning")["message"]
