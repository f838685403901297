"""`cleanroom index`: code into the index and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.audit import verify
from guard.commons import add_standard_library
from guard.ingest import IngestReport, ingest
from guard.inventory import statistics
from guard.licenses import normalize
from guard.tree import Tree
from guard.types import Owner
from guard.withdrawal import withdraw
from service.cli.opening import index_address, opened_accounts
from service.cli.output import Json, err, ingest_progress, print_json, print_table, say
from service.settings import load_settings

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer(help="The index: add, update, withdraw and inspect code.", no_args_is_help=True)

AUTO = "auto"
Org = Annotated[str | None, typer.Option("--org", help="Private code of this organization.")]
Commons = Annotated[bool, typer.Option("--commons", help="Code that is nobody's secret.")]
License = Annotated[
    str | None, typer.Option("--license", metavar="SPDX|auto", help="Public code under this licence; auto finds it.")
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the licensed or commons corpus.")]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Worker processes; 0 for one a core.")]
Paths = Annotated[list[Path], typer.Argument(help="Source trees or files.")]


@app.command()
def add(
    paths: Paths,
    org: Org = None,
    commons: Commons = False,
    license_: License = None,
    name: Name = None,
    jobs: Jobs = 0,
    *,
    as_json: Json = False,
) -> None:
    """Add or update the code below PATHS. Interrupted, it is simply run again."""
    settings = load_settings()
    _require_one_owner(org, license_, name, commons=commons)
    _require_organization(settings, org)
    trees = [_tree(path, org, license_, name or path.resolve().name.lower()) for path in paths]
    _ingest_all(settings, trees, jobs, prune=False, as_json=as_json)


@app.command()
def sync(
    path: Annotated[Path, typer.Argument(help="The source tree.")],
    org: Annotated[str, typer.Option("--org", help="The organization whose code it is.")],
    jobs: Jobs = 0,
    *,
    as_json: Json = False,
) -> None:
    """Make the index hold what the tree holds: add, update, and remove what is gone from it."""
    settings = load_settings()
    _require_organization(settings, org)
    _ingest_all(settings, [Tree(path, Owner.organization(org))], jobs, prune=True, as_json=as_json)


@app.command()
def commons(jobs: Jobs = 0, *, as_json: Json = False) -> None:
    """Index the running Python's standard library as commons, as the first start does by itself."""
    with ingest_progress("standard library") as progress:
        report = add_standard_library(index_address(load_settings()), jobs=jobs, progress=progress)
    _show([("standard library", report)], as_json=as_json)


@app.command()
def remove(
    org: Annotated[str | None, typer.Option("--org", help="The organization.")] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", help="Any owner, as `index stats` names it, such as license:NAME:SPDX.")
    ] = None,
    path: Annotated[str, typer.Option("--path", help="Only documents whose path starts with this.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Withdraw an owner's code. The guard forgets it at once."""
    if (org is None) == (owner is None):
        message = "name whose code to remove: --org SLUG or --owner OWNER"
        raise typer.BadParameter(message)
    whose = Owner.organization(org) if org is not None else Owner.parse(owner or "")
    with index_address(load_settings()).opened() as (index, _):
        removed = withdraw(index, whose, path)
    if as_json:
        print_json({"owner": str(whose), "removed": removed})
    else:
        say(f"removed {removed} documents of {whose}")


@app.command()
def stats(*, as_json: Json = False) -> None:
    """Show whose code the index holds, and how much."""
    with index_address(load_settings()).opened() as (index, _):
        numbers = statistics(index)
    if as_json:
        print_json(numbers.to_json())
        return
    print_table(
        ("owner", "documents", "tokens", "fragments"),
        ((each.owner, each.documents, each.tokens, each.fragments) for each in numbers.owners),
    )
    say(f"index version {numbers.version}, {numbers.memory / 1e6:.1f} MB in the store")


@app.command("verify")
def verify_(
    mend: Annotated[bool, typer.Option("--mend", help="Also mend what can be mended.")] = False,
    *,
    as_json: Json = False,
) -> None:
    """Look for postings without documents and documents without postings. Exit code 3 if any are left."""
    with index_address(load_settings()).opened() as (index, _):
        report = verify(index, mend=mend)
    if as_json:
        print_json(report.to_json())
    else:
        print_table(("finding", "count"), report.findings())
    if not report.sound:
        say("run `cleanroom index verify --mend`, then `index add` or `index sync` the trees again" if not mend else "")
        raise typer.Exit(3)


def _require_one_owner(org: str | None, license_: str | None, name: str | None, *, commons: bool) -> None:
    if sum((org is not None, commons, license_ is not None)) != 1:
        message = "say whose code it is: --org SLUG, --commons, or --license SPDX|auto (with --name)"
        raise typer.BadParameter(message)
    if org is not None and name is not None:
        message = "--name goes with --license and --commons; private code is named by its organization"
        raise typer.BadParameter(message)


def _require_organization(settings: Settings, org: str | None) -> None:
    if org is not None:
        with opened_accounts(settings) as accounts:
            accounts.require_organization(org)


def _tree(path: Path, org: str | None, license_: str | None, name: str) -> Tree:
    if org is not None:
        return Tree(path, Owner.organization(org))
    if license_ is None:
        return Tree(path, Owner.commons(name))
    if license_ == AUTO:
        return Tree.with_detected_licenses(path, name)
    return Tree(path, Owner.licensed(name, normalize(license_)))


def _ingest_all(settings: Settings, trees: list[Tree], jobs: int, *, prune: bool, as_json: bool) -> None:
    address = index_address(settings)
    reports = []
    for tree in trees:
        with ingest_progress(tree.root.name or str(tree.root)) as progress:
            reports.append((str(tree.root), ingest(address, tree, jobs=jobs, prune=prune, progress=progress)))
    _show(reports, as_json=as_json)


def _show(reports: list[tuple[str, IngestReport]], *, as_json: bool) -> None:
    if as_json:
        print_json([{"path": path, **report.to_json()} for path, report in reports])
        return
    print_table(
        ("path", "added", "unchanged", "removed", "tokens", "fragments", "MB/s", "skipped", "licences"),
        (
            (
                path,
                r.added,
                r.unchanged,
                r.removed,
                r.tokens,
                r.fragments,
                f"{r.size / 1e6 / max(r.seconds, 1e-9):.1f}",
                ", ".join(f"{count} {reason.value}" for reason, count in r.skipped.most_common()),
                ", ".join(f"{count} {license_}" for license_, count in r.licenses.most_common()),
            )
            for path, r in reports
        ),
    )
    if not any(r.added or r.unchanged for _, r in reports):
        err.print("[yellow]no source file was found there[/]")
