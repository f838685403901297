from __future__ import annotations

from benchmarks.peers import LINES, QUERY_STRIDE, STRIDE, WindowLsh, windows

FILE = "".join(f"result_{i} = first_{i}(second, {i})[{'+'.join('abcdefgh'[: 1 + i % 7])}]\n" for i in range(40))


def test_windows_follow_one_another_to_the_end() -> None:
    assert len(windows(FILE)) == (40 - LINES) // STRIDE + 1
    assert len(windows(FILE, fragment=True)) == (40 - LINES) // QUERY_STRIDE + 1
    assert len(windows("x = call(1)\n")) == 1
    assert windows("") == []


def test_blank_lines_and_comments_are_no_lines_of_a_window() -> None:
    assert windows(FILE.replace("\n", "\n\n# a comment\n")) == windows(FILE)


def test_a_renamed_copy_has_its_owner() -> None:
    peer = WindowLsh()
    peer.add("acme", FILE)
    peer.add("other", "for i in range(10):\n    print(i)\n" * 20)
    copy = FILE.replace("result", "outcome").replace("second", "third")
    assert peer.owners("".join(copy.splitlines(keepends=True)[10:30])) == {"acme"}
    assert peer.owners("import os\nif os.path:\n    raise ValueError(os)\n") == set()
