"""The files of a folder and their digests. Knows nothing of what they hold.

A release is plain files: a link, a device or a socket in it could be something else at the next look.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

from registry.canonical import canonical
from registry.errors import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNMEASURED: Final = "README.md"
"""What `folder_digest` leaves out: peft writes one beside its weights, which says nothing that is loaded."""


def files_of(folder: Path) -> dict[str, Path]:
    """Every file under `folder` by its relative path, with `/` between.

    Raises:
        UnverifiedError: something under it is neither a plain file nor a folder, or cannot be listed.
    """
    try:
        return dict(sorted(_walked(folder, "")))
    except OSError as error:
        message = f"{folder} cannot be read ({error.strerror}): see whether it is there and may be read"
        raise UnverifiedError(message) from error


def _walked(folder: Path, before: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walked(folder / entry.name, f"{before}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield before + entry.name, folder / entry.name
            else:
                message = f"{folder / entry.name} is no plain file: a release holds plain files and folders alone"
                raise UnverifiedError(message)


def file_digest(path: Path) -> tuple[str, int]:
    """The hex SHA-256 of a file and how many bytes it has.

    Raises:
        UnverifiedError: it is no plain file any more, or cannot be read.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                message = f"{path} is no plain file: a release holds plain files and folders alone"
                raise UnverifiedError(message)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest, file.tell()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): see whether it is there and may be read"
        raise UnverifiedError(message) from error


def folder_digest(folder: Path) -> str:
    """What identifies the weights in `folder`: hex SHA-256 of the canonical JSON of its files' digests by path.

    Raises:
        UnverifiedError: as `files_of` does.
    """
    digests = {name: file_digest(path)[0] for name, path in files_of(folder).items() if name != UNMEASURED}
    return hashlib.sha256(canonical(digests)).hexdigest()
