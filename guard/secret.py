"""The index key and the index that a home belongs to: making, reading and guarding both files.

A key has a content part, with which code is hashed, and a store part, under which the names made so are sealed. The
content part cannot change without the sources; the store part can (guard.rotation). A key that never changed has one
part, which stands for both. Knows neither the store nor what is hashed with the key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.errors import SecretError, StoreMismatchError

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
KEY_FILE = "index.key"
NEXT_KEY_FILE = "index.key.next"
"""Holds the new key while an index is given one."""
BINDING_FILE = "index.id"
NEW_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'
HEX_KEY = re.compile(rf"(?:[0-9a-fA-F]{{{2 * KEY_BYTES}}}){{1,2}}")
INDEX_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class IndexKey:
    """The secret bytes under which an index is hashed. Whoever holds them can test guesses against the index.

    32 bytes are both parts at once; of 64, the first half is the content part and the second the store part.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Hold the length: BLAKE2b would take a shorter, weaker key without a word."""
        if len(self.secret) not in (KEY_BYTES, 2 * KEY_BYTES):
            message = (
                f"an index key has {KEY_BYTES} bytes, or {2 * KEY_BYTES} after a rotation, not {len(self.secret)}; "
                f"make one with {NEW_KEY}"
            )
            raise SecretError(message)

    def derive(self, purpose: bytes) -> bytes:
        """Return the 32-byte subkey of the content part for `purpose` (1 to 16 bytes).

        Keyed BLAKE2b, personalised (RFC 7693, 2.8).
        """
        if not 1 <= len(purpose) <= hashlib.blake2b.PERSON_SIZE:
            message = f"purpose {purpose!r} has {len(purpose)} bytes; use 1 to {hashlib.blake2b.PERSON_SIZE}"
            raise SecretError(message)
        return hashlib.blake2b(key=self.secret[:KEY_BYTES], person=purpose, digest_size=KEY_BYTES).digest()

    @property
    def store(self) -> bytes:
        """The 32-byte subkey of the store part, for sealing names."""
        return hashlib.blake2b(key=self.secret[-KEY_BYTES:], person=b"store", digest_size=KEY_BYTES).digest()

    @property
    def check(self) -> str:
        """32 hex digits that tell this key from another, in either part, without revealing any."""
        return hashlib.blake2b(key=self.secret, person=b"check", digest_size=KEY_BYTES).hexdigest()[:32]

    def rotated(self) -> IndexKey:
        """A key with the same content part and a fresh store part."""
        return IndexKey(self.secret[:KEY_BYTES] + secrets.token_bytes(KEY_BYTES))

    def is_kin(self, other: IndexKey) -> bool:
        """Whether both have one content part, so that an index can go from one to the other."""
        return hmac.compare_digest(self.secret[:KEY_BYTES], other.secret[:KEY_BYTES])


def load_index_key(home: Path, value: str | None) -> IndexKey:
    """Return the key given as `value` (64 or 128 hex digits, CLEANROOM_INDEX_KEY), else that of HOME/index.key.

    The file is made, with mode 0600, when a new home is first used.

    Raises:
        SecretError: `value` is malformed; the file is malformed, unreadable or open to others; or the home is in
            use already and its key is gone (a new key would answer "no match" to everything).
    """
    if value is not None and value.strip():
        return _parse(value, "CLEANROOM_INDEX_KEY")
    path = home / KEY_FILE
    try:
        if not path.exists():
            _refuse_second_key(home, path)
            _publish(path, secrets.token_hex(KEY_BYTES))
        return _parse(_read_private(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        message = f"the index key {path} cannot be read or made ({error}): mend {home} or set CLEANROOM_INDEX_KEY"
        raise SecretError(message) from error


def read_index_key(path: Path) -> IndexKey | None:
    """Return the key in the file `path`, or None where there is none.

    Raises:
        SecretError: the file is malformed, unreadable or open to others.
    """
    try:
        return _parse(_read_private(path), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"the index key {path} cannot be read ({error}): mend or restore it"
        raise SecretError(message) from error


def write_index_key(path: Path, key: IndexKey) -> None:
    """Write the key to a new file, with mode 0600; the file is on disk when this returns.

    Raises:
        SecretError: the file is there already, or cannot be written.
    """
    try:
        _publish(path, key.secret.hex())
    except OSError as error:
        message = f"the index key {path} cannot be written ({error}): choose a place where you may write"
        raise SecretError(message) from error
    if read_index_key(path) != key:
        message = f"{path} is there already, with another key: choose another file"
        raise SecretError(message)


def take_next_key(home: Path) -> None:
    """Put HOME/index.key.next in the place of HOME/index.key, in one step.

    Raises:
        SecretError: that cannot be done.
    """
    try:
        (home / NEXT_KEY_FILE).replace(home / KEY_FILE)
        _flush_directory(home)
    except OSError as error:
        message = f"{home / NEXT_KEY_FILE} cannot take the place of {KEY_FILE} ({error}): mend {home}, then do it again"
        raise SecretError(message) from error


def bound_index(home: Path) -> str | None:
    """Return the id of the index that this home was first used with, or None for a new home."""
    path = home / BINDING_FILE
    try:
        index_id = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read ({error}): restore it, or remove it to accept the index now in the store"
        raise SecretError(message) from error
    if INDEX_ID.fullmatch(index_id) is None:
        message = f"{path} holds no index id (32 hex digits): restore it, or remove it to accept the index in the store"
        raise SecretError(message)
    return index_id


def bind_index(home: Path, index_id: str) -> None:
    """Remember that this home belongs to the index `index_id` (32 hex digits). Binding again to the same is no error.

    A store that lost its data and was initialised anew answers "no match" to everything; the id tells it from the
    index that this home knew.

    Raises:
        StoreMismatchError: the home belongs to another index.
        SecretError: HOME/index.id cannot be written, or `index_id` is malformed.
    """
    if INDEX_ID.fullmatch(index_id) is None:
        message = f"{index_id!r} is no index id: use 32 hex digits, as secrets.token_hex(16) gives"
        raise SecretError(message)
    path = home / BINDING_FILE
    bound = bound_index(home)
    if bound is None:
        try:
            _publish(path, index_id)
        except OSError as error:
            message = f"{path} cannot be written ({error}): mend {home} or set CLEANROOM_HOME to a writable directory"
            raise SecretError(message) from error
        bound = bound_index(home)
    if bound != index_id:
        message = (
            f"the store holds index {index_id}, but {home} belongs to index {bound}, which is gone or elsewhere: "
            f"restore that store's data, correct CLEANROOM_REDIS_URL, or, to accept this index, remove {path}"
        )
        raise StoreMismatchError(message)


def _parse(text: str, source: str) -> IndexKey:
    digits = text.strip()
    if HEX_KEY.fullmatch(digits) is None:
        # The value itself is a secret, even when it is malformed: only its length is named.
        message = (
            f"{source} is {len(digits)} characters that are not {2 * KEY_BYTES} hex digits, or {4 * KEY_BYTES} after a "
            f"rotation; make one with {NEW_KEY}"
        )
        raise SecretError(message)
    return IndexKey(bytes.fromhex(digits))


def _refuse_second_key(home: Path, path: Path) -> None:
    index_id = bound_index(home)
    if index_id is not None:
        message = (
            f"{home} belongs to index {index_id}, but its key is gone: restore {path}, set CLEANROOM_INDEX_KEY as "
            f"before, or remove {home / BINDING_FILE} to begin a new index"
        )
        raise SecretError(message)


def _read_private(path: Path) -> str:
    with path.open(encoding="ascii") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            message = f"the index key {path} can be read or written by other users; mend it with: chmod 600 {path}"
            raise SecretError(message)
        return file.read(1024)


def _publish(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, whole or not at all; a file that another process made first stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
        _flush_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
