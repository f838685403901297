from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lsp.errors import ConfigurationError
from lsp.settings import DEFAULT_URL, CommandLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

    Run = Callable[..., object]

SOURCE = "def grow(n):\n    "


def key_file(folder: Path, text: str = "cr_test\n", mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def test_command_line_wins_over_editor_over_environment(tmp_path: Path) -> None:
    environment = {"CLEANROOM_API_KEY": "environment"}
    options = {"url": "https://editor", "apiKey": "editor", "maxTokens": 7, "editorsOwn": {"a": 1}}
    nothing = CommandLine().settings(None, {})
    assert (nothing.connection.url, nothing.connection.key) == (DEFAULT_URL, None)
    assert CommandLine().settings({}, environment).connection.key == "environment"
    editor = CommandLine().settings(options, environment)
    assert (editor.connection.url, editor.connection.key, editor.max_tokens) == ("https://editor", "editor", 7)
    named = CommandLine("http://line:1", key_file(tmp_path)).settings(options, environment).connection
    assert (named.url, named.key) == ("http://line:1", "cr_test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no JSON object"),
        ({"url": 8080}, r"url is of type int.*url \(string\)"),
        ({"maxTokens": True}, "maxTokens is of type bool"),
        ({"maxTokens": 0}, "maxTokens is 0: give 1 to 2048"),
        ({"url": "localhost:8080"}, "'localhost:8080' is not the URL"),
        ({"url": "http://user:secret@host"}, "not the URL"),
        ({"apiKey": "cr_\nX-Header: 1"}, "copy it again"),
        ({"apiKey": "schl\u00fcssel"}, "copy it again"),
    ],
)
def test_wrong_options_are_named(options: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CommandLine().settings(options, {})


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [("cr_test", 0o644, "chmod 600"), (" \n", 0o600, "is empty"), ("\u00e9", 0o600, "cannot be read as a key file")],
)
def test_wrong_key_files_are_named(tmp_path: Path, text: str, mode: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CommandLine(None, key_file(tmp_path, text, mode)).settings(None, {})


def test_an_editor_that_gives_nonsense_is_told(run: Run, edit: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with edit(options={"url": "nowhere"}) as editor:
            status = await editor.told(kind="Error")
            assert "'nowhere' is not the URL" in status["message"]
            editor.open(SOURCE)
            assert await editor.ghost(1, 4) == []

    run(scenario())


def test_without_a_key_nothing_is_asked(run: Run, edit: Callable[..., Any], service: SimpleNamespace) -> None:
    async def scenario() -> None:
        async with edit(options={"url": service.url}, key=None) as editor:
            status = await editor.told(kind="Inactive")
            assert "no API key" in status["message"]
            editor.open(SOURCE)
            assert await editor.ghost(1, 4) == []
        assert service.asked == []

    run(scenario())


def test_a_revoked_key_is_an_error_that_passes_with_it(
    run: Run, edit: Callable[..., Any], service: SimpleNamespace
) -> None:
    async def scenario() -> None:
        async with edit(options={"url": service.url}, key="cr_old") as editor:
            editor.open(SOURCE)
            assert await editor.ghost(1, 4) == []
            assert (await editor.told(busy=False, kind="Error"))["message"] == "this key was revoked"

    run(scenario())


def test_key_in_a_file(run: Run, edit: Callable[..., Any], service: SimpleNamespace, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with edit("--url", service.url, "--key-file", str(key_file(tmp_path)), key=None) as editor:
            editor.open(SOURCE)
            assert await editor.ghost(1, 4)

    run(scenario())


def test_a_wrong_command_line_ends_it_with_usage() -> None:
    command = [sys.executable, "-P", "-c", "from lsp.cli import app; app()", "--url", "nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr
    assert ended.stdout == ""


def test_the_server_needs_none_of_the_service() -> None:
    command = [sys.executable, "-P", "-c", "import lsp.cli, sys; print(*sys.modules)"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"redis", "sqlalchemy", "service", "training", "guard", "fastapi", "pydantic", "numpy"} & set(loaded)
