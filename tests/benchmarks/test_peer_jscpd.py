from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.peer_jscpd import MODES, Jscpd, install_command, runs, shared
from benchmarks.questions import Question

if TYPE_CHECKING:
    from pathlib import Path

# Answers as jscpd does: every asked file that holds a word of an indexed one is a clone of it.
STAND_IN = """#!/usr/bin/env python3
import json, pathlib, sys
if "--version" in sys.argv:
    print("jscpd 0")
    sys.exit()
*_, output, indexed, asked = sys.argv
clones = [
    {"firstFile": {"name": str(known)}, "secondFile": {"name": str(path)}}
    for path in pathlib.Path(asked).iterdir()
    for known in pathlib.Path(indexed).iterdir()
    if set(path.read_text().split()) & set(known.read_text().split())
]
pathlib.Path(output, "jscpd-report.json").write_text(json.dumps({"duplicates": clones}))
"""
FILES = {"acme": [("a.py", "one two"), ("b.py", "three")], "zeta": [("a.py", "three four")]}


def install(folder: Path, program: str) -> Path:
    path = folder / "node_modules" / ".bin" / "jscpd"
    path.parent.mkdir(parents=True)
    path.write_text(program)
    path.chmod(0o755)
    return folder


@pytest.mark.parametrize("mode", MODES)
def test_every_owner_of_a_clone_is_named(mode: str, tmp_path: Path) -> None:
    detector = Jscpd.installed(install(tmp_path, STAND_IN), FILES, mode)
    assert detector is not None
    questions = [Question("two"), Question("three"), Question("x", "four "), Question("five")]
    assert detector.answers(questions) == [{"acme"}, {"acme", "zeta"}, {"zeta"}, set()]


def test_it_is_optional(tmp_path: Path) -> None:
    assert Jscpd.installed(tmp_path, FILES, "renamed") is None
    assert str(tmp_path) in install_command(tmp_path)
    stub = install(tmp_path, "#!/bin/sh\necho 'no package for this platform' >&2\nexit 1\n")
    assert not runs(stub / "node_modules" / ".bin" / "jscpd")


def test_a_failed_run_is_no_clean_text(tmp_path: Path) -> None:
    program = '#!/bin/sh\ncase "$*" in *--version*) exit 0;; esac\necho broken >&2\nexit 3\n'
    detector = Jscpd.installed(install(tmp_path, program), FILES, "renamed")
    assert detector is not None
    with pytest.raises(RuntimeError, match="jscpd failed with exit code 3: broken"):
        detector.answers([Question("x")])


def test_clones_among_indexed_files_or_among_questions_say_nothing() -> None:
    clones = [
        {"firstFile": {"name": f"/t/{first}"}, "secondFile": {"name": f"/t/{second}"}}
        for first, second in (
            ("0-indexed/1.py", "1-asked/7.py"),
            ("1-asked/3.py", "0-indexed/2.py"),
            ("0-indexed/1.py", "0-indexed/2.py"),
            ("1-asked/4.py", "1-asked/5.py"),
        )
    ]
    assert shared(json.loads(json.dumps(clones))) == {3, 7}
