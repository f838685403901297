"""`cleanroom org`: who takes part, and under which licence policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from guard.errors import LicenseError
from guard.licenses import LicensePolicy
from guard.types import Owner
from guard.withdrawal import withdraw
from service.cli.opening import index_address, opened_accounts
from service.cli.output import Json, print_json, print_table, say
from service.settings import load_settings

app = typer.Typer(help="Organizations: add, list and remove them, and set their licence policy.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="The organization's name: a-z, 0-9 and '-'.")]


@app.command()
def add(slug: Slug) -> None:
    """Add an organization."""
    with opened_accounts(load_settings()) as accounts:
        accounts.add_organization(slug)
    say(f"added {slug}; `cleanroom key create --org {slug} --scope complete` makes it a key")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the organizations."""
    with opened_accounts(load_settings()) as accounts:
        organizations = accounts.organizations()
    if as_json:
        print_json([{"slug": each.slug, "created": each.created.isoformat()} for each in organizations])
    else:
        print_table(
            ("organization", "added"), ((each.slug, f"{each.created:%Y-%m-%d %H:%M}") for each in organizations)
        )


@app.command()
def remove(slug: Slug) -> None:
    """Remove an organization, its keys and all of its code in the index. The ledger keeps its past decisions."""
    settings = load_settings()
    with opened_accounts(settings) as accounts:
        accounts.require_organization(slug)
        # Keys first: a member that has left must not be served while its code is taken back.
        keys = accounts.remove_organization(slug)
    with index_address(settings).opened() as (index, _):
        documents = withdraw(index, Owner.organization(slug))
    say(f"removed {slug}: {keys} keys, {documents} documents")


@app.command()
def policy(
    slug: Slug,
    file: Annotated[Path | None, typer.Option("--set", help="JSON file with the new policy.")] = None,
) -> None:
    """Show the licence policy of an organization as JSON, or replace it."""
    with opened_accounts(load_settings()) as accounts:
        if file is not None:
            try:
                accounts.set_policy(slug, LicensePolicy.from_json(json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError) as error:
                message = (
                    f"{file} holds no licence policy ({error}): start from what `cleanroom org policy {slug}` prints"
                )
                raise LicenseError(message) from error
        print_json(accounts.require_organization(slug).policy.to_json())
