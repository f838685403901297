"""The commands, up to the programs of Flower that they become."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

with warnings.catch_warnings():
    # The typer that Flower holds asks click for old names.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.testing import CliRunner

    from training.federation_cli import app

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("flwr")
pytestmark = pytest.mark.training


def told(*words: object) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["federation", *map(str, words)])
    return answer.exit_code, answer.output


def test_an_operator_and_a_node_from_certificates_to_a_run(tmp_path: Path) -> None:
    certificates, home = tmp_path / "certs", ("--home", tmp_path / "home")
    assert told("certificates", certificates, "--host", "localhost")[0] == 0
    assert told("key", tmp_path / "acme.key")[0] == 0
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "manifest.json").write_text("{}", encoding="utf-8")
    code, server = told("server", "--certificates", certificates, *home, "--show")
    assert code == 0
    assert "--enable-supernode-auth" in server
    assert "--insecure" not in server
    assert "FLWR_TELEMETRY_ENABLED=0" in server
    code, admit = told("admit", tmp_path / "acme.key.pub", "--org", "acme", *home, "--show")
    assert code == 0
    assert "supernode register" in admit
    code, node = told(
        "node", "--org", "acme", "--corpus", tmp_path / "corpus", "--base", "packaged", "--server", "localhost:9092",
        "--ca", certificates / "ca.pem", "--key", tmp_path / "acme.key", *home, "--show",
    )  # fmt: skip
    assert code == 0
    assert 'organization="acme"' in node
    assert "--insecure" not in node
    code, run = told("run", tmp_path / "plan.toml", "--out", tmp_path / "run", "--minimum", "3", *home, "--show")
    assert code == 0
    assert "minimum=3" in run


def test_an_open_server_is_asked_for_by_its_name(tmp_path: Path) -> None:
    code, output = told("server", "--home", tmp_path, "--show")
    assert code == 1
    assert "give --certificates, or --unsafe-open" in output
    code, output = told("server", "--home", tmp_path, "--unsafe-open", "--show")
    assert code == 0
    assert "warning: unsafe" in output


def test_a_corpus_that_is_none_is_told_before_anything_starts(tmp_path: Path) -> None:
    code, output = told(
        "node", "--org", "acme", "--corpus", tmp_path, "--base", "b", "--server", "localhost:1",
        "--unsafe-open", "--show",
    )  # fmt: skip
    assert code == 1
    assert "manifest.json is missing" in output
