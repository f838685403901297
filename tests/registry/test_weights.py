from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.released import safetensors

from registry.errors import UnverifiedError
from registry.tree import folder_digest
from registry.weights import weights_digest

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {"a": b"\1\2", "b": b"\3\4\5"}


def digest(folder: Path, **files: bytes) -> str:
    for old in folder.glob("*.safetensors"):
        old.unlink()
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    return weights_digest(folder)


def test_files_and_headers_do_not_matter(tmp_path: Path) -> None:
    one = digest(tmp_path, model=safetensors(TENSORS))
    assert digest(tmp_path, model=safetensors(dict(reversed(TENSORS.items())), format="pt")) == one
    assert digest(tmp_path, x=safetensors({"b": TENSORS["b"]}), y=safetensors({"a": TENSORS["a"]})) == one


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from("ab"), st.integers(0, 1), st.integers(1, 255))
def test_every_byte_of_every_tensor_matters(tmp_path: Path, name: str, at: int, flip: int) -> None:
    data = TENSORS[name]
    other = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
    one = digest(tmp_path, model=safetensors(TENSORS))
    assert digest(tmp_path, model=safetensors({**TENSORS, name: other})) != one


def test_names_matter(tmp_path: Path) -> None:
    one = digest(tmp_path, model=safetensors(TENSORS))
    assert digest(tmp_path, model=safetensors({"a": TENSORS["b"], "b": TENSORS["a"]})) != one
    assert digest(tmp_path, model=safetensors({"a": TENSORS["a"]})) != one


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 16, b"\2\0\0\0\0\0\0\0[]", safetensors(TENSORS)[:-1], b"\1" + bytes(7)]
)
def test_damaged_weights_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnverifiedError):
        digest(tmp_path, model=data)


def test_a_tensor_stands_in_one_file(tmp_path: Path) -> None:
    with pytest.raises(UnverifiedError, match="twice"):
        digest(tmp_path, x=safetensors(TENSORS), y=safetensors(TENSORS))


def test_a_folder_without_weights_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(UnverifiedError, match="no weights"):
        weights_digest(tmp_path)
    with pytest.raises(UnverifiedError, match="cannot be read"):
        folder_digest(tmp_path / "none")


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"1")
    one = folder_digest(tmp_path)
    (tmp_path / "README.md").write_bytes(b"words")
    assert folder_digest(tmp_path) == one
    (tmp_path / "sub" / "README.md").write_bytes(b"words")
    assert folder_digest(tmp_path) != one
