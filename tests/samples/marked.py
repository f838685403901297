"""Corpora of organizations in whose every file stands a marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.corpora import CorpusPlan, build
from training.examples import Split

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "zanzibar_marker_7f3a"


def marked_corpora(root: Path, count: int) -> dict[str, Path]:
    """The corpora of `org-0`, `org-1` ..., of twenty files each, in folders of these names."""
    folders = {}
    for number in range(count):
        name = f"org-{number}"
        tree = root / "trees" / name
        tree.mkdir(parents=True)
        for at in range(20):
            text = "\n".join(
                f"def f{number}_{at}_{line}(x{line}, y):\n    return x{line} * {number + at * line} + y  # {MARKER}"
                for line in range(6)
            )
            (tree / f"m{at}.py").write_text(text, encoding="utf-8")
        _held_out(tree, root / name)
        folders[name] = root / name
    return folders


def _held_out(tree: Path, out: Path) -> None:
    """Build a corpus with a seed that leaves something to hold out of so few files."""
    for seed in range(50):
        if build(CorpusPlan((tree,), out, seed)).splits[Split.VALIDATION].kinds.total():
            return
