"""What an operator starts: Flower's SuperLink, a SuperNode an organization, and a run. Knows commands, not models.

Flower's processes report to its makers and look for updates unless told not to; `environment` tells them.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import DestinationError, PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLE = f"""\
[project]
name = "cleanroom-federation"
version = "{version("cleanroom")}"
description = "Names the apps of the installed package cleanroom; holds no code."
dependencies = []

[tool.flwr.app]
publisher = "cleanroom"

[tool.flwr.app.components]
serverapp = "training.federated:app"
clientapp = "training.node:app"

[tool.flwr.app.config]
plan = ""
out = ""
minimum = 2
wait = 600.0
timeout = 3600.0
"""
"""Flower's app bundle. It goes to every node, which compares it with its own (`training.supernode`)."""
CA, SERVER, SERVER_KEY = "ca.pem", "server.pem", "server.key"
"""Names of the files of certificates in their folder."""
CONNECTION = "federation"
"""The name of the server in Flower's configuration."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a SuperLink listens. `folder` holds certificates; None leaves the link open to whoever reads it."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 9092
    folder: Path | None = None

    def command(self) -> list[str]:
        """`flower-superlink`, with node authentication wherever there is TLS: Flower has it with TLS only."""
        listen = ["--host", self.host, "--port", str(self.port), "--disable-runtime-dependency-installation"]
        return [_program("flower-superlink"), *(_tls_server(self.folder) or ["--insecure"]), *listen]

    def connect(self, address: str) -> Path:
        """Write Flower's configuration for the operator's own commands, which reach the server at `address`."""
        trust = f'root-certificates = "{self.folder / CA}"' if self.folder else "insecure = true"
        text = f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\naddress = "{address}"\n{trust}\n'
        path = self.home / "config.toml"
        self.home.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def _tls_server(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    files = {"--ssl-ca-certfile": CA, "--ssl-certfile": SERVER, "--ssl-keyfile": SERVER_KEY}
    return [word for option, name in files.items() for word in (option, _there(folder / name))] + [
        "--enable-supernode-auth"
    ]


@dataclass(frozen=True, slots=True)
class Node:
    """An organization's SuperNode. `ca` and `key`: files; without either the link is open. `port` is for itself.

    `epsilon`: the most that its examples' privacy may come to; None trains as the plan says.
    """

    organization: str
    corpus: Path
    base: str
    superlink: str
    port: int = 9094
    ca: Path | None = None
    key: Path | None = None
    epsilon: float | None = None

    def command(self) -> list[str]:
        """`flower-supernode` by way of `training.supernode`, which runs this installation's code and no other.

        Raises:
            PlanError: a value that Flower's syntax cannot carry, a corpus that is none, or half of TLS and key.
        """
        if (self.ca is None) != (self.key is None):
            message = "a node needs both --ca and --key, or neither with --unsafe-open: Flower has keys with TLS only"
            raise PlanError(message)
        _there(self.corpus / "manifest.json")
        settings = {"organization": self.organization, "corpus": str(self.corpus), "base": self.base}
        if self.epsilon is not None:
            settings["epsilon"] = f"{self.epsilon:g}"
        if odd := [value for value in settings.values() if '"' in value or "\\" in value or "\n" in value]:
            message = f"{odd[0]!r} holds a quote, backslash or line break, which --node-config cannot carry: rename it"
            raise PlanError(message)
        trust = (
            ["--root-certificates", _there(self.ca), "--auth-supernode-private-key", _there(self.key)]
            if self.ca is not None and self.key is not None
            else ["--insecure"]
        )
        config = " ".join(f'{name}="{value}"' for name, value in settings.items())
        listen = ["--superlink", self.superlink, "--port", str(self.port), "--node-config", config]
        return [sys.executable, "-m", "training.supernode", *trust, *listen]


def admit_command(public_key: Path, name: str) -> list[str]:
    """Register a node's public key with the server."""
    return [_program("flwr"), "supernode", "register", _there(public_key), CONNECTION, "--name", name]


def run_command(home: Path, plan: Path, out: Path, minimum: int, wait: float, timeout: float) -> list[str]:
    """Submit a run and follow its log. `plan` and `out` are paths on the server's machine."""
    bundle = write_bundle(home)
    settings = f'plan="{plan.absolute()}" out="{out.absolute()}" minimum={minimum} wait={wait} timeout={timeout}'
    return [_program("flwr"), "run", str(bundle), CONNECTION, "--run-config", settings, "--stream"]


def write_bundle(home: Path) -> Path:
    """The folder of the app bundle."""
    folder = home / "cleanroom-federation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(BUNDLE, encoding="utf-8")
    return folder


def environment(home: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of Flower's processes: its files under `home`, nothing told to its makers, one set of tools."""
    given = os.environ if given is None else given
    beside = str(Path(sys.executable).parent)
    return {
        **given,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        # SuperLink and SuperNode start further programs of Flower by their names.
        "PATH": os.pathsep.join([beside, given.get("PATH", os.defpath)]),
    }


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        message = f"{name} is not installed: install cleanroom with the extras training and federation"
        raise PlanError(message)
    return found


def _there(path: Path) -> str:
    if not path.is_file():
        message = f"{path} is missing: make it first (`cleanroom federation certificates`, `key`, `corpus build`)"
        raise DestinationError(message)
    return str(path.absolute())
