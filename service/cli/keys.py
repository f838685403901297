"""`cleanroom key`: API keys, whose secrets are shown once, and the key of the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.accounts import KeyRecord, Quota, Scope
from service.cli.opening import index_key_given, opened_accounts, opened_rotation
from service.cli.output import Json, print_json, print_table, say, share_progress
from service.settings import load_settings

if TYPE_CHECKING:
    from service.settings import Settings

Requests = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Requests in any minute; 0: any number. Default: the server's setting."),
]
Tokens = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Tokens a day; 0: any number. Default: the server's setting.")
]

app = typer.Typer(help="API keys: create, list, limit and revoke them; rotate the index key.", no_args_is_help=True)


@app.command()
def create(
    org: Annotated[str, typer.Option("--org", help="Whose key it is.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it opens; may be given several times.")],
    label: Annotated[str, typer.Option("--label", help="What it is for, to tell keys apart.")] = "",
    requests_per_minute: Requests = None,
    tokens_per_day: Tokens = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a key. Its secret goes to stdout, now and never again."""
    with opened_accounts(load_settings()) as accounts:
        quota = Quota(requests_per_minute, tokens_per_day)
        record, secret = accounts.create_key(org, frozenset(scope), label, quota)
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
                _shown(r.quota.requests_per_minute),
                _shown(r.quota.tokens_per_day),
                f"{r.created:%Y-%m-%d %H:%M}",
                "yes" if r.revoked else "",
            )
            for r in records
        )
        columns = ("key", "organization", "scopes", "label", "requests/min", "tokens/day", "created", "revoked")
        print_table(columns, rows)


@app.command()
def limit(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from `key list`.")],
    requests_per_minute: Requests = None,
    tokens_per_day: Tokens = None,
) -> None:
    """Set what a key may use, from its next request on; what is not named goes by the server's setting again."""
    with opened_accounts(load_settings()) as accounts:
        record = accounts.set_quota(key_id, Quota(requests_per_minute, tokens_per_day))
    say(
        f"key {record.id} of {record.org}: {_shown(record.quota.requests_per_minute)} requests a minute, "
        f"{_shown(record.quota.tokens_per_day)} tokens a day"
    )


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from `key list`.")]) -> None:
    """Stop a key, from the next request on."""
    with opened_accounts(load_settings()) as accounts:
        record = accounts.revoke_key(key_id)
    say(f"revoked {record.id} of {record.org}")


@app.command("rotate-index")
def rotate_index(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for the new key, if CLEANROOM_INDEX_KEY gives the old one.", dir_okay=False),
    ] = None,
    *,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Give up a rotation that was interrupted; the old key stays.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give the index a new key, without the sources. Interrupted, it is simply run again, and goes on."""
    settings = load_settings()
    _require_place(settings, out)
    with opened_rotation(settings, out and out.expanduser().absolute()) as (rotation, store):
        if abandon:
            rotation.abandon(store)
            file = None
        else:
            begun = "going on with" if rotation.begun else "changing to"
            say(f"{begun} the key in {rotation.file}; if this is interrupted, run it again: keep that file until then")
            with share_progress("index") as progress:
                file = rotation.run(store, progress)
    if as_json:
        print_json(
            {
                "rotated": file is not None,
                "file": file and str(file),
                "variable": "CLEANROOM_INDEX_KEY" if index_key_given(settings) else None,
            }
        )
    elif file is None:
        say("given up: the index is under its old key")
    else:
        _tell(file, settings)


def _require_place(settings: Settings, out: Path | None) -> None:
    if index_key_given(settings) and out is None:
        message = "the index key comes from CLEANROOM_INDEX_KEY: name a file for the new one with --out FILE"
        raise typer.BadParameter(message)
    if not index_key_given(settings) and out is not None:
        message = f"--out is for a key in CLEANROOM_INDEX_KEY; the one in {settings.home} is replaced there"
        raise typer.BadParameter(message)


def _tell(file: Path, settings: Settings) -> None:
    """Say what is left to do for whoever holds the old key."""
    say(f"the index has a new key, in {file}; with the old one it answers nobody (503)")
    if index_key_given(settings):
        say(f"now set CLEANROOM_INDEX_KEY to what {file} holds wherever it is set, and remove the file")
    else:
        say(f"now copy {file} to every other home of this index, organizations' too, by a safe way and with mode 0600")
    say("restart every service and stop every indexing that began before; back up the new key")
    say("backups of the store from before need the old key: make new ones, then destroy the old ones and that key")


def _shown(quota: int | None) -> str:
    return "default" if quota is None else str(quota) if quota else "any"


def _fields(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "org": record.org,
        "scopes": sorted(record.scopes),
        "label": record.label,
        "requests_per_minute": record.quota.requests_per_minute,
        "tokens_per_day": record.quota.tokens_per_day,
        "created": record.created.isoformat(),
        "revoked": record.revoked.isoformat() if record.revoked else None,
    }
