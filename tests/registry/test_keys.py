from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import RegistryError, SigningKeyError
from registry.keys import PublicKey, SigningKey, load_key, make_key, trusted_keys
from registry.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path

# RFC 8032, section 7.1, test 1: secret and public key.
SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_the_public_key_is_that_of_the_standard() -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET)))
    assert key.public == PublicKey(f"ed25519:{PUBLIC}")


@given(st.binary(max_size=32), st.binary(max_size=32), st.sampled_from(["one", "two"]))
def test_a_signature_holds_for_its_data_and_purpose_alone(data: bytes, other: bytes, purpose: str) -> None:
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SECRET)))
    signature = key.sign("one", data)
    assert key.public.signed("one", data, signature)
    assert key.public.signed(purpose, other, signature) == (purpose == "one" and data == other)
    assert not key.public.signed("one", data, signature.upper() if signature.upper() != signature else "")


def test_a_key_that_is_no_point_signs_nothing() -> None:
    assert not PublicKey("ed25519:" + "f" * 64).signed("one", b"", "0" * 128)


def test_a_key_is_read_back(tmp_path: Path) -> None:
    made = make_key(tmp_path / "new" / "key.pem")
    assert (tmp_path / "new" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path / "new" / "key.pem").public == made.public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(SigningKeyError, match="exists"):
        make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(SigningKeyError, match="cannot be written"):
        make_key(tmp_path / "file" / "key.pem")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        load_key(tmp_path / "key.pem")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(SigningKeyError, match="cannot be read"):
        load_key(path)
    path.touch(0o600)
    with pytest.raises(SigningKeyError, match="no signing key"):
        load_key(path)
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(other)
    with pytest.raises(SigningKeyError, match="another kind"):
        load_key(path)


ONE, TWO = (f"ed25519:{digit * 64}" for digit in "12")


def test_trusted_keys_are_those_given_or_those_in_the_file(tmp_path: Path) -> None:
    assert trusted_keys(tmp_path, None) == frozenset()
    (tmp_path / "release-keys").write_text(f"# the consortium's\n{ONE} # of 2026\n\n{TWO}\n")
    assert trusted_keys(tmp_path, None) == {PublicKey(ONE), PublicKey(TWO)}
    assert trusted_keys(tmp_path, f"{ONE}, {ONE}") == {PublicKey(ONE)}
    assert trusted_keys(tmp_path, "") == frozenset()


def test_what_is_no_trusted_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="'x' is no public key"):
        trusted_keys(tmp_path, f"{ONE} x")
    (tmp_path / "release-keys").write_bytes(b"\xff")
    with pytest.raises(SigningKeyError, match="cannot be read"):
        trusted_keys(tmp_path, None)


# --- home and keys of the commands


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CLEANROOM_HOME", "CLEANROOM_RELEASE_KEYS", "CLEANROOM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_variable_wins_over_the_file(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "cleanroom.toml").write_text(f'home = "there"\nrelease_keys = "{ONE}"\nport = 1\n')
    found = surroundings()
    assert found.home == elsewhere / "there"
    assert found.trusted() == {PublicKey(ONE)}
    monkeypatch.setenv("CLEANROOM_HOME", str(elsewhere / "here"))
    monkeypatch.setenv("CLEANROOM_RELEASE_KEYS", TWO)
    found = surroundings()
    assert found.home == elsewhere / "here"
    assert found.trusted() == {PublicKey(TWO)}


def test_settings_that_cannot_be_read_are_told(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert surroundings().keys is None
    (elsewhere / "cleanroom.toml").write_text("home = 1")
    with pytest.raises(RegistryError, match="must be texts"):
        surroundings()
    (elsewhere / "cleanroom.toml").write_text("home =")
    with pytest.raises(RegistryError, match="cannot be read as settings"):
        surroundings()
    monkeypatch.setenv("CLEANROOM_CONFIG", str(elsewhere / "none.toml"))
    with pytest.raises(RegistryError, match="cannot be read as settings"):
        surroundings()
