"""`cleanroom key`: API keys, whose secrets are shown once."""

from __future__ import annotations

from typing import Annotated

import typer

from service.accounts import KeyRecord, Scope
from service.cli.opening import opened_accounts
from service.cli.output import Json, print_json, print_table, say
from service.settings import load_settings

app = typer.Typer(help="API keys: create, list and revoke them.", no_args_is_help=True)


@app.command()
def create(
    org: Annotated[str, typer.Option("--org", help="Whose key it is.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it opens; may be given several times.")],
    label: Annotated[str, typer.Option("--label", help="What it is for, to tell keys apart.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Make a key. Its secret goes to stdout, now and never again."""
    with opened_accounts(load_settings()) as accounts:
        record, secret = accounts.create_key(org, frozenset(scope), label)
    if as_json:
        print_json({**_fields(record), "secret": secret})
    else:
        typer.echo(secret)
        say(f"key {record.id} of {org} for {', '.join(sorted(scope))}: keep the secret, it is not stored")


@app.command("list")
def list_(
    org: Annotated[str | None, typer.Option("--org", help="Only this organization's.")] = None, *, as_json: Json = False
) -> None:
    """List keys, revoked ones too."""
    with opened_accounts(load_settings()) as accounts:
        records = accounts.list_keys(org)
    if as_json:
        print_json([_fields(record) for record in records])
    else:
        rows = (
            (
                r.id,
                r.org,
                ", ".join(sorted(r.scopes)),
                r.label,
                f"{r.created:%Y-%m-%d %H:%M}",
                "yes" if r.revoked else "",
            )
            for r in records
        )
        print_table(("key", "organization", "scopes", "label", "created", "revoked"), rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from `key list`.")]) -> None:
    """Stop a key, from the next request on."""
    with opened_accounts(load_settings()) as accounts:
        record = accounts.revoke_key(key_id)
    say(f"revoked {record.id} of {record.org}")


def _fields(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "org": record.org,
        "scopes": sorted(record.scopes),
        "label": record.label,
        "created": record.created.isoformat(),
        "revoked": record.revoked.isoformat() if record.revoked else None,
    }
