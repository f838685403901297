"""`cleanroom ledger`: the record of decisions, for security teams."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from guard.ledger import Head
from guard.types import Action
from service.cli.opening import opened_ledger
from service.cli.output import Json, out, print_json, print_table
from service.errors import NotFoundError
from service.settings import load_settings

app = typer.Typer(help="The ledger: list, show, verify and export decisions.", no_args_is_help=True)

BROKEN = 3


@app.command("list")
def list_(
    action: Annotated[Action | None, typer.Option("--action", help="Only decisions of this kind.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Only matches in this owner's code (org:SLUG).")] = None,
    org: Annotated[str | None, typer.Option("--org", help="Only generations for this organization.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """List decisions, newest first."""
    with opened_ledger(load_settings()) as ledger:
        entries = ledger.entries(action=action, owner=owner, org=org, limit=limit, newest_first=True)
    if as_json:
        print_json([entry.to_json() for entry in entries])
        return
    print_table(
        ("at", "decision", "for", "action", "released", "matches"),
        (
            (
                entry.at[:19],
                entry.record.decision.id,
                entry.record.org,
                entry.record.decision.action.value,
                f"{entry.record.released_characters}/{entry.record.generated_characters}",
                "; ".join(f"{m.kind.value} {m.owner}/{m.document}" for m in entry.record.decision.matches[:2]),
            )
            for entry in entries
        ),
    )


@app.command()
def show(decision: Annotated[str, typer.Argument(metavar="ID", help="A decision's id (dec_...).")]) -> None:
    """Show one decision as JSON."""
    with opened_ledger(load_settings()) as ledger:
        entry = ledger.get(decision)
    if entry is None:
        message = f"the ledger has no decision {decision!r}: `cleanroom ledger list` shows the newest"
        raise NotFoundError(message)
    print_json(entry.to_json())


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option("--head", metavar="N:HASH", help="A head noted earlier, to detect a cut-off tail.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Recompute the hash chain. Exit code 3 if it is broken; the answer names the first broken entry."""
    with opened_ledger(load_settings()) as ledger:
        result = ledger.verify(_head(head))
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "entries": result.entries,
                "first_broken": result.first_broken,
                "reason": result.reason,
                "head": f"{result.head.entries}:{result.head.hash}",
            }
        )
    elif result.ok:
        out.print(f"[green]sound[/]: {result.entries} entries, head {result.head.entries}:{result.head.hash}")
    else:
        out.print(f"[red]broken[/] at entry {result.first_broken}: {result.reason}")
    raise typer.Exit(0 if result.ok else BROKEN)


@app.command()
def export() -> None:
    """Write every entry as one line of JSON to stdout."""
    with opened_ledger(load_settings()) as ledger:
        for line in ledger.export():
            sys.stdout.write(line + "\n")


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    count, _, digest = text.partition(":")
    if not count.isdecimal() or len(digest) != 64:  # noqa: PLR2004 - hex digits of SHA-256
        message = f"{text!r} is no head: expected N:HASH as `ledger verify` printed it"
        raise typer.BadParameter(message)
    return Head(int(count), digest)
