"""How licences are read where files are damaged, strange or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.license_detection import detect_license
from guard.license_gnu import gnu_notices
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
    ],
)
def test_annotations_that_say_nothing_are_left_out(toml: str) -> None:
    assert read_annotations(toml) == ()


def test_an_unknown_precedence_is_the_default() -> None:
    table = '[[annotations]]\npath = "a*"\nSPDX-License-Identifier = "MIT"\nprecedence = "loudest"\n'
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
