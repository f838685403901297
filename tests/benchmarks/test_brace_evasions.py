from __future__ import annotations

import random
import re
import textwrap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.brace_evasions import BRACE_TRICKS, tricks_of
from benchmarks.braces import LANGUAGES, Kind, functions, joined, pieces

if TYPE_CHECKING:
    from collections.abc import Callable

JAVA = """\
public List<String> totals(Map<String, Integer> items, int limit) {
  List<String> found = new ArrayList<>();
  int first = items.size();
  int second = limit + 1;
  for (int at = 0; at < second; at++) {
    found.add("size " + at);
  }
  for (String key : items.keySet()) {
    log(key, first, 10);
  }
  return found;
}
"""
KOTLIN = """\
fun totals(items: Map<String, Int>, limit: Int): List<String> {
  val found: MutableList<String> = mutableListOf()
  val first = items.size
  val second = limit + 1
  for (key in items.keys) {
    found.add("size")
    log(key, first, 10)
  }
  return found
}
"""
JAVASCRIPT = """\
function totals(items: Map, limit: number) {
  const found = [];
  let first = items.size;
  let second = limit + 1;
  for (const key of items) {
    found.push('size', first);
    log(key, first, 10);
  }
  return found;
}
"""
CPP = """\
std::vector<int> totals(const Items& items, int limit) {
  std::vector<int> found;
  int first = items.size();
  int second = limit + 1;
  for (const auto& item : items) {
    found.push_back(item);
    log("size", first, 10);
  }
  return found;
}
"""
OBJECTIVE_C = """\
- (NSArray *)totals:(NSArray *)items limit:(int)limit {
  NSMutableArray *found = [NSMutableArray new];
  int first = items.count;
  int second = limit + 1;
  for (NSString *item in items) {
    [found addObject:item];
    log(@"size", first, 10);
  }
  return found;
}
"""
SOURCES = {"java": JAVA, "kotlin": KOTLIN, "javascript": JAVASCRIPT, "cpp": CPP, "objective-c": OBJECTIVE_C}
EVERY = [(language, trick) for language in SOURCES for trick in tricks_of(language)]


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible, no secret


def words(text: str, language: str) -> list[str]:
    return [piece.text for piece in pieces(text, language) if piece.kind not in {Kind.SPACE, Kind.COMMENT}]


def played(language: str, trick: str, seed: int = 1) -> str:
    return tricks_of(language)[trick](SOURCES[language], seeded(seed))


def test_there_is_a_sample_of_every_language() -> None:
    assert SOURCES.keys() == set(LANGUAGES)


@pytest.mark.parametrize(("language", "trick"), EVERY)
def test_each_changes_the_text_and_equal_seeds_give_equal_texts(language: str, trick: str) -> None:
    changed = played(language, trick)
    assert changed.split() != SOURCES[language].split() or trick == "reformatted"
    assert changed != SOURCES[language]
    assert changed == played(language, trick)


@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("trick", ["reformatted", "broken lines", "commented"])
def test_layout_changes_no_token(language: str, trick: str) -> None:
    for seed in range(10):
        assert "".join(words(played(language, trick, seed), language)) == "".join(words(SOURCES[language], language))


@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("trick", ["capitals", "other names", "other literals"])
def test_renaming_keeps_the_number_of_tokens_and_what_is_no_name(language: str, trick: str) -> None:
    changed = played(language, trick)
    kept = {Kind.KEYWORD, Kind.MARK}
    assert len(words(changed, language)) == len(words(SOURCES[language], language))
    assert changed.count("{") == SOURCES[language].count("{")
    if trick == "other literals":
        assert [one.text for one in pieces(changed, language) if one.kind in kept] == [
            one.text for one in pieces(SOURCES[language], language) if one.kind in kept
        ]


def test_a_name_has_one_other_name() -> None:
    changed = played("java", "other names")
    (found,) = set(re.findall(r"return (\w+);", changed))
    assert f"{found}.x" not in changed or "found" not in changed
    assert changed.count(found) == JAVA.count("found")


def test_strings_with_code_inside_stay() -> None:
    text = 'fun f(): String = "a $name b"\n'
    assert BRACE_TRICKS["other literals"](text, "kotlin", seeded(1)) == text


def test_lines_that_need_each_other_keep_their_order() -> None:
    trick = BRACE_TRICKS["reordered statements"]
    assert trick("{\n  int a = 1;\n  int b = a;\n}\n", "java", seeded(1)) == "{\n  int a = 1;\n  int b = a;\n}\n"
    assert trick("{\n  int a = 1;\n  int b = 2;\n}\n", "java", seeded(1)) == "{\n  int b = 2;\n  int a = 1;\n}\n"
    assert trick("{\n  f(1);\n  g(2);\n}\n", "java", seeded(1)) == "{\n  f(1);\n  g(2);\n}\n"


@pytest.mark.parametrize("language", SOURCES)
def test_no_for_is_left(language: str) -> None:
    assert not re.search(r"\bfor \(", played(language, "while loops"))
    assert "while (at < second) {" in played("java", "while loops")
    assert "    at++;\n  }" in played("java", "while loops")


def test_types_are_not_declared() -> None:
    assert "var first = " not in played("java", "no declared types")  # int is no class
    assert "var found = new" in played("java", "no declared types")
    assert "val found = mutable" in played("kotlin", "no declared types")
    assert "totals(items, limit)" in played("javascript", "no declared types")
    assert "auto first = " in played("cpp", "no declared types")
    assert "id found = " in played("objective-c", "no declared types")


@pytest.mark.parametrize("language", SOURCES)
def test_functions_are_found_whole_and_without_comments(language: str) -> None:
    inner = SOURCES[language].replace("\n", "  // why\n", 2)
    file = f"// a file\nclass Holder {{\n{textwrap.indent(inner, '  ')}}}\n"
    assert list(functions(file, language)) == [SOURCES[language]]


@given(st.sampled_from(sorted(SOURCES)), st.text())
def test_the_pieces_of_a_text_are_that_text(language: str, text: str) -> None:
    # pygments reads line ends as one character and drops a mark of byte order.
    text = text.replace("\r", "").removeprefix("\ufeff")
    assert joined(pieces(text, language)) == text


@pytest.mark.parametrize("trick", BRACE_TRICKS.values())
@given(text=st.text("ab1 \n{}()=;,\"'/"))
def test_no_text_stops_a_trick(trick: Callable[[str, str, random.Random], str], text: str) -> None:
    for language in SOURCES:
        trick(text, language, seeded(1))
