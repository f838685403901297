"""Programs that tests run where they are installed, and that continuous integration must have."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "CLEANROOM_REQUIRE_TOOLS"


def required(program: str, package: str) -> str:
    """Where `program` is; without it the test is skipped, or fails where all of them are required.

    `package`: what Debian calls the package that has it.
    """
    found = shutil.which(program)
    if found is None:
        message = f"no {program} on the PATH (apt-get install {package})"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, but there is {message}")
        pytest.skip(message)
    return found
