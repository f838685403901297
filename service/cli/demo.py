"""`cleanroom demo`: from nothing to a guarded completion over real organizations' code."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_data_path

from guard.ingest import ingest
from guard.tree import Tree
from guard.types import Owner
from service.accounts import Accounts, Scope
from service.cli.asking import asked_meanwhile
from service.cli.opening import engine_of, index_address, opened_accounts
from service.cli.output import ingest_progress, out, say
from service.cli.serve import ensure_commons, serve_settings
from service.demo import EVERYBODYS, IDIOM, ORGANIZATIONS, QUESTIONS, RESTRICTED, Project, fetch
from service.demo_model import with_demo_model
from service.errors import SetupError
from service.server import claim_port
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    from guard.ingest import IndexAddress

FOLDER = "demo"
CALLER = ORGANIZATIONS[0].slug


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
    *,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve when everything is set up.")] = True,
) -> None:
    """Set up three real organizations' code and a model trained on it, serve, and show what the guard lets out."""
    settings = load_settings(port=port)
    # What would stop the last step is found before the long ones.
    claim_port(settings.host, settings.port).close()
    folder = settings.home / FOLDER
    with opened_accounts(settings) as accounts:
        _require_demo_home(accounts, settings)
        settings = with_demo_model(settings)
        engine_of(settings)
        trees = fetch((*ORGANIZATIONS, RESTRICTED), folder / "projects", say)
        ensure_commons(settings)
        _index(index_address(settings), trees)
        keys = _accounts(accounts, folder)
    idiom = folder / "idiom.py"
    idiom.write_text(IDIOM, encoding="utf-8")
    _show_next_steps(settings, trees, idiom, keys[CALLER])
    if serve:
        asked = (*(question.of(trees) for question in QUESTIONS), EVERYBODYS)
        with asked_meanwhile(settings, asked, keys):
            serve_settings(settings)


def _require_demo_home(accounts: Accounts, settings: Settings) -> None:
    others = {each.slug for each in accounts.organizations()} - {project.slug for project in ORGANIZATIONS}
    if others:
        message = (
            f"{settings.home} has organizations of its own ({', '.join(sorted(others))}): set CLEANROOM_HOME to an "
            "empty directory for the demonstration"
        )
        raise SetupError(message)


def _index(address: IndexAddress, trees: dict[Project, Path]) -> None:
    for project, tree in trees.items():
        for part in project.parts:
            source = (
                Tree.with_detected_licenses(tree, project.slug)
                if project is RESTRICTED
                else Tree(tree / part, Owner.organization(project.slug), name=part)
            )
            label = f"{project.slug} ({part})" if part else project.slug
            with ingest_progress(label) as progress:
                report = ingest(address, source, progress=progress)
            say(f"indexed {label}: {report.added} files added, {report.unchanged} unchanged")


def _accounts(accounts: Accounts, folder: Path) -> dict[str, Path]:
    """Add the organizations and a key for each; the demonstration keeps its keys in files, which nobody else should."""
    known = {each.slug for each in accounts.organizations()}
    keys = {project.slug: folder / f"{project.slug}.key" for project in ORGANIZATIONS}
    for slug, path in keys.items():
        if slug not in known:
            accounts.add_organization(slug)
        if not path.exists():
            _, secret = accounts.create_key(slug, frozenset({Scope.COMPLETE}), "demonstration")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secret)
    return keys


def _command(settings: Settings) -> str:
    """How this very command is called from the user's shell, with the home that it worked in."""
    called = "cleanroom" if shutil.which("cleanroom") else str(Path(sys.argv[0]).absolute())
    if settings.home != user_data_path("cleanroom"):
        return f"CLEANROOM_HOME={shlex.quote(str(settings.home))} {called}"
    return called


def _show_next_steps(settings: Settings, trees: dict[Project, Path], idiom: Path, key_file: Path) -> None:
    base = f"http://{settings.host}:{settings.port}/v1"
    own, other = ORGANIZATIONS[0], ORGANIZATIONS[1]
    command = _command(settings)
    out.print(
        f"""
A completion for {CALLER}:

  curl -s {base}/completions -H "Authorization: Bearer $(cat {key_file})" \\
    -H "Content-Type: application/json" -d '{{"prompt": "def fibonacci(n):\\n", "max_tokens": 48}}'

The same from Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url="{base}", api_key=open("{key_file}").read())
  model = client.models.list().data[0].id
  answer = client.completions.create(model=model, prompt="def fibonacci(n):\\n", max_tokens=48)
  print(answer.choices[0].text)

What the guard says of files, as if a model had written them for {CALLER}:

  {command} check --org {CALLER} {trees[other] / other.sample}
    blocked: private code of {other.slug}
  {command} check --org {CALLER} {trees[own] / own.sample}
    allowed: its own code
  {command} check --org {CALLER} {trees[RESTRICTED] / RESTRICTED.sample}
    blocked: GPL-2.0-or-later
  {command} check --org {CALLER} {idiom}
    allowed: what everybody writes

Every decision, and the model that wrote what was decided on:

  {command} ledger list

The same for those who look, at {base.removesuffix("/v1")}/console; sign in with the key that this shows:

  {command} key create --org {other.slug} --scope review
""",
        markup=False,
    )
