"""Whether all bars hold: reads benchmarks' outputs, exits 1 if a bar does not hold or an output is not one.

    python benchmarks/check.py .bench/guard-accuracy.out ...

Knows no benchmark.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from report import broken_bars


def main() -> int:
    """Print every bar that does not hold; answer the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("outputs", nargs="+", type=Path, metavar="OUTPUT", help="what a benchmark printed")
    failed = False
    for output in parser.parse_args().outputs:
        try:
            with output.open(encoding="utf-8") as lines:
                complaints = list(broken_bars(lines))
        except (OSError, ValueError) as error:
            complaints = [f"{output}: {error}"]
        for complaint in complaints:
            print(complaint, file=sys.stderr)
            failed = True
    print("not all bars hold" if failed else "all bars hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
