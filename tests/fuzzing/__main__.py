"""Fuzz one target: `python -m fuzzing TARGET [FOLDER OR FILE] [options of libFuzzer]`. See the package."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["guard"]):
    from fuzzing.targets import LENGTHS, TARGETS

from fuzzing import seeds
from fuzzing.bounds import bound


def main() -> None:
    """Run libFuzzer until its options or a defect stop it."""
    target, *rest = sys.argv[1:]
    if target not in TARGETS:
        sys.exit(f"{target}: choose one of {', '.join(TARGETS)}")
    if rest and not Path(rest[0]).is_file():
        seeds.write(target, Path(rest[0]))
    if target in ("lexer", "growth", "digest"):
        bound()
    with tempfile.NamedTemporaryFile("w", suffix=".dict") as marks:
        marks.write(seeds.dictionary())
        marks.flush()
        # libFuzzer ends the process itself: what needs the file has read it by then.
        options = [f"-dict={marks.name}", f"-max_len={LENGTHS[target]}", "-timeout=60"]
        atheris.Setup([sys.argv[0], *options, *rest], TARGETS[target])
        atheris.Fuzz()


main()
