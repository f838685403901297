"""`cleanroom index`: code into the index and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard import license_scan
from guard.audit import verify
from guard.commons import add_standard_library
from guard.ingest import IngestReport, ingest
from guard.inventory import statistics
from guard.licenses import normalize
from guard.tree import Tree
from guard.types import Owner
from guard.withdrawal import withdraw, withdraw_expired
from service.cli import remote
from service.cli.opening import index_address, opened_accounts
from service.cli.output import Json, err, ingest_progress, moment, print_json, print_table, say
from service.cli.remote import HashPaths, Key, Server
from service.errors import SetupError
from service.settings import load_settings

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer(help="The index: add, update, withdraw and inspect code.", no_args_is_help=True)

AUTO = "auto"
UNITS = {"d": 86_400, "h": 3_600, "m": 60}
MOST_UNITS = 100_000
Org = Annotated[str | None, typer.Option("--org", help="Private code of this organization.")]
Commons = Annotated[bool, typer.Option("--commons", help="Code that is nobody's secret.")]
License = Annotated[
    str | None, typer.Option("--license", metavar="SPDX|auto", help="Public code under this licence; auto finds it.")
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Name of the licensed or commons corpus; with --org, of the tree: for two whose folders have one name.",
    ),
]
Ttl = Annotated[
    str | None,
    typer.Option("--ttl", metavar="90d|12h|30m", help="For how long the owner's code counts, from this run on."),
]
Scancode = Annotated[
    bool, typer.Option("--scancode", help="With --license auto: ask scancode-toolkit where nothing else finds one.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Processes that read and digest; 0 for one a core.")]
Paths = Annotated[list[Path], typer.Argument(help="Source trees or files.")]


@app.command()
def add(  # noqa: PLR0913 - each is an option of the command line
    paths: Paths,
    org: Org = None,
    commons: Commons = False,
    license_: License = None,
    name: Name = None,
    jobs: Jobs = 0,
    *,
    scancode: Scancode = False,
    ttl: Ttl = None,
    server: Server = None,
    key: Key = None,
    hash_paths: HashPaths = False,
    as_json: Json = False,
) -> None:
    """Add or update the code below PATHS. Interrupted, it is simply run again."""
    seconds = _seconds(ttl)
    operators = commons or license_ is not None or scancode
    if to := remote.destination(server, key, org, hash_paths=hash_paths, operators=operators):
        _show(remote.send_trees(to, paths, _tree_name(name), jobs, ttl=seconds), as_json=as_json)
        return
    settings = load_settings()
    _require_one_owner(org, license_, commons=commons)
    _require_scancode(license_, scancode=scancode)
    if org is not None and name is not None and len(paths) > 1:
        message = "--name with --org names one tree: give one path"
        raise typer.BadParameter(message)
    _require_organization(settings, org)
    trees = [_tree(path, org, license_, name, scan=scancode) for path in paths]
    _ingest_all(settings, trees, jobs, prune=False, ttl=seconds, as_json=as_json)


@app.command()
def sync(  # noqa: PLR0913 - as above
    path: Annotated[Path, typer.Argument(help="The source tree.")],
    org: Annotated[str | None, typer.Option("--org", help="The organization whose code it is.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The tree's name, if `index add` was given one.")] = None,
    jobs: Jobs = 0,
    *,
    ttl: Ttl = None,
    server: Server = None,
    key: Key = None,
    hash_paths: HashPaths = False,
    as_json: Json = False,
) -> None:
    """Make the index hold what the tree holds: add, update, and remove what is gone from it.

    A file that is there and can no longer be read (its mode, size or encoding) stays protected as it was.
    """
    seconds = _seconds(ttl)
    if to := remote.destination(server, key, org, hash_paths=hash_paths):
        _show(remote.send_trees(to, [path], _tree_name(name), jobs, prune=True, ttl=seconds), as_json=as_json)
        return
    if org is None:
        message = "name the organization whose code it is: --org SLUG"
        raise typer.BadParameter(message)
    settings = load_settings()
    _require_organization(settings, org)
    _ingest_all(settings, [_tree(path, org, None, name)], jobs, prune=True, ttl=seconds, as_json=as_json)


@app.command()
def sweep(*, as_json: Json = False) -> None:
    """Withdraw the code of owners whose time (--ttl) is over, and finish withdrawals that were interrupted."""
    with index_address(load_settings()).opened() as (index, _):
        owners = withdraw_expired(index)
    if as_json:
        print_json({"withdrawn": [str(owner) for owner in owners]})
    else:
        say(f"withdrawn: {', '.join(map(str, owners)) or 'nobody'}")


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
    server: Server = None,
    key: Key = None,
    hash_paths: HashPaths = False,
    as_json: Json = False,
) -> None:
    """Withdraw an owner's code. The guard forgets it at once."""
    if to := remote.destination(server, key, org, hash_paths=hash_paths, operators=owner is not None):
        _show_removed(*remote.withdraw(to, path), as_json=as_json)
        return
    if (org is None) == (owner is None):
        message = "name whose code to remove: --org SLUG or --owner OWNER"
        raise typer.BadParameter(message)
    whose = Owner.organization(org) if org is not None else Owner.parse(owner or "")
    with index_address(load_settings()).opened() as (index, _):
        removed = withdraw(index, whose, path)
    _show_removed(whose, removed, as_json=as_json)


