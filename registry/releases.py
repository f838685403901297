"""The releases under a home: published once, whole, and never changed; verified to the byte before they are used.

    HOME/releases/NAME/VERSION/   manifest.json signature.json card.json README.md and the weights
    HOME/releases/.revoked/       what was withdrawn (registry.revocations)

Knows nothing of how a model is judged, loaded or served.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.canonical import canonical, read_canonical
from registry.errors import RegistryError, ReleaseExistsError, ReleaseNotFoundError, UnverifiedError
from registry.manifest import CARD, MANIFEST, SIGNATURE, File, Kind, Manifest, ReleaseName, require_name
from registry.revocations import Revocations
from registry.tree import file_digest, files_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from registry.keys import PublicKey, SigningKey
    from registry.manifest import Base, Parent

PREFIX: Final = "release:"
"""What a model's name begins with where it names a release."""
_PURPOSE: Final = "release manifest 1"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_MOST_BYTES: Final = 16 << 20
"""More than a manifest needs: one file of a release takes some 150 bytes of it."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release as its manifest tells it. `digest` is the hex SHA-256 of the manifest; `signer` None: nobody's word."""

    folder: Path
    manifest: Manifest
    digest: str
    signer: PublicKey | None

    @property
    def name(self) -> ReleaseName:
        """Name and version."""
        return self.manifest.name

    @property
    def label(self) -> str:
        """What decisions are traced by: name, version and the digest of all that is signed."""
        return f"{self.name} sha256:{self.digest}"

    @property
    def weights(self) -> Path:
        """The folder with the model or the adapter."""
        return self.folder / self.manifest.kind.value

    def card(self) -> dict[str, Any]:
        """The model card. Of a release that was not verified it may say anything."""
        try:
            card: dict[str, Any] = json.loads((self.folder / CARD).read_bytes())
        except (OSError, ValueError) as error:
            message = f"{self.folder / CARD} cannot be read ({type(error).__name__}): fetch the release again"
            raise UnverifiedError(message) from error
        return card


