from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GUARD = sorted(path.stem for path in BENCHMARKS.glob("guard_*.py"))
TRAINED = ("reproduce", "reproduce_privacy", "reproduce_settings")


@pytest.mark.parametrize("name", [*GUARD, *TRAINED, "overload", "serve", "timing", "usefulness", "check"])
def test_every_benchmark_explains_itself(name: str) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("usage:")


@pytest.mark.parametrize("name", [*GUARD, *TRAINED, "overload", "serve", "timing", "usefulness"])
def test_an_unknown_scale_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE", "huge")
    run = subprocess.run([sys.executable, str(BENCHMARKS / f"{name}.py")], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "SCALE=huge is unknown: use one of full, small" in run.stderr
