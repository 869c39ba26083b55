"""The programs that are compared are drawn by a module of the tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # random_programs.py
