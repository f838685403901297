from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.calibration import chance_matches, excess_bits, steps, svg, table

QUERY, INDEX = 1_000, 1_000_000
EXPECTED = chance_matches(QUERY, INDEX)


def chance(count: int, least: float, seed: int = 1) -> np.ndarray:
    """Evidence of chance matches, above `least` bits, as the law has it: each further bit halves their number."""
    return least + np.random.default_rng(seed).exponential(1 / math.log(2), count)


def test_the_expected_number_halves_with_each_bit() -> None:
    assert EXPECTED(math.log2(QUERY * INDEX)) == pytest.approx(1)
    assert EXPECTED(20) == pytest.approx(2 * EXPECTED(21))
    assert chance_matches(QUERY, 2 * INDEX)(20) == pytest.approx(2 * EXPECTED(20))
    assert math.isfinite(EXPECTED(-5000))


@pytest.mark.parametrize("overrated", [0.0, 3.0, -2.0])
def test_evidence_that_is_overrated_shows(overrated: float) -> None:
    count = 2_000
    bits = chance(count, math.log2(QUERY * INDEX / count)) + overrated
    found = steps(bits, np.ones(count, dtype=bool), EXPECTED, thresholds=[22, 23, 24, 25])
    assert excess_bits(found) == pytest.approx(overrated, abs=0.3)


def test_true_matches_are_counted_apart() -> None:
    found = steps([10, 20, 30, 40], [True, True, False, False], EXPECTED, thresholds=[5, 15, 35])
    assert [(step.bits, step.observed, step.true) for step in found] == [(5, 2, 2), (15, 1, 2), (35, 0, 1)]


def test_thresholds_span_the_negatives() -> None:
    found = steps([10, 20, 30, 99], [True, True, True, False], EXPECTED)
    assert (found[0].bits, found[-1].bits) == (10, 30)
    assert (found[0].observed, found[-1].observed) == (3, 1)


@pytest.mark.parametrize(("bits", "negative"), [([], []), ([1.0], [True, False]), ([[1.0]], [[True]])])
def test_arrays_that_do_not_fit_are_refused(bits: list[object], negative: list[object]) -> None:
    with pytest.raises(ValueError, match="two arrays of one length"):
        steps(bits, negative, EXPECTED)  # type: ignore[arg-type]


def test_without_negatives_there_is_nothing_to_calibrate_by() -> None:
    with pytest.raises(ValueError, match="no match of a negative"):
        steps([40.0], [False], EXPECTED)
    assert math.isnan(excess_bits(steps([40.0], [False], EXPECTED, thresholds=[10])))


def test_the_table_has_a_row_for_each_step() -> None:
    assert table(steps([10, 20], [True, True], EXPECTED, thresholds=[5, 15, 25])).row_count == 3


def test_the_picture_has_a_dot_for_each_step_inside_its_frame() -> None:
    found = steps([10, 20, 30], [True, True, False], EXPECTED, thresholds=[5, 15, 200])
    picture = ET.fromstring(svg(found))  # noqa: S314 - written by the line itself
    dots = [node for node in picture.iter() if node.tag.endswith("circle")]
    assert len(dots) == 3
    for dot in dots:
        assert 0 <= float(dot.attrib["cx"]) <= 640
        assert 0 <= float(dot.attrib["cy"]) <= 400
    assert float(dots[0].attrib["cy"]) < float(dots[2].attrib["cy"])
    with pytest.raises(ValueError, match="span no axis"):
        svg(found[:1])
