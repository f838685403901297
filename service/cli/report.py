"""`cleanroom report`: a period of the ledger as a page for people who would rather look than query."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from service.cli.opening import opened_accounts, opened_ledger, opened_reviews
from service.cli.output import Json, err, print_json, say
from service.errors import SetupError
from service.review.report import render
from service.review.viewer import Viewer
from service.settings import load_settings

DAYS = 30


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help=f"First day or time. Default: {DAYS} days ago."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Its end, not included.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File for the page, which has names in it. Default: stdout.")
    ] = None,
    org: Annotated[str | None, typer.Option("--org", help="As this organization's reviewers see it.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the leaks that were stopped in a period, as one self-contained page with plots and tables."""
    end = _moment(until, "--to") if until else datetime.now(UTC)
    begin = _moment(since, "--from") if since else end - timedelta(days=DAYS)
    settings = load_settings()
    if org is not None:
        with opened_accounts(settings) as accounts:
            accounts.require_organization(org)
    viewer = Viewer(org or "operator", "", admin=org is None, identities=settings.review_identities)
    with opened_ledger(settings) as ledger, opened_reviews(settings, ledger) as reviews:
        heads = ledger.heads()
        with err.status("counting"):
            summary = reviews.summary(viewer, begin, end)
    if as_json:
        print_json(summary.to_json())
        return
    whose = "the operator" if org is None else f"reviewers of {org}"
    page = render(summary, whose=whose, made=datetime.now(UTC), heads=[str(head) for head in heads])
    if out is None:
        typer.echo(page)
    else:
        _write(out, page)
        say(f"{summary.leaks} leaks from {begin:%Y-%m-%d} to {end:%Y-%m-%d}: {out}")


def _moment(text: str, option: str) -> datetime:
    """A day or time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{option} {text!r} is no time: write it as 2026-09-01 or 2026-09-01T12:00:00Z"
        raise typer.BadParameter(message) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _write(path: Path, page: str) -> None:
    """Write a file whole or not at all, for its owner alone. Raises SetupError."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page)
        Path(name).replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _unwritable(path: Path, error: OSError) -> SetupError:
    message = f"{path} cannot be written ({error.strerror}): name another file with --out"
    return SetupError(message)
