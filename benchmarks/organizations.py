"""Four organizations that share code, cut down to what a small model can learn by heart: real packages from PyPI.

pip carries rich in a folder of vendored code, and two makers of client libraries, OpenAI and Anthropic, ship files that
one generator wrote for both. Of each is taken so much code that it shares with its twin and so much that it alone holds
among the four; what is held out, to validate and to test, its twin does not hold. Knows no model.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpora import python_files, sources

from published.releases import Release
from training.corpora import CorpusPlan, build
from training.examples import Draws, Split
from training.memorization.clones import CloneIndex, is_vendored, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Files = Mapping[str, str]
    """Texts by path."""

RELEASES = (
    Release.wheel("pip", "25.3", "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"),
    Release.wheel("rich", "14.2.0", "76bc51fe2e57d2b1be1f96c524b890b816e334ab4c1e45888799bfaab0021edd"),
    Release.wheel("openai", "3.54.0", "3cdb7d0d85bb765c7c92e7e2922c4a6cb9beb085b161b03da07f4dff61805916"),
    Release.wheel("anthropic", "2.12.0", "8631e3880ee18b0f87ce61d5d08e67804200463cf27c4182024715e232c99ba6"),
)
"""The organizations, in the order in which the incremental regime trains on them."""
TWINS = (("pip", "rich"), ("openai", "anthropic"))
"""Which of them share code: the first carries the second's, or both had it from one place."""
VENDORED = "pip/_vendor/"
"""What the corpus builder leaves out by itself; named as a tree of its own, it is taken."""
SHARED, OWN = 0.8, 0.02
"""Share of a file's lines in six-line clones of the twin from which on it is shared, and up to which it is its own."""
SMALLEST, LARGEST = 800, 4_000
"""Characters of a file that is taken."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Characters of each organization: `shared` and `own` to train on, `validation` and `test` held out.

    `largest`: of a file that is trained on, so that little code is still several files.
    """

    shared: int
    own: int
    validation: int
    test: int
    largest: int = 4_000


def corpora(cache: Path, folder: Path, amounts: Amounts) -> dict[str, Path]:
    """The corpora of the four, built unless `folder` has them. Raises PublishedCodeError, EmptyCorpusError."""
    built = {release.name: folder / "corpora" / release.name for release in RELEASES}
    if not all((path / "manifest.json").is_file() for path in built.values()):
        trees = {
            name: {path.removeprefix("pip/") if path.startswith(VENDORED) else path: text for path, text in some}
            for name, some in ((name, python_files(path)) for name, path in sources(RELEASES, cache).items())
        }
        build_corpora(trees, TWINS, folder, amounts)
    return built


def build_corpora(trees: Mapping[str, Files], twins: Sequence[tuple[str, str]], folder: Path, amounts: Amounts) -> None:
    """Corpora in `folder` of texts by organization and path, whose first part is the name of a tree."""
    shutil.rmtree(folder / "trees", ignore_errors=True)
    for one, other in twins:
        for name, taken in zip((one, other), drawn(trees[one], trees[other], amounts), strict=True):
            for path, text in taken.items():
                place = folder / "trees" / name / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            tops = tuple(folder / "trees" / name / top for top in sorted({path.split("/")[0] for path in taken}))
            build(CorpusPlan(tops, folder / "corpora" / name, fim_rate=0.0))


def drawn(one: Files, other: Files, amounts: Amounts) -> tuple[dict[str, str], dict[str, str]]:
    """What is taken of two organizations. A file that both hold is taken where both would train on it."""
    candidates = _candidates(one), _candidates(other)
    shares = _shares(one, candidates[0], other), _shares(other, candidates[1], one)
    taken: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for mine in candidates[0]:
        if sum(map(len, taken[0].values())) >= amounts.shared:
            break
        theirs = next((path for path in candidates[1] if _same_name(mine, path) and shares[1][path] >= SHARED), None)
        fits = len(one[mine]) <= amounts.largest and shares[0][mine] >= SHARED
        if theirs and fits and _split(mine) is _split(theirs) is Split.TRAIN:
            taken[0][mine], taken[1][theirs] = one[mine], other[theirs]
    _add_own(taken[0], one, [path for path in candidates[0] if shares[0][path] <= OWN], amounts)
    # Of the twin, what is not among the taken: the first may carry all of it.
    left = _shares(other, candidates[1], taken[0])
    _add_own(taken[1], other, [path for path in candidates[1] if left[path] <= OWN], amounts)
    return taken


def _candidates(files: Files) -> list[str]:
    """Files of a fit size, in an order in which those of a folder do not stand side by side."""
    some = [path for path, text in files.items() if SMALLEST <= len(text) <= LARGEST]
    return sorted(some, key=lambda path: hashlib.blake2b(path.encode(), digest_size=8).digest())


def _shares(files: Files, some: Iterable[str], other: Files) -> dict[str, float]:
    """For some files, the share of their lines in clones of the other's code."""
    index = CloneIndex()
    for path, text in other.items():
        index.add("other", path, text)
    held = {path: index.held(lines_of(files[path])) for path in some}
    return {path: sum(line is not None for line in lines) / max(1, len(lines)) for path, lines in held.items()}


def _same_name(one: str, other: str) -> bool:
    return one.split("/")[-2:] == other.split("/")[-2:] or one.split("/")[1:] == other.split("/")[1:]


def _split(path: str) -> Split:
    """The split that the corpus gives a file."""
    return Draws(CorpusPlan((Path("any"),), Path("any")).key).split(path)


def _add_own(taken: dict[str, str], files: Files, own: Sequence[str], amounts: Amounts) -> None:
    most = {Split.TRAIN: amounts.own, Split.VALIDATION: amounts.validation, Split.TEST: amounts.test}
    sizes = dict.fromkeys(Split, 0)
    for path in own:
        split = _split(path)
        fits = split is not Split.TRAIN or len(files[path]) <= amounts.largest
        if fits and not is_vendored(path) and sizes[split] < most[split]:
            taken[path] = files[path]
            sizes[split] += len(files[path])
