"""A corpus with canaries: a copy of one, with made-up secrets in its training files and a list of them beside it.

Knows no model. The original stays as it is, since what a corpus holds is its owner's to decide.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

from training.corpus_files import MANIFEST, open_corpora
from training.errors import DestinationError, EmptyCorpusError
from training.examples import Split
from training.memorization.canaries import FILE, draw_canaries, plant, save

if TYPE_CHECKING:
    from pathlib import Path

    from training.memorization.canaries import Canary


def plant_corpus(corpus: Path, out: Path, count: int, repeats: int, seed: int) -> list[Canary]:
    """Write `corpus` with canaries to the folder `out`, which must not exist; answers all canaries, planted or not.

    Raises:
        PlanError: `corpus` is none, or the numbers make no sense.
        EmptyCorpusError: it has no training files.
        DestinationError: `out` exists or cannot be written.
    """
    canaries = draw_canaries(count, repeats, seed)
    (source,) = open_corpora([f"planted={corpus}"])
    examples = list(source.examples(Split.TRAIN))
    if not examples:
        message = f"{corpus} has no training files to plant canaries in: build it from more code"
        raise EmptyCorpusError(message)
    draft = out.with_name(f".{out.name}.part")
    try:
        if out.exists():
            message = f"{out} exists already: name another folder with --out, or remove it"
            raise DestinationError(message)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        for split in (Split.VALIDATION, Split.TEST):
            _private(draft / f"{split}.jsonl", (corpus / f"{split}.jsonl").read_bytes())
        planted = list(plant(examples, canaries, seed))
        lines = "".join(example.to_line() for example in planted).encode()
        _private(draft / f"{Split.TRAIN}.jsonl", lines)
        manifest = json.loads((corpus / MANIFEST).read_text(encoding="utf-8"))
        manifest["splits"][Split.TRAIN.value]["sha256"] = hashlib.sha256(lines).hexdigest()
        characters = sum(len(one.prefix) + len(one.middle) + len(one.suffix) for one in planted)
        manifest["splits"][Split.TRAIN.value]["characters"] = characters
        manifest["canaries"] = {"drawn": count, "repeats": repeats, "seed": seed}
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save(draft / FILE, canaries, seed)
        draft.rename(out)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}): free space, or name another folder with --out"
        raise DestinationError(message) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return canaries


def _private(path: Path, content: bytes) -> None:
    """Source is for this user only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
