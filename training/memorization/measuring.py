"""Measures the memorization of one model. Read `measure` to see what is done, in order.

corpora -> clones by window -> samples -> ratios -> places -> extraction -> files -> membership -> canaries -> audit.
Trains nothing, and writes nowhere but into the folder it is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.errors import EmptyCorpusError
from training.examples import Split
from training.memorization import canaries
from training.memorization.clones import CloneIndex
from training.memorization.extracted import PlacesPlan, extractability, recalled
from training.memorization.guarding import guarded
from training.memorization.journal import Journal
from training.memorization.measurement import Measurement
from training.memorization.recited import clone_ratio, guard_ratio
from training.memorization.sampling import SamplingPlan, sample
from training.memorization.separated import (
    canary_logprobs,
    canary_measures,
    drawn_files,
    file_scores,
    membership,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from training.corpus_files import CorpusFile, OrganizationCorpus
    from training.memorization.reciting import Reciter


@dataclass(frozen=True, slots=True)
class MeasuringPlan:
    """How much is measured: samples in all, and of each organization places, files of a split, references a canary.

    `guard`: whether the guard's matches are measured as well, for which the corpora are indexed.
    """

    sampling: SamplingPlan = field(default_factory=SamplingPlan)
    places: int = 500
    files: int = 500
    references: int = canaries.REFERENCES
    guard: bool = True

    def to_json(self) -> dict[str, Any]:
        """The settings, for the measurement."""
        return {
            "samples": self.sampling.samples,
            **self.sampling.to_json(),
            "places_per_organization": self.places,
            "files_per_organization": self.files,
            "references_per_canary": self.references,
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: the loaded model, its name, and the digest of its weights (empty where there is no folder)."""

    reciter: Reciter
    name: str
    sha256: str


def measure(
    subject: Subject,
    corpora: Sequence[OrganizationCorpus],
    plan: MeasuringPlan,
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Measurement:
    """Measure a model by the corpora it was trained on; what is found goes to journals in `folder` as it is found.

    Raises:
        EmptyCorpusError: an organization has no training files.
        PlanError: a corpus cannot be read.
        DestinationError: the folder cannot be written, or holds another measurement.
        RefusalError: the guard cannot answer.
    """
    training = {one.organization: one.files(Split.TRAIN) for one in corpora}
    for organization, files in training.items():
        if not files:
            message = f"{organization} has no training files: name the corpora that the model was trained on"
            raise EmptyCorpusError(message)
    index = CloneIndex()
    for file in (file for files in training.values() for file in files):
        index.add(file.organization, file.path, file.text)
    measurement = Measurement(subject.name, subject.sha256, subject.reciter.precision)
    measurement.settings = {**plan.to_json(), "corpora": {one.organization: one.sha256 for one in corpora}}
    stages = _Stages(subject, corpora, plan, folder, progress, measurement)
    stages.recitation(training, index)
    stages.extraction(training, index)
    stages.membership(training)
    stages.canaries()
    return measurement


@dataclass(frozen=True, slots=True)
class _Stages:
    """The stages of one measurement, each with a journal of its own."""

    subject: Subject
    corpora: Sequence[OrganizationCorpus]
    plan: MeasuringPlan
    folder: Path
    progress: Callable[[str, int, int], None]
    measurement: Measurement

    def _journal(self, name: str, **settings: object) -> Journal:
        """The stage's journal. Its first line names all that decides what stands in it, but how far it goes."""
        run = {
            "stage": name,
            "model_sha256": self.subject.sha256 or self.subject.name,
            "precision": self.subject.reciter.precision,
            "corpora": {one.organization: one.sha256 for one in self.corpora},
            **settings,
        }
        return Journal(self.folder / f"{name}.jsonl", run)

    def recitation(self, training: dict[str, list[CorpusFile]], index: CloneIndex) -> None:
        sampling = self.plan.sampling
        journal = self._journal("generations", **sampling.to_json())
        generations = sample(
            self.subject.reciter, training, sampling, journal,
            lambda done: self.progress("samples", done, sampling.samples),
        )  # fmt: skip
        clone_ratio(self.measurement, generations, index, sampling.seed)
        if not self.plan.guard:
            return
        with guarded(file for files in training.values() for file in files) as code:
            guard_ratio(
                self.measurement, generations, code, training, sampling.seed,
                lambda done: self.progress("guard", done, len(generations)),
            )  # fmt: skip

    def extraction(self, training: dict[str, list[CorpusFile]], index: CloneIndex) -> None:
        sampling, places = self.plan.sampling, self.plan.places
        plan = PlacesPlan(places, sampling.scheme, sampling.seed)
        journal = self._journal("places", scheme=plan.scheme.to_json(), seed=plan.seed, places=places)
        found = recalled(
            self.subject.reciter, training, index, plan, journal,
            lambda done: self.progress("places", done, 3 * places * len(training)),
        )  # fmt: skip
        extractability(self.measurement, found)

    def membership(self, training: dict[str, list[CorpusFile]]) -> None:
        seed, most = self.plan.sampling.seed, self.plan.files
        test = {one.organization: one.files(Split.TEST) for one in self.corpora}
        files = [*drawn_files(training, most, seed), *drawn_files(test, most, seed)]
        journal = self._journal("files", seed=seed, files=most)
        found = file_scores(self.subject.reciter, files, journal, lambda done: self.progress("files", done, len(files)))
        membership(self.measurement, found, seed)

    def canaries(self) -> None:
        seed, count = self.plan.sampling.seed, self.plan.references
        listed = {one.organization: canaries.load(one.folder / canaries.FILE) for one in self.corpora}
        every = [canary for some in listed.values() for canary in some]
        if not every:
            self.measurement.notes.append(
                "no canaries: `cleanroom memorization plant` puts some into a corpus before training"
            )
            return
        journal = self._journal("canaries", references=count)
        rows = canary_logprobs(
            self.subject.reciter, every, journal, count,
            lambda done: self.progress("canaries", done, len(every) * (count + 1)),
        )  # fmt: skip
        answers = iter(rows)
        told = {name: [(canary, next(answers)) for canary in some] for name, some in listed.items() if some}
        canary_measures(self.measurement, told, seed)
