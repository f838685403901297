"""What has been withdrawn: for each signing key a signed list under the releases. Knows nothing of a release's files.

A list names releases by the digest of their manifest, so that no other name brings one back. A key's list is there from
its first release on, and one that is missing is refused like a broken one: else whoever can delete a file could undo a
withdrawal. Whoever may write there can still bring back an older list; its number tells.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from registry.canonical import canonical, read_canonical
from registry.errors import RegistryError, RevokedError, UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from registry.keys import PublicKey, SigningKey

FORMAT: Final = 1
FOLDER: Final = ".revoked"
_PURPOSE: Final = "revocations 1"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Revocation:
    """One release withdrawn: its name for people, the digest of its manifest, why, and when (ISO 8601, UTC)."""

    release: str
    manifest_sha256: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class RevocationList:
    """All that one key has withdrawn. `number` rises with every change."""

    key: PublicKey
    number: int
    revoked: tuple[Revocation, ...]

    def to_json(self) -> dict[str, Any]:
        """What is signed."""
        return {
            "format": FORMAT,
            "key": str(self.key),
            "number": self.number,
            "revoked": [asdict(one) for one in self.revoked],
        }


class Revocations:
    """The lists under one folder of releases."""

    def __init__(self, releases: Path) -> None:
        self._folder = releases / FOLDER

    def ensure(self, key: SigningKey) -> None:
        """Begin the key's list if it has none."""
        if not self._file(key.public).exists():
            self._write(key, RevocationList(key.public, 1, ()))

    def add(self, key: SigningKey, release: str, manifest_sha256: str, reason: str) -> RevocationList:
        """Withdraw a release with this key; once withdrawn it stays so.

        Raises:
            UnverifiedError: the list as it stands is not what the key has signed.
            RegistryError: it cannot be written.
        """
        self.ensure(key)
        held = self.read(key.public)
        if any(one.manifest_sha256 == manifest_sha256 for one in held.revoked):
            return held
        at = datetime.now(UTC).isoformat(timespec="seconds")
        one = Revocation(release, manifest_sha256, reason, at)
        grown = RevocationList(key.public, held.number + 1, (*held.revoked, one))
        self._write(key, grown)
        return grown

    def read(self, key: PublicKey) -> RevocationList:
        """The list of `key`.

        Raises:
            UnverifiedError: it is not there, or not what the key has signed.
        """
        path = self._file(key)
        try:
            data = path.read_bytes()
        except OSError as error:
            message = (
                f"the list of releases that {key} has withdrawn cannot be read ({path}, {error.strerror}): copy it "
                "from where the release is from"
            )
            raise UnverifiedError(message) from error
        value = read_canonical(data, str(path))
        try:
            told = value["list"]
            genuine = value.keys() == {"list", "signature"} and key.signed(
                _PURPOSE, canonical(told), value["signature"]
            )
            if genuine and told["key"] == str(key) and told["format"] == FORMAT:
                return RevocationList(key, told["number"], tuple(_revocation(one) for one in told["revoked"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        message = f"{path} is not the list that {key} has signed: copy it from where the release is from"
        raise UnverifiedError(message)

    def require_standing(
        self, release: str, manifest_sha256: str, signer: PublicKey | None, trusted: Iterable[PublicKey]
    ) -> None:
        """Hold that no trusted key has withdrawn the release that `signer` has signed, or nobody.

        Raises:
            RevokedError: one has.
            UnverifiedError: the list of `signer` is missing, or one of them is not what its key has signed.
        """
        others = (key for key in trusted if key != signer and self._file(key).exists())
        for key in (signer, *others) if signer is not None else others:
            for one in self.read(key).revoked:
                if one.manifest_sha256 == manifest_sha256:
                    message = f"the release {release} was withdrawn at {one.at} by {key} ({one.reason}): serve another"
                    raise RevokedError(message)

    def stamp(self, keys: Iterable[PublicKey]) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when a list does: each file's inode, size and time of change, or None where it is not there."""
        return tuple(_stamp(self._file(key)) for key in sorted(keys))

    def _file(self, key: PublicKey) -> Path:
        return self._folder / f"{key.hex}.json"

    def _write(self, key: SigningKey, told: RevocationList) -> None:
        path = self._file(key.public)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            value = told.to_json()
            draft.write_bytes(canonical({"list": value, "signature": key.sign(_PURPOSE, canonical(value))}))
            draft.replace(path)
        except OSError as error:
            message = f"{path} cannot be written ({error.strerror}): see whether its folder may be written"
            raise RegistryError(message) from error


def _revocation(value: dict[str, Any]) -> Revocation:
    one = Revocation(**value)
    if not _DIGEST.fullmatch(one.manifest_sha256):
        raise ValueError(one.manifest_sha256)
    return one


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
