"""`cleanroom key rotate-index` from the outside, on an embedded store."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from samples.code import PYTHON

from guard import rekeying
from service.cli.root import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; answers its exit code, what it wrote to stdout, and its words on stderr."""
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cleanroom", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return call


@pytest.fixture
def file(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Path:
    """Code of alder's that is indexed."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "secret.py").write_text(PYTHON)
    for org in ("alder", "birch"):
        assert run("org", "add", org)[0] == 0
    assert run("index", "add", tree, "--org", "alder")[0] == 0
    return tree / "secret.py"


def test_the_key_in_the_home_is_replaced(
    run: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / "index.key"
    old = path.read_text()
    before = json.loads(run("check", file, "--org", "birch", "--json")[1])["matches"]
    assert before
    code, out, err = run("key", "rotate-index")
    assert (code, out) == (0, "")
    assert "if this is interrupted, run it again" in err
    assert f"copy {path} to every other home" in err
    assert "restart every service" in err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith(old.strip())
    assert old.strip() not in err
    code, out, _ = run("check", file, "--org", "birch", "--json")
    assert (code, json.loads(out)["matches"]) == (3, before)
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", old)
    code, _, err = run("check", file, "--org", "birch")
    assert (code, "if that was rotated since, the new one" in err) == (1, True)


def test_a_key_in_the_environment_gets_its_successor_in_a_file(
    run: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / "index.key"
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", path.read_text())
    code, _, err = run("key", "rotate-index")
    assert (code, "--out FILE" in err) == (2, True)
    code, out, err = run("key", "rotate-index", "--out", "new.key", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"rotated": True, "file": str(tmp_path / "new.key"), "variable": "CLEANROOM_INDEX_KEY"},
    )
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", (tmp_path / "new.key").read_text())
    assert run("check", file, "--org", "birch")[0] == 3
    code, _, err = run("key", "rotate-index", "--out", "new.key")
    assert (code, "name a new file" in err) == (1, True)
    code, _, err = run("key", "rotate-index", "--out", "newer.key")
    assert (code, "now set CLEANROOM_INDEX_KEY to what" in err) == (0, True)


def test_interrupted_it_goes_on_or_is_given_up(
    run: Callable[..., tuple[int, str, str]], file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rekeying.Programs.main

    def stop(self: object, script: str, *args: object) -> object:
        if script == rekeying.MOVE:
            raise KeyboardInterrupt
        return real(self, script, *args)  # type: ignore[arg-type]

    def interrupted() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(rekeying.Programs, "main", stop)
            assert run("key", "rotate-index")[0] == 130
        assert (tmp_path / "home" / "index.key.next").exists()
        assert run("check", file, "--org", "birch")[0] == 3

    interrupted()
    code, _, err = run("index", "add", file.parent, "--org", "alder", "--name", "other")
    assert (code, "`cleanroom key rotate-index` goes on" in err) == (1, True)
    assert json.loads(run("key", "rotate-index", "--abandon", "--json")[1])["rotated"] is False
    assert run("index", "add", file.parent, "--org", "alder", "--name", "other")[0] == 0
    interrupted()
    code, _, err = run("key", "rotate-index")
    assert (code, "going on with the key in" in err) == (0, True)
    assert run("check", file, "--org", "birch")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "complaint"),
    [
        (["--out", "x.key"], "", 2, "--out is for a key in CLEANROOM_INDEX_KEY"),
        (["--out", "."], "ab" * 32, 2, "is a directory"),
        (["--out", "missing/x.key"], "ab" * 32, 1, "holds no index"),
        (["--out", "x.key"], "ab" * 31, 1, "62 characters that are not 64 hex digits"),
        ([], "", 1, "index.key is missing"),
    ],
)
def test_bad_input_gets_a_clear_error(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: str,
    code: int,
    complaint: str,
) -> None:
    monkeypatch.setenv("CLEANROOM_INDEX_KEY", environment)
    done, _, err = run("key", "rotate-index", *arguments)
    assert (done, complaint in err) == (code, True), err
    assert "Traceback" not in err
