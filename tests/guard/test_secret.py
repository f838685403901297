from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import SecretError, StoreMismatchError
from guard.secret import (
    IndexKey,
    bind_index,
    bound_index,
    load_index_key,
    read_index_key,
    take_next_key,
    write_index_key,
)

if TYPE_CHECKING:
    from pathlib import Path

HEX = "0f" * 31 + "A1"
purposes = st.binary(min_size=1, max_size=16)
secrets_ = st.binary(min_size=32, max_size=32)


@given(secrets_, purposes, purposes)
def test_subkeys_differ_by_purpose_and_key(secret: bytes, one: bytes, other: bytes) -> None:
    key = IndexKey(secret)
    assert len(key.derive(one)) == 32
    assert key.derive(one) == key.derive(one)
    # BLAKE2b pads the personalisation with zero bytes.
    same = one.rstrip(b"\0") == other.rstrip(b"\0")
    assert (key.derive(one) == key.derive(other)) == same
    flipped = IndexKey(bytes([secret[0] ^ 1]) + secret[1:])
    assert flipped.derive(one) != key.derive(one)
    assert flipped.check != key.check


@given(secrets_, purposes)
def test_a_rotation_changes_the_store_part_alone(secret: bytes, purpose: bytes) -> None:
    key = IndexKey(secret)
    # A key of one part is both parts; indexes that were made before rotations existed go on with it.
    assert key.store == key.derive(b"store")
    assert key.check == key.derive(b"check")[:16].hex()
    one = key.rotated()
    other = one.rotated()
    assert len({each.store for each in (key, one, other)}) == len({each.check for each in (key, one, other)}) == 3
    assert one.derive(purpose) == other.derive(purpose) == key.derive(purpose)
    assert key.is_kin(one)
    assert one.is_kin(other)
    # The check depends on the content part too.
    flipped = IndexKey(bytes([one.secret[0] ^ 1]) + one.secret[1:])
    assert (flipped.check != one.check, flipped.store == one.store, flipped.is_kin(one)) == (True, True, False)


@pytest.mark.parametrize("size", [0, 31, 33, 63, 65, 96])
def test_a_key_has_one_part_or_two(size: int) -> None:
    with pytest.raises(SecretError, match=f"not {size}"):
        IndexKey(bytes(size))


def test_a_rotated_key_is_read_from_the_environment_and_from_a_file(home: Path) -> None:
    key = key_of(HEX).rotated()
    assert load_index_key(home, key.secret.hex()) == key
    assert read_index_key(home / "index.key") is None
    write_index_key(home / "index.key", key)
    assert load_index_key(home, None) == read_index_key(home / "index.key") == key
    with pytest.raises(SecretError, match="with another key"):
        write_index_key(home / "index.key", key_of(HEX))
    with pytest.raises(SecretError, match="take the place"):
        take_next_key(home)


def test_a_key_shows_itself_nowhere() -> None:
    key = key_of(HEX)
    assert HEX.lower() not in repr(key) + str(key) + key.check
    assert str(key.secret) not in repr(key)


def key_of(value: str) -> IndexKey:
    return IndexKey(bytes.fromhex(value))


@pytest.mark.parametrize("purpose", [b"", b"x" * 17])
def test_a_purpose_has_1_to_16_bytes(purpose: bytes) -> None:
    with pytest.raises(SecretError, match="use 1 to 16"):
        key_of(HEX).derive(purpose)


def test_the_given_value_wins_and_writes_no_file(home: Path) -> None:
    assert load_index_key(home, f" {HEX}\n") == IndexKey(bytes.fromhex(HEX))
    assert not home.exists()


@pytest.mark.parametrize("value", ["abc", "0" * 63, "0" * 65, "0" * 96, "0" * 129, "g" * 64])
def test_a_malformed_value_is_refused_without_being_shown(home: Path, value: str) -> None:
    with pytest.raises(SecretError, match=r"CLEANROOM_INDEX_KEY.*secrets\.token_hex\(32\)") as caught:
        load_index_key(home, value)
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_first_use_makes_a_private_file_that_is_used_again(home: Path, value: str | None) -> None:
    key = load_index_key(home, value)
    path = home / "index.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bytes.fromhex(path.read_text()) == key.secret
    assert load_index_key(home, value) == key
    assert load_index_key(home.with_name("other"), value) != key
    assert list(home.iterdir()) == [home / "index.key"]


def test_processes_that_start_together_agree_on_one_key(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_index_key(home, None), range(32)))
    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_open_to_others_is_refused(home: Path, mode: int) -> None:
    load_index_key(home, None)
    path = home / "index.key"
    path.chmod(mode)
    with pytest.raises(SecretError, match=f"chmod 600 {path}"):
        load_index_key(home, None)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_broken_key_file_is_refused_and_left_alone(home: Path, content: bytes) -> None:
    load_index_key(home, None)
    (home / "index.key").write_bytes(content)
    with pytest.raises(SecretError, match=r"index\.key"):
        load_index_key(home, None)
    assert (home / "index.key").read_bytes() == content


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match="CLEANROOM_INDEX_KEY"):
        load_index_key(tmp_path / "file" / "home", None)


def test_a_home_belongs_to_the_first_index_it_was_used_with(home: Path) -> None:
    assert bound_index(home) is None
    bind_index(home, "a" * 32)
    bind_index(home, "a" * 32)
    assert bound_index(home) == "a" * 32
    with pytest.raises(StoreMismatchError, match=r"remove .*index\.id"):
        bind_index(home, "b" * 32)
    assert bound_index(home) == "a" * 32


def test_an_index_id_has_32_hex_digits(home: Path) -> None:
    with pytest.raises(SecretError, match="32 hex digits"):
        bind_index(home, "../../etc/passwd")


def test_a_broken_binding_is_refused(home: Path) -> None:
    bind_index(home, "a" * 32)
    (home / "index.id").write_text("nonsense")
    with pytest.raises(SecretError, match="holds no index id"):
        bound_index(home)
    (home / "index.id").write_bytes(b"\xff")
    with pytest.raises(SecretError, match="cannot be read"):
        bound_index(home)


def test_a_home_in_use_gets_no_second_key(home: Path) -> None:
    load_index_key(home, None)
    bind_index(home, "a" * 32)
    (home / "index.key").unlink()
    with pytest.raises(SecretError, match="its key is gone"):
        load_index_key(home, None)
    assert not (home / "index.key").exists()
    assert load_index_key(home, HEX).secret == bytes.fromhex(HEX)


def test_a_binding_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match="file"):
        bind_index(tmp_path / "file" / "home", "a" * 32)


def test_a_key_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SecretError, match=r"folder cannot be read .*restore it"):
        read_index_key(tmp_path / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match=r"cannot be written .*where you may write"):
        write_index_key(tmp_path / "file" / "key", IndexKey(bytes(32)))
