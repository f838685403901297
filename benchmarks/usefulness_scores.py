"""How good a generation is beside what a person wrote, with the guard off and on. Knows no index.

Exact match and edit similarity as usual for completions (CodeXGLUE, Lu et al. 2021): of a generation, as many lines
count as the person wrote; edit similarity is rapidfuzz's `fuzz.ratio`, 0 to 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from rapidfuzz import fuzz
from usefulness_tasks import lines_of

from guard.check import GuardQuery
from guard.types import Action
from service.release import release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usefulness_tasks import Task

    from guard.check import Guard

CALLER = "stranger"
"""An organization that owns none of the code."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A generation, what leaves of it through the guard, and for whose sake the rest does not."""

    task: Task
    text: str
    left: str
    owners: tuple[str, ...]

    @property
    def blocked(self) -> bool:
        """Whether the guard kept anything back."""
        return bool(self.owners)


@dataclass(frozen=True, slots=True)
class Scores:
    """Of some outcomes, in points from 0 to 100: exact matches and mean edit similarity, guard off and on."""

    count: int
    exact: tuple[float, float]
    similar: tuple[float, float]
    blocked: int

    @property
    def changes(self) -> tuple[float, float]:
        """By how much the guard changes exact match and edit similarity, in points."""
        return abs(self.exact[0] - self.exact[1]), abs(self.similar[0] - self.similar[1])


def outcome(guard: Guard, task: Task, text: str, prompt: str) -> Outcome:
    """What leaves of `text`, written behind `prompt`, the way that the service releases it."""
    released = release(GuardQuery(text, CALLER, prompt, "python"), guard)
    owners = {match.owner.name for match in released.decision.matches if match.action is Action.BLOCK}
    if released.decision.action is Action.BLOCK:
        owners = owners or {"nobody"}
    return Outcome(task, text, released.text, tuple(sorted(owners)))


def scores(outcomes: Sequence[Outcome]) -> Scores:
    """The means of these outcomes, of which there is one at least."""
    off = [_first_lines(one.text, one.task) for one in outcomes]
    on = [_first_lines(one.left, one.task) for one in outcomes]
    wanted = [one.task.solution.rstrip() for one in outcomes]
    return Scores(
        count=len(outcomes),
        exact=(100 * fmean(map(str.__eq__, off, wanted)), 100 * fmean(map(str.__eq__, on, wanted))),
        similar=(fmean(map(fuzz.ratio, off, wanted)), fmean(map(fuzz.ratio, on, wanted))),
        blocked=sum(one.blocked for one in outcomes),
    )


def recited(outcomes: Sequence[Outcome], lines: int) -> int:
    """Of how many a caller has got so many lines all the same."""
    return sum(lines_of(one.left) >= lines for one in outcomes)


def _first_lines(text: str, task: Task) -> str:
    return "".join(text.splitlines(keepends=True)[: max(1, len(task.solution.splitlines()))]).rstrip()
