from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.released import FILES, key_in, released

from registry.canonical import canonical
from registry.errors import (
    RegistryError,
    ReleaseExistsError,
    ReleaseNotFoundError,
    RevokedError,
    SigningKeyError,
    UnverifiedError,
)
from registry.keys import PublicKey
from registry.manifest import MANIFEST, SIGNATURE, Parent, ReleaseName
from registry.releases import Release, Releases, names_release

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import SigningKey

EVERY_FILE = [*FILES, MANIFEST, SIGNATURE]


def refused(releases: Releases, key: SigningKey, words: str | None = None) -> None:
    with pytest.raises(UnverifiedError, match=words):
        releases.verify(ReleaseName("small", 1), {key.public})


def test_a_release_is_what_was_signed(releases: Releases, release: Release, key: SigningKey) -> None:
    found = releases.verify(releases.find("release:small"), {key.public})
    assert found == release
    assert found.label == f"small@1 sha256:{release.digest}"
    assert found.signer == key.public
    assert found.card() == {"format": 1}
    assert sorted(found.manifest.files) == sorted(FILES)


@pytest.mark.parametrize("path", EVERY_FILE)
def test_a_file_that_is_missing_is_refused(releases: Releases, release: Release, key: SigningKey, path: str) -> None:
    (release.folder / path).unlink()
    refused(releases, key)


@pytest.mark.parametrize("path", EVERY_FILE)
def test_a_file_that_is_cut_off_is_refused(releases: Releases, release: Release, key: SigningKey, path: str) -> None:
    os.truncate(release.folder / path, (release.folder / path).stat().st_size - 1)
    refused(releases, key)


@pytest.mark.parametrize("path", EVERY_FILE)
def test_a_longer_file_is_refused(releases: Releases, release: Release, key: SigningKey, path: str) -> None:
    with (release.folder / path).open("ab") as file:
        file.write(b"\n")
    refused(releases, key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.sampled_from(EVERY_FILE), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_byte_flipped_anywhere_is_refused(
    releases: Releases, release: Release, key: SigningKey, path: str, place: float, flip: int
) -> None:
    file = release.folder / path
    sound = file.read_bytes()
    at = int(place * len(sound))
    file.write_bytes(sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :])
    try:
        refused(releases, key)
    finally:
        file.write_bytes(sound)
    releases.verify(release.name, {key.public})


@pytest.mark.parametrize("path", ["model/extra.safetensors", "new/pytorch_model.bin", ".hidden"])
def test_a_file_that_nobody_signed_is_refused(releases: Releases, release: Release, key: SigningKey, path: str) -> None:
    (release.folder / path).parent.mkdir(exist_ok=True)
    (release.folder / path).write_bytes(b"")
    refused(releases, key, "nobody signed")


def test_a_link_is_refused_even_to_the_same_content(
    releases: Releases, release: Release, key: SigningKey, tmp_path: Path
) -> None:
    weights = release.folder / "model" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    refused(releases, key, "no plain file")


def test_a_linked_folder_is_refused(releases: Releases, release: Release, key: SigningKey, tmp_path: Path) -> None:
    (release.folder / "model").rename(tmp_path / "elsewhere")
    (release.folder / "model").symlink_to(tmp_path / "elsewhere")
    refused(releases, key, "no plain file")


def test_a_pipe_is_refused_and_not_waited_for(releases: Releases, release: Release, key: SigningKey) -> None:
    (release.folder / "model" / "config.json").unlink()
    os.mkfifo(release.folder / "model" / "config.json")
    refused(releases, key, "no plain file")


def test_another_key_is_not_trusted(releases: Releases, release: Release, tmp_path: Path) -> None:
    other = key_in(tmp_path, "other.pem")
    refused(releases, other, "not trusted here")
    with pytest.raises(UnverifiedError, match="not trusted here"):
        releases.verify(release.name, set())


def test_a_signature_under_a_trusted_name_by_another_key_is_refused(
    releases: Releases, release: Release, key: SigningKey, tmp_path: Path
) -> None:
    other = key_in(tmp_path, "other.pem")
    forged = other.sign("release manifest 1", (release.folder / MANIFEST).read_bytes())
    (release.folder / SIGNATURE).write_bytes(canonical({"key": str(key.public), "signature": forged}))
    refused(releases, key, "not as ed25519")


def test_a_signature_for_another_purpose_is_refused(releases: Releases, release: Release, key: SigningKey) -> None:
    for purpose in ("revocations 1", "release manifest 2", ""):
        signature = key.sign(purpose, (release.folder / MANIFEST).read_bytes())
        (release.folder / SIGNATURE).write_bytes(canonical({"key": str(key.public), "signature": signature}))
        refused(releases, key, "not as ed25519")


@pytest.mark.parametrize(
    "signature",
    [b"[]", b"{}", b'{"key":"x"}', b'{"key":1,"signature":2}', b'{"key":"x","more":1,"signature":"y"}', b"\xff"],
)
def test_what_is_no_signature_is_refused(
    releases: Releases, release: Release, key: SigningKey, signature: bytes
) -> None:
    (release.folder / SIGNATURE).write_bytes(signature)
    refused(releases, key)


