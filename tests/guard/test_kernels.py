from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import guard
from guard import check, kernels
from guard.digest import Digester, warm
from guard.secret import IndexKey
from guard.tokens import _read
from guard.winnowing import winnow

CODE = "def f(x, y=1):\n    return [x.name for x in y if x.size > 3]\n" * 8
ORDER = [7, 3, 3, 9, 1, 8, 2, 6, 5, 4, 3, 0]
WINNOW = f"import numpy; from guard.winnowing import winnow; print(winnow(numpy.array({ORDER}, numpy.uint64)).tolist())"


def test_machine_code_is_kept_as_long_as_no_source_of_kernels_changes() -> None:
    assert _read._cache._cache_file._source_stamp == kernels.SOURCES  # type: ignore[attr-defined]
    assert kernels._sources() == kernels.SOURCES


def test_without_a_place_for_machine_code_kernels_are_compiled_anew(tmp_path: Path) -> None:
    # A package whose folder cannot be written and a home that is none: root writes everywhere, so both are files.
    package = tmp_path / "guard"
    shutil.copytree(Path(guard.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").touch()
    nowhere = tmp_path / "file"
    nowhere.touch()
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(nowhere),
        "XDG_CACHE_HOME": str(nowhere),
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", WINNOW]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.strip() == str(winnow(np.array(ORDER, dtype=np.uint64)).tolist())
    assert not list(tmp_path.rglob("*.nbi"))


@pytest.mark.parametrize("text", ["", "x", CODE], ids=["nothing", "a name", "code"])
def test_warming_changes_no_answer(text: str) -> None:
    digester = Digester(IndexKey(b"k" * 32))
    before = [probe.fingerprints.names.tolist() for probe in digester.probes(text, None)]
    warm()
    check.warm()
    assert [probe.fingerprints.names.tolist() for probe in digester.probes(text, None)] == before


def test_a_kernel_that_stands_in_no_file_is_compiled_as_well() -> None:
    names: dict[str, Any] = {}
    exec("def double(number): return 2 * number", names)  # noqa: S102 - code of no file
    assert kernels.kernel(names["double"])(21) == 42
