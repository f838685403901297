"""The files of a corpus, read back whole: what `cleanroom corpus build` wrote. Knows no model and writes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import PlanError
from training.examples import Example, Kind, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of an organization: the text as it was before it was cut."""

    organization: str
    path: str
    language: str
    split: Split
    text: str


@dataclass(frozen=True, slots=True)
class OrganizationCorpus:
    """An organization's corpus: its name, its folder and the digest of its manifest."""

    organization: str
    folder: Path
    sha256: str

    def examples(self, split: Split) -> Iterator[Example]:
        """The examples of a split, in order. Raises PlanError for a line that is none."""
        path = self.folder / f"{split.value}.jsonl"
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    yield _example(line, f"{path}:{number}")
        except OSError as error:
            message = f"{path} cannot be read ({error.strerror}): name a folder that `cleanroom corpus build` wrote"
            raise PlanError(message) from error

    def files(self, split: Split) -> list[CorpusFile]:
        """The files of a split, in order."""
        return [
            CorpusFile(self.organization, one.path, one.language, split, one.prefix + one.middle + one.suffix)
            for one in self.examples(split)
        ]


def open_corpora(named: Sequence[str]) -> list[OrganizationCorpus]:
    """The corpora of arguments ORG=FOLDER.

    Raises:
        PlanError: none is named, one is not of that form, named twice, or no corpus.
    """
    if not named:
        message = "no corpus is named: give --corpus ORG=FOLDER for every organization"
        raise PlanError(message)
    found: dict[str, OrganizationCorpus] = {}
    for argument in named:
        organization, sign, folder = argument.partition("=")
        if not sign or not organization or not folder:
            message = f"{argument!r} is not of the form ORG=FOLDER"
            raise PlanError(message)
        if organization in found:
            message = f"the organization {organization!r} is named twice: put its trees into one corpus"
            raise PlanError(message)
        found[organization] = _opened(organization, Path(folder).expanduser())
    return list(found.values())


def _opened(organization: str, folder: Path) -> OrganizationCorpus:
    try:
        manifest = (folder / MANIFEST).read_bytes()
    except OSError as error:
        message = f"{folder} is no corpus ({MANIFEST}: {error.strerror}): build one with `cleanroom corpus build`"
        raise PlanError(message) from error
    return OrganizationCorpus(organization, folder, hashlib.sha256(manifest).hexdigest())


def _example(line: str, place: str) -> Example:
    try:
        fields = json.loads(line)
        return Example(**{**fields, "kind": Kind(fields["kind"])})
    except (ValueError, TypeError, KeyError) as error:
        message = f"{place} is no training example: build the corpus again"
        raise PlanError(message) from error
