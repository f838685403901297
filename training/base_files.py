"""Which files make a base, and the digest over them by which runs know it again. Knows no library that runs models."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BASE_FILES = ("*.safetensors", "*.json", "*.model", "*.txt")
"""Of a model on the hub; weights in other formats may run code when they are read."""


def base_digest(folder: Path) -> str:
    """Hex SHA-256 over the names and bytes of weights, configuration and vocabulary: equal bases have equal ones.

    Raises OSError where a file cannot be read.
    """
    total = hashlib.sha256()
    for path in sorted({path for pattern in BASE_FILES for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
