from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.calibration import Search, excess_bits, steps, svg, table

EVERY = 1e9
"""A search that would tell of any match."""


def chance(count: int, overrated: float = 0.0, seed: int = 1) -> list[Search]:
    """Searches as the law has them: the best match's E has 1 - exp(-E) of them at or below it."""
    best = np.random.default_rng(seed).exponential(1.0, count) * 2.0**-overrated
    return [Search(float(some), EVERY, copy=False) for some in best]


@pytest.mark.parametrize("overrated", [0.0, 3.0, -2.0])
def test_evidence_that_is_overrated_shows(overrated: float) -> None:
    found = steps(chance(20_000, overrated), levels=[0.1, 0.03, 0.01])
    assert excess_bits(found) == pytest.approx(overrated, abs=0.3)


def test_calibrated_evidence_gives_what_is_expected_at_every_level() -> None:
    for step in steps(chance(20_000), levels=[30, 3, 1, 0.3, 0.1]):
        assert step.observed == pytest.approx(step.expected, rel=0.1)


def test_every_search_counts_once_by_its_best_match() -> None:
    (step,) = steps([Search(1e-9, EVERY, copy=False)] * 7, levels=[100])
    assert step.expected == pytest.approx(7)
    assert step.observed == 7


def test_copies_are_counted_apart() -> None:
    searches = [Search(e, EVERY, copy=copy) for e, copy in ((5, False), (0.5, False), (1e-6, True), (20, True))]
    found = steps(searches, levels=[10, 1, 0.1])
    assert [(step.observed, step.found, step.copies) for step in found] == [(2, 1, 2), (1, 1, 2), (0, 1, 2)]


def test_searches_that_would_not_tell_of_a_match_are_not_counted() -> None:
    searches = [Search(2, 10, copy=False), Search(5000, 10, copy=False), Search(60, 100, copy=False)]
    found = steps(searches, levels=[1000, 50, 10])
    assert [(step.level, step.searches, step.observed) for step in found] == [(50, 1, 0), (10, 3, 1)]


@pytest.mark.parametrize("searches", [[], [Search(1, 10, copy=True)], [Search(1, 2, copy=False)]])
def test_without_negatives_there_is_nothing_to_calibrate_by(searches: list[Search]) -> None:
    with pytest.raises(ValueError, match="no search of independent code tells of a match at 5: ask more"):
        steps(searches, levels=[5])


def test_what_was_never_observed_has_no_excess() -> None:
    assert math.isnan(excess_bits(steps([Search(5, EVERY, copy=False)], levels=[1])))


def test_the_table_has_a_row_for_each_step() -> None:
    assert table(steps(chance(10), levels=[10, 1, 1e-3])).row_count == 3


def test_the_picture_has_a_dot_for_each_step_inside_its_frame() -> None:
    found = steps(chance(100), levels=[10, 1, 0.1, 1e-9])
    picture = ET.fromstring(svg(found, counts_from=0.03))  # noqa: S314 - written by the line itself
    dots = [node for node in picture.iter() if node.tag.endswith("circle")]
    assert len(dots) == 4
    for dot in dots:
        assert 0 <= float(dot.attrib["cx"]) <= 640
        assert 0 <= float(dot.attrib["cy"]) <= 400
    assert float(dots[0].attrib["cy"]) < float(dots[3].attrib["cy"])
    assert float(dots[0].attrib["cx"]) < float(dots[3].attrib["cx"])
    assert [node for node in picture.iter() if node.tag.endswith("line") and "stroke-dasharray" in node.attrib]
    with pytest.raises(ValueError, match="span no axis"):
        svg(found[:1], counts_from=0.03)
