"""`cleanroom index ... --server`, from the outside: a process of the organization's own, with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from samples.code import PYTHON, SAMPLES
from samples.indexed import ACME, KEY

from guard.types import Action
from service.accounts import Scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Shelf

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def member(tmp_path: Path) -> Path:
    return tmp_path / "member"


@pytest.fixture
def run(shelf: Shelf, member: Path, tmp_path: Path) -> Run:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
    settings = {"HOME": str(member), "INDEX_KEY": KEY.secret.hex(), "API_KEY": shelf.keys["acme"]}

    def call(*arguments: object, **changed: str | None) -> subprocess.CompletedProcess[str]:
        given = {f"CLEANROOM_{n}": v for n, v in {**settings, **changed}.items() if v is not None}
        return subprocess.run(
            [sys.executable, "-m", "service.cli", "index", *map(str, arguments)],
            env={**kept, **given, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "code"
    tree.mkdir()
    (tree / "ledger.py").write_text(PYTHON)
    (tree / "pool.go").write_text(SAMPLES["go"])
    return tree


def answered(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_add_sync_stats_and_remove(shelf: Shelf, run: Run, tree: Path, member: Path) -> None:
    server = ("--server", shelf.url, "--json")
    assert answered(run("add", tree, *server))[0]["added"] == 2
    assert shelf.indexed.check(PYTHON, "globex").action is Action.BLOCK
    (tree / "pool.go").unlink()
    assert answered(run("sync", tree, "--org", "acme", *server))[0]["removed"] == 1
    assert answered(run("stats", *server))["documents"] == 1
    assert answered(run("remove", "--path", "code/led", *server)) == {"owner": "org:acme", "removed": 1}
    assert shelf.indexed.index.paths(ACME) == {}
    assert not [path for path in member.rglob("*") if path.is_file()]


def test_a_life_time_is_set_at_the_server(shelf: Shelf, run: Run, tree: Path) -> None:
    server = ("--server", shelf.url, "--json")
    for command, days in (("add", 30), ("sync", 2)):
        answered(run(command, tree, "--ttl", f"{days}d", "--jobs", "1", *server))
        expires = answered(run("stats", *server))["expires"]
        assert 0 <= days * 86_400 - (expires - time.time()) < 300
    answered(run("add", tree, *server))
    assert answered(run("stats", *server))["expires"] == expires
    assert "UTC" in run("stats", "--server", shelf.url).stdout


def test_hashed_paths_are_looked_up_and_withdrawn(shelf: Shelf, run: Run, tree: Path) -> None:
    server = ("--server", shelf.url, "--hash-paths", "--json")
    assert answered(run("add", tree, *server))[0]["added"] == 2
    names = answered(run("names", tree, "--org", "acme", "--json"))
    assert names.keys() == shelf.indexed.index.paths(ACME).keys()
    assert sorted(names.values()) == ["ledger.py", "pool.go"]
    assert answered(run("remove", "--path", "code/pool.go", *server))["removed"] == 1
    assert answered(run("remove", "--path", "code", *server))["removed"] == 1


def test_the_key_may_be_given_and_is_never_shown(shelf: Shelf, run: Run, tree: Path) -> None:
    key = shelf.keys["globex"]
    done = run("add", tree, "--server", shelf.url, "--key", key, "--json")
    assert answered(done)[0]["added"] == 2
    wrong = shelf.key("globex", Scope.COMPLETE)
    refused = run("add", tree, "--server", shelf.url, "--key", wrong)
    away = run("add", tree, "--server", f"{shelf.url}/away", "--key", key)
    usage = run("add", "--help")
    assert (refused.returncode, "lacks the scope" in refused.stderr) == (1, True)
    assert away.returncode == 1
    for shown in (done, refused, away, usage):
        for secret in (key, wrong, shelf.keys["acme"], KEY.secret.hex()):
            assert secret not in shown.stdout + shown.stderr
            assert secret[16:] not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("arguments", "changed", "expected"),
    [
        (["add", "{tree}", "--server", "{url}"], {"API_KEY": None}, (2, "CLEANROOM_API_KEY")),
        (["add", "{tree}", "--server", "{url}", "--commons"], {}, (2, "operator")),
        (["add", "{tree}", "--server", "{url}", "--license", "auto"], {}, (2, "operator")),
        (["add", "{tree}", "--server", "{url}", "--org", "globex"], {}, (1, "not 'globex'")),
        (["add", "{tree}", "--org", "acme", "--hash-paths"], {}, (2, "--server")),
        (["add", "{tree}", "--server", "{url}"], {"INDEX_KEY": None}, (1, "CLEANROOM_INDEX_KEY")),
        (["add", "{tree}", "--server", "{url}"], {"INDEX_KEY": "ab" * 32}, (1, "another index key")),
        (["add", "missing", "--server", "{url}"], {}, (1, "missing")),
        (["add", "{tree}", "--server", "{url}", "--ttl", "3w"], {}, (2, "--ttl 3w")),
        (["sync", "{tree}", "--server", "{url}", "--ttl", "0d"], {}, (2, "--ttl 0d")),
        (["add", "{tree}", "--server", "{url}", "--scancode"], {}, (2, "operator")),
        (["add", "{tree}", "--org", "acme", "--scancode"], {}, (2, "--license auto")),
        (["add", "{tree}", "{tree}", "--server", "{url}", "--name", "x"], {}, (2, "one tree")),
        (["sync", "{tree}"], {}, (2, "--org")),
        (["remove", "--server", "{url}", "--owner", "org:globex"], {}, (2, "operator")),
        (["remove", "--server", "{url}", "--org", "globex"], {}, (1, "not 'globex'")),
    ],
    ids=range(16),
)
def test_wrong_use_is_explained_and_sends_nothing(
    shelf: Shelf, run: Run, tree: Path, arguments: list[str], changed: dict[str, str | None], expected: tuple[int, str]
) -> None:
    done = run(*(word.format(tree=tree, url=shelf.url) for word in arguments), **changed)
    code, complaint = expected
    assert (done.returncode, complaint in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert shelf.indexed.index.owners() == []
    assert not (tree.parent / "member" / "index.key").exists()
