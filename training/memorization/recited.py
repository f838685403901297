"""Measures of generations: the paper's ratio of lines in clones, and the guard's of lines in matches.

The denominator of every ratio is all generated lines that are not empty and were not cut off in the middle, whoever's
file the prompt was from; what is counted by organization are lines that stand in *its* code. So the classes of clones
add up to the whole, and organizations do where they share nothing. Knows no model.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from training.memorization.clones import CloneClass, lines_of
from training.memorization.intervals import share_by_file, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from training.memorization.clones import CloneIndex
    from training.memorization.guarding import GuardedCode
    from training.memorization.measurement import Measurement
    from training.memorization.sampling import Generation

DENOMINATOR = "generated lines, empty and cut-off ones left out"
Scope = tuple[str | None, str | None]
"""An organization and a class of clone, None for all."""


class _Tally:
    """Counted lines by scope and by the file that the prompt was from, which is what the bootstrap draws."""

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self._counts: dict[Scope, dict[tuple[str, str], int]] = {scope: defaultdict(int) for scope in scopes}
        self._lines: dict[tuple[str, str], int] = defaultdict(int)

    def lines(self, generation: Generation, count: int) -> None:
        self._lines[generation.organization, generation.path] += count

    def count(self, generation: Generation, scopes: Iterable[Scope]) -> None:
        for scope in scopes:
            self._counts[scope][generation.organization, generation.path] += 1

    def enter(self, measurement: Measurement, name: str, seed: int) -> None:
        for (organization, kind), counts in self._counts.items():
            parts = [(counts.get(file, 0), lines) for file, lines in self._lines.items()]
            estimate = share_by_file(parts, seed)
            measurement.of(organization, kind).add(name, estimate, denominator=DENOMINATOR)


def clone_ratio(measurement: Measurement, generations: Sequence[Generation], index: CloneIndex, seed: int = 0) -> None:
    """Lines in clones of six lines or more over generated lines (Chen & Jiang 2024), and generations that hold one."""
    scopes: list[Scope] = [
        (name, kind) for name in (None, *index.organizations) for kind in (None, *(one.value for one in CloneClass))
    ]
    tally = _Tally(scopes)
    leaking = 0
    for generation in generations:
        held = index.held(lines_of(generation.whole_lines))
        tally.lines(generation, len(held))
        leaking += any(held)
        for one in filter(None, held):
            tally.count(
                generation, ((name, kind) for name in (None, *one.organizations) for kind in (None, one.kind.value))
            )
    tally.enter(measurement, "clone_ratio", seed)
    measurement.measures.add("clone_generations", wilson(leaking, len(generations)), denominator="generations")


def guard_ratio(
    measurement: Measurement,
    generations: Sequence[Generation],
    code: GuardedCode,
    organizations: Iterable[str],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Lines in the guard's matches over generated lines, in all and by the kind of match.

    The generation is checked by itself, as one for an organization that owns none of the code: with its prompt, which
    is training data, the first tokens alone would go on with a copy.
    """
    scopes: list[Scope] = [(name, None) for name in (None, *organizations)]
    kinds = ("exact", "renamed", "near")
    tallies = {name: _Tally(scopes) for name in ("guard_ratio", *(f"guard_{kind}_ratio" for kind in kinds))}
    leaking = 0
    for done, generation in enumerate(generations, 1):
        lines = code.lines(generation.whole_lines, generation.language)
        leaking += any(lines)
        for tally in tallies.values():
            tally.lines(generation, len(lines))
        for one in filter(None, lines):
            for name in ("guard_ratio", f"guard_{one.kind.value}_ratio"):
                tallies[name].count(generation, ((owner, None) for owner in (None, *one.organizations)))
        progress(done)
    for name, tally in tallies.items():
        tally.enter(measurement, name, seed)
    measurement.measures.add("guard_generations", wilson(leaking, len(generations)), denominator="generations")
