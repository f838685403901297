"""Neovim with nothing but the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from editors.nvim import Neovim, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from editors.conftest import Cleanroom

    Open = Callable[..., AbstractContextManager[Neovim]]


@pytest.fixture
def open_(tools: Path, tmp_path: Path, cleanroom: Cleanroom) -> Open:
    """Starts a Neovim."""

    def start(url: str = cleanroom.url, key: str | None = cleanroom.key, **options: object) -> object:
        return started(tools / "neovim" / "nvim", tmp_path / "user", url, key, **options)

    return start  # type: ignore[return-value]


@pytest.fixture
def nvim(open_: Open, project: Path) -> Iterator[Neovim]:
    """One that has a Python file open, and is ready."""
    with open_() as nvim:
        nvim.edit(project / "numbers.py")
        nvim.told(kind="Normal")
        yield nvim
