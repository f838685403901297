"""Rotation: a fresh store part for the index key, and the index re-keyed to it without its sources.

The new key is on disk before anything else happens, so that no interruption can leave an index whose key is lost; as
long as its file is there, the next run goes on with it. Knows the key's files, and nothing of settings and terminals.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guard.errors import SecretError, StoreMismatchError
from guard.index import Index
from guard.names import Names
from guard.rekeying import abandon, rekey
from guard.secret import KEY_FILE, NEXT_KEY_FILE, IndexKey, read_index_key, take_next_key, write_index_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.store import Store


class Rotation:
    """One change of key, from the one in use to the one in `file`, which is made where it is missing.

    `key` is the key in use if it does not come from HOME/index.key; `out` is then the file for the new one. Otherwise
    the new key is kept in HOME/index.key.next, and in the end takes the place of HOME/index.key.
    """

    def __init__(self, home: Path, key: IndexKey | None = None, out: Path | None = None) -> None:
        if (key is None) != (out is None):
            message = "a key that is given needs a file for the next one; a key in a file is replaced there"
            raise SecretError(message)
        self._home = home
        self._key = key
        self.file = out or home / NEXT_KEY_FILE

    @property
    def begun(self) -> bool:
        """Whether a new key is there, so that a run goes on with it."""
        return self.file.exists()

    def run(self, store: Store, progress: Callable[[float], None] = lambda _: None) -> Path:
        """Give the index the new key; return the file in which that stands now. Run again, it goes on.

        `progress` is told the share that is done, 0 to 1.

        Raises:
            SecretError: the key or its file is missing, malformed or open to others; or `file` holds a key that this
                index cannot go to; or another run is at work.
            StoreMismatchError: the index has another key; or somebody is writing to it, or gives it yet another key.
            RefusalError: the store does not answer.
        """
        with _alone(self._home):
            old = self._old()
            index = Index(store, old, self._home)
            new = self._next(index, old)
            rekey(index, Names(old), Names(new), new.check, progress=progress)
            if self._key is not None:
                return self.file
            take_next_key(self._home)
            return self._home / KEY_FILE

    def abandon(self, store: Store) -> None:
        """Give up a run that was interrupted, so that the index is written to again under its old key.

        Raises:
            SecretError: see `run`.
            StoreMismatchError: the index has the new key already: nothing is left to give up.
            RefusalError: the store does not answer.
        """
        with _alone(self._home):
            old = self._old()
            new = read_index_key(self.file)
            if new is not None:
                self._require_kin(old, new)
            standing = store.read_stamp()
            if new is not None and standing is not None and standing.key_check == new.check:
                message = f"the index has the key in {self.file} already: run the rotation again to finish it"
                raise StoreMismatchError(message)
            abandon(Index(store, old, self._home))
            self.file.unlink(missing_ok=True)

    def _old(self) -> IndexKey:
        key = self._key or read_index_key(self._home / KEY_FILE)
        if key is None:
            message = f"{self._home / KEY_FILE} is missing: without its key an index cannot be given another"
            raise SecretError(message)
        return key

    def _next(self, index: Index, old: IndexKey) -> IndexKey:
        new = read_index_key(self.file)
        if new is None:
            index.open()  # A key that the index does not have gets no successor.
            new = old.rotated()
            write_index_key(self.file, new)
        self._require_kin(old, new)
        return new

    def _require_kin(self, old: IndexKey, new: IndexKey) -> None:
        if new == old:
            message = f"{self.file} holds the key that is in use: name a new file for the next one"
            raise SecretError(message)
        if not old.is_kin(new):
            message = f"{self.file} holds the key of another index: remove it, or name another file"
            raise SecretError(message)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep other rotations of this home out: two at once would delete each other's copies."""
    try:
        descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        message = f"{home} cannot be opened ({error.strerror}): set CLEANROOM_HOME to the home of the index"
        raise SecretError(message) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"the key of {home} is being changed by another process: wait until that is done"
            raise SecretError(message) from error
        yield
    finally:
        os.close(descriptor)
