from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from samples.code import METHOD, PYTHON, UNRELATED
from samples.indexed import ACME, KEY, Indexed

import guard
from guard import check, kernels
from guard.digest import Digester, warm
from guard.secret import IndexKey
from guard.tokens import _read
from guard.winnowing import winnow

if TYPE_CHECKING:
    from guard.store import Store

CODE = "def f(x, y=1):\n    return [x.name for x in y if x.size > 3]\n" * 8
ORDER = [7, 3, 3, 9, 1, 8, 2, 6, 5, 4, 3, 0]
WINNOW = f"import numpy; from guard.winnowing import winnow; print(winnow(numpy.array({ORDER}, numpy.uint64)).tolist())"

# Which kernels have another number of compiled versions after checks than after warming.
CHECK = """
import sys
from pathlib import Path
from guard.check import Guard, GuardQuery, warm
from guard.digest import Digester
from guard.index import Index
from guard.secret import IndexKey
from guard.store import open_store

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("guard.")]
    return {
        f"{kernel.py_func.__module__}.{name}": len(kernel.signatures)
        for module in modules
        for name, kernel in vars(module).items()
        if hasattr(kernel, "py_func")
    }

url, home, secret, *texts = sys.argv[1:]
warm()
before, key = compiled(), IndexKey(bytes.fromhex(secret))
with open_store(url, Path(home), check_timeout=30) as store:
    guard = Guard(Index(store, key, Path(home)), Digester(key))
    for text in texts:
        guard.check(GuardQuery(text, "stranger", "", "python"))
print([name for name, count in compiled().items() if count != before[name]])
"""


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


def test_after_warming_a_check_compiles_nothing(embedded_store: Store, home: Path) -> None:
    """In a process of its own, which writes nothing: clear copies, doubtful ones, and other code."""
    check.warm()  # here as well: what a process of its own runs, mutation testing would not see this test reach
    indexed = Indexed(embedded_store, home)
    indexed.add(ACME, "ledger.py", PYTHON)
    pieces = [METHOD, UNRELATED, *("".join(METHOD.splitlines(keepends=True)[:n]) for n in range(1, 9))]
    result = subprocess.run(
        [sys.executable, "-c", CHECK, embedded_store.address, str(home), KEY.secret.hex(), *pieces],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert result.stdout.split() == ["[]"]


def test_a_kernel_that_stands_in_no_file_is_compiled_as_well() -> None:
    names: dict[str, Any] = {}
    exec("def double(number): return 2 * number", names)  # noqa: S102 - code of no file
    assert kernels.kernel(names["double"])(21) == 42