@app.command()
def stats(*, server: Server = None, key: Key = None, as_json: Json = False) -> None:
    """Show whose code the index holds, and how much."""
    if to := remote.destination(server, key, None, hash_paths=False):
        remote.show_statistics(to, as_json=as_json)
        return
    with index_address(load_settings()).opened() as (index, _):
        numbers = statistics(index)
    if as_json:
        print_json(numbers.to_json())
        return
    print_table(
        ("owner", "documents", "tokens", "fragments", "expires"),
        ((each.owner, each.documents, each.tokens, each.fragments, moment(each.expires)) for each in numbers.owners),
    )
    say(f"index version {numbers.version}, {numbers.memory / 1e6:.1f} MB in the store")


app.command()(remote.names)


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


def _require_one_owner(org: str | None, license_: str | None, *, commons: bool) -> None:
    if sum((org is not None, commons, license_ is not None)) != 1:
        message = "say whose code it is: --org SLUG, --commons, or --license SPDX|auto (with --name)"
        raise typer.BadParameter(message)


def _require_scancode(license_: str | None, *, scancode: bool) -> None:
    if not scancode:
        return
    if license_ != AUTO:
        message = "--scancode looks for licences: it goes with --license auto, for code whose licence is not known"
        raise typer.BadParameter(message)
    if complaint := license_scan.complaint():
        raise SetupError(complaint)


def _seconds(ttl: str | None) -> int | None:
    """The seconds that 90d, 12h or 30m stand for."""
    if ttl is None:
        return None
    number, unit = ttl[:-1], ttl[-1:]
    if unit not in UNITS or not number.isdecimal() or not 0 < int(number) <= MOST_UNITS:
        message = f"--ttl {ttl} is no time: give a whole number of days, hours or minutes, such as 90d, 12h or 30m"
        raise typer.BadParameter(message)
    return int(number) * UNITS[unit]


def _require_organization(settings: Settings, org: str | None) -> None:
    if org is not None:
        with opened_accounts(settings) as accounts:
            accounts.require_organization(org)


def _tree(path: Path, org: str | None, license_: str | None, name: str | None, *, scan: bool = False) -> Tree:
    if org is not None:
        return Tree(path, Owner.organization(org), name=_tree_name(name))
    name = name or path.resolve().name.lower()
    if license_ is None:
        return Tree(path, Owner.commons(name))
    if license_ == AUTO:
        return Tree.with_detected_licenses(path, name, scan=scan)
    return Tree(path, Owner.licensed(name, normalize(license_)))


def _tree_name(name: str | None) -> str:
    if name is not None and (not name.strip("/ .") or "/" in name):
        message = f"--name {name!r} cannot begin a path: give a folder's name without '/'"
        raise typer.BadParameter(message)
    return name or ""


def _ingest_all(
    settings: Settings, trees: list[Tree], jobs: int, *, prune: bool, ttl: float | None, as_json: bool
) -> None:
    address = index_address(settings)
    reports = []
    for tree in trees:
        with ingest_progress(tree.name or tree.root.name or str(tree.root)) as progress:
            report = ingest(address, tree, jobs=jobs, prune=prune, ttl=ttl, progress=progress)
            reports.append((str(tree.root), report))
    _show(reports, as_json=as_json)


def _show_removed(whose: Owner, removed: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"owner": str(whose), "removed": removed})
    else:
        say(f"removed {removed} documents of {whose}")


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
