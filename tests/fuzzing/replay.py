"""Every input that was kept, once, under all laws: `python -m fuzzing.replay FOLDER`, which holds a folder a target.

Prints a hash for each target of what its inputs were read as, to compare compiled kernels with plain ones.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from fuzzing.targets import DIGESTER, TARGETS, text_of


def main() -> None:
    """Raise at the first input that breaks a law."""
    np.seterr(over="ignore")  # hashes overflow on purpose
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if path.name in TARGETS):
        hasher, files = hashlib.sha256(), sorted(folder.iterdir())
        for path in files:
            data = path.read_bytes()
            try:
                if folder.name != "growth":  # what is read is counted in plain kernels only
                    TARGETS[folder.name](data)
                hasher.update(_read(folder.name, data))
            except Exception:
                print(f"{path} breaks a law", file=sys.stderr)  # noqa: T201 - a command
                raise
        print(f"{folder.name:12}{len(files):6} inputs, read as {hasher.hexdigest()[:16]}", flush=True)  # noqa: T201


def _read(target: str, data: bytes) -> bytes:
    if target not in ("lexer", "growth", "digest"):
        return data
    text, language, fragment = text_of(data)
    if not fragment:
        whole = DIGESTER.digest("a", text, language or "unknown")
        return b"".join(column.tobytes() for column in (whole.fingerprints.names, whole.fingerprints.positions))
    probes = DIGESTER.probes(text, language)
    return b"".join(probe.stream.symbols.tobytes() + probe.stream.ends.tobytes() for probe in probes)


main()
