from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.peer_jscpd import MODES
from benchmarks.questions import Question
from benchmarks.rivals import FOLDER, rivals

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILE = "".join(f"result_{i} = first_{i}(second, {i})[{'+'.join('abcdefgh'[: 1 + i % 7])}]\n" for i in range(40))


def test_a_peer_that_is_missing_says_how_to_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanoss_winnowing", None)
    present, missing = rivals({"acme": [("a.py", FILE)]}, tmp_path)
    assert [rival.name for rival in present] == ["datasketch_"]
    assert [note.partition(" is left out")[0] for note in missing] == ["SCANOSS", "jscpd"]
    assert all(str(tmp_path / FOLDER) in note for note in missing)


def test_those_that_are_there_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanoss_winnowing", None)
    program = tmp_path / FOLDER / "node_modules" / ".bin" / "jscpd"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    present, missing = rivals({"acme": [("a.py", FILE)]}, tmp_path)
    assert [rival.name for rival in present] == ["datasketch_", *(f"jscpd_{mode}_" for mode in MODES)]
    assert len(missing) == 1
    copy, other = FILE.replace("second", "third"), "import os\nif os.path:\n    raise ValueError(os)\n"
    questions = [Question(copy), Question(other), Question("", copy)]
    assert present[0].detector.answers(questions) == [{"acme"}, set(), {"acme"}]
