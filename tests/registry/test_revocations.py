from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.released import key_in, released

from registry.canonical import canonical
from registry.errors import RegistryError, RevokedError, UnverifiedError

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import SigningKey
    from registry.releases import Release, Releases


def list_file(releases: Releases, key: SigningKey) -> Path:
    return releases.folder / ".revoked" / f"{key.public.hex}.json"


def test_a_withdrawn_release_is_refused(releases: Releases, release: Release, key: SigningKey, home: Path) -> None:
    again = released(home, key)
    told = releases.revocations.add(key, str(release.name), release.digest, "recites org-a")
    assert told.number == 2
    with pytest.raises(RevokedError, match="recites org-a"):
        releases.verify(release.name, {key.public})
    releases.verify(again.name, {key.public})


def test_withdrawing_twice_changes_nothing(releases: Releases, release: Release, key: SigningKey) -> None:
    first = releases.revocations.add(key, "small@1", release.digest, "one")
    assert releases.revocations.add(key, "small@1", release.digest, "two") == first


def test_the_newest_is_refused_and_not_replaced_by_an_older_one(
    releases: Releases, release: Release, key: SigningKey, home: Path
) -> None:
    newest = released(home, key)
    releases.revocations.add(key, str(newest.name), newest.digest, "recites")
    assert releases.find("small") == newest.name != release.name
    with pytest.raises(RevokedError):
        releases.verify(releases.find("small"), {key.public})


def test_a_missing_list_is_refused(releases: Releases, release: Release, key: SigningKey) -> None:
    list_file(releases, key).unlink()
    with pytest.raises(UnverifiedError, match="cannot be read"):
        releases.verify(release.name, {key.public})


def test_any_trusted_key_withdraws_and_no_other(
    releases: Releases, release: Release, key: SigningKey, tmp_path: Path
) -> None:
    other = key_in(tmp_path, "other.pem")
    releases.revocations.add(other, "small@1", release.digest, "recites")
    releases.verify(release.name, {key.public})
    with pytest.raises(RevokedError, match=str(other.public)):
        releases.verify(release.name, {key.public, other.public})


def test_a_list_of_one_key_is_none_of_another(
    releases: Releases, release: Release, key: SigningKey, tmp_path: Path
) -> None:
    other = key_in(tmp_path, "other.pem")
    releases.revocations.ensure(other)
    list_file(releases, key).write_bytes(list_file(releases, other).read_bytes())
    with pytest.raises(UnverifiedError, match="not the list"):
        releases.verify(release.name, {key.public})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_byte_flipped_in_a_list_is_refused(
    releases: Releases, release: Release, key: SigningKey, place: float, flip: int
) -> None:
    file = list_file(releases, key)
    releases.revocations.add(key, "other@1", "0" * 64, "recites")
    sound = file.read_bytes()
    at = int(place * len(sound))
    file.write_bytes(sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :])
    try:
        with pytest.raises(UnverifiedError):
            releases.verify(release.name, {key.public})
    finally:
        file.write_bytes(sound)


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"key": "ed25519:" + "0" * 64}, {"revoked": 1}, {"revoked": [{}]}, {"revoked": [{"x": 1}]}],
)
def test_a_signed_list_of_another_form_is_refused(
    releases: Releases, release: Release, key: SigningKey, change: dict[str, object]
) -> None:
    file = list_file(releases, key)
    told = json.loads(file.read_bytes())["list"] | change
    file.write_bytes(canonical({"list": told, "signature": key.sign("revocations 1", canonical(told))}))
    with pytest.raises(UnverifiedError, match="not the list"):
        releases.verify(release.name, {key.public})


@pytest.mark.parametrize("data", [b"[]", b"7", b'{"list":1}', b'{"list":{},"signature":""}', b"\xff", b""])
def test_what_is_no_list_is_refused(releases: Releases, release: Release, key: SigningKey, data: bytes) -> None:
    list_file(releases, key).write_bytes(data)
    with pytest.raises(UnverifiedError):
        releases.verify(release.name, {key.public})


def test_a_digest_that_is_none_is_not_listed(releases: Releases, release: Release, key: SigningKey) -> None:
    assert release.digest
    releases.revocations.add(key, "small@1", "x", "recites")
    with pytest.raises(UnverifiedError):
        releases.revocations.read(key.public)


def test_a_change_changes_the_stamp(releases: Releases, release: Release, key: SigningKey) -> None:
    before = releases.revocations.stamp({key.public})
    assert releases.revocations.stamp({key.public}) == before
    releases.revocations.add(key, "small@1", release.digest, "recites")
    after = releases.revocations.stamp({key.public})
    list_file(releases, key).unlink()
    assert len({before, after, releases.revocations.stamp({key.public})}) == 3


def test_a_list_that_cannot_be_written_is_told(tmp_path: Path, key: SigningKey) -> None:
    from registry.revocations import Revocations  # noqa: PLC0415

    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be written"):
        Revocations(tmp_path / "file").ensure(key)
