"""The root of the command line: puts the commands together and turns errors into messages and exit codes.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a leak was found or a verification failed.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from guard.errors import GuardError
from service.cli import bench, check, demo, index, keys, ledger, organizations, report, serve
from service.cli.output import complain
from service.errors import ServiceError

PLUGINS = "cleanroom.commands"
"""Entry points through which the language server and training add their commands without being imported here."""

app = typer.Typer(
    name="cleanroom",
    help="Code completions from a jointly trained model, behind a guard that lets no private code out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cleanroom {version('cleanroom')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Code completions from a jointly trained model, behind a guard that lets no private code out."""


demo.add_to(app)
serve.add_to(app)
check.add_to(app)
report.add_to(app)
app.add_typer(organizations.app, name="org")
app.add_typer(bench.app, name="bench")
app.add_typer(keys.app, name="key")
app.add_typer(index.app, name="index")
app.add_typer(ledger.app, name="ledger")


@cache
def load_plugins() -> None:
    """Add the commands of the packages beside this one."""
    # One group of commands may be named by several of its commands.
    for group in dict.fromkeys(point.load() for point in entry_points(group=PLUGINS)):
        app.add_typer(group)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # An entry point is named as its command is; no other command waits for its imports.
    if sys.argv[1:2] == [] or sys.argv[1].startswith("-") or sys.argv[1] in entry_points(group=PLUGINS).names:
        load_plugins()
    try:
        app()
    except (GuardError, ServiceError) as error:
        complain(str(error))
        sys.exit(1)
    except BrokenPipeError:
        # The reader (`| head`) has gone. Nothing is left to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(1)
