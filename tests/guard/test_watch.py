from __future__ import annotations

import re
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.code import METHOD, PYTHON, UNRELATED, renamed
from samples.indexed import Indexed, in_every_language

from guard.check import GuardQuery
from guard.errors import RefusalError
from guard.licenses import LicensePolicy
from guard.tokens import lex
from guard.types import Action, Owner
from guard.watch import EARLY, LATE, WINDOW, _Open

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from guard.store import Store
    from guard.watch import Caution, Hold

TOKENS = 10**9
"""An index so large that little is a match by chance."""
CAUTIONS = pytest.mark.parametrize("caution", [EARLY, LATE], ids=["early", "late"])
DISGUISES = pytest.mark.parametrize("disguise", [str, renamed], ids=["as it is", "renamed"])
PIECE = re.compile(r"\s*(?:\w{1,6}|[^\w\s])|\s+")


@pytest.fixture
def indexed(embedded_store: Store, home: Path) -> Indexed:
    indexed = in_every_language(embedded_store, home)
    indexed.grow(TOKENS)
    return indexed


def followed(
    indexed: Indexed, pieces: list[str], caution: Caution, *, prefix: str = "", caller: str = "gamma"
) -> tuple[str, bool]:
    """What leaves of a text that comes in these pieces before it is known to leak, and whether it is."""
    query = GuardQuery("", caller, prefix, "python")
    watch = indexed.guard.watch(query, caution)
    left = ""
    for text in accumulate(pieces):
        hold: Hold = watch.look(text)
        assert 0 <= hold.safe <= len(text)
        left = max(left, text[: hold.safe], key=len)
        if hold.suspect and indexed.check(text, caller, prefix=prefix, language="python").action is Action.BLOCK:
            return left, True
    return left, False


def in_tokens(text: str) -> list[str]:
    return PIECE.findall(text)


@DISGUISES
@pytest.mark.parametrize("before", ["", UNRELATED + "\n\n"], ids=["alone", "behind other code"])
def test_of_a_copy_nothing_leaves_late(indexed: Indexed, disguise: Callable[[str], str], before: str) -> None:
    text = before + disguise(METHOD)
    left, leaks = followed(indexed, in_tokens(text), LATE)
    assert leaks
    left = left.rstrip()  # blanks alone tell nothing
    assert before.startswith(left)
    matches = indexed.check(text, language="python").matches
    assert len(left) <= min(match.start for match in matches)


@DISGUISES
def test_of_a_copy_among_long_comments_nothing_leaves_late(indexed: Indexed, disguise: Callable[[str], str]) -> None:
    first, *rest = disguise(METHOD).splitlines()
    remark = "    # " + " ".join(f"word{number}" for number in range(60))
    text = "\n".join([first, remark, *chain.from_iterable((line, remark) for line in rest)])
    left, leaks = followed(indexed, in_tokens(text), LATE)
    assert leaks
    assert not left.strip()


def test_a_remark_behind_the_prompts_code_leaves_by_itself(indexed: Indexed) -> None:
    remark = "# " + " ".join(f"word{number}" for number in range(60))
    left, leaks = followed(indexed, in_tokens(remark), LATE, prefix=UNRELATED + "\n\n")
    assert not leaks
    assert len(left) > len(remark) / 3


@DISGUISES
def test_what_leaves_early_of_a_copy_is_none_by_itself(indexed: Indexed, disguise: Callable[[str], str]) -> None:
    text = f"{UNRELATED}\n\n{disguise(METHOD)}"
    left, leaks = followed(indexed, in_tokens(text), EARLY)
    assert leaks
    assert left.startswith(UNRELATED)
    assert indexed.check(left, language="python").action is Action.ALLOW
    opening = len(lex(left[len(UNRELATED) :], "python").code)
    assert opening < len(lex(METHOD, "python").code) / 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@CAUTIONS
def test_however_it_is_cut_into_pieces(indexed: Indexed, caution: Caution, data: st.DataObject) -> None:
    text = f"{UNRELATED}\n\n{METHOD}"
    cuts = data.draw(st.lists(st.integers(1, len(text) - 1), unique=True, max_size=40))
    bounds = [0, *sorted(cuts), len(text)]
    pieces = [text[first:last] for first, last in pairwise(bounds)]
    left, leaks = followed(indexed, pieces, caution)
    assert leaks
    assert text.startswith(left)
    assert indexed.check(left, language="python").action is Action.ALLOW
    if caution is LATE:
        assert len(left) <= len(UNRELATED) + 2


