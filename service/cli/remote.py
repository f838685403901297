"""`cleanroom index ... --server`: an organization's own code into and out of an index elsewhere, as fingerprints.

The options, and what they mean together; the work is service.sending's and service.remote's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guard.corpus import list_files
from guard.skips import Skipped
from guard.types import Owner, require_slug
from service.cli.opening import shared_index_key
from service.cli.output import Json, ingest_progress, moment, print_json, print_table
from service.errors import SetupError
from service.path_names import PathNames, SentTree
from service.remote import RemoteIndex
from service.sending import send
from service.settings import load_settings

if TYPE_CHECKING:
    from guard.ingest import IngestReport
    from guard.secret import IndexKey
    from service.index_schemas import IndexStamp

KEY_VARIABLE = "CLEANROOM_API_KEY"

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Send fingerprints to this Cleanroom server; code stays here."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", envvar=KEY_VARIABLE, show_default=False, help="API key for --server, of scope index."
    ),
]
HashPaths = Annotated[bool, typer.Option("--hash-paths", help="With --server: send hashes for documents' names.")]


@dataclass(frozen=True, slots=True)
class Destination:
    """A server, and whose documents go there under which names. `org`: who the key is expected to be of, if said."""

    server: str
    key: str
    org: str | None
    hash_paths: bool


def destination(
    server: str | None, key: str | None, org: str | None, *, hash_paths: bool, operators: bool = False
) -> Destination | None:
    """Where the options send to; None without --server. `operators`: whether one of them is its operator's alone."""
    if server is None:
        if hash_paths:
            message = "--hash-paths goes with --server: an index of one's own shows its reviewers the paths"
            raise typer.BadParameter(message)
        return None
    if operators:
        message = (
            "--server takes the code of the key's own organization: --commons, --license, --scancode and --owner are "
            "its operator's, who runs `cleanroom index` beside the store"
        )
        raise typer.BadParameter(message)
    if not key:
        message = f"--server asks for an API key of scope index: set {KEY_VARIABLE}, or give --key"
        raise typer.BadParameter(message)
    return Destination(server, key, org, hash_paths)


def send_trees(
    to: Destination, paths: list[Path], name: str, jobs: int, *, prune: bool = False, ttl: int | None = None
) -> list[tuple[str, IngestReport]]:
    """Send what is new of some trees; with `prune`, also withdraw what is gone from them.

    `name`: as of a Tree. `jobs`, `ttl`: as of `send`.
    """
    if name and len(paths) > 1:
        message = "--name names one tree: give one path"
        raise typer.BadParameter(message)
    index_key = shared_index_key(load_settings())
    reports = []
    with RemoteIndex(to.server, to.key) as remote:
        stamp = _required(remote, index_key, to)
        names = PathNames.of(index_key, stamp.org)
        for path in paths:
            tree = SentTree(path, Owner.organization(stamp.org), name=name, names=names, hidden=to.hash_paths)
            with ingest_progress(name or path.name or str(path)) as progress:
                report = send(remote, index_key, tree, jobs=jobs, prune=prune, ttl=ttl, progress=progress)
            reports.append((str(path), report))
    return reports


def withdraw(to: Destination, prefix: str) -> tuple[Owner, int]:
    """Withdraw what stands below `prefix` at the server; answer whose it was and how many documents.

    Hashed names can be told by their tree's name or their whole path only.
    """
    with RemoteIndex(to.server, to.key) as remote:
        if not (to.hash_paths and prefix):
            org = remote.stamp().org
            _require_organization(org, to)
            return Owner.organization(org), remote.withdraw(prefix)
        index_key = shared_index_key(load_settings())
        org = _required(remote, index_key, to).org
        names = PathNames.of(index_key, org)
        removed = remote.remove([names.document(prefix)])
        return Owner.organization(org), removed + remote.withdraw(names.tree(prefix.rstrip("/")))


def show_statistics(to: Destination, *, as_json: bool) -> None:
    """Show how much the server holds of the key's organization."""
    with RemoteIndex(to.server, to.key) as remote:
        numbers = remote.statistics()
    if as_json:
        print_json(numbers.model_dump())
    else:
        shown = {**numbers.model_dump(), "expires": moment(numbers.expires)}
        print_table(shown.keys(), [shown.values()])


def names(
    path: Annotated[Path, typer.Argument(help="The source tree.")],
    org: Annotated[str, typer.Option("--org", help="The organization whose code it is.")],
    name: Annotated[str, typer.Option("--name", help="The tree's name, if `index add` was given one.")] = "",
    *,
    as_json: Json = False,
) -> None:
    """Show under which hashed names the files of a tree stand in an index, to look up what a review names."""
    path_names = PathNames.of(shared_index_key(load_settings()), require_slug(org))
    tree = SentTree(path, Owner.organization(org), name=name, names=path_names, hidden=True)
    rows = [(tree.path_of(file.path), file.path) for file in list_files(path) if not isinstance(file, Skipped)]
    if as_json:
        print_json(dict(rows))
    else:
        print_table(("name", "file"), rows)


def _required(remote: RemoteIndex, index_key: IndexKey, to: Destination) -> IndexStamp:
    """The server's stamp, which agrees with this machine's key and with the organization that was named."""
    stamp = remote.require(index_key)
    _require_organization(stamp.org, to)
    return stamp


def _require_organization(org: str, to: Destination) -> None:
    if to.org not in {None, org}:
        message = f"the API key is of organization {org!r}, not {to.org!r}: use a key of {to.org!r}, or leave out --org"
        raise SetupError(message)
