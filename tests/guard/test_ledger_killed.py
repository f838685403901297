"""A process that writes is killed at any moment, again and again: what was acknowledged is there, and chains hold.

CLEANROOM_TEST_KILLS says how often: 200 takes some minutes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from guard.ledger import Ledger

KILLS = int(os.environ.get("CLEANROOM_TEST_KILLS", "6"))
WRITER = """
import os, sys, threading, itertools
sys.path.insert(0, sys.argv[1])
from guard.ledger import Ledger
from guard.types import Action
from samples.ledger_records import record
ledger, numbers = Ledger(sys.argv[2]), itertools.count(int(sys.argv[3]))
def write(size):
    while True:
        asked = [record(next(numbers), Action.ALLOW if size > 1 and each else Action.BLOCK) for each in range(size)]
        ledger.append_all(asked)
        os.write(1, "".join(one.decision.id + "\\n" for one in asked).encode())
for size in (1, 1, 3, 8):
    threading.Thread(target=write, args=(size,)).start()
"""


def test_nothing_acknowledged_is_lost(url: str) -> None:
    Ledger(url).close()
    moments, acknowledged = random.Random(7), set()  # noqa: S311 - moments, not secrets
    for kill in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(Path(__file__).parents[1]), url, str(1_000_000 * kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(moments.uniform(0, 0.2))
            writer.kill()
            told = (first + writer.stdout.read()).decode()
        # The last line may be half a line.
        acknowledged |= set(told[: told.rfind("\n")].split())
        with Ledger(url) as ledger:
            verification = ledger.verify()
            assert verification.ok
            assert len(verification.heads) == kill + 1
            entries = ledger.entries(limit=1_000_000)
            assert acknowledged <= {entry.record.decision.id for entry in entries}
    assert len(acknowledged) > KILLS
