from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from samples.released import open_up
from samples.runs import THRESHOLDS, measurements, run_folder
from typer.testing import CliRunner

from registry.releases import Releases
from training.release_commands import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a run, its measurements, thresholds and a home whose key is trusted."""
    monkeypatch.chdir(tmp_path)
    for name in ("CLEANROOM_RELEASE_KEYS", "CLEANROOM_CONFIG", "CLEANROOM_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLEANROOM_HOME", str(tmp_path / "home"))
    run = run_folder(tmp_path / "run")
    measurements(run / "model", tmp_path / "measured.json")
    (tmp_path / "thresholds.toml").write_text(THRESHOLDS)
    public = run_command("keygen", "key.pem").stdout.strip()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "release-keys").write_text(public)
    return tmp_path


def run_command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["release", *arguments])


def create(*more: str) -> Result:
    files = ("--thresholds", "thresholds.toml", "--measurements", "measured.json", "--key", "key.pem")
    return run_command("create", "run", "--name", "small", *files, *more)


def test_from_a_run_to_a_verified_release(folder: Path) -> None:
    made = json.loads(create("--json").stdout)
    assert (made["name"], made["version"], made["kind"], made["parent"]) == ("small", 1, "model", None)
    assert create("--parent", "small").exit_code == 0
    listed = json.loads(run_command("list", "--json").stdout)
    assert [(one["version"], one["parent"]) for one in listed] == [(1, None), (2, "small@1")]
    assert len(run_command("list").stdout.splitlines()) == 2
    assert run_command("verify", "small@1").stdout.startswith("sound: small@1 sha256:")
    assert json.loads(run_command("verify", "small", "--json").stdout)["version"] == 2
    assert "| extractable_32 | all |" in run_command("show", "small").stdout
    assert json.loads(run_command("show", "small", "--json").stdout)["card"]["name"] == "small"
    assert run_command("export", "small", "--out", "out").exit_code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip


def test_what_falls_short_ends_with_3_and_says_by_how_much(folder: Path) -> None:
    (folder / "thresholds.toml").write_text("[at_most]\nextractable_32 = 0.001\n")
    done = create()
    assert done.exit_code == 3
    assert "extractable_32 exceeds 0.001 by 0.029" in done.stderr
    assert run_command("list").stdout == ""


def test_a_damaged_release_ends_with_3(folder: Path) -> None:
    create()
    release = Releases(folder / "home").peek(Releases(folder / "home").find("small"))
    open_up(release)
    (release.folder / "README.md").write_text("better")
    for command in (("verify", "small"), ("export", "small", "--out", "out")):
        done = run_command(*command)
        assert done.exit_code == 3
        assert "not as it was signed" in done.stderr
    assert not (folder / "out").exists()


def test_a_withdrawn_release_ends_with_3(folder: Path) -> None:
    create()
    assert run_command("revoke", "small", "--reason", "recites", "--key", "key.pem").exit_code == 1
    assert run_command("revoke", "small@1", "--reason", "recites", "--key", "key.pem").exit_code == 0
    done = run_command("verify", "small")
    assert done.exit_code == 3
    assert "recites" in done.stderr
    assert folder


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("keygen", "key.pem"), "never overwritten"),
        (("verify", "other"), "no release of that name"),
        (("show", "../x"), "cannot name a release"),
        (("export", "small", "--out", "run"), "exists"),
        (("export", "small", "--out", "out", "--form", "gguf"), "has no gguf"),
        (("export", "small", "--out", "out", "--form", "adapter"), "has no adapter"),
        (("export", "small", "--out", "run/run.json/out"), "cannot be written"),
    ],
)
def test_errors_are_told(folder: Path, command: tuple[str, ...], words: str) -> None:
    create()
    done = run_command(*command)
    assert done.exit_code == 1
    assert words in done.stderr
    assert not (folder / "out").exists()
