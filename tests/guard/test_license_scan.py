from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from guard import license_scan
from guard.license_detection import detect_license
from guard.license_scan import LicenseScan, understood
from guard.licenses import UNKNOWN_LICENSE, LicenseCategory, category

if TYPE_CHECKING:
    from pathlib import Path

# Named in words that the first look does not know.
README = """Wave tables
===========

This library is distributed under the terms of the BSD 3-clause license. Redistribution and use in source and binary
forms, with or without modification, are permitted under its conditions.
"""
CODE = "def wave(x):\n    return x * 2\n"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("MIT", "MIT"),
        ("mit AND apache-2.0", "MIT AND Apache-2.0"),
        ("LicenseRef-scancode-unknown-license-reference", None),
        ("LicenseRef-scancode-free-unknown AND LicenseRef-scancode-unknown", None),
        ("MIT AND LicenseRef-scancode-unknown-license-reference", "MIT AND LicenseRef-unknown"),
        ("LicenseRef-scancode-proprietary-license", "LicenseRef-proprietary"),
        ("no licence of (this) kind", None),
    ],
)
def test_what_scancode_reports_is_spelled_as_elsewhere(found: str, expected: str | None) -> None:
    assert understood(found) == expected


def test_its_public_domain_is_ours() -> None:
    assert category(understood("LicenseRef-scancode-public-domain") or "") is LicenseCategory.PUBLIC_DOMAIN


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scancode", None)
    monkeypatch.setitem(sys.modules, "scancode.api", None)
    license_scan._scanner.cache_clear()
    assert "pip install 'cleanroom[scancode]'" in (license_scan.complaint() or "")
    license_scan._scanner.cache_clear()


def test_it_is_asked_about_what_is_unknown_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def of(_: LicenseScan, path: Path) -> None:
        asked.append(path.name)

    monkeypatch.setattr(LicenseScan, "of", of)
    (tmp_path / "a.py").write_text(CODE)
    found = detect_license(tmp_path, scan=True)
    assert found.of("tagged.py", "# SPDX-License-Identifier: MIT\n") == "MIT"
    assert found.of("a.py", CODE) == UNKNOWN_LICENSE
    assert asked == ["a.py"]
    assert detect_license(tmp_path).of("a.py", CODE) == UNKNOWN_LICENSE
    assert asked == ["a.py"]


@pytest.fixture
def _scancode() -> None:
    pytest.importorskip("scancode", reason="the extra scancode is not installed")


@pytest.mark.usefixtures("_scancode")
def test_it_finds_what_the_first_look_does_not(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "README.rst").write_text(README)
    (tmp_path / "src" / "wave.py").write_text(CODE)
    (tmp_path / "src" / "own.py").write_text(f'"""Waves.\n\n:license: GNU General Public License, v. 3.\n"""\n{CODE}')
    assert detect_license(tmp_path).of("src/wave.py", CODE) == UNKNOWN_LICENSE
    assert license_scan.complaint() is None
    found = detect_license(tmp_path, scan=True)
    assert found.of("src/wave.py", CODE) == "BSD-3-Clause"


@pytest.mark.usefixtures("_scancode")
def test_a_manifest_that_is_code_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "from setuptools import setup\n\nsetup(\n    name='wave',\n    license='MIT',\n"
        "    classifiers=['License :: OSI Approved :: MIT License'],\n)\n"
    )
    (tmp_path / "wave.py").write_text(CODE)
    assert detect_license(tmp_path).of("wave.py", CODE) == UNKNOWN_LICENSE
    assert detect_license(tmp_path, scan=True).of("wave.py", CODE) == "MIT"


@pytest.mark.usefixtures("_scancode")
def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    scan = LicenseScan(tmp_path)
    assert scan.of(tmp_path / "missing" / "a.py") is None
    (tmp_path / "a.py").write_bytes(b"\xff\xfe\0\0")
    assert scan.of(tmp_path / "a.py") is None
