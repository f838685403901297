from __future__ import annotations

from e2e.served import home, reciting, upstream

__all__ = ["home", "reciting", "upstream"]