class Releases:
    """The releases of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "releases"
        self.revocations = Revocations(self.folder)

    def find(self, text: str) -> ReleaseName:
        """The release that NAME@VERSION names, or NAME, which is the newest; `release:` before it may be there.

        A withdrawn one is found as well: another in its stead would be a model that nobody asked for.

        Raises:
            ReleaseNotFoundError: there is none.
        """
        name, at, version = text.removeprefix(PREFIX).partition("@")
        held = self.versions(require_name(name))
        wanted = (held[-1] if held else None) if not at else next((one for one in held if str(one) == version), None)
        if wanted is None:
            told = f"the versions {', '.join(map(str, held))}" if held else "no release of that name"
            message = f"there is no release {text!r}: {self.folder} has {told} (`cleanroom release list`)"
            raise ReleaseNotFoundError(message)
        return ReleaseName(name, wanted)

    def names(self) -> list[ReleaseName]:
        """Every release, by name and version."""
        if not self.folder.is_dir():
            return []
        folders = sorted(one.name for one in self.folder.iterdir() if one.is_dir() and not one.name.startswith("."))
        return [ReleaseName(name, version) for name in folders for version in self.versions(name)]

    def versions(self, name: str) -> list[int]:
        """The versions of a name, in order."""
        folder = self.folder / name
        if not folder.is_dir():
            return []
        return sorted(int(one.name) for one in folder.iterdir() if _VERSION.fullmatch(one.name))

    def peek(self, name: ReleaseName) -> Release:
        """The release by its manifest alone: neither signature nor files are looked at."""
        return _told(self._place(name), name)

    def verify(self, name: ReleaseName, trusted: Collection[PublicKey], *, unsafe_unsigned: bool = False) -> Release:
        """Hold the release to its signature, every file to the manifest, and the lists of withdrawn ones against it.

        All files are hashed every time: size and times of a file are for anyone to set. With `unsafe_unsigned` nobody
        need have signed; what a trusted key has withdrawn is refused all the same.

        Raises:
            RevokedError: a trusted key has withdrawn it.
            UnverifiedError: no trusted key has signed it, or a file is missing, changed or there without being named.
        """
        folder = self._place(name)
        release = _told(folder, name)
        signer = None if unsafe_unsigned else _signer(release, trusted)
        release = replace(release, signer=signer)
        self.require_standing(release, trusted)
        _hold_files(folder, release.manifest)
        return release

    def require_standing(self, release: Release, trusted: Collection[PublicKey]) -> None:
        """Hold once more that no trusted key has withdrawn a verified release. Reads the lists and no weights.

        Raises:
            RevokedError: one has.
            UnverifiedError: a list is missing, or not what its key has signed.
        """
        self.revocations.require_standing(str(release.name), release.digest, release.signer, trusted)

    def publish(
        self,
        draft: Path,
        name: str,
        kind: Kind,
        key: SigningKey,
        *,
        base: Base | None = None,
        parent: Parent | None = None,
    ) -> Release:
        """Sign what stands in `draft` (`draft_folder` of this name) and make it the next version, whole or not at all.

        Raises:
            ReleaseExistsError: another process took the version meanwhile.
            RegistryError: it cannot be written.
        """
        version = next_version(self.versions(require_name(name)))
        files = {path: File(*file_digest(found)) for path, found in files_of(draft).items()}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(ReleaseName(name, version), created, kind, files, base, parent)
        told = manifest.to_bytes()
        Manifest.from_bytes(told)  # what nobody could read later is refused now
        signature = canonical({"key": str(key.public), "signature": key.sign(_PURPOSE, told)})
        place = self._place(manifest.name)
        try:
            (draft / MANIFEST).write_bytes(told)
            (draft / SIGNATURE).write_bytes(signature)
            _close(draft)
            self.revocations.ensure(key)
            os.rename(draft, place)  # noqa: PTH104 - rename and nothing else: must not copy
            place.chmod(0o555)
        except OSError as error:
            if place.exists():
                message = f"the release {manifest.name} was made meanwhile: run again, for the next version"
                raise ReleaseExistsError(message) from error
            message = f"{place} cannot be written ({error.strerror}): free space, or see who may write there"
            raise RegistryError(message) from error
        return Release(place, manifest, hashlib.sha256(told).hexdigest(), key.public)

    def draft_folder(self, name: str) -> Path:
        """An empty folder to put a release of this name together in; whoever makes it removes it."""
        folder = self.folder / require_name(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
        except OSError as error:
            message = f"{folder} cannot be written ({error.strerror}): see who may write there"
            raise RegistryError(message) from error

    def _place(self, name: ReleaseName) -> Path:
        return self.folder / name.name / str(name.version)


def names_release(model: str | None) -> bool:
    """Whether this is the name of a release and not of a model."""
    return model is not None and model.startswith(PREFIX)


def next_version(held: list[int]) -> int:
    """The version after those that are there."""
    return held[-1] + 1 if held else 1


def discard(draft: Path) -> None:
    """Remove a draft, if it is still there."""
    shutil.rmtree(draft, ignore_errors=True)


def _told(folder: Path, name: ReleaseName) -> Release:
    data = _read(folder / MANIFEST)
    manifest = Manifest.from_bytes(data)
    if manifest.name != name:
        message = f"{folder} holds the release {manifest.name}, not {name}: releases cannot be renamed, fetch it again"
        raise UnverifiedError(message)
    return Release(folder, manifest, hashlib.sha256(data).hexdigest(), None)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): fetch the release again"
        raise UnverifiedError(message) from error
    if len(data) > _MOST_BYTES:
        message = f"{path} has more than {_MOST_BYTES} bytes: do not use this release"
        raise UnverifiedError(message)
    return data


def _signer(release: Release, trusted: Collection[PublicKey]) -> PublicKey:
    """The trusted key that has signed the manifest, or UnverifiedError."""
    path = release.folder / SIGNATURE
    value: Mapping[str, object] = read_canonical(_read(path), str(path))
    if not isinstance(value, dict) or value.keys() != {"key", "signature"}:
        message = f"{path} is no signature: fetch the release again"
        raise UnverifiedError(message)
    key = next((one for one in trusted if str(one) == value["key"]), None)
    if key is None:
        message = (
            f"the release {release.name} is signed by {value['key']}, which is not trusted here: if it should be, put "
            "it into CLEANROOM_RELEASE_KEYS or the file release-keys of the home"
        )
        raise UnverifiedError(message)
    if not isinstance(value["signature"], str) or not key.signed(
        _PURPOSE, release.manifest.to_bytes(), value["signature"]
    ):
        message = f"the release {release.name} is not as {key} has signed it: do not use it, fetch it again"
        raise UnverifiedError(message)
    return key


def _hold_files(folder: Path, manifest: Manifest) -> None:
    """Hold the files to the manifest: all that it names, as it names them, and nothing else."""
    found = files_of(folder)
    named = manifest.files.keys() | {MANIFEST, SIGNATURE}
    # The signature was read before, or is not asked for.
    problems = {
        "lacks the file": named - found.keys() - {SIGNATURE},
        "has a file that nobody signed,": found.keys() - named,
    }
    for problem, paths in problems.items():
        if paths:
            message = f"the release {manifest.name} {problem} {min(paths)}: do not use it, fetch it again"
            raise UnverifiedError(message)
    for path, file in manifest.files.items():
        # Sizes first: they cost nothing, and a truncated file is the usual damage.
        if found[path].lstat().st_size != file.size or file_digest(found[path]) != (file.sha256, file.size):
            message = f"the file {path} of the release {manifest.name} is not as it was signed: fetch the release again"
            raise UnverifiedError(message)


def _close(folder: Path) -> None:
    """Take the right to write from all that is in the folder, so that nobody changes a release by accident."""
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o755)
