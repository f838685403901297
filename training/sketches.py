"""How much code organizations have in common, told by keyed MinHash alone: sketches that hold no code.

An organization sketches its corpus at home, under a key that the members share; whoever compares needs sketches only.
Runs of six lines, of every language, are counted by the smallest of their keyed hashes (a bottom-k sketch: Cohen &
Kaplan 2007; Beyer et al. 2007 for intersections), functions of Python compared by MinHash signatures (Broder 1997) of
which a byte a value is kept (Li & König 2010). Who has neither key nor corpus learns two counts, and how alike sketches
are; who has the key can test whether a guessed function is in a sketch. Knows no model.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from datasketch import MinHash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.examples import Split
from training.memorization.clones import LINES, lines_of
from training.memorization.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guard.secret import IndexKey
    from training.corpus_files import OrganizationCorpus

KEPT = 4096
"""Hashes of runs that a sketch keeps: of two equally large corpora the shared part is told to 1.6 points or better."""
SHINGLE = 5
"""Words of a shingle."""
MIN_WORDS = 20
"""Words of a function that is compared: shorter ones are alike everywhere."""
VALUES, BAND = 64, 4
"""Values of a signature, and those that make a band: two functions 0.8 alike share a band in 9,997 cases of 10,000."""
ALIKE = 0.8
"""Estimated Jaccard similarity from which on a function counts as held."""

_WORD = re.compile(r"\w++|[^\w\s]")
_ID = b"overlap id"
_HASH = b"overlap hash"


class Sketch(BaseModel):
    """What an organization gives out.

    `key`: names the key, and does not tell it. `runs`: different runs of six lines; `minima`: the smallest of their
    hashes, ascending. `functions`: their number; `signatures`: VALUES bytes each, sorted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    runs: Annotated[int, Field(ge=0)]
    minima: list[Annotated[int, Field(ge=0, lt=2**64)]]
    functions: Annotated[int, Field(ge=0)]
    signatures: str

    def matrix(self) -> NDArray[np.uint8]:
        """The signatures, (functions, VALUES)."""
        return np.frombuffer(base64.b64decode(self.signatures), dtype=np.uint8).reshape(-1, VALUES)


@dataclass(frozen=True, slots=True)
class Shared:
    """A part of one organization's code that another holds: a count, its share, and the limits of the share (95 %)."""

    count: int
    share: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The numbers."""
        return {
            "count": self.count, "share": round(self.share, 6), "low": round(self.low, 6), "high": round(self.high, 6)
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overlap:
    """What `holder` has of the code of `organization`: functions, and runs of six lines."""

    organization: str
    holder: str
    functions: Shared | None
    runs: Shared | None

    def to_json(self) -> dict[str, Any]:
        """As one object; what an organization has none of is null."""
        return {
            "organization": self.organization,
            "held_by": self.holder,
            "functions": None if self.functions is None else self.functions.to_json(),
            "runs_of_six_lines": None if self.runs is None else self.runs.to_json(),
        }


def sketched(corpus: OrganizationCorpus, key: IndexKey) -> Sketch:
    """The sketch of all files of a corpus. Raises EmptyCorpusError where there are none, PlanError for a broken one."""
    files = [file for split in Split for file in corpus.files(split)]
    if not files:
        message = f"{corpus.folder} holds no files: build the corpus from more code"
        raise EmptyCorpusError(message)
    secret = hash_secret(key)
    runs = {value for file in files for value in run_hashes(file.text, secret)}
    signatures = sorted(
        signatures_of([words for file in files for words in functions_of(file.text, file.language)], secret)
    )
    return Sketch(
        key=key_name(key),
        runs=len(runs),
        minima=sorted(runs)[:KEPT],
        functions=len(signatures),
        signatures=base64.b64encode(b"".join(signatures)).decode(),
    )


def key_name(key: IndexKey) -> str:
    """What names a key in a sketch, and does not tell it."""
    return hashlib.blake2b(key.derive(_ID), digest_size=16).hexdigest()


def hash_secret(key: IndexKey) -> bytes:
    """What hashes of runs and words are keyed with."""
    return key.derive(_HASH)


def run_hashes(text: str, secret: bytes) -> Iterator[int]:
    """The keyed hash of each run of six lines in a text."""
    lines = lines_of(text)
    for start in range(len(lines) - LINES + 1):
        run = "\n".join(lines[start : start + LINES]).encode("utf-8", "surrogatepass")
        yield int.from_bytes(hashlib.blake2b(run, key=secret, digest_size=8).digest(), "little")


def word_count(text: str) -> int:
    """Words and signs of a text."""
    return len(_WORD.findall(text))


def functions_of(text: str, language: str) -> Iterator[list[str]]:
    """The words of each function of a Python file, one inside another as part of it and by itself."""
    if language != "python":
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = _WORD.findall("\n".join(lines[node.lineno - 1 : node.end_lineno]))
            if len(words) >= MIN_WORDS:
                yield words


def signatures_of(functions: Sequence[list[str]], secret: bytes) -> Iterator[bytes]:
    """The signature of each function, VALUES bytes."""

    def keyed(shingle: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(shingle, key=secret, digest_size=4).digest(), "little")

    sets = [
        [" ".join(words[at : at + SHINGLE]).encode("utf-8", "surrogatepass") for at in range(len(words) - SHINGLE + 1)]
        for words in functions
    ]
    for one in MinHash.bulk(sets, num_perm=VALUES, hashfunc=keyed) if sets else ():
        yield (one.hashvalues & 0xFF).astype(np.uint8).tobytes()


def save(sketch: Sketch, path: Path) -> None:
    """Write a sketch, in place of an earlier one. Raises DestinationError."""
    draft = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(sketch.model_dump_json() + "\n")
        draft.replace(path)
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}): name another file with --out"
        raise DestinationError(message) from error


def open_sketches(named: Sequence[str]) -> dict[str, Sketch]:
    """The sketches of arguments ORG=FILE, by organization.

    Raises:
        PlanError: fewer than two, one is not of that form, named twice, no sketch, or made under another key.
    """
    found: dict[str, Sketch] = {}
    for argument in named:
        organization, sign, path = argument.partition("=")
        if not sign or not organization or not path:
            message = f"{argument!r} is not of the form ORG=SKETCH"
            raise PlanError(message)
        if organization in found:
            message = f"the organization {organization!r} is named twice: one sketch each"
            raise PlanError(message)
        found[organization] = read_sketch(path)
    if len(found) < 2:  # noqa: PLR2004 - two to compare
        message = f"{len(found)} sketches are nothing to compare: name one of each organization as ORG=SKETCH"
        raise PlanError(message)
    first, *others = found.items()
    for name, sketch in others:
        if sketch.key != first[1].key:
            message = f"the sketches of {first[0]!r} and {name!r} were made under two keys: let all sketch under one"
            raise PlanError(message)
    return found


def read_sketch(path: str) -> Sketch:
    """The sketch in a file. Raises PlanError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path as it was typed
            sketch = Sketch.model_validate_json(file.read())
        rows = len(sketch.matrix())
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): `cleanroom corpus sketch` writes sketches"
        raise PlanError(message) from error
    except (ValidationError, ValueError) as error:
        message = f"{path} is no sketch: make it anew with `cleanroom corpus sketch`"
        raise PlanError(message) from error
    whole = sketch.minima == sorted(set(sketch.minima)) and len(sketch.minima) == min(KEPT, sketch.runs)
    if rows != sketch.functions or not whole:
        message = f"{path} is not whole: make it anew with `cleanroom corpus sketch`"
        raise PlanError(message)
    return sketch


