"""Flower's SuperNode, held to this installation's code: no program that comes over the wire is run beside a corpus.

Flower sends nodes an app bundle with each run, and whoever may submit runs could put any program into it (1.41 checks
bundles of its hub alone). Here a bundle is compared, file by file, with the node's own; another is not handed on to
the process that would run it, and the run is answered by an error.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from flwr.cli.build import build_fab_from_files
from flwr.supercore.fab import Fab
from flwr.supercore.utils import get_flwr_home
from flwr.supernode.nodestate import NodeState, NodeStateFactory
from flwr.supernode.nodestate.in_memory_nodestate import InMemoryNodeState

from training.deployment import BUNDLE

if TYPE_CHECKING:
    from flwr.supercore.object_store import ObjectStore

_LOG = logging.getLogger("flwr")
_BYTES = 1 << 20
"""No honest bundle is longer: it is one short file and its table of contents."""
_NO_HASH = "refused"
"""Flower looks for an unpacked app by the first digits of its hash, and no hexadecimal digit is an r."""


def own_bundle() -> bytes:
    """The bundle of this installation."""
    return build_fab_from_files({"pyproject.toml": BUNDLE.encode()})[0]


def is_own(bundle: bytes) -> bool:
    """Whether a bundle has exactly the files of this installation's. How they are compressed does not matter."""
    try:
        return _files(bundle) == _files(own_bundle())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return False


def _files(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        entries = archive.infolist()
        if len(bundle) > _BYTES or sum(entry.file_size for entry in entries) > _BYTES:
            message = "too long"
            raise ValueError(message)
        if len({entry.filename for entry in entries}) < len(entries):
            # Which of two files of one name is read differs from reader to reader.
            message = "a name twice"
            raise ValueError(message)
        return {entry.filename: archive.read(entry) for entry in entries}


class OwnCode(InMemoryNodeState):
    """A SuperNode's memory that gives out no foreign bundle."""

    def get_fab(self, fab_hash: str) -> Fab | None:
        """The bundle that was sent, if it is the node's own.

        Else the node's own under no hash at all, where Flower then finds no app and answers with an error.
        """
        fab = super().get_fab(fab_hash)
        if fab is None or is_own(fab.content):
            return fab
        _LOG.error("a bundle that is not this installation's was refused: %s", fab_hash)
        # Not under the hash that was sent: a link on the same machine has unpacked the foreign bundle under it.
        return Fab(_NO_HASH, own_bundle(), {})


class _Factory(NodeStateFactory):
    def state(self) -> NodeState:
        with self.lock:
            if self.state_instance is None:  # type: ignore[has-type, unused-ignore] # of Flower, where it is not installed
                store: ObjectStore = self.objectstore_factory.store()
                self.state_instance = OwnCode(store)
            return self.state_instance


def main() -> None:
    """`flower-supernode` with its own options, and `training.executor` beside it to run its rounds."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--port", type=int, required=True)
    given, _ = parser.parse_known_args()
    address = f"127.0.0.1:{given.port}"
    # Of its own: in the home of a link on the same machine lies whatever was submitted, under eight digits of its hash.
    os.environ["FLWR_HOME"] = str(get_flwr_home() / f"node-{given.port}")
    rounds = [sys.executable, "-m", "training.executor", "--runtime-api-address", address]
    subprocess.Popen([*rounds, "--parent-pid", str(os.getpid())])
    sys.argv += ["--isolation", "process", "--host", "127.0.0.1"]
    # By name: the package has a function of the same name as this module of it.
    flower = importlib.import_module("flwr.supernode.cli.flower_supernode")
    flower.NodeStateFactory = _Factory  # type: ignore[attr-defined]
    flower.flower_supernode()


if __name__ == "__main__":
    main()
