from __future__ import annotations

import sys
from pathlib import Path

# Benchmarks are scripts that import their neighbours by plain names.
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
