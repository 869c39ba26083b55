"""Make ``asv_bench`` importable, whatever pytest was started with."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
