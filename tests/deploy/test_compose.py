from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def section(name: str, service: str) -> str:
    """One entry of a top-level section, as text."""
    (body,) = re.findall(rf"^{name}:\n((?:[ #].*\n|\n)+)", COMPOSE, re.MULTILINE)
    (entry,) = re.findall(rf"^  {service}:\n((?:    .*\n|\n)+)", body, re.MULTILINE)
    return str(entry)


def compose_command() -> Sequence[str]:
    """Docker Compose as a plugin, else as a program; it needs no daemon to read a file."""
    for command in (["docker", "compose"], ["docker-compose"]):
        found = shutil.which(command[0])
        if found and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("neither `docker compose` nor docker-compose is installed (apt-get install docker-compose)")


def test_docker_compose_understands_it(tmp_path: Path, secrets_folder: Path) -> None:
    command = compose_command()
    deploy = tmp_path / "deploy"
    shutil.copytree(ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("secrets"))
    shutil.copytree(secrets_folder, deploy / "secrets")
    if command == ["docker-compose"]:
        # Version 1 knows all of this but the project's name.
        (deploy / "compose.yaml").write_text(COMPOSE.replace("\nname: cleanroom\n", "\n"), encoding="utf-8")
    environment = {**os.environ, "COMPOSE_PROFILES": "tools,remote,watch"}
    shown = subprocess.run(
        [*command, "--file", str(deploy / "compose.yaml"), "config"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert shown.returncode == 0, shown.stderr
    # Nothing was left for the environment to fill in.
    assert "variable is not set" not in shown.stderr
    for name in ("valkey", "prepare", "service", "intake", "prometheus", "index"):
        assert re.search(rf"^  {name}:$", shown.stdout, re.MULTILINE)


def test_nobody_reaches_the_store_from_outside() -> None:
    valkey = section("services", "valkey")
    assert "ports:" not in valkey
    assert "networks: [store]" in valkey
    assert "internal: true" in section("networks", "store")
    assert COMPOSE.count("ports:") == 3
    assert '- "127.0.0.1:8080:8080"' in section("services", "service")
    assert '- "127.0.0.1:8081:8080"' in section("services", "intake")
    assert '- "127.0.0.1:9090:9090"' in section("services", "prometheus")
    assert "networks: [edge]" in section("services", "prometheus")


def test_every_container_is_hardened_and_none_is_root() -> None:
    for name in ("valkey", "prepare", "service", "intake", "prometheus", "index"):
        assert re.search(r"<<: \*(?:hardened|cleanroom)", section("services", name))
    for rule in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert rule in COMPOSE
    assert "user: valkey" in section("services", "valkey")
    assert "user: nobody" in section("services", "prometheus")
    assert re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE) == ["10001"]


def test_only_the_indexer_may_write() -> None:
    assert "secrets: [service.toml]" in section("services", "service")
    assert "secrets: [intake.toml]" in section("services", "intake")
    assert "profiles: [remote]" in section("services", "intake")
    for name in ("prepare", "index"):
        assert "secrets: [indexer.toml]" in section("services", name)


def test_no_secret_is_in_the_repository() -> None:
    assert (ROOT / "deploy" / ".gitignore").read_text(encoding="utf-8") == "secrets/\n"
    users = (ROOT / "deploy" / "valkey" / "users.acl.example").read_text(encoding="ascii")
    assert re.search(r"[0-9a-f]{32}", users) is None
    assert ">" not in users


def test_secrets_are_new_each_time_and_enterable_by_their_owner_alone(tmp_path: Path, secrets_folder: Path) -> None:
    again = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", again], check=True, capture_output=True)
    for name in ("users.acl", "service.toml", "indexer.toml", "intake.toml", "metrics.key"):
        assert (again / name).read_bytes() != (secrets_folder / name).read_bytes()
    assert stat.S_IMODE(again.stat().st_mode) == 0o700
    refused = subprocess.run([ROOT / "deploy" / "make-secrets", again], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "exists already" in refused.stderr


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("service", ("guard", None, "limits")),
        ("indexer", ("indexer", None, None)),
        ("intake", ("guard", "indexer", "limits")),
    ],
)
def test_the_settings_are_settings(
    name: str, users: tuple[str | None, ...], secrets_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANROOM_CONFIG", str(secrets_folder / f"{name}.toml"))
    settings = load_settings()
    for url, user in zip((settings.redis_url, settings.indexer_url, settings.limits_url), users, strict=True):
        if user is None:
            assert url is None
        else:
            assert re.fullmatch(rf"redis://{user}:[0-9a-f]{{64}}@valkey:6379/0", url or "")


def test_metrics_are_read_with_the_key_that_the_service_asks_for(
    secrets_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANROOM_CONFIG", str(secrets_folder / "service.toml"))
    for name, value in re.findall(r"(CLEANROOM_METRICS_\w+): (\S+)", section("services", "service")):
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.metrics_key is not None
    assert settings.metrics_key.get_secret_value() == (secrets_folder / "metrics.key").read_text(encoding="ascii")
    scraped = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    assert f'targets: ["service:{settings.metrics_port}"]' in scraped
    assert "credentials_file: /run/secrets/metrics.key" in scraped
    assert "secrets: [metrics.key]" in section("services", "prometheus")
