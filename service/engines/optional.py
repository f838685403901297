"""Imports modules that an extra brings. Knows no engine in particular."""

from __future__ import annotations

import importlib
from typing import Any

from service.errors import SetupError

EXTRA = "transformers"


def optional(name: str, purpose: str, extra: str = EXTRA) -> Any:  # noqa: ANN401 - an optional module
    """The module. Raises SetupError that says what needs it (`purpose`), and how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"{purpose} needs {name}, which is not installed: run pip install 'cleanroom[{extra}]'"
        raise SetupError(message) from None
