"""The options that the guard's benchmarks share. Knows no benchmark."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from corpora import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def options_of(
    description: str | None,
    sizes: Mapping[str, object],
    *,
    seeded: bool = False,
    more: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> argparse.Namespace:
    """Read `json`, `cache`, `scale` (one of `sizes`, by default what SCALE says) and, where `seeded`, `seed`.

    `more` adds the options that one benchmark has for itself.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the JSON line only")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where downloads are kept (default: %(default)s)")
    if seeded:
        parser.add_argument("--seed", type=int, default=1, help="another draws other functions (default: %(default)s)")
    scale = os.environ.get("SCALE", "small")
    parser.add_argument("--scale", choices=sorted(sizes), default=scale, help="default: SCALE, else small")
    more(parser)
    options = parser.parse_args()
    # pip, which fetches what is not there, works in another folder.
    options.cache = options.cache.absolute()
    if options.scale not in sizes:
        parser.error(f"SCALE={options.scale} is unknown: use one of {', '.join(sorted(sizes))}")
    return options
