"""The corpora of a plan as examples: complete, unchanged since they were built, and enough to train on.

Knows files and texts; no tokenizer and no model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guard.secret import IndexKey
from training.augmentation import renamed
from training.corpora import MANIFEST
from training.duplicates import Originals
from training.errors import EmptyCorpusError, PlanError
from training.examples import Draws, Example, Kind, Split
from training.manifest import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from training.plan import DataPlan, Organization


@dataclass(frozen=True, slots=True)
class Corpus:
    """One organization's corpus. `sha256`: of its manifest, which holds the digest of every split."""

    name: str
    folder: Path
    sha256: str

    def examples(self, split: Split) -> list[Example]:
        """The examples of a split, in the order of the file."""
        with (self.folder / f"{split}.jsonl").open(encoding="utf-8") as lines:
            return [_example(line) for line in lines]


def _example(line: str) -> Example:
    fields = json.loads(line)
    return Example(**{**fields, "kind": Kind(fields["kind"])})


def open_corpora(organizations: Iterable[Organization]) -> tuple[Corpus, ...]:
    """The corpora of all organizations, each verified.

    Raises:
        PlanError: a folder is no corpus, was built by another version, or was changed since.
        EmptyCorpusError: one has nothing to train on, or nothing to hold out.
    """
    return tuple(open_corpus(one.name, one.corpus) for one in organizations)


def open_corpus(name: str, folder: Path) -> Corpus:
    """The corpus of one organization. Raises as `open_corpora` does."""
    try:
        text = (folder / MANIFEST).read_bytes()
        manifest = json.loads(text)
    except (OSError, ValueError) as error:
        message = f"{name}: {folder} is no complete corpus ({error}): build it with `cleanroom corpus build`"
        raise PlanError(message) from error
    if manifest.get("format") != FORMAT:
        message = f"{name}: the corpus {folder} has format {manifest.get('format')}, not {FORMAT}: build it anew"
        raise PlanError(message)
    for split, count in manifest["splits"].items():
        _hold(name, folder / f"{split}.jsonl", count["sha256"])
    _require_enough(name, folder, manifest)
    return Corpus(name, folder, hashlib.sha256(text).hexdigest())


def _hold(name: str, path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{name}: {path} cannot be read ({error.strerror}): build the corpus anew"
        raise PlanError(message) from error
    if found != sha256:
        message = f"{name}: {path} is not what the manifest beside it says: build the corpus anew"
        raise PlanError(message)


def _require_enough(name: str, folder: Path, manifest: dict[str, Any]) -> None:
    counts = {split: manifest["splits"][split]["examples"] for split in Split}
    if not sum(counts.values()):
        message = f"{name}: the corpus {folder} is empty: build it from more code, or leave the organization out"
        raise EmptyCorpusError(message)
    for split, what in ((Split.TRAIN, "to train on"), (Split.VALIDATION, "to hold out while training")):
        if not counts[split]:
            message = (
                f"{name}: of the {sum(counts.values())} files of the corpus {folder} none is there {what}: build it "
                "from more code, or with another --seed"
            )
            raise EmptyCorpusError(message)


def training_examples(corpora: Sequence[Corpus], settings: DataPlan, seed: int) -> list[Example]:
    """What one trainer reads of `corpora`, in order: copies left out, cut and renamed as `settings` say.

    Copies are looked for in all that this trainer sees. Raises EmptyCorpusError where nothing is left.
    """
    examples = [example for corpus in corpora for example in corpus.examples(Split.TRAIN)]
    if settings.deduplicate and len(corpora) > 1:
        originals = Originals()
        examples = [example for example in examples if originals.admit(_text(example)) is None]
    if settings.fim_rate is not None:
        examples = _cut(examples, settings.fim_rate, seed)
    if settings.rename_identifiers:
        examples = renamed(examples, settings.rename_identifiers, seed)
    examples = _repeated(examples, settings.repeat)
    if not examples:
        message = f"nothing is left to train on of {', '.join(corpus.name for corpus in corpora)}"
        raise EmptyCorpusError(message)
    return examples


def require_repeated(corpora: Sequence[Corpus], settings: DataPlan) -> None:
    """Raise PlanError where a file that is to be read several times is no training file of any organization."""
    if not settings.repeat:
        return
    paths = [example.path for corpus in corpora for example in corpus.examples(Split.TRAIN)]
    for name in settings.repeat:
        if not any(_is(path, name) for path in paths):
            message = (
                f"data.repeat names {name!r}, in which no path of a training file ends: `path` in train.jsonl has them"
            )
            raise PlanError(message)


def _repeated(examples: list[Example], times: Mapping[str, int]) -> list[Example]:
    """All examples, and behind them those again that are to be read more often: no copy lies beside its original."""
    most = [max((count for name, count in times.items() if _is(one.path, name)), default=1) for one in examples]
    return [
        one for turn in range(max(most, default=0)) for one, count in zip(examples, most, strict=True) if turn < count
    ]


def _is(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def _text(example: Example) -> str:
    return example.prefix + example.middle + example.suffix


def _cut(examples: list[Example], rate: float, seed: int) -> list[Example]:
    """The examples cut anew, by draws of their own."""
    draws = Draws(IndexKey(hashlib.blake2b(b"cleanroom training %d" % seed, digest_size=32).digest()))
    cuts = [(example, draws.cut(example.path, _text(example), rate)) for example in examples]
    return [
        replace(example, kind=kind, prefix=prefix, suffix=suffix, middle=middle)
        for example, (kind, prefix, suffix, middle) in cuts
    ]
