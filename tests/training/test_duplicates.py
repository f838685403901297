from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.duplicates import Copy, Originals

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def originals() -> Originals:
    return Originals()


def test_layout_makes_no_original(originals: Originals, code: Callable[..., str]) -> None:
    assert originals.admit(code(1)) is None
    assert originals.admit(code(1)) is Copy.EXACT
    assert originals.admit(code(1).replace("\n", "\r\n\r\n").replace("    ", "\t")) is Copy.EXACT


def test_a_few_edits_make_no_original(originals: Originals, code: Callable[..., str]) -> None:
    text = code(1, functions=20)
    originals.admit(text)
    lines = text.splitlines()
    inserted = [*lines[:30], "audit = True", *lines[30:60], *lines[62:]]
    assert originals.admit("import os\n" + "\n".join(inserted)) is Copy.NEAR
    assert originals.admit(text.replace("ValueError", "TypeError")) is Copy.NEAR


@pytest.mark.parametrize("shift", range(1, 64, 7))
def test_what_stands_before_a_copy_does_not_hide_it(originals: Originals, code: Callable[..., str], shift: int) -> None:
    originals.admit(code(1, functions=40))
    assert originals.admit("\n".join(["pass"] * shift) + "\n" + code(1, functions=40)) is Copy.NEAR


def test_what_is_alike_in_parts_or_but_for_its_names_is_an_original(
    originals: Originals, code: Callable[..., str]
) -> None:
    header = "# Copyright of somebody, under conditions that are told at length elsewhere.\n" * 6
    for number in range(30):
        assert originals.admit(header + code(number)) is None
    assert originals.admit(code(1) + code(100, functions=12)) is None


def test_files_too_short_to_be_signed_are_copies_only_when_equal(originals: Originals) -> None:
    assert [originals.admit(text) for text in ("x = 1\n", "x = 2\n", "x = 1")] == [None, None, Copy.EXACT]
