"""The commands of a federation. Knows what operators type, and nothing of how a model is trained."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_data_path

from training.deployment import CA, SERVER, SERVER_KEY, Node, Server, admit_command, environment, run_command
from training.errors import PlanError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer()
federation = typer.Typer(
    help="Train one model at several organizations: a server (SuperLink), and a node (SuperNode) at each of them.",
    no_args_is_help=True,
)
app.add_typer(federation, name="federation")

Home = Annotated[
    Path | None, typer.Option("--home", help="Folder of Flower's own files; by default in the user's data folder.")
]
Show = Annotated[bool, typer.Option("--show", help="Print Flower's command instead of running it.")]


@federation.command("certificates")
def certificates_(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")],
    hosts: Annotated[list[str], typer.Option("--host", help="A name or address under which nodes reach the server.")],
) -> None:
    """Make the server's certificate for a trial, signed by an authority of its own. Nodes need its ca.pem."""

    def make() -> None:
        from training.certificates import make_certificates  # noqa: PLC0415 - the extra's; --help works without

        make_certificates(folder, hosts)
        typer.echo(f"{folder / CA}  for every node\n{folder / SERVER}, {folder / SERVER_KEY}  for the server alone")

    _told(make)


@federation.command("key")
def key_(path: Annotated[Path, typer.Argument(help="File to write the private key to.")]) -> None:
    """Make a node's key. The key stays; its .pub goes to the server's operator."""

    def make() -> None:
        from training.certificates import make_node_key  # noqa: PLC0415 - as above

        typer.echo(f"{make_node_key(path)}  for the server's operator (`cleanroom federation admit`)")

    _told(make)


@federation.command("server")
def server_(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 9092,
    certificates: Annotated[Path | None, typer.Option("--certificates", help="Folder of the certificates.")] = None,
    home: Home = None,
    *,
    unsafe_open: Annotated[
        bool, typer.Option("--unsafe-open", help="No TLS and no keys: anybody may read, join and submit runs.")
    ] = False,
    show: Show = False,
) -> None:
    """Start the server. With certificates, only nodes that were admitted may join."""

    def start() -> None:
        _require_choice(certificates, unsafe_open=unsafe_open, option="--certificates")
        one = Server(_home(home), host, port, certificates)
        command = one.command()
        one.connect(f"{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}")  # noqa: S104 - compared, not bound
        _become(command, _home(home), show=show)

    _told(start)


@federation.command("admit")
def admit_(
    public_key: Annotated[Path, typer.Argument(help="The .pub file of a node's key.")],
    org: Annotated[str, typer.Option("--org", help="The organization whose node it is.")],
    home: Home = None,
    *,
    show: Show = False,
) -> None:
    """Let a node join, on the server's machine."""
    _told(lambda: _become(admit_command(public_key, org), _home(home), show=show))


@federation.command("node")
def node_(  # noqa: PLR0913, PLR0917 - an option each
    org: Annotated[str, typer.Option("--org", help="The organization, as the plan names it.")],
    corpus: Annotated[Path, typer.Option("--corpus", help="Its corpus (`cleanroom corpus build`), which stays here.")],
    base: Annotated[str, typer.Option("--base", help="Its copy of the base: a folder, a name on the hub, packaged.")],
    server: Annotated[str, typer.Option("--server", help="host:port of the server.")],
    ca: Annotated[Path | None, typer.Option("--ca", help="The ca.pem of the server.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="This node's private key.")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="On loopback, for its own processes.")] = 9094,
    epsilon: Annotated[
        float | None,
        typer.Option("--epsilon", min=0.01, help="Train with privacy alone, at this epsilon or less for each file."),
    ] = None,
    home: Home = None,
    *,
    unsafe_open: Annotated[bool, typer.Option("--unsafe-open", help="No TLS and no key.")] = False,
    show: Show = False,
) -> None:
    """Start an organization's node. It runs the code of this installation only, whatever the server sends."""

    def start() -> None:
        _require_choice(ca, unsafe_open=unsafe_open, option="--ca and --key")
        one = Node(org, corpus.absolute(), base, server, port, ca, key, epsilon)
        _become(one.command(), _home(home), show=show)

    _told(start)


@federation.command("run")
def run_(
    plan: Annotated[Path, typer.Argument(help="The plan, of kind federated.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder to write to; one with checkpoints is gone on with.")],
    minimum: Annotated[int, typer.Option("--minimum", min=1, help="Updates without which a round ends the run.")] = 2,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for all nodes at the start.")] = 600.0,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds that a round may take.")] = 3600.0,
    home: Home = None,
    *,
    show: Show = False,
) -> None:
    """Train, on the server's machine, and follow the log."""
    _told(lambda: _become(run_command(_home(home), plan, out, minimum, wait, timeout), _home(home), show=show))


def _home(home: Path | None) -> Path:
    return (home or user_data_path("cleanroom") / "federation").absolute()


def _require_choice(given: Path | None, *, unsafe_open: bool, option: str) -> None:
    if (given is None) == (not unsafe_open):
        message = f"give {option}, or --unsafe-open for a trial on one machine, and not both"
        raise PlanError(message)
    if unsafe_open:
        typer.echo("warning: unsafe: without TLS and keys anybody who reaches the port may read and join", err=True)


def _become(command: list[str], home: Path, *, show: bool) -> None:
    """Run Flower's command in place of this process, so that signals reach it."""
    given = environment(home)
    if show:
        names = ("FLWR_HOME", "FLWR_TELEMETRY_ENABLED", "FLWR_DISABLE_UPDATE_CHECK")
        typer.echo(" ".join([*(f"{name}={shlex.quote(given[name])}" for name in names), shlex.join(command)]))
        return
    os.execve(command[0], command, given)  # noqa: S606 - a list of arguments, and no shell


def _told(work: Callable[[], None]) -> None:
    try:
        work()
    except TrainingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
