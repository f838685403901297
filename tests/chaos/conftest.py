from __future__ import annotations

from e2e.served import home, impatient, upstream

__all__ = ["home", "impatient", "upstream"]
