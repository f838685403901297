"""Settings that are wrong, and one that is unsafe: what a real VS Code says of them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST
from editors.tls import encrypted
from samples.self_signed import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from editors.conftest import Cleanroom
    from editors.in_vscode.conftest import User
    from editors.vscode import VSCode


@contextmanager
def changed(desk: VSCode, user: User, **settings: object) -> Iterator[None]:
    """The shared window with these settings, and a new file open."""
    user.configure(**settings)
    (desk.folder / "new.py").write_text("import this\n")
    try:
        desk.reload()
        desk.open("new.py")
        yield
    finally:
        user.configure()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not the URL of a service"),
        ("http://127.0.0.1:9", "cannot be reached"),
        # An engine is no Cleanroom: its completions went through no guard.
        ("ENGINE", "is no Cleanroom service"),
    ],
    ids=["no URL", "nobody there", "an engine"],
)
def test_a_wrong_url_is_a_status(desk: VSCode, user: User, cleanroom: Cleanroom, url: str, message: str) -> None:
    url = url.replace("ENGINE", cleanroom.upstream.url.removesuffix("/v1"))
    with changed(desk, user, url=url):
        desk.type("x = ")
        desk.told(message)
        assert not desk.ghost
        desk.holds("x = ")


def test_a_self_signed_certificate_takes_a_setting(
    desk: VSCode, user: User, cleanroom: Cleanroom, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    with encrypted(cleanroom.port, certificate) as url:
        with changed(desk, user, url=url):
            desk.type("x = ")
            desk.told("is not trusted")
            assert "Error" in desk.status
            assert not desk.ghost
        with changed(desk, user, url=url, caFile=str(certificate.certificate)):
            desk.type("x = ")
            desk.shows(GHOST)
            desk.told("Normal")
        with changed(desk, user, url=url, unsafeAcceptAnyCertificate=True):
            desk.type("x = ")
            desk.shows(GHOST)
            desk.told("Warning certificates are not checked (unsafeAcceptAnyCertificate)")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-cleanroom", "lsp"], "no-such-cleanroom cannot be started"),
        ([sys.executable, "-c", "import time; time.sleep(0.1); raise SystemExit(3)"], "check cleanroom.command"),
    ],
    ids=["not there", "ends at once"],
)
def test_a_server_that_cannot_run_is_a_status(desk: VSCode, user: User, command: list[str], message: str) -> None:
    with changed(desk, user, command=command):
        desk.type("x = ")
        desk.told(message)
        assert "Error" in desk.status
        desk.holds("x = ")