def overlaps(sketches: Mapping[str, Sketch]) -> Iterator[Overlap]:
    """For each pair of organizations, what either holds of the other's code."""
    for one, other in combinations(sketches, 2):
        runs = _runs(sketches[one], sketches[other])
        for mine, theirs in ((one, other), (other, one)):
            count = sketches[mine].runs
            functions = _functions_held(sketches[mine].matrix(), sketches[theirs].matrix())
            yield Overlap(mine, theirs, functions, _part(runs, count) if count else None)


def _part(runs: tuple[float, float, float], count: int) -> Shared:
    value, low, high = (min(number, count) for number in runs)
    return Shared(round(value), value / count, low / count, high / count)


def _runs(one: Sketch, other: Sketch) -> tuple[float, float, float]:
    """Runs that both have, and limits: exact where both sketches hold all their runs.

    Of the smallest hashes of the union, the share that both hold estimates the Jaccard similarity J; of |A| + |B|
    runs, J / (1 + J) are in both.
    """
    first, second = set(one.minima), set(other.minima)
    if one.runs <= KEPT and other.runs <= KEPT:
        count = float(len(first & second))
        return count, count, count
    # Up to the lesser of the two largest hashes that are kept, both sketches are whole.
    ends = [sketch.minima[-1] for sketch in (one, other) if sketch.runs > KEPT]
    union = sorted(value for value in first | second if value <= min(ends))[:KEPT]
    both = sum(value in first and value in second for value in union)
    estimate = wilson(both, len(union))
    if estimate is None:
        return 0.0, 0.0, 0.0
    total = one.runs + other.runs
    value, low, high = (total * share / (1 + share) for share in (estimate.value, estimate.low, estimate.high))
    return value, low, high


def _functions_held(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> Shared | None:
    """How many of my functions resemble one of theirs; None where I have none."""
    if not len(mine):
        return None
    known: dict[tuple[int, bytes], list[int]] = {}
    for number, signature in enumerate(theirs):
        for band in bands(signature):
            known.setdefault(band, []).append(number)
    held = 0
    for signature in mine:
        near = {number for band in bands(signature) for number in known.get(band, ())}
        held += bool(near) and any_alike(signature, theirs[sorted(near)])
    share = held / len(mine)
    return Shared(held, share, share, share)


def any_alike(signature: NDArray[np.uint8], others: NDArray[np.uint8]) -> bool:
    """Whether a signature resembles one of `others` (any number, VALUES)."""
    equal = (others == signature).mean(axis=1)
    # Corrected for bytes that are equal by chance.
    return bool(((equal - 1 / 256) / (1 - 1 / 256) >= ALIKE).any())


def bands(signature: NDArray[np.uint8]) -> Iterable[tuple[int, bytes]]:
    """The bands of a signature: alike are compared those that share one."""
    return ((row, signature[row : row + BAND].tobytes()) for row in range(0, VALUES, BAND))
