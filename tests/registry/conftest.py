"""A home with a signing key that is trusted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.released import key_in, open_up, released

from registry.releases import Release, Releases

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import SigningKey


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return key_in(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def releases(home: Path) -> Releases:
    return Releases(home)


@pytest.fixture
def release(home: Path, key: SigningKey) -> Release:
    """One that can be tampered with."""
    made = released(home, key)
    open_up(made)
    return made
