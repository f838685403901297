from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from training.memorization.clones import LINES, CloneClass, CloneIndex, is_vendored, lines_of

LETTERS = st.lists(st.sampled_from("abcd"), max_size=40)


def index_of(**texts: str) -> CloneIndex:
    index = CloneIndex()
    for name, text in texts.items():
        index.add(name, "module.py", text)
    return index


def numbered(count: int, prefix: str = "line") -> str:
    return "".join(f"{prefix}_{number} = {number}\n" for number in range(count))


@given(LETTERS, LETTERS)
def test_a_line_is_held_exactly_if_some_window_of_it_stands_in_the_data(held: list[str], asked: list[str]) -> None:
    index = index_of(acme="\n".join(held))
    windows = {tuple(held[start : start + LINES]) for start in range(len(held) - LINES + 1)}
    expected = [False] * len(asked)
    for start in range(len(asked) - LINES + 1):
        if tuple(asked[start : start + LINES]) in windows:
            expected[start : start + LINES] = [True] * LINES
    assert [one is not None for one in index.held(asked)] == expected


def test_six_lines_are_a_clone_and_five_are_none() -> None:
    index = index_of(acme=numbered(20))
    lines = lines_of(numbered(20))
    assert all(index.held(lines[3 : 3 + LINES]))
    assert not any(index.held(lines[3 : 2 + LINES]))
    assert not any(index.held([*lines[3 : 2 + LINES], "other"]))


def test_layout_does_not_count() -> None:
    index = index_of(acme=numbered(8))
    disguised = numbered(8).replace(" = ", "=").replace("\n", "   \r\n\n\t")
    assert all(index.held(lines_of(disguised)))


def test_classes_tell_who_holds_a_line() -> None:
    index = CloneIndex()
    index.add("acme", "acme/own.py", numbered(8, "own"))
    index.add("acme", "acme/shared.py", numbered(8, "shared"))
    index.add("globex", "globex/shared.py", numbered(8, "shared"))
    index.add("acme", "acme/lib.py", numbered(8, "lib"))
    index.add("globex", "globex/_vendor/lib.py", numbered(8, "lib"))
    for prefix, kind, names in (
        ("own", CloneClass.UNIQUE, {"acme"}),
        ("shared", CloneClass.SHARED, {"acme", "globex"}),
        ("lib", CloneClass.VENDORED, {"acme", "globex"}),
    ):
        held = index.held(lines_of(numbered(8, prefix)))
        assert {one.kind for one in held if one} == {kind}
        assert {frozenset(one.organizations) for one in held if one} == {frozenset(names)}


def test_one_organization_that_repeats_itself_shares_nothing() -> None:
    index = CloneIndex()
    for path in ("a.py", "b.py"):
        index.add("acme", path, numbered(8))
    assert {one.kind for one in index.held(lines_of(numbered(8))) if one} == {CloneClass.UNIQUE}


def test_a_line_beside_shared_code_is_told_by_its_own_windows() -> None:
    index = index_of(acme=numbered(8, "own") + numbered(8, "shared"), globex=numbered(8, "shared"))
    text = numbered(8, "own") + "\n" + numbered(8, "shared")
    assert index.classes(text) == [CloneClass.UNIQUE] * 9 + [CloneClass.SHARED] * 8


def test_every_line_of_a_file_has_a_class() -> None:
    index = index_of(acme=numbered(8))
    text = "\n\n" + numbered(8) + "\nelse\n"
    assert len(index.classes(text)) == len(text.splitlines())
    assert set(index.classes(text)) == {CloneClass.UNIQUE}


def test_vendored_is_a_folder_and_no_file() -> None:
    assert is_vendored("pip/_vendor/requests/api.py")
    assert is_vendored("app/Third_Party/zlib.c")
    assert not is_vendored("app/vendor.py")
    assert not is_vendored("app/vendoring/list.py")