def test_a_signature_in_another_spelling_is_refused(releases: Releases, release: Release, key: SigningKey) -> None:
    told = json.loads((release.folder / SIGNATURE).read_bytes())
    (release.folder / SIGNATURE).write_bytes(canonical(told | {"signature": told["signature"].upper()}))
    refused(releases, key, "not as ed25519")


def test_a_release_cannot_be_passed_off_as_another(
    home: Path, releases: Releases, release: Release, key: SigningKey
) -> None:
    (home / "releases" / "other").mkdir()
    release.folder.rename(home / "releases" / "other" / "1")
    with pytest.raises(UnverifiedError, match="not other@1"):
        releases.verify(ReleaseName("other", 1), {key.public})


def test_an_older_version_cannot_be_passed_off_as_the_newest(
    releases: Releases, release: Release, key: SigningKey
) -> None:
    release.folder.rename(release.folder.with_name("2"))
    with pytest.raises(UnverifiedError, match="not small@2"):
        releases.verify(releases.find("small"), {key.public})


def test_unsafe_asks_for_no_signature_but_for_the_files(releases: Releases, release: Release, key: SigningKey) -> None:
    (release.folder / SIGNATURE).unlink()
    assert releases.verify(release.name, set(), unsafe_unsigned=True).signer is None
    releases.revocations.add(key, "small@1", release.digest, "recites")
    with pytest.raises(RevokedError):
        releases.verify(release.name, {key.public}, unsafe_unsigned=True)
    (release.folder / "README.md").write_bytes(b"# other\n")
    with pytest.raises(UnverifiedError, match="README"):
        releases.verify(release.name, set(), unsafe_unsigned=True)


# --- names and versions


def test_versions_count_up_and_the_newest_is_meant(home: Path, releases: Releases, key: SigningKey) -> None:
    made = [released(home, key) for _ in range(11)]
    assert [one.name.version for one in made] == list(range(1, 12))
    assert releases.find("small") == ReleaseName("small", 11)
    assert releases.find("release:small@2") == ReleaseName("small", 2)
    assert releases.names() == [one.name for one in made]


@pytest.mark.parametrize(
    "text", ["other", "small@2", "small@01", "small@", "small@x", "small@²", "../small", "", "@1", ".revoked", "a" * 64]
)
def test_what_is_not_there_is_not_found(releases: Releases, release: Release, text: str) -> None:
    assert release.name.version == 1
    with pytest.raises(ReleaseNotFoundError):
        releases.find(text)


def test_names() -> None:
    assert names_release("release:x")
    assert not names_release("x")
    assert not names_release(None)
    with pytest.raises(ReleaseNotFoundError):
        ReleaseName("x", 0)


def test_a_home_without_releases_has_none(releases: Releases) -> None:
    assert releases.names() == []
    with pytest.raises(ReleaseNotFoundError, match="no release of that name"):
        releases.find("small")


# --- making


def test_a_release_is_not_written_to(home: Path, key: SigningKey) -> None:
    made = released(home, key)
    assert all(path.stat().st_mode & 0o222 == 0 for path in (made.folder, *made.folder.rglob("*")))


def test_two_at_once_get_versions_of_their_own(home: Path, releases: Releases, key: SigningKey) -> None:
    made: list[Release] = []
    lost: list[Exception] = []

    def make() -> None:
        try:
            made.append(released(home, key))
        except ReleaseExistsError as error:
            lost.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(lost) == 8
    assert sorted(one.name.version for one in made) == releases.versions("small")
    for one in made:
        releases.verify(one.name, {key.public})


def test_a_draft_is_no_release(releases: Releases) -> None:
    (releases.draft_folder("small") / "card.json").write_bytes(b"{}")
    assert releases.versions("small") == []


def test_a_release_without_a_card_is_not_made(home: Path, releases: Releases, key: SigningKey) -> None:
    with pytest.raises(UnverifiedError):
        released(home, key, files={"README.md": b""})
    assert releases.names() == []


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be written"):
        released(tmp_path / "file", key)


def test_a_parent_is_part_of_what_is_signed(home: Path, releases: Releases, release: Release, key: SigningKey) -> None:
    child = released(home, key, "child", parent=Parent(str(release.name), release.digest))
    assert releases.verify(child.name, {key.public}).manifest.parent == Parent("small@1", release.digest)


def test_a_card_that_cannot_be_read_is_told(release: Release) -> None:
    (release.folder / "card.json").write_bytes(b"{")
    with pytest.raises(UnverifiedError, match="cannot be read"):
        release.card()


def test_the_same_key_under_another_spelling_is_no_key() -> None:
    for text in ("ed25519:" + "A" * 64, "ed25519:" + "a" * 63, "rsa:" + "a" * 64, ""):
        with pytest.raises(SigningKeyError):
            PublicKey(text)
