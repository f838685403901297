"""Real source trees, written for each test."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _code(number: int, functions: int = 6) -> str:
    """Python like nobody else's: every name is this file's own."""
    draw = random.Random(number)  # noqa: S311 - names, not secrets
    lines = []
    for _ in range(functions):
        name, one, two, three = (f"{draw.choice('abcdefgh')}{draw.randrange(10**6)}" for _ in range(4))
        lines += [
            f"def {name}({one}, {two}={draw.randrange(100)}):",
            f"    # {draw.randrange(10**6)} of {one}",
            f"    {three} = [{one} {draw.choice('+-*')} {draw.randrange(100)} for {one} in {two}.{name}_all()]",
            f"    if not {three}: raise ValueError('{name} {draw.randrange(10**6)}')",
            f"    return {three}[{draw.randrange(9)}:], {one}\n",
        ]
    return "\n".join(lines)


@pytest.fixture
def code() -> Callable[..., str]:
    """Writes a file by number."""
    return _code


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of sixty files that have nothing in common, under the MIT licence."""
    root = tmp_path / "acme"
    for number in range(60):
        path = root / f"part{number % 4}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_code(number), encoding="utf-8")
    (root / "pyproject.toml").write_text('[project]\nname = "acme"\nversion = "1"\nlicense = "MIT"\n', encoding="utf-8")
    return root
