"""Names for documents whose paths are to stay at home: keyed hashes of them. Knows no files and no server.

`src/billing/fraud.py` becomes `h:` and the hash of its tree's name (`src`), a slash, and the hash of the whole path. So
a tree can still be told from others and withdrawn as one. Whoever has the index key can test guesses of paths, as of
code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from guard.tree import Tree

if TYPE_CHECKING:
    from guard.secret import IndexKey

MARK = "h:"
TREE_BYTES = 8
PATH_BYTES = 12


@dataclass(frozen=True, slots=True)
class PathNames:
    """Hashed names under one organization's key: equal paths of two organizations have different names."""

    key: bytes

    @classmethod
    def of(cls, key: IndexKey, org: str) -> Self:
        """The names of the organization `org` under an index key."""
        return cls(hashlib.blake2b(org.encode(), key=key.derive(b"paths"), digest_size=32).digest())

    def document(self, path: str) -> str:
        """The name of the document at `path`."""
        tree, slash, _ = path.partition("/")
        return (self.tree(tree) if slash else MARK) + self._hash("document", path, PATH_BYTES)

    def tree(self, name: str) -> str:
        """What the names of all documents of a tree begin with."""
        return f"{MARK}{self._hash('tree', name, TREE_BYTES)}/"

    def _hash(self, kind: str, text: str, size: int) -> str:
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self.key, person=kind.encode(), digest_size=size).hexdigest()


@dataclass(frozen=True, slots=True)
class SentTree(Tree):
    """A tree that is sent to a server, under its documents' paths or, if they are `hidden`, their hashed names.

    It holds both, so that a tree that was sent under the one and is synced under the other does not stand there twice.
    """

    names: PathNames = PathNames(b"")
    hidden: bool = False

    def path_of(self, relative: str) -> str:
        """The document's name; of a folder, whose path ends in "/", what its documents' names begin with."""
        # Not `super()`, which a dataclass with slots loses.
        path = Tree.path_of(self, relative)
        if not self.hidden:
            return path
        return self.names.tree(path.partition("/")[0]) if path.endswith("/") else self.names.document(path)

    def holds(self, path: str) -> bool:
        """Whether the document at `path` is, or was, a file of this tree under either name."""
        if self.root.is_file():
            document = Tree.path_of(self, self.root.name)
            return path in {document, self.names.document(document)}
        tree = Tree.path_of(self, "")
        return path.startswith((tree, self.names.tree(tree.rstrip("/"))))
