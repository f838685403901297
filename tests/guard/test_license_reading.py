"""How licences are read where files are damaged, strange or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.license_detection import detect_license
from guard.license_gnu import gnu_notices
from guard.license_metadata import declared_license
from guard.license_tags import Precedence, read_annotations
from guard.licenses import UNKNOWN_LICENSE


@pytest.mark.parametrize(
    "toml",
    [
        "no toml",
        "annotations = 7",
        "annotations = [1, 2]",
        '[[annotations]]\npath = "a"\n',
        '[[annotations]]\nSPDX-License-Identifier = "MIT"\n',
        '[[annotations]]\npath = 3\nSPDX-License-Identifier = "MIT"\n',
        "a = " + "[" * 20_000,
    ],
    ids=lambda toml: toml[:30],
)
def test_annotations_that_say_nothing_are_left_out(toml: str) -> None:
    assert read_annotations(toml) == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", "a = " + "[" * 20_000),
        ("Cargo.toml", "a = " + "{b=" * 20_000),
        ("package.json", "[" * 100_000),
    ],
    ids=["pyproject.toml", "Cargo.toml", "package.json"],
)
def test_a_manifest_nested_without_end_declares_nothing(name: str, content: str) -> None:
    assert declared_license(name, content) is None


def test_a_record_that_cannot_be_read_names_no_file(tmp_path: Path) -> None:
    package, distribution = tmp_path / "one", tmp_path / "one-1.0.dist-info"
    package.mkdir()
    distribution.mkdir()
    (package / "code.py").write_text("x = 1\n")
    (distribution / "METADATA").write_text("Metadata-Version: 2.4\nName: one\nLicense-Expression: MIT\n")
    (distribution / "RECORD").write_text('"' + "x" * 200_000 + '",,\n')
    assert detect_license(tmp_path).of("one/code.py", "x = 1\n") in {"MIT", UNKNOWN_LICENSE}


@pytest.mark.parametrize("precedence", ['"none of these"', "[]", "{}", "7"])
def test_an_unknown_precedence_is_the_default(precedence: str) -> None:
    table = f'[[annotations]]\npath = "a*"\nSPDX-License-Identifier = "MIT"\nprecedence = {precedence}\n'
    assert read_annotations(table)[0].precedence is Precedence.CLOSEST


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc")
def test_licence_files_that_cannot_be_read_leave_the_licence_unknown(tmp_path: Path) -> None:
    # Root may open everything, but the first page of no process's memory can be read.
    (tmp_path / "LICENSE").symlink_to("/proc/self/mem")
    assert detect_license(tmp_path).of("a.py", "x = 1\n") == UNKNOWN_LICENSE


def test_a_folder_of_licences_that_leads_nowhere_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "LICENSES").symlink_to("nowhere")
    assert detect_license(tmp_path).of("a.py", "x = 1\n") == UNKNOWN_LICENSE


def test_a_version_that_was_never_published_leaves_the_family() -> None:
    (found,) = gnu_notices("under the terms of the gnu affero general public license version 2")
    assert (found,) == gnu_notices("under the terms of the gnu affero general public license")
