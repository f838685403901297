"""Folders of source files for tests, with and without git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from guard.corpus import SourceFile, walk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


PYTHON = "def area(width: int, height: int) -> int:\n    return width * height\n"


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def git(folder: Path, *arguments: str) -> None:
    options = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True)


def taken(root: Path, **limits: int) -> set[str]:
    return {item.path for item in walk(root, **limits) if isinstance(item, SourceFile)}
