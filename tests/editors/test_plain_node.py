"""The language server before vscode-languageserver-protocol in plain Node, and a real service behind it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from editors.conftest import GHOST, LICENSED, NAMED, SERVER, environment, function_of
from editors.plain import ENDED, Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from editors.conftest import Cleanroom, Recital

START = "def sequence(seed, step):\n    "


@pytest.fixture
def settings(cleanroom: Cleanroom) -> dict[str, object]:
    return {"url": cleanroom.url, "apiKey": cleanroom.key}


@pytest.fixture
def client(tools: Path, tmp_path: Path, project: Path, settings: dict[str, object]) -> Iterator[Client]:
    """One that has a Python file open, and is ready."""
    with Client(tools, environment(tmp_path / "user")) as client:
        assert client.start(SERVER, settings)["inlineCompletionProvider"] is not None
        client.reported(kind="Normal")
        client.open(project / "numbers.py", START)
        yield client


def test_ghost_text_appears_and_is_accepted(client: Client) -> None:
    item = client.ghost()
    assert item is not None
    assert item["insertText"] == GHOST
    assert client.accept(item) == START + GHOST


def test_a_range_counts_utf_16_behind_emoji(client: Client, project: Path, cleanroom: Cleanroom) -> None:
    before = "names = ['\N{GRINNING FACE}', '\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL}']; \tsize ="
    client.open(project / "faces.py", before)
    cleanroom.upstream.text = "len(names)"
    client.type(" ")
    item = client.ghost()
    assert item is not None
    # Three characters take two code units each.
    place = {"line": 0, "character": len(before) + 3 + 1}
    assert item["range"] == {"start": place, "end": place}
    assert client.accept(item) == before + " len(names)"
    client.type(" + 1")
    cleanroom.upstream.text = "00"
    item = client.ghost()
    assert item is not None
    assert client.accept(item) == before + " len(names) + 100"


def test_typing_on_narrows_it_and_asks_no_model(client: Client, cleanroom: Cleanroom) -> None:
    assert client.ghost() is not None
    cleanroom.upstream.text = "another"
    for typed, letter in enumerate("return ", 1):
        client.type(letter)
        item = client.ghost()
        assert item is not None
        assert item["insertText"] == GHOST[typed:]
    assert client.accept(item) == START + GHOST


def test_a_key_that_differs_asks_anew(client: Client, cleanroom: Cleanroom) -> None:
    assert client.ghost() is not None
    cleanroom.upstream.text = "sum(range(seed))"
    client.type("total = ")
    item = client.ghost()
    assert item is not None
    assert item["insertText"] == "sum(range(seed))"


def test_another_file_of_another_language(client: Client, project: Path, cleanroom: Cleanroom) -> None:
    assert client.ghost() is not None
    cleanroom.upstream.text = "return Array.from({ length: 7 }, (_, n) => seed + step * n);"
    start = "function sequence(seed, step) {\n    "
    client.open(project / "numbers.js", start, "javascript")
    item = client.ghost()
    assert item is not None
    assert client.accept(item) == start + cleanroom.upstream.text


def test_private_code_of_others_is_an_empty_list_and_no_remark(
    client: Client, project: Path, cleanroom: Cleanroom, private: Recital
) -> None:
    cleanroom.upstream.text = private.body
    client.open(project / "other.py", private.signature)
    item = client.ghost(invoked=True)
    shown = item["insertText"] if item else ""
    for line in private.body.splitlines():
        assert len(line.strip()) < 8 or line.strip() not in shown
    assert client.reported(busy=False) == {"busy": False, "kind": "Normal", "message": ""}
    newest = cleanroom.home.answer("ledger", "list", "--json", "--limit", "1")[0]  # type: ignore[index]
    assert (newest["org"], newest["disposition"]) == ("birch", "withheld")


def test_a_denied_licence_shows_nothing_and_the_status_names_it(
    client: Client, project: Path, cleanroom: Cleanroom
) -> None:
    recital = function_of(LICENSED, "uris.py", "from_fs_path")
    cleanroom.upstream.text = recital.body
    client.open(project / "other.py", recital.signature)
    assert client.ghost(invoked=True) is None
    client.until(lambda: "GPL-3.0-only" in client.status["message"], "a licence in the status")
    assert "dec_" in client.status["message"]


def test_a_licence_that_must_be_named_comes_with_the_text_and_where_it_stands(
    client: Client, project: Path, cleanroom: Cleanroom
) -> None:
    recital = function_of(NAMED, "utils.py", "get_params_from_function")
    cleanroom.upstream.text = recital.body
    client.open(project / "other.py", recital.signature)
    item = client.ghost(invoked=True)
    assert item is not None
    assert [named["accepted"] for named in client.citations] == [False]
    client.accept(item)
    client.until(lambda: len(client.citations) == 2, "a citation of what was taken")
    taken = client.citations[1]
    assert (taken["license"], taken["accepted"]) == ("MIT", True)
    first = recital.signature.count("\n")
    last = first + item["insertText"].count("\n")
    assert (taken["range"]["start"]["line"], taken["range"]["end"]["line"]) == (first, last)


def test_the_service_is_killed_and_comes_back(client: Client, cleanroom: Cleanroom) -> None:
    assert client.ghost() is not None
    cleanroom.kill()
    try:
        client.type("x = ")
        assert client.ghost() is None
        assert "cannot be reached" in client.reported(kind="Warning", busy=False)["message"]
    finally:
        cleanroom.start()
    client.reported(kind="Normal", message="")
    client.type("1 + ")
    assert client.ghost() is not None


def test_the_language_server_is_killed_and_comes_back(client: Client, settings: dict[str, object]) -> None:
    assert client.ghost() is not None
    os.kill(client.pid, signal.SIGKILL)
    client.until(lambda: (ENDED, None) in client.told, "the end")
    client.told.clear()
    client.start(SERVER, settings)
    client.reported(kind="Normal")
    item = client.ghost()
    assert item is not None
    assert client.accept(item) == START + GHOST


def test_a_cancelled_request_ends_and_leaves_nothing_behind(client: Client, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.pause = 0
    answer = client.ask()
    assert cleanroom.upstream.paused.wait(20)
    client.cancel()
    assert answer.result(20) == {"cancelled": True}
    client.reported(busy=False, kind="Normal")
    cleanroom.upstream.pause = None
    cleanroom.upstream.go_on.set()
    item = client.ghost()
    assert item is not None
    assert item["insertText"] == GHOST


def test_a_newer_request_ends_the_older(client: Client, cleanroom: Cleanroom) -> None:
    cleanroom.upstream.pause = 0
    older = client.ask()
    assert cleanroom.upstream.paused.wait(20)
    client.type("values = ")
    assert older.result(20)["items"] == []
    cleanroom.upstream.go_on.set()
    assert client.ghost() is not None
