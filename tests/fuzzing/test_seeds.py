from __future__ import annotations

import numpy as np
import pytest

from fuzzing.seeds import dictionary, seeds
from fuzzing.targets import LENGTHS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_keeps_the_laws_and_is_short_enough(target: str) -> None:
    inputs = [*seeds(target)]
    assert len({*inputs}) > 1
    for data in inputs:
        assert len(data) <= LENGTHS[target]
        if target != "growth":  # what is read is counted in plain kernels only
            with np.errstate(over="ignore"):
                TARGETS[target](data)


def test_the_dictionary_is_of_marks_as_libfuzzer_reads_them() -> None:
    lines = dictionary().splitlines()
    assert '"\\x22\\x22\\x22"' in lines
    assert all(line.startswith('"\\x') and line.endswith('"') for line in lines)
