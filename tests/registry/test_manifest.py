from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.canonical import canonical
from registry.errors import UnverifiedError
from registry.manifest import MANIFEST, SIGNATURE, Manifest, ReleaseName

if TYPE_CHECKING:
    from registry.keys import SigningKey
    from registry.releases import Release, Releases


def refused(releases: Releases, key: SigningKey, words: str | None = None) -> None:
    with pytest.raises(UnverifiedError, match=words):
        releases.verify(ReleaseName("small", 1), {key.public})


def resigned(release: Release, key: SigningKey, **changes: object) -> None:
    """Write the manifest anew, as a signer would who means harm or is mistaken."""
    told = canonical(json.loads(release.manifest.to_bytes()) | changes)
    (release.folder / MANIFEST).write_bytes(told)
    signature = key.sign("release manifest 1", told)
    (release.folder / SIGNATURE).write_bytes(canonical({"key": str(key.public), "signature": signature}))


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a/", "", "a\\b", "a\0b", MANIFEST, SIGNATURE, "model/.."],
)
def test_a_manifest_names_no_file_outside_its_folder(
    releases: Releases, release: Release, key: SigningKey, path: str
) -> None:
    files = json.loads(release.manifest.to_bytes())["files"]
    resigned(release, key, files={**files, path: files["README.md"]})
    refused(releases, key, "outside its folder")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": True},
        {"name": "../small"},
        {"name": 7},
        {"version": 0},
        {"version": True},
        {"version": 1.0},
        {"version": "1"},
        {"kind": "adapter"},
        {"kind": "pickle"},
        {"created": None},
        {"files": {}},
        {"files": []},
        {"files": {"card.json": {"sha256": "0" * 64}}},
        {"files": {"card.json": {"sha256": "0" * 63, "size": 1}}},
        {"files": {"card.json": {"sha256": "0" * 64, "size": -1}}},
        {"files": {"card.json": {"sha256": "0" * 64, "size": 1.0}}},
        {"base": {"name": "b", "weights_sha256": "0" * 64, "gguf_sha256": None}},
        {"base": 1},
        {"parent": {"release": "small@1"}},
        {"parent": {"release": 1, "manifest_sha256": "0" * 64}},
        {"more": 1},
    ],
)
def test_a_manifest_of_another_form_is_refused(
    releases: Releases, release: Release, key: SigningKey, change: dict[str, object]
) -> None:
    resigned(release, key, **change)
    refused(releases, key)


def test_a_manifest_that_is_too_long_is_refused(releases: Releases, release: Release, key: SigningKey) -> None:
    with (release.folder / MANIFEST).open("wb") as file:
        file.truncate((16 << 20) + 1)
    refused(releases, key, "more than")


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    )
)
def test_nothing_but_a_manifest_is_read_as_one(value: object) -> None:
    with pytest.raises(UnverifiedError):
        Manifest.from_bytes(canonical(value))


@given(st.binary(max_size=64))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(UnverifiedError):
        Manifest.from_bytes(data)
