"""VS Code of a user who has nothing but the extension, and is signed in nowhere but by the environment."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest
from editors.conftest import ROOT, SERVER, environment
from editors.vscode import QUIET, VSCode, served, window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from editors.conftest import Cleanroom

VSIX = ROOT / "lsp" / "editors" / "vscode" / "cleanroom.vsix"


@dataclass(frozen=True)
class User:
    """Somebody whose VS Code is served at `url`."""

    url: str
    folder: Path
    settings: dict[str, object]

    def configure(self, general: dict[str, object] | None = None, **settings: object) -> None:
        """Change `general` settings and these of the extension's, and no others, of all windows."""
        named = {f"cleanroom.{name}": value for name, value in settings.items()}
        changed = json.dumps({**QUIET, **self.settings, **(general or {}), **named})
        (self.folder / "data" / "User" / "settings.json").write_text(changed)

    @contextmanager
    def window(
        self, project: Path | None, general: dict[str, object] | None = None, **settings: object
    ) -> Iterator[VSCode]:
        """A window on a project, with these settings."""
        self.configure(general, **settings)
        try:
            with window(self.url, project) as code:
                yield code
        finally:
            self.configure()


def kill_language_servers() -> None:
    """End them as a crash would."""
    servers = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has just ended has no command line
            servers += [child] if SERVER[-1] in child.cmdline() else []
    assert servers
    for server in servers:
        os.kill(server.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def user(tools: Path, tmp_path_factory: pytest.TempPathFactory, _cleanroom: Cleanroom) -> Iterator[User]:
    home = tmp_path_factory.mktemp("user")
    variables = {**environment(home), "CLEANROOM_API_KEY": _cleanroom.key}
    settings: dict[str, object] = {"cleanroom.command": SERVER, "cleanroom.url": _cleanroom.url}
    with served(tools, home, VSIX, settings, variables) as url:
        yield User(url, home, settings)


@pytest.fixture
def code(user: User, project: Path, cleanroom: Cleanroom) -> Iterator[VSCode]:
    """A window that has a Python file open, with the cursor at its end."""
    del cleanroom
    with user.window(project) as code:
        code.told("Normal")
        code.open("numbers.py")
        yield code


@pytest.fixture(scope="module")
def _desk(user: User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VSCode]:
    with user.window(tmp_path_factory.mktemp("desk")) as code:
        code.told("Normal")
        yield code


@pytest.fixture
def desk(_desk: VSCode, cleanroom: Cleanroom) -> VSCode:
    """A window that the tests of a module share: each opens files of its own."""
    del cleanroom
    return _desk
