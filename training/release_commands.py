"""`cleanroom release`: models let out by a consortium, signed. Knows what people type, and nothing of how it is done.

Exit codes: 0 done, 1 failed, 3 the model is refused, or a release is not what was signed.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.errors import RegistryError, UnverifiedError
from registry.keys import load_key, make_key
from registry.releases import Releases
from registry.surroundings import surroundings
from training.errors import RefusedReleaseError, TrainingError
from training.exports import Form, export
from training.gate import Submission, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.releases import Release

REFUSED = 3
app = typer.Typer()
release = typer.Typer(
    help="Releases: models that kept to the consortium's thresholds, signed and served by name.", no_args_is_help=True
)
app.add_typer(release, name="release")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on stdout.")]
Key = Annotated[Path, typer.Option("--key", envvar="CLEANROOM_SIGNING_KEY", help="File with the signing key.")]
Name = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A release; without a version the newest.")]


@contextmanager
def _complaining() -> Iterator[None]:
    try:
        yield
    except (TrainingError, RegistryError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(REFUSED if isinstance(error, RefusedReleaseError | UnverifiedError) else 1)


def _say(message: str) -> None:
    typer.echo(message, err=True)


@release.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="File to write the signing key to; it must not exist.")],
) -> None:
    """Make a signing key. Prints the public key, which those who serve put into CLEANROOM_RELEASE_KEYS."""
    with _complaining():
        typer.echo(str(make_key(path).public))


@release.command("create")
def create_(  # noqa: PLR0913, PLR0917 - one option each
    run: Annotated[Path, typer.Argument(help="Run folder that `cleanroom train` wrote.")],
    name: Annotated[str, typer.Option("--name", help="What the release is called; versions count up.")],
    thresholds: Annotated[Path, typer.Option("--thresholds", help="What the consortium asks of it (TOML).")],
    measurements: Annotated[
        list[Path], typer.Option("--measurements", help="What was measured of it (JSON); may be given several times.")
    ],
    key: Key,
    base: Annotated[Path | None, typer.Option("--base", help="Folder of the base model of an adapter.")] = None,
    base_gguf: Annotated[Path | None, typer.Option("--base-gguf", help="The same base for llama.cpp.")] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", help="Release that training went on from; else what the run says.")
    ] = None,
    compartment: Annotated[
        str | None, typer.Option("--compartment", help="Of a compartmentalized run, the organization whose adapter.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Release a run that keeps to the thresholds; refuse one that does not, and say by how much."""
    with _complaining():
        place = surroundings()
        submission = Submission(run, name, thresholds, measurements, base, base_gguf, parent, compartment)
        made = create(submission, Releases(place.home), load_key(key), place.trusted(), _say)
        typer.echo(json.dumps(_fields(made)) if as_json else f"released {made.label}")


@release.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the releases, without verifying them."""
    with _complaining():
        place = surroundings()
        releases = Releases(place.home)
        found = [releases.peek(name) for name in releases.names()]
        if as_json:
            typer.echo(json.dumps([_fields(one) for one in found]))
            return
        for one in found:
            typer.echo(f"{one.name!s:<32} {one.manifest.created}  {one.manifest.kind.value:<8} {one.digest[:16]}")


@release.command()
def show(name: Name, *, as_json: Json = False) -> None:
    """Show the card of a release, without verifying it."""
    with _complaining():
        releases = Releases(surroundings().home)
        found = releases.peek(releases.find(name))
        readme = found.folder / "README.md"
        if as_json or not readme.is_file():
            typer.echo(json.dumps(_fields(found) | {"card": found.card()}, indent=2, ensure_ascii=False))
        else:
            typer.echo(readme.read_text(encoding="utf-8"))


@release.command()
def verify(name: Name, *, as_json: Json = False) -> None:
    """Hold a release to its signature, every file to the manifest, and ask whether it was withdrawn."""
    with _complaining():
        place = surroundings()
        releases = Releases(place.home)
        found = releases.verify(releases.find(name), place.trusted())
        typer.echo(json.dumps(_fields(found)) if as_json else f"sound: {found.label}, signed by {found.signer}")


@release.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The release to withdraw.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who run it.")],
    key: Key,
) -> None:
    """Withdraw a release for good. Services that run it stop answering as soon as they have the list."""
    with _complaining():
        releases = Releases(surroundings().home)
        if "@" not in name:
            message = f"{name!r} names no version: say which is withdrawn, as in {name}@1"
            raise RegistryError(message)
        found = releases.peek(releases.find(name))
        told = releases.revocations.add(load_key(key), str(found.name), found.digest, reason)
        typer.echo(f"withdrew {found.label}: list {told.number} of {told.key}")


@release.command("export")
def export_(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="Folder, or for gguf file, to write; it must not exist.")],
    form: Annotated[
        Form,
        typer.Option(help="merged: one checkpoint; adapter: LoRA for vLLM or peft; gguf: LoRA for llama.cpp."),
    ] = Form.MERGED,
    base: Annotated[Path | None, typer.Option("--base", help="Folder of the base model, for merged.")] = None,
) -> None:
    """Write a verified release in another form. What is written is not signed."""
    with _complaining():
        place = surroundings()
        releases = Releases(place.home)
        export(releases.verify(releases.find(name), place.trusted()), form, out, base)
        typer.echo(f"written to {out}; it is not signed: Cleanroom traces leaks of releases alone")


def _fields(found: Release) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "name": found.name.name,
        "version": found.name.version,
        "manifest_sha256": found.digest,
        "created": manifest.created,
        "kind": manifest.kind.value,
        "base": manifest.base.name if manifest.base else None,
        "parent": manifest.parent.release if manifest.parent else None,
        "bytes": sum(file.size for file in manifest.files.values()),
    }
