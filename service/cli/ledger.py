"""`cleanroom ledger`: the record of decisions, for security teams."""

from __future__ import annotations

import getpass
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from guard.ledger import Head
from guard.ledger_entry import FIRST_WRITER
from guard.ledger_redaction import PARTS
from guard.types import Action
from registry.keys import PublicKey
from service.cli.opening import opened_ledger
from service.cli.output import Json, out, print_json, print_table, share_progress
from service.errors import NotFoundError
from service.heads.opening import exported_heads, ledger_key
from service.heads.statement import read_heads
from service.settings import Settings, load_settings

app = typer.Typer(help="The ledger: list, show, verify and export decisions.", no_args_is_help=True)

BROKEN = 3
HASH = re.compile(r"[0-9a-f]{64}")


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
        list[str] | None,
        typer.Option("--head", metavar="WRITER:N:HASH", help="A head noted earlier, to detect a cut-off tail."),
    ] = None,
    heads_file: Annotated[
        Path | None,
        typer.Option("--heads", exists=True, dir_okay=False, help="Exported heads: a file of lines, or of a syslog."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="ed25519:HEX", help="A key whose heads are trusted. Default: this home's."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Recompute all hash chains. Exit code 3 if one is broken; the answer names its first broken entry."""
    settings = load_settings()
    heads = [_head(text) for text in head or ()]
    if heads_file is not None:
        heads += _exported(heads_file, key, settings)
    with opened_ledger(settings) as ledger, share_progress("verifying") as progress:
        result = ledger.verify(heads, progress)
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "entries": result.entries,
                "heads": [str(one) for one in result.heads],
                "breaks": [asdict(one) for one in result.breaks],
                "beyond": result.beyond,
            }
        )
    else:
        for broken in result.breaks:
            out.print(f"[red]broken[/] at entry {broken.number} of chain {broken.writer}: {broken.reason}")
        if result.ok:
            out.print(f"[green]sound[/]: {result.entries} entries, {result.beyond} of them after the heads given")
        for one in result.heads:
            out.print(f"head {one}")
    raise typer.Exit(0 if result.ok else BROKEN)


@app.command()
def key() -> None:
    """Print the public key of the key that signs this home's heads, for whoever verifies them elsewhere."""
    out.print(str(ledger_key(load_settings()).public))


@app.command()
def redact(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Decisions (dec_...).")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays in the ledger.")],
    part: Annotated[list[str] | None, typer.Option("--part", help="caller or content; default: both.")] = None,
) -> None:
    """Take who asked, or what was found, out of decisions for good. The chain stays sound, and an entry says so."""
    settings = load_settings()
    with opened_ledger(settings) as ledger, exported_heads(settings, ledger):
        entry = ledger.redact(ids, part or PARTS, reason, getpass.getuser())
    out.print(f"redacted {len(set(ids))} entries; {entry.event.id} says so")


@app.command()
def retain(
    days: Annotated[int, typer.Option("--days", min=1, help="How long all is kept of what was cited or blocked.")],
    allowed_days: Annotated[
        int | None, typer.Option("--allowed-days", min=1, help="The same for what was allowed. Default: --days.")
    ] = None,
    part: Annotated[list[str] | None, typer.Option("--part", help="caller or content; default: both.")] = None,
) -> None:
    """Take who asked and what was found out of all older decisions, for good; counts and times stay. For a timer."""
    settings = load_settings()
    changed = 0
    with opened_ledger(settings) as ledger, exported_heads(settings, ledger):
        for kept_days, actions in ((days, ("block", "cite")), (allowed_days or days, ("allow",))):
            before = (datetime.now(UTC) - timedelta(days=kept_days)).isoformat(timespec="microseconds")
            changed += ledger.retain(before, actions, part or PARTS, getpass.getuser())[1]
    out.print(f"redacted {changed} entries")


@app.command()
def migrate() -> None:
    """Bring the ledger's database to this version of Cleanroom, as the service does when it starts."""
    with opened_ledger(load_settings()) as ledger:
        count = sum(one.entries for one in ledger.heads())
    out.print(f"the ledger is of this version; it has {count} entries")


@app.command()
def export() -> None:
    """Write every entry as one line of JSON to stdout."""
    with opened_ledger(load_settings()) as ledger:
        for line in ledger.export():
            sys.stdout.write(line + "\n")


def _exported(path: Path, keys: list[str] | None, settings: Settings) -> list[Head]:
    """The heads in a file, each of which a trusted key must have signed."""
    trusted = {PublicKey(text) for text in keys} if keys else {ledger_key(settings).public}
    with path.open(encoding="utf-8", errors="replace") as lines:
        heads = read_heads(lines, trusted)
    if not heads:
        message = f"{path} has no heads: nothing would be held against it"
        raise typer.BadParameter(message)
    return heads


def _head(text: str) -> Head:
    """A head as `ledger verify` printed it; without a writer, of the one chain that older versions wrote."""
    *writer, count, digest = text.split(":") if ":" in text else ("", "", "", "")
    if len(writer) > 1 or not count.isdecimal() or not HASH.fullmatch(digest):
        message = f"{text!r} is no head: expected WRITER:N:HASH as `ledger verify` printed it"
        raise typer.BadParameter(message)
    return Head(writer[0] if writer else FIRST_WRITER, int(count), digest)