@CAUTIONS
def test_clean_text_leaves_but_for_the_newest_tokens(indexed: Indexed, caution: Caution) -> None:
    left, leaks = followed(indexed, in_tokens(UNRELATED), caution)
    assert not leaks
    assert len(lex(UNRELATED[len(left) :], "python").code) <= caution.newest
    assert left == UNRELATED or caution is LATE


def test_ones_own_code_is_not_held(indexed: Indexed) -> None:
    assert followed(indexed, in_tokens(METHOD), EARLY, caller="acme") == (METHOD, False)


def test_code_that_may_be_cited_is_not_held(embedded_store: Store, home: Path) -> None:
    indexed = Indexed(embedded_store, home)
    indexed.add(Owner.licensed("attrs", "MIT"), "attrs.py", PYTHON)
    assert indexed.check(METHOD, policy=LicensePolicy.default()).action is Action.CITE
    assert followed(indexed, in_tokens(METHOD), EARLY) == (METHOD, False)


@CAUTIONS
def test_what_the_prompt_began_is_held_from_the_first_token(indexed: Indexed, caution: Caution) -> None:
    middle = METHOD.index("\n", len(METHOD) // 2) + 1
    left, leaks = followed(indexed, in_tokens(METHOD[middle:]), caution, prefix=METHOD[:middle])
    assert (left, leaks) == ("", True)


@CAUTIONS
def test_a_copy_far_behind_is_found_when_the_window_has_moved(indexed: Indexed, caution: Caution) -> None:
    clean = "".join(f"shelf_{number} = stack[{number}].lift(crane, {number} * 3)\n" for number in range(80))
    assert len(lex(clean, "python").code) > 4 * WINDOW
    lines = (clean + METHOD).splitlines(keepends=True)
    left, leaks = followed(indexed, lines, caution)
    assert leaks
    assert clean.startswith(left) or caution is EARLY
    assert indexed.check(left, language="python").action is Action.ALLOW


def test_every_run_is_looked_up_once(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    lookup = indexed.index.lookup

    def counted(names: np.ndarray, documents: object = ()) -> object:
        del documents
        asked.extend(names.tolist())
        return lookup(names)

    monkeypatch.setattr(indexed.index, "lookup", counted)
    lines = UNRELATED.splitlines(keepends=True)
    followed(indexed, lines, EARLY)
    probes = indexed.digester.probes(UNRELATED, "python", every=True)
    whole = {name for probe in probes for name in probe.fingerprints.names.tolist()}
    assert len(asked) == len(set(asked))
    # Behind a line that has not ended there are runs that the whole text does not have.
    assert whole <= set(asked)


def test_an_index_that_is_gone_lets_nothing_more_out(indexed: Indexed) -> None:
    watch = indexed.guard.watch(GuardQuery("", "gamma", "", "python"), EARLY)
    watch.look(UNRELATED[:200])
    indexed.store.writer.flushall()
    with pytest.raises(RefusalError):
        watch.look(UNRELATED)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@CAUTIONS
def test_looks_together_are_looks_apart(indexed: Indexed, caution: Caution, data: st.DataObject) -> None:
    texts = [METHOD, UNRELATED + "\n\n" + renamed(METHOD), UNRELATED, METHOD, ""]
    callers = ["gamma", "gamma", "gamma", "acme", "gamma"]
    queries = [GuardQuery("", caller, "", "python") for caller in callers]
    together = [indexed.guard.watch(query, caution) for query in queries]
    apart = [indexed.guard.watch(query, caution) for query in queries]
    parts = data.draw(st.lists(st.floats(0, 1), max_size=6).map(sorted))
    for part in [*parts, 1.0]:
        so_far = [text[: int(len(text) * part)] for text in texts]
        holds = indexed.guard.look(list(zip(together, so_far, strict=True)))
        assert holds == [watch.look(text) for watch, text in zip(apart, so_far, strict=True)]


def test_a_remark_that_has_left_the_window_is_held_no_longer(indexed: Indexed) -> None:
    watch = indexed.guard.watch(GuardQuery("", "gamma", "", "python"), EARLY)
    watch._open = [_Open(prose=True, start=0, end=4)]
    text = "a = 1\n"
    assert watch.look(text).safe == len(text)
