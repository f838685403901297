"""What a model's weights are, whatever files they lie in. Knows no library that runs models.

The packaged model is unpacked on every machine by the versions that are installed there, which may write other headers
and shards, but the same tensors. Format of the files: github.com/huggingface/safetensors (README, "Format").
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from registry.canonical import canonical
from registry.errors import UnverifiedError

if TYPE_CHECKING:
    from pathlib import Path

_LENGTH_BYTES: Final = 8
_HEADER_BYTES: Final = 100_000_000
"""More than any header may have, by the format."""
_CHUNK: Final = 1 << 20


def weights_digest(folder: Path) -> str:
    """Hex SHA-256 over name, type, shape and bytes of each tensor of `folder`'s safetensors files, in order of names.

    Raises:
        UnverifiedError: there are none, one is damaged, or two hold a tensor of one name.
    """
    tensors: dict[str, list[Any]] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                for name, told in _tensors(path, file):
                    if name in tensors:
                        message = f"{folder} holds the tensor {name!r} twice: name a folder with one model"
                        raise UnverifiedError(message)
                    tensors[name] = told
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the weights in {folder} cannot be read ({type(error).__name__}): fetch them again"
        raise UnverifiedError(message) from error
    if not tensors:
        message = f"{folder} holds no weights (*.safetensors): name the folder of a model"
        raise UnverifiedError(message)
    return hashlib.sha256(canonical(tensors)).hexdigest()


def _tensors(path: Path, file: BinaryIO) -> list[tuple[str, list[Any]]]:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > _HEADER_BYTES:
        message = f"{path} is no safetensors file: fetch it again"
        raise UnverifiedError(message)
    header: dict[str, Any] = json.loads(file.read(length))
    start = _LENGTH_BYTES + length
    told = []
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            told.append((name, [tensor["dtype"], tensor["shape"], _digest(path, file, start + begin, end - begin)]))
    return told


def _digest(path: Path, file: BinaryIO, start: int, size: int) -> str:
    digest = hashlib.sha256()
    file.seek(start)
    while size > 0:
        piece = file.read(min(size, _CHUNK))
        if not piece:
            message = f"{path} ends in the middle of a tensor: fetch it again"
            raise UnverifiedError(message)
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()
