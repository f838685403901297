from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from samples.code import JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed

from guard import rekeying
from guard.audit import verify
from guard.check import Guard, GuardQuery
from guard.digest import Digester
from guard.errors import RefusalError, SecretError, StoreEmptyError, StoreMismatchError
from guard.index import Index
from guard.rekeying_scripts import DROP, MOVE, REPLACE
from guard.rotation import Rotation
from guard.secret import IndexKey, load_index_key, read_index_key, write_index_key
from guard.types import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guard.store import Store

QUERIES = [(PYTHON, "python"), (JAVA, "java"), (PYTHON[: len(PYTHON) // 2], None), (UNRELATED, "python")]


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    """An index whose key is in its home, as where no key is given."""
    write_index_key(home / "index.key", KEY)
    indexed = Indexed(store, home)
    indexed.add(ACME, "a.py", PYTHON)
    indexed.add(ACME, "b.java", JAVA, "java")
    return indexed


def decisions(store: Store, home: Path, key: IndexKey) -> list[tuple[object, ...]]:
    """What the guard says under a key, but for ids and times."""
    guard = Guard(Index(store, key, home), Digester(key))
    found = [guard.check(GuardQuery(text, "gamma", language=language)) for text, language in QUERIES]
    return [(decision.action, decision.matches) for decision in found]


def interrupted_at(script: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Stop the re-keying when it runs a program for the so-many-th time; what is answered lets it go on again."""
    real, left = rekeying.Programs.spread, [calls]

    def stop(self: Any, program: str, asked: list[Any]) -> list[Any]:  # noqa: ANN401 - as it is
        left[0] -= program == script
        if program == script and left[0] == 0:
            raise InterruptedError
        return real(self, program, asked)

    monkeypatch.setattr(rekeying.Programs, "spread", stop)
    return lambda: monkeypatch.setattr(rekeying.Programs, "spread", real)


def test_the_new_key_finds_what_the_old_one_found_and_the_old_one_is_refused(indexed: Indexed, home: Path) -> None:
    before = decisions(indexed.store, home, KEY)
    assert [action for action, _ in before] == [Action.BLOCK, Action.BLOCK, Action.BLOCK, Action.ALLOW]
    told: list[float] = []
    assert Rotation(home).run(indexed.store, told.append) == home / "index.key"
    new = load_index_key(home, None)
    assert (new != KEY, new.is_kin(KEY), told[-1]) == (True, True, 1)
    assert stat.S_IMODE((home / "index.key").stat().st_mode) == 0o600
    assert not (home / "index.key.next").exists()
    assert decisions(indexed.store, home, new) == before
    with pytest.raises(StoreMismatchError, match="rotate-index"):
        decisions(indexed.store, home, KEY)
    # A service that runs on has opened its index before.
    for text, language in QUERIES:
        with pytest.raises(RefusalError):
            indexed.check(text, language=language)


def test_what_was_indexed_is_written_once_more_and_more_can_be_added(indexed: Indexed, home: Path) -> None:
    Rotation(home).run(indexed.store)
    again = Indexed(indexed.store, home, load_index_key(home, None))
    assert [again.add(ACME, "a.py", PYTHON), again.add(ACME, "a.py", PYTHON)] == [True, False]
    assert again.add(BETA, "c.py", UNRELATED)
    assert again.check(UNRELATED).action is Action.BLOCK
    assert verify(again.index).sound


def test_keys_rotate_again_and_again(indexed: Indexed, home: Path) -> None:
    before, seen = decisions(indexed.store, home, KEY), {KEY}
    for _ in range(3):
        Rotation(home).run(indexed.store)
        key = load_index_key(home, None)
        assert key not in seen
        seen.add(key)
        assert decisions(indexed.store, home, key) == before


@pytest.mark.parametrize(("script", "calls"), [(REPLACE, 1), (REPLACE, 3), (MOVE, 1), (DROP, 2)])
def test_an_interrupted_rotation_goes_on_with_its_key(
    indexed: Indexed, home: Path, script: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decisions(indexed.store, home, KEY)
    resume = interrupted_at(script, calls, monkeypatch)
    with pytest.raises(InterruptedError):
        Rotation(home).run(indexed.store)
    assert Rotation(home).begun
    assert stat.S_IMODE((home / "index.key.next").stat().st_mode) == 0o600
    new = read_index_key(home / "index.key.next")
    assert new is not None
    # Checks go on under the one key or the other, never under both.
    standing, refused = (new, KEY) if script == DROP else (KEY, new)
    assert decisions(indexed.store, home, standing) == before
    with pytest.raises(StoreMismatchError):
        decisions(indexed.store, home, refused)
    resume()
    Rotation(home).run(indexed.store)
    assert load_index_key(home, None) == new
    assert decisions(indexed.store, home, new) == before
    assert verify(Index(indexed.store, new, home)).sound


def test_a_crash_before_the_new_key_took_its_place_is_finished(
    indexed: Indexed, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decisions(indexed.store, home, KEY)

    def die(_: Path) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr("guard.rotation.take_next_key", die)
        with pytest.raises(InterruptedError):
            Rotation(home).run(indexed.store)
    with pytest.raises(StoreMismatchError, match="rotation again"):
        Rotation(home).abandon(indexed.store)
    assert load_index_key(home, None) == KEY
    Rotation(home).run(indexed.store)
    assert decisions(indexed.store, home, load_index_key(home, None)) == before


def test_a_rotation_is_given_up(indexed: Indexed, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = decisions(indexed.store, home, KEY)
    resume = interrupted_at(MOVE, 1, monkeypatch)
    with pytest.raises(InterruptedError):
        Rotation(home).run(indexed.store)
    resume()
    with pytest.raises(StoreMismatchError, match="rotate-index"):
        indexed.add(BETA, "c.py", UNRELATED)
    Rotation(home).abandon(indexed.store)
    assert not (home / "index.key.next").exists()
    assert decisions(indexed.store, home, KEY) == before
    assert indexed.add(BETA, "c.py", UNRELATED)
    assert verify(indexed.index).sound


def test_a_given_key_gets_its_successor_in_a_file(indexed: Indexed, home: Path, tmp_path: Path) -> None:
    before, out = decisions(indexed.store, home, KEY), tmp_path / "new.key"
    given = load_index_key(home, KEY.secret.hex())
    assert Rotation(home, given, out).run(indexed.store) == out
    assert read_index_key(home / "index.key") == KEY
    # Done again, it finds nothing left to do.
    assert Rotation(home, given, out).run(indexed.store) == out
    new = load_index_key(home, out.read_text())
    assert decisions(indexed.store, home, new) == before
    with pytest.raises(SecretError, match="name a new file"):
        Rotation(home, new, out).run(indexed.store)


def test_two_rotations_do_not_meet(indexed: Indexed, home: Path, tmp_path: Path, store: Store) -> None:
    descriptor = os.open(home, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(SecretError, match="by another process"):
        Rotation(home).run(store)
    os.close(descriptor)
    # From another home that holds the same key.
    (tmp_path / "other").mkdir()

    def meanwhile(share: float) -> None:
        if share < 1:
            Rotation(tmp_path / "other", KEY, tmp_path / "other.key").run(store)

    with pytest.raises(StoreMismatchError, match="yet another key"):
        Rotation(home).run(store, meanwhile)
    assert indexed.check(PYTHON).action is Action.BLOCK


def test_a_key_of_another_index_is_left_alone(indexed: Indexed, home: Path) -> None:
    foreign = IndexKey(b"o" * 64)
    write_index_key(home / "index.key.next", foreign)
    for act in (Rotation(home).run, Rotation(home).abandon):
        with pytest.raises(SecretError, match="another index"):
            act(indexed.store)
    assert read_index_key(home / "index.key.next") == foreign
    (home / "index.key.next").chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        Rotation(home).run(indexed.store)


def test_without_its_key_or_its_index_nothing_is_made(store: Store, home: Path, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="CLEANROOM_HOME"):
        Rotation(home).run(store)
    home.mkdir()
    with pytest.raises(SecretError, match=r"index\.key is missing"):
        Rotation(home).run(store)
    with pytest.raises(StoreEmptyError):
        Rotation(home, KEY, tmp_path / "new.key").run(store)
    Indexed(store, home)
    with pytest.raises(StoreMismatchError):
        Rotation(home, IndexKey(b"o" * 32), tmp_path / "new.key").run(store)
    assert list(tmp_path.iterdir()) == [home]
    assert [path.name for path in home.iterdir()] == ["index.id"]
    with pytest.raises(SecretError, match="needs a file"):
        Rotation(home, KEY)


def test_what_was_begun_with_a_key_that_is_lost_is_given_up_as_well(
    indexed: Indexed, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume = interrupted_at(MOVE, 1, monkeypatch)
    with pytest.raises(InterruptedError):
        Rotation(home).run(indexed.store)
    resume()
    Rotation(home).file.unlink()
    Rotation(home).abandon(indexed.store)
    assert indexed.add(ACME, "c.py", UNRELATED)
    assert verify(indexed.index).sound
