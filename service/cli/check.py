"""`cleanroom check`: what the guard would say of a text, for operators."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guard.check import GuardQuery
from guard.corpus import read_source
from guard.languages import language_of
from guard.types import Action, Decision
from service.cli.opening import opened_accounts, opened_guard
from service.cli.output import Json, out, print_json
from service.errors import InvalidRequestError
from service.settings import load_settings

if TYPE_CHECKING:
    from guard.check import Guard
    from service.accounts import Accounts
    from service.settings import Settings

LEAK = 3
_COLORS = {Action.ALLOW: "green", Action.CITE: "yellow", Action.BLOCK: "red"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    file: Annotated[Path, typer.Argument(metavar="[FILE|-]", help="The text; '-' is stdin.")] = Path("-"),
    org: Annotated[str | None, typer.Option("--org", help="The organization it would be generated for.")] = None,
    prefix: Annotated[Path | None, typer.Option("--prefix", help="File with the prompt before the text.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="Its language; by default the file's.")] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='Lines {"id","org","text","prefix"?,"language"?} in, decisions out.')
    ] = False,
    *,
    as_json: Json = False,
) -> None:
    """Check a text as if it had been generated for an organization. Exit code 3 if it would be blocked."""
    settings = load_settings()
    if jsonl:
        raise typer.Exit(LEAK if _check_lines(settings, file) else 0)
    if org is None:
        message = "name the organization that the text would be generated for: --org SLUG"
        raise typer.BadParameter(message)
    text = _read(file)
    with opened_accounts(settings) as accounts, opened_guard(settings) as guard:
        policy = accounts.require_organization(org).policy
        decision = guard.check(
            GuardQuery(
                text=text,
                caller=org,
                prefix=_read(prefix) if prefix else "",
                language=language or language_of(file.name),
                policy=policy,
            )
        )
    if as_json:
        print_json(decision.to_json())
    else:
        _show(decision, text)
    raise typer.Exit(LEAK if decision.action is Action.BLOCK else 0)


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    return read_source(file)


def _show(decision: Decision, text: str) -> None:
    color = _COLORS[decision.action]
    out.print(f"[bold {color}]{decision.action.value}[/]  {decision.checked_tokens} tokens, {decision.guard_ms:.1f} ms")
    for match in decision.matches:
        first = text.count("\n", 0, match.start) + 1
        last = text.count("\n", 0, max(match.end - 1, 0)) + 1
        out.print(
            f"  {match.action.value}: lines {first}-{last}, {match.tokens} tokens, "
            f"similarity {match.similarity:.2f}: {match.reason}, in {match.document}",
            markup=False,
        )


def _check_lines(settings: Settings, file: Path) -> bool:
    """Answer a stream of queries, one process for all; a bad line stops it and names its number."""
    leaked = False
    with (
        opened_accounts(settings) as accounts,
        opened_guard(settings) as guard,
        sys.stdin.buffer if str(file) == "-" else file.open("rb") as lines,
    ):
        for number, line in enumerate(lines, 1):
            if line.strip():
                decision = _check_line(accounts, guard, _query(line, number))
                leaked = leaked or decision["action"] == Action.BLOCK
                print_json(decision)
    return leaked


def _query(line: bytes, number: int) -> dict[str, Any]:
    try:
        query = json.loads(line)
    except ValueError:
        query = None
    if not isinstance(query, dict) or not all(isinstance(query.get(name), str) for name in ("org", "text")):
        message = f'line {number} is no query: expected {{"id": ..., "org": "SLUG", "text": "..."}}'
        raise InvalidRequestError(message)
    return query


def _check_line(accounts: Accounts, guard: Guard, query: dict[str, Any]) -> dict[str, Any]:
    decision = guard.check(
        GuardQuery(
            text=query["text"],
            caller=query["org"],
            prefix=query.get("prefix") or "",
            language=query.get("language"),
            policy=accounts.require_organization(query["org"]).policy,
        )
    )
    # Lines are told apart by the caller's own ids, where it gives them.
    return {**decision.to_json(), "id": query.get("id", decision.id)}
