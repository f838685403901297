from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING

from benchmarks.peer_scanoss import ScanossWinnowing, install_command

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Winnowing:
    """Stands in for their package: a hash a word, in the form of their WFP."""

    def wfp_for_contents(self, file: str, binary: bool, contents: bytes) -> str:  # noqa: FBT001 - their form
        assert not binary
        lines = [f"{number}={_hash(word)},{_hash(word)}" for number, word in enumerate(contents.split(), 1)]
        return "\n".join([f"file=0,{len(contents)},{file}", "fh2=0", *lines]) + "\n"


def _hash(word: bytes) -> str:
    return f"{zlib.crc32(word):08x}"


def peer(hits: int) -> ScanossWinnowing:
    known = ScanossWinnowing(Winnowing(), hits)
    known.index({"acme": [("a.py", "one two three"), ("b.py", "four five")], "zeta": [("a.py", "one four six")]})
    return known


def test_a_file_must_share_enough_different_hashes() -> None:
    assert peer(2).owners("one two") == {"acme"}
    assert peer(2).owners("one one four") == {"zeta"}
    assert peer(1).owners("one") == {"acme", "zeta"}
    assert peer(3).owners("one two four five") == set()


def test_what_stands_before_the_text_counts() -> None:
    assert peer(2).owners("two", "one ") == {"acme"}


def test_hashes_are_those_of_lines_only() -> None:
    assert peer(2).hashes("one two") == {_hash(b"one"), _hash(b"two")}
    assert peer(2).hashes("") == set()


def test_it_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanoss_winnowing", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert ScanossWinnowing.installed(tmp_path) is None
    assert str(tmp_path) in install_command(tmp_path)
