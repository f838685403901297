"""Small releases: a tensor or two that are no model, signed like one."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from registry.keys import SigningKey, make_key
from registry.manifest import CARD, Kind
from registry.releases import Release, Releases

if TYPE_CHECKING:
    from pathlib import Path

    from registry.manifest import Base, Parent


def safetensors(tensors: dict[str, bytes], **metadata: str) -> bytes:
    """A safetensors file with tensors of bytes (U8)."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for name, data in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensors.values())


FILES = {
    CARD: b'{"format":1}',
    "README.md": b"# small\n",
    "model/config.json": b"{}",
    "model/model.safetensors": safetensors({"one": b"\1\2\3"}),
}


def key_in(folder: Path, name: str = "signing.pem") -> SigningKey:
    return make_key(folder / name)


def released(
    home: Path,
    key: SigningKey,
    name: str = "small",
    *,
    files: dict[str, bytes] | None = None,
    kind: Kind = Kind.MODEL,
    base: Base | None = None,
    parent: Parent | None = None,
) -> Release:
    releases = Releases(home)
    draft = releases.draft_folder(name)
    for path, content in (FILES if files is None else files).items():
        (draft / path).parent.mkdir(parents=True, exist_ok=True)
        (draft / path).write_bytes(content)
    return releases.publish(draft, name, kind, key, base=base, parent=parent)


def open_up(release: Release) -> None:
    """Give back the rights to write, as whoever tampers with it would."""
    for path in (release.folder, *release.folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
