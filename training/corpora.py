"""An organization's own source trees to training examples, on its own machine.

trees -> files -> licences -> copies left out -> split and cut -> JSON lines and a manifest. Knows no model, no network
and no other organization.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

from guard.corpus import SourceFile, list_files, load
from guard.license_detection import detect_license
from guard.licenses import LicenseAction, LicensePolicy, decide
from guard.secret import IndexKey
from guard.skips import Skipped
from training.duplicates import Originals
from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.examples import Draws, Example, Split
from training.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LICENSE_HEAD = 8_000
"""Characters of a file in which its licence is looked for."""
MANIFEST = "manifest.json"
HELD_ELSEWHERE = "held by another organization"
SEED_LIMIT = 2**63


class LicenseChoice(StrEnum):
    """Which files may be trained on."""

    ANY = "any"
    PERMISSIVE = "permissive"
    OWN = "own"

    def admits(self, license_: str, own: str) -> bool:
        """Whether a file under `license_` may be used, in a tree that is `own` as a whole."""
        if self is LicenseChoice.ANY or license_ == own:
            return True
        return self is LicenseChoice.PERMISSIVE and decide(_PERMISSIVE, license_) is not LicenseAction.DENY


# Allows what asks for nothing and what asks to be named.
_PERMISSIVE = LicensePolicy.default()


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """What to build. `fim_rate`: share of the examples that are cut for fill-in-the-middle, 0 to 1."""

    trees: tuple[Path, ...]
    out: Path
    seed: int = 0
    fim_rate: float = 0.5
    licenses: LicenseChoice = LicenseChoice.ANY

    def __post_init__(self) -> None:
        """Hold the bounds, and that every path of the corpus names one file."""
        if not 0 <= self.fim_rate <= 1:
            message = f"the rate of fill-in-the-middle is {self.fim_rate}: give 0 to 1"
            raise PlanError(message)
        if not 0 <= self.seed < SEED_LIMIT:
            message = f"the seed is {self.seed}: give 0 to {SEED_LIMIT - 1}"
            raise PlanError(message)
        names = [tree.resolve().name for tree in self.trees]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            message = f"two trees are called {twice[0]!r}: rename one" if twice else "name at least one source tree"
            raise PlanError(message)

    @property
    def key(self) -> IndexKey:
        """The key of all draws and signatures. No secret: it makes them the same wherever the seed is the same."""
        return IndexKey(hashlib.blake2b(b"cleanroom corpus %d" % self.seed, digest_size=32).digest())

    def to_json(self) -> dict[str, Any]:
        """What was asked for, without this machine's paths."""
        return {
            "trees": [tree.resolve().name for tree in self.trees],
            "seed": self.seed,
            "fim_rate": self.fim_rate,
            "licenses": self.licenses.value,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is, in files."""

    done: int
    total: int


def build(
    plan: CorpusPlan,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    held_elsewhere: Callable[[str, str], bool] | None = None,
) -> Manifest:
    """Build the corpus of `plan`: a file of examples a split, and last, since it marks them as complete, the manifest.

    Of files that are copies of one another the first stays, in the order of the trees and of the paths in them. A file
    of which `held_elsewhere` says so, by its text and its language, is left out.

    Raises:
        CorpusError: a tree does not exist or cannot be listed.
        EmptyCorpusError: nothing is left to train on; the destination is as it was.
        DestinationError: the destination holds something else, or cannot be written.
    """
    manifest = Manifest(plan.to_json())
    draws, originals = Draws(plan.key), Originals()
    with _destination(plan.out) as files:
        for source, license_, name in _sources(plan, manifest, progress):
            copy = originals.admit(source.text)
            if copy is not None:
                manifest.left_out[copy] += 1
                continue
            if held_elsewhere is not None and held_elsewhere(source.text, source.language):
                manifest.left_out[HELD_ELSEWHERE] += 1
                continue
            split = draws.split(name)
            example = Example(name, source.language, license_, *draws.cut(name, source.text, plan.fim_rate))
            line = example.to_line().encode()
            files[split].write(line)
            manifest.add(split, example, line)
        _require_training_data(manifest, plan)
    try:
        (plan.out / MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
    except OSError as error:
        raise DestinationError(_unwritable(plan.out, error)) from error
    return manifest


def _sources(
    plan: CorpusPlan, manifest: Manifest, progress: Callable[[Progress], None]
) -> Iterator[tuple[SourceFile, str, str]]:
    """Every usable file with its licence and its name in the corpus; the others are counted."""
    # Sorted, since git and a walk list one tree in different orders.
    listed = [(tree, detect_license(tree), sorted(list_files(tree), key=lambda e: e.path)) for tree in plan.trees]
    total = sum(len(entries) for _, _, entries in listed)
    done = 0
    for tree, licenses, entries in listed:
        for entry in entries:
            done += 1
            progress(Progress(done, total))
            source = entry if isinstance(entry, Skipped) else load(tree, entry.path)
            if isinstance(source, Skipped):
                manifest.left_out[source.reason.value] += 1
                continue
            license_ = licenses.of(source.path, source.text[:LICENSE_HEAD])
            if plan.licenses.admits(license_, licenses.expression):
                yield source, license_, _name(tree, source)
            else:
                manifest.left_out["licence"] += 1


def _name(tree: Path, source: SourceFile) -> str:
    """A path that is the same on every machine: the tree's own name, then the path in it."""
    return source.path if tree.is_file() else f"{tree.resolve().name}/{source.path}"


def _require_training_data(manifest: Manifest, plan: CorpusPlan) -> None:
    if manifest.splits[Split.TRAIN].kinds:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.left_out.items())) or "none"
    message = (
        f"{', '.join(str(tree) for tree in plan.trees)}: {manifest.examples} files can be used, none of which falls "
        f"to training (left out: {reasons}). Name more code, other --licenses or another --seed"
    )
    raise EmptyCorpusError(message)


@contextmanager
def _destination(out: Path) -> Iterator[dict[Split, BinaryIO]]:
    """Files to write the splits to; they take their names, in place of an earlier corpus, once all are complete."""
    drafts = {split: out / f".{split}.jsonl.part" for split in Split}
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_ours(out)
        try:
            with ExitStack() as stack:
                yield {split: stack.enter_context(_private(draft)) for split, draft in drafts.items()}
            (out / MANIFEST).unlink(missing_ok=True)
            for split, draft in drafts.items():
                draft.replace(out / f"{split}.jsonl")
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise DestinationError(_unwritable(out, error)) from error


def _require_ours(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    foreign = sorted(names - {MANIFEST, *(f"{split}.jsonl" for split in Split), *(f".{s}.jsonl.part" for s in Split)})
    if foreign:
        message = f"{out} holds other files ({foreign[0]!r} ...): name an empty folder, or an earlier corpus to replace"
        raise DestinationError(message)


def _private(path: Path) -> BinaryIO:
    """A file for this user only: what goes into it is source."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _unwritable(out: Path, error: OSError) -> str:
    return f"{out} cannot be written ({error.strerror}): free space, or name another folder with --out"
